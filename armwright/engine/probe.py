"""Connects to the Docker Engine and reads what it is. All commands, setup and doctor use this one probe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import docker
import requests
from docker import DockerClient
from docker.errors import DockerException

from armwright.system.errors import MachineError

CONNECTIONS = 100  # kept open; more combos than that are hardly proven at once


@dataclass(frozen=True)
class EngineReading:
    """What a Docker Engine reports about itself.

    Attributes:
        version: its version, e.g. "26.1.5".
        containerd_store: whether it keeps images in the containerd image store.
        running: the number of containers that run now.
        root: the folder of its data, on the engine's machine.
        cpus: the number of its CPUs.
        memory: the bytes of its memory.
    """

    version: str
    containerd_store: bool
    running: int
    root: Path
    cpus: int = 1
    memory: int = 0


class NoEngineError(MachineError):
    """No Docker Engine answers.

    Attributes:
        reason: why, as a clause: "it is not running".
        forbidden: an engine is there, but this user may not use it.
    """

    def __init__(self, *, forbidden: bool) -> None:
        if forbidden:
            what = "this user may not use the Docker Engine; nothing was started"
            super().__init__(what, "sudo usermod -aG docker $USER", hint="then log in again")
        else:
            super().__init__("the Docker Engine does not answer; nothing was started", "./inv setup")
        self.forbidden = forbidden
        self.reason = "this user may not use it" if forbidden else "it is not running"


def connect_engine(timeout: int) -> tuple[DockerClient, EngineReading]:
    """Connect to the engine of this machine, or to the one that DOCKER_HOST names.

    Args:
        timeout: seconds to wait for a response, for this and every later request of the client.

    Returns:
        the client, which the caller closes, and what the engine reports.

    Raises:
        NoEngineError: no engine answers.
    """
    try:
        client = docker.from_env(timeout=timeout, version="auto", max_pool_size=CONNECTIONS)
    except (DockerException, requests.RequestException, ValueError) as error:
        raise _explain(error) from error
    try:
        return client, parse_info(client.info())
    except (DockerException, requests.RequestException, ValueError) as error:
        client.close()
        raise _explain(error) from error


def parse_info(info: Mapping[str, object]) -> EngineReading:
    """Read the document of `docker info` (API 1.41 and later)."""
    status = info.get("DriverStatus") or []
    pairs = status if isinstance(status, list) else []
    return EngineReading(
        version=str(info.get("ServerVersion", "")),
        containerd_store=any(str(value).startswith("io.containerd.snapshotter") for _, value in pairs),
        running=int(str(info.get("ContainersRunning", 0))),
        root=Path(str(info.get("DockerRootDir", "/var/lib/docker"))),
        cpus=int(str(info.get("NCPU") or 1)),
        memory=int(str(info.get("MemTotal") or 0)),
    )


def _explain(error: Exception) -> NoEngineError:
    text = str(error)
    return NoEngineError(forbidden="Permission denied" in text or "PermissionError" in text)
