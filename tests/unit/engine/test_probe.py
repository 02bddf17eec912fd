"""The probe of the engine: recorded documents of `docker info`, and engines that do not answer."""

from __future__ import annotations

import gc
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from armwright.engine import probe
from armwright.engine.probe import EngineReading, NoEngineError

INFO = {
    "ServerVersion": "26.1.5+dfsg1", "ContainersRunning": 2, "DockerRootDir": "/srv/docker",
    "NCPU": 4, "MemTotal": 10**9, "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
}  # fmt: skip


def test_engine_is_read_from_its_information() -> None:
    assert probe.parse_info(INFO) == EngineReading(
        "26.1.5+dfsg1", containerd_store=True, running=2, root=Path("/srv/docker"), cpus=4, memory=10**9
    )


@pytest.mark.parametrize("status", [[["Backing Filesystem", "extfs"]], [], None])
def test_other_image_stores_are_recognized(status: object) -> None:
    assert not probe.parse_info({**INFO, "DriverStatus": status}).containerd_store


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK leaves a failed socket open
def test_silent_engine_names_the_command_that_starts_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/missing.sock")
    with pytest.raises(NoEngineError, match="the Docker Engine does not answer; nothing was started") as refused:
        probe.connect_engine(1)
    assert (refused.value.code, refused.value.next_step, refused.value.forbidden) == (3, "./inv setup", False)
    del refused
    gc.collect()  # here, where that socket is expected


def test_forbidden_engine_names_the_command_that_grants_access(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise DockerException("Error while fetching server API version: PermissionError(13, 'Permission denied')")

    monkeypatch.setattr(docker, "from_env", refuse)
    with pytest.raises(NoEngineError, match="this user may not use the Docker Engine") as refused:
        probe.connect_engine(1)
    assert refused.value.forbidden
    assert refused.value.next_step == "sudo usermod -aG docker $USER"
