"""Doctor judges readings: every check can fail, and every failure names its fix."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from armwright.cli import doctor
from armwright.cli.doctor import CheckState, MachineCheck, Readings
from armwright.engine.address import EngineAddress
from armwright.engine.probe import EngineReading, NoEngineError
from armwright.host import binfmt, needs
from armwright.host.inspect import Host
from armwright.matrix.matrix import Matrix
from armwright.publish.given_name import LeftName
from armwright.publish.lookup import RegistryReading

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
        "archive": "2.6.1",
        "registry": "2.8.2",
    },
    emulation=binfmt.Emulation(mounted=True, entries=(ENTRY,), running="10.0.2", installed="10.0.2"),
)
GOOD = Readings(
    machine=MACHINE,
    python=(3, 11, 2),
    cpus=frozenset({"a64fx", "neoverse-n1"}),
    disks={"build/": 50 * 10**9, "the engine's data": 50 * 10**9},
    unwritable="",
    memory=8 * 10**9,
    bundle=Path("/etc/ssl/certs/ca-certificates.crt"),
    bundle_readable=True,
    registry=RegistryReading("127.0.0.1:5000", answers=True),
    index="",
)
STAGED = "127.0.0.1:5000/staging/pytorch:2.10.0-n1-acl-0123456789ab"


def find_check(name: str, readings: Readings, cpus: tuple[str, ...] = ("neoverse-n1",)) -> MachineCheck:
    return next(check for check in doctor.judge_readings(cpus, FACTS, readings) if check.name.startswith(name))


def with_machine(machine: Host) -> Readings:
    return replace(GOOD, machine=machine)


def with_emulation(**changes: Any) -> Readings:  # noqa: ANN401 - fields of the dataclass
    return with_machine(replace(MACHINE, emulation=replace(MACHINE.emulation, **changes)))


def test_good_machine_passes_every_check() -> None:
    assert {check.state for check in doctor.judge_readings(("neoverse-n1",), FACTS, GOOD)} == {CheckState.OK}


BAD = [
    ("python", replace(GOOD, python=(3, 10, 9)), CheckState.FAIL, "3.10.9"),
    (
        "engine answers",
        with_machine(replace(MACHINE, engine=None, silence=NoEngineError(EngineAddress(), forbidden=False))),
        CheckState.FAIL,
        "it is not running",
    ),
    ("engine answers", with_machine(replace(MACHINE, engine=None, have={})), CheckState.FAIL, "absent"),
    (
        "engine >=",
        with_machine(replace(MACHINE, engine=replace(ENGINE, version="20.10.24"))),
        CheckState.FAIL,
        "20.10.24",
    ),
    (
        "containerd",
        with_machine(replace(MACHINE, engine=replace(ENGINE, containerd_store=False))),
        CheckState.FAIL,
        "off",
    ),
    ("buildx", with_machine(replace(MACHINE, have={**MACHINE.have, "buildx": "0.9.1"})), CheckState.FAIL, "0.9.1"),
    ("emulator registered", with_emulation(entries=()), CheckState.FAIL, "not registered"),
    ("emulator registered", with_emulation(entries=(replace(ENTRY, flags="OC"),)), CheckState.FAIL, "flags OC"),
    ("emulator >=", with_emulation(running="7.2.1"), CheckState.FAIL, "7.2.1"),
    ("emulator >=", with_emulation(running=None), CheckState.WARN, "unknown"),
    ("emulator's CPUs", replace(GOOD, cpus=frozenset({"a64fx"})), CheckState.FAIL, "neoverse-n1"),
    ("apt and", with_machine(replace(MACHINE, have={})), CheckState.FAIL, "absent"),
    ("docker-registry", with_machine(replace(MACHINE, have={})), CheckState.FAIL, "absent"),
    (
        "registry answers",
        replace(GOOD, registry=RegistryReading("127.0.0.1:5000", answers=False, fix="invoke registry start")),
        CheckState.WARN,
        "127.0.0.1:5000",
    ),
    ("disk: build/", replace(GOOD, disks={"build/": 15 * 10**9}), CheckState.WARN, "15 GB"),
    ("disk: build/", replace(GOOD, disks={"build/": 9 * 10**9}), CheckState.FAIL, "9 GB"),
    ("build/ can", replace(GOOD, unwritable="Read-only file system"), CheckState.FAIL, "Read-only"),
    ("memory", replace(GOOD, memory=10**9), CheckState.WARN, "1.0 GB"),
    ("CA bundle", replace(GOOD, bundle=None), CheckState.FAIL, "none"),
    ("CA bundle", replace(GOOD, bundle_readable=False), CheckState.FAIL, "no readable certificates"),
    ("left by killed", replace(GOOD, left=("0123456789",)), CheckState.WARN, "1 container(s)"),
    ("left by killed", replace(GOOD, left_name=LeftName(STAGED, "undo it")), CheckState.WARN, STAGED),
    ("package index", replace(GOOD, index="it does not answer"), CheckState.WARN, "does not answer"),
]


@pytest.mark.parametrize(
    ("name", "readings", "state", "found"), BAD, ids=[f"{name}: {found}" for name, _, _, found in BAD]
)
def test_failure_is_named_with_its_fix(name: str, readings: Readings, state: CheckState, found: str) -> None:
    check = find_check(name, readings)
    assert check.state is state
    assert found in check.found
    assert check.fix


def test_all_that_killed_runs_left_is_removed_by_one_fix() -> None:
    check = find_check("left by killed", replace(GOOD, left=("01", "23"), left_name=LeftName(STAGED, "undo it")))
    assert check.found == f"2 container(s), the name {STAGED}"
    assert check.fix.startswith("docker rm --force 01 23; undo it  # ")


def test_arm_host_needs_no_emulator() -> None:
    names = [
        check.name for check in doctor.judge_readings(("neoverse-n1",), FACTS, with_machine(Host(machine="aarch64")))
    ]
    assert [name for name in names if name.startswith("emulator")] == ["emulator"]
    assert find_check("emulator", with_machine(Host(machine="aarch64"))).state is CheckState.OK


def test_user_without_permission_is_not_sent_to_setup() -> None:
    check = find_check(
        "engine answers",
        with_machine(replace(MACHINE, engine=None, silence=NoEngineError(EngineAddress(), forbidden=True))),
    )
    assert "usermod" in check.fix


def test_failure_is_exit_code_3_and_json_is_alone_on_stdout(
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
    assert [check["name"] for check in document["checks"] if check["state"] == "fail"] == ["emulator's CPUs"]
    assert set(document["checks"][0]) == {"name", "state", "found", "fix"}


@pytest.mark.parametrize(("content", "expected"), [("-----BEGIN CERTIFICATE-----\n", True), ("", False), (None, False)])
def test_bundle_must_hold_certificates(tmp_path: Path, content: str | None, *, expected: bool) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    assert doctor._has_certificates(file) is expected
