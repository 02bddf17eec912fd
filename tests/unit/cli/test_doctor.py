"""What doctor makes of readings: every check can fail, and every failure names its mend."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from armwright.cli import doctor
from armwright.cli.doctor import CheckState, MachineCheck, Readings
from armwright.host import binfmt, needs
from armwright.host.inspect import EngineReading, Host
from armwright.matrix.matrix import Matrix

FACTS = needs.load_needs()
ENTRY = binfmt.BinfmtEntry("qemu-aarch64", enabled=True, interpreter="/usr/bin/qemu-aarch64", flags="POF")
ENGINE = EngineReading("26.1.5", containerd_store=True, running=0, root=Path("/var/lib/docker"))
MACHINE = Host(
    engine=ENGINE,
    have={
        "engine": "26.1.5",
        "client": "28.2",
        "buildx": "0.13.1",
        "emulator": "10.0.2",
        "unpacker": "1.3.5",
        "registry": "2.8.2",
    },
    emulation=binfmt.Emulation(mounted=True, entries=(ENTRY,), running="10.0.2", installed="10.0.2"),
)
GOOD = Readings(
    machine=MACHINE,
    python=(3, 11, 2),
    cpus=frozenset({"a64fx", "neoverse-n1"}),
    disks={"build/": 50 * 10**9, "the engine's data": 50 * 10**9},
    memory=8 * 10**9,
    bundle=Path("/etc/ssl/certs/ca-certificates.crt"),
    bundle_readable=True,
    registry=True,
    index="",
)


def check(name: str, seen: Readings, cpus: tuple[str, ...] = ("neoverse-n1",)) -> MachineCheck:
    return next(row for row in doctor.judge_readings(cpus, FACTS, seen) if row.name.startswith(name))


def on(machine: Host) -> Readings:
    return replace(GOOD, machine=machine)


def emulating(**changes: object) -> Readings:
    return on(replace(MACHINE, emulation=replace(MACHINE.emulation, **changes)))


def test_a_good_machine_has_no_complaint() -> None:
    assert {row.state for row in doctor.judge_readings(("neoverse-n1",), FACTS, GOOD)} == {CheckState.OK}


BAD = [
    ("python", replace(GOOD, python=(3, 10, 9)), CheckState.FAIL, "3.10.9"),
    (
        "engine answers",
        on(replace(MACHINE, engine=None, silence="it does not run")),
        CheckState.FAIL,
        "it does not run",
    ),
    ("engine answers", on(replace(MACHINE, engine=None, have={})), CheckState.FAIL, "absent"),
    ("engine >=", on(replace(MACHINE, engine=replace(ENGINE, version="20.10.24"))), CheckState.FAIL, "20.10.24"),
    ("containerd", on(replace(MACHINE, engine=replace(ENGINE, containerd_store=False))), CheckState.FAIL, "off"),
    ("buildx", on(replace(MACHINE, have={**MACHINE.have, "buildx": "0.9.1"})), CheckState.FAIL, "0.9.1"),
    ("emulator registered", emulating(entries=()), CheckState.FAIL, "not registered"),
    ("emulator registered", emulating(entries=(replace(ENTRY, flags="OC"),)), CheckState.FAIL, "flags OC"),
    ("emulator >=", emulating(running="7.2.1"), CheckState.FAIL, "7.2.1"),
    ("emulator >=", emulating(running=None), CheckState.WARN, "unknown"),
    ("emulator's CPUs", replace(GOOD, cpus=frozenset({"a64fx"})), CheckState.FAIL, "neoverse-n1"),
    ("mmdebstrap", on(replace(MACHINE, have={})), CheckState.FAIL, "absent"),
    ("docker-registry", on(replace(MACHINE, have={})), CheckState.FAIL, "absent"),
    ("registry answers", replace(GOOD, registry=False), CheckState.WARN, "127.0.0.1:5000"),
    ("disk: build/", replace(GOOD, disks={"build/": 15 * 10**9}), CheckState.WARN, "15 GB"),
    ("disk: build/", replace(GOOD, disks={"build/": 9 * 10**9}), CheckState.FAIL, "9 GB"),
    ("memory", replace(GOOD, memory=10**9), CheckState.WARN, "1.0 GB"),
    ("CA bundle", replace(GOOD, bundle=None), CheckState.FAIL, "none"),
    ("CA bundle", replace(GOOD, bundle_readable=False), CheckState.FAIL, "no certificates"),
    ("package index", replace(GOOD, index="it does not answer"), CheckState.WARN, "does not answer"),
]


@pytest.mark.parametrize(("name", "seen", "state", "found"), BAD, ids=[f"{name}: {found}" for name, _, _, found in BAD])
def test_what_is_wrong_is_named_with_its_mend(name: str, seen: Readings, state: CheckState, found: str) -> None:
    row = check(name, seen)
    assert row.state is state
    assert found in row.found
    assert row.mend


def test_an_arm_host_needs_no_emulator() -> None:
    names = [row.name for row in doctor.judge_readings(("neoverse-n1",), FACTS, on(Host(machine="aarch64")))]
    assert [name for name in names if name.startswith("emulator")] == ["emulator"]
    assert check("emulator", on(Host(machine="aarch64"))).state is CheckState.OK


def test_who_may_not_talk_to_the_engine_is_not_sent_to_setup() -> None:
    row = check(
        "engine answers", on(replace(MACHINE, engine=None, forbidden=True, silence="this user may not talk to it"))
    )
    assert "usermod" in row.mend


def test_a_failure_is_exit_code_3_and_json_is_the_only_thing_on_stdout(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    every_cpu = {model for target in matrix.recipes.targets.values() for model in target.emulator.models}
    good = replace(GOOD, cpus=frozenset(every_cpu))
    monkeypatch.setattr(doctor, "read_machine", lambda _: good)
    assert doctor.run(matrix, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    monkeypatch.setattr(doctor, "read_machine", lambda _: replace(good, cpus=frozenset()))
    assert doctor.run(matrix, as_json=True) == 3
    document = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in document["checks"] if row["state"] == "fail"] == ["emulator's CPUs"]


def test_the_disk_behind_a_folder_that_is_not_there_yet_is_read(tmp_path: Path) -> None:
    assert doctor._free(tmp_path / "not" / "yet") > 0


@pytest.mark.parametrize(("content", "good"), [("-----BEGIN CERTIFICATE-----\n", True), ("", False), (None, False)])
def test_a_bundle_must_hold_certificates(tmp_path: Path, content: str | None, *, good: bool) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    assert doctor._certificates(file) is good
