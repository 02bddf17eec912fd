"""The local registry: the distribution's docker-registry on 127.0.0.1, staging by default, all of it under build/."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from armwright.system import daemon, http, process
from armwright.system.errors import MachineError
from armwright.system.files import write_whole

HOME = Path("build", "registry")  # below the project's root
HOST = "127.0.0.1"
PORT = 5000


@dataclass(frozen=True)
class RegistryStatus:
    """What the local registry is doing.

    Attributes:
        running: our process is there.
        address: `host:port`, as it stands in an image's reference.
        pid: its process id; None when it does not run.
        repositories: what it holds, sorted; empty when it does not run.
        folder: where data, configuration and log are.
    """

    running: bool
    address: str
    pid: int | None
    repositories: tuple[str, ...]
    folder: Path

    def document(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {**vars(self), "folder": str(self.folder), "repositories": list(self.repositories)}


def read_registry_status(home: Path) -> RegistryStatus:
    """Look whether the registry runs and what it holds.

    Raises:
        MachineError: its process is there but does not answer.
    """
    pid = _pid(home)
    address = f"{HOST}:{_port(home)}"
    held = http.get(f"http://{address}/v2/_catalog?n=1000").json()["repositories"] if pid else []
    return RegistryStatus(pid is not None, address, pid, tuple(sorted(held)), home)


def is_registry_answering(home: Path) -> bool:
    """Say whether something answers as a registry where ours is, or would be."""
    return http.is_answering(f"http://{HOST}:{_port(home)}/v2/")


def start_registry(home: Path, port: int = PORT) -> tuple[RegistryStatus, bool]:
    """Start the registry, if it does not run, and wait until it answers.

    Args:
        home: the folder for data, configuration, pid file and log.
        port: where on 127.0.0.1; only this machine reaches it.

    Returns:
        its status, and whether this call started it.

    Raises:
        MachineError: docker-registry is not installed, the port is somebody else's, it runs on another port, or it
            ends at once (its log's tail is in the message).
    """
    program = process.require_program("docker-registry")
    home.mkdir(parents=True, exist_ok=True)
    with process.alone(home / "lock"):
        if _pid(home):
            if _port(home) != port:
                raise MachineError(f"the registry runs already, on port {_port(home)}", "invoke registry stop")
            return read_registry_status(home), False
        _refuse_taken(port)
        write_whole(_configuration(home), _configured(port, home / "data"))
        arguments = [program, "serve", str(_configuration(home))]
        pid = daemon.start_daemon(
            arguments, _log(home), lambda: http.is_answering(f"http://{HOST}:{port}/v2/"), patience=20
        )
        (home / "pid").write_text(f"{pid}\n", encoding="utf-8")
        return read_registry_status(home), True


def stop_registry(home: Path) -> bool:
    """End the registry; its data stays.

    Returns:
        whether it ran.

    Raises:
        MachineError: it belongs to another user.
    """
    if not home.is_dir():
        return False
    with process.alone(home / "lock"):
        pid = _pid(home)
        if pid:
            daemon.stop_daemon(pid)
        (home / "pid").unlink(missing_ok=True)
        return pid is not None


def _configuration(home: Path) -> Path:
    return home / "config.yml"


def _log(home: Path) -> Path:
    return home / "log"


def _pid(home: Path) -> int | None:
    return daemon.find_daemon(home / "pid", str(_configuration(home)))


def _port(home: Path) -> int:
    """Return the port of the last start; the usual one before the first."""
    try:
        address = yaml.safe_load(_configuration(home).read_text(encoding="utf-8"))["http"]["addr"]
    except (FileNotFoundError, TypeError, KeyError, yaml.YAMLError):  # not there, or cut short by a full disk
        return PORT
    return int(address.rpartition(":")[2])


def _configured(port: int, data: Path) -> str:
    """Return the registry's configuration. The format: CNCF distribution 2.8, docs/configuration.md."""
    settings = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(data)}, "delete": {"enabled": True}},
        "http": {"addr": f"{HOST}:{port}"},
    }
    return yaml.safe_dump(settings, sort_keys=False)


def _refuse_taken(port: int, patience: float = 1) -> None:
    """Raise MachineError if the port is not free, with the listener's name where the kernel tells it.

    Waits a moment first: a registry that was killed just now may still hold it while it ends.
    """
    deadline = time.monotonic() + patience
    while not _free(port):
        if time.monotonic() > deadline:
            who = _listener(port) or "somebody listens there"
            raise MachineError(
                f"port {port} on {HOST} is not free: {who}",
                f"stop it, or: invoke registry start --port {port % 65535 + 1}",
            )
        time.sleep(0.05)


def _free(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((HOST, port))
        except OSError:
            return False
    return True


def _listener(port: int) -> str:
    """Return "python3 (process 123) listens there", as `ss` of iproute2 tells it; empty if it does not."""
    if process.find_program("ss") is None:
        return ""
    listing = process.capture(["ss", "-Hltnp", f"sport = :{port}"], check=False)
    found = re.search(r'\(\("(?P<name>[^"]+)",pid=(?P<pid>\d+)', listing)
    return f"{found['name']} (process {found['pid']}) listens there" if found else ""
