"""Containers whose process was killed: found by their label, and removed by the next run.

A container has the process that made it as a label: its host, its number, and when it started. So no living run loses a
container, whichever checkout it belongs to.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path

from docker import DockerClient
from docker.errors import APIError
from docker.models.containers import Container

from armwright.system.errors import FailedError

PURPOSE = "org.armwright.run"
OWNER = "org.armwright.process"
_STARTED = 19  # the field of /proc/PID/stat with the start time, after the name in parentheses: proc(5), field 22


def make_labels(purpose: str) -> dict[str, str]:
    """Return the labels of a container that this process makes: what it is for, and whose it is."""
    return {PURPOSE: purpose, OWNER: f"{socket.gethostname()} {os.getpid()} {_read_start(os.getpid())}"}


def is_abandoned(labels: dict[str, str]) -> bool:
    """Return whether the process that made a container has ended. It must have run on this machine."""
    host, _, process = labels.get(OWNER, "").partition(" ")
    number, _, started = process.partition(" ")
    return host == socket.gethostname() and number.isdigit() and _read_start(int(number)) != started


def find_abandoned(client: DockerClient) -> list[Container]:
    """Return the containers whose process was killed."""
    found: Iterable[Container] = client.containers.list(all=True, filters={"label": OWNER}, ignore_removed=True)
    return [container for container in found if is_abandoned(container.labels)]


def remove_abandoned(client: DockerClient) -> int:
    """Remove the containers whose process was killed, running or not; return how many there were.

    Raises:
        FailedError: the engine does not remove one.
    """
    containers = find_abandoned(client)
    for container in containers:
        try:
            container.remove(force=True)
        except APIError as error:
            if error.status_code not in {404, 409}:  # another run removed it, or does just now
                raise FailedError(
                    f"a container that a killed run left stays: {error.explanation}", "docker ps"
                ) from error
    return len(containers)


def _read_start(number: int) -> str:
    """Return when a process started, in clock ticks since the machine's start; empty if there is no such process."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[_STARTED]
