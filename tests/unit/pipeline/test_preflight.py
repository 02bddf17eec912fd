"""What is checked before a build for an engine or a builder on another machine."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from armwright.assembly import buildx
from armwright.engine.address import EngineAddress
from armwright.engine.client import Engine
from armwright.engine.probe import EngineReading
from armwright.host import binfmt
from armwright.matrix.matrix import Matrix
from armwright.pipeline import preflight
from armwright.proof import smoke
from armwright.system.errors import MachineError

OWN = platform.machine()
OTHER = "aarch64" if OWN == "x86_64" else "x86_64"
ADDRESS = EngineAddress("ssh://me@far", "configuration", "far")
READING = EngineReading(
    "26.1.5", containerd_store=True, running=0, root=Path("/var/lib/docker"), is_here=False, address=ADDRESS
)


class FarEngine:
    """An engine on another machine."""

    def __init__(self, machine: str = OWN) -> None:
        self.reading, self.address = replace(READING, machine=machine), ADDRESS


def make(machine: str = OWN) -> Engine:
    return cast("Engine", FarEngine(machine))


def offer(monkeypatch: pytest.MonkeyPatch, *platforms: str) -> None:
    monkeypatch.setattr(buildx, "read_platforms", lambda *_: platforms)


def test_engine_of_another_architecture_cannot_run_the_tools() -> None:
    preflight._require_build_platform(make(), "")
    with pytest.raises(MachineError, match=f"engine at ssh://me@far .* is on {OTHER}, but this machine") as refused:
        preflight._require_build_platform(make(OTHER), "")
    assert refused.value.next_step == "docker context use default"


@pytest.mark.parametrize(
    ("platforms", "fits"),
    [(("linux/amd64", "linux/arm64"), OWN == "x86_64"), (("linux/arm64",), OWN == "aarch64"), ((), True)],
)
def test_builder_of_another_architecture_cannot_run_the_tools(
    monkeypatch: pytest.MonkeyPatch, platforms: tuple[str, ...], *, fits: bool
) -> None:
    offer(monkeypatch, *platforms)
    if fits:
        preflight._require_build_platform(make(), "other")
    else:
        with pytest.raises(MachineError, match="the builder other is on "):
            preflight._require_build_platform(make(), "other")


def test_far_engine_without_an_emulator_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "linux/amd64")
    with pytest.raises(MachineError, match="cannot run aarch64 programs") as refused:
        preflight._require_far_emulator(make("x86_64"))
    assert refused.value.next_step == "docker buildx inspect far"
    assert "--no-smoke" in refused.value.hint
    preflight._require_far_emulator(make("aarch64"))
    offer(monkeypatch, "linux/amd64", "linux/arm64")
    preflight._require_far_emulator(make("x86_64"))


def test_emulator_of_this_machine_says_nothing_about_another(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binfmt, "read_emulation", lambda: pytest.fail("it read this machine's"))
    target = matrix.recipes.targets["n1"]
    assert smoke.require_runner(target, replace(READING, machine="aarch64")) == ""
    assert smoke.require_runner(target, replace(READING, machine="x86_64")) == "QEMU"


def test_silent_emulator_is_not_one_without_the_cpu(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    if OWN == "aarch64":
        pytest.skip("an Arm machine needs no emulator")
    entry = binfmt.BinfmtEntry("qemu-aarch64", enabled=True, interpreter="/usr/bin/qemu-aarch64", flags="F")
    monkeypatch.setattr(binfmt, "read_emulation", lambda: binfmt.Emulation(mounted=True, entries=(entry,)))
    monkeypatch.setattr(binfmt, "list_cpus", frozenset)
    with pytest.raises(MachineError, match="the registered emulator /usr/bin/qemu-aarch64 did not answer"):
        smoke.require_runner(matrix.recipes.targets["n1"])
