"""The probe of the engine: recorded documents of `docker info`, and engines that do not answer."""

from __future__ import annotations

import json
import os
import platform
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from armwright.engine import probe
from armwright.engine.address import EngineAddress
from armwright.engine.probe import EngineReading, NoEngineError
from armwright.system.errors import MachineError

MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
INFO = {
    "ServerVersion": "26.1.5+dfsg1", "ContainersRunning": 2, "DockerRootDir": "/srv/docker", "Driver": "overlayfs",
    "NCPU": 4, "MemTotal": MEMORY, "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    "LoggingDriver": "none", "Architecture": "x86_64", "KernelVersion": platform.release(), "Name": "here",
}  # fmt: skip
READING = EngineReading(
    "26.1.5+dfsg1", containerd_store=True, running=2, root=Path("/srv/docker"), cpus=4, memory=MEMORY,
    log_driver="none", machine="x86_64",
)  # fmt: skip
FAR = EngineAddress("tcp://arm:2375", "DOCKER_HOST")
NAMED = EngineAddress("unix:///run/other.sock", "configuration", "other")


def test_engine_is_read_from_its_information() -> None:
    assert probe.parse_info(INFO) == READING


@pytest.mark.parametrize("status", [[["Backing Filesystem", "extfs"]], [], None])
def test_other_image_stores_are_recognized(status: object) -> None:
    assert not probe.parse_info({**INFO, "DriverStatus": status}).containerd_store


@pytest.mark.parametrize(
    ("changes", "address", "expected"),
    [
        ({}, EngineAddress(), True),
        ({}, NAMED, True),  # another engine of this machine
        ({"KernelVersion": "6.6.87-linuxkit"}, EngineAddress(), False),  # Docker Desktop's virtual machine
        ({"MemTotal": 1 << 33}, NAMED, False),  # a forwarded socket
        ({}, FAR, False),  # a machine of the same kind
        ({"Name": socket.gethostname()}, EngineAddress("tcp://127.0.0.1:2375", "DOCKER_HOST"), True),
    ],
)
def test_engine_elsewhere_is_recognized(changes: dict[str, object], address: EngineAddress, *, expected: bool) -> None:
    assert probe.parse_info({**INFO, **changes}, address).is_here is expected


def test_old_store_of_the_service_is_left_to_setup() -> None:
    unfit = probe.explain_unfit(replace(READING, containerd_store=False))
    assert unfit is not None
    assert unfit.next_step == "./inv setup"


def test_old_store_elsewhere_says_what_to_set_there() -> None:
    unfit = probe.explain_unfit(replace(READING, containerd_store=False, address=NAMED))
    assert unfit is not None
    assert "at unix:///run/other.sock (docker's current context 'other') does not use the containerd" in unfit.what
    assert '"containerd-snapshotter": true' in unfit.hint
    assert unfit.next_step == "docker context use default"


@pytest.mark.parametrize(("address", "command"), [(EngineAddress(), "sudo editor "), (FAR, "unset DOCKER_HOST")])
def test_driver_with_which_no_container_starts_is_named(address: EngineAddress, command: str) -> None:
    unfit = probe.explain_unfit(replace(READING, driver="overlay2", address=address))
    assert unfit is not None
    assert "cannot start containers: its storage driver overlay2" in unfit.what
    assert unfit.next_step.startswith(command)
    assert 'remove "storage-driver"' in unfit.hint


def test_fit_engine_has_no_fault() -> None:
    assert probe.explain_unfit(READING) is None


def test_silent_engine_of_a_variable_is_not_setups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(NoEngineError, match=r"nobody\.sock \(DOCKER_HOST\): there is no such socket") as refused:
        probe.connect_engine(1)
    assert (refused.value.code, refused.value.next_step) == (3, "unset DOCKER_HOST")
    assert not refused.value.startable


def test_silent_service_names_the_command_that_starts_it() -> None:
    error = NoEngineError(EngineAddress(), forbidden=False)
    assert (error.next_step, error.startable) == ("./inv setup", True)


def test_forbidden_engine_names_the_command_that_helps() -> None:
    error = NoEngineError(EngineAddress(), forbidden=True)
    assert (error.next_step, error.startable) == ("sudo usermod -aG docker $USER", False)
    assert NoEngineError(NAMED, forbidden=True).next_step == "ls -l /run/other.sock"


@pytest.mark.parametrize("auths", [{"ghcr.io": {"auth": "!!!"}}, {"ghcr.io": "x"}, {"a": {"auth": "YQ=="}}, "x"])
def test_damaged_login_is_not_a_silent_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, auths: object) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setattr(probe, "_require_socket", lambda _: None)
    with pytest.raises(MachineError, match="has a login that cannot be read") as refused:
        probe.connect_engine(1)
    assert str(tmp_path / "config.json") in refused.value.what
    assert not isinstance(refused.value, probe.NoEngineError)
