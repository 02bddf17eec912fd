"""The local registry: docker-registry on 127.0.0.1, the default staging registry. All its files are under build/."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from armwright.system import daemon, http, process, turns
from armwright.system.errors import MachineError
from armwright.system.files import write_whole

HOME = Path("build", "registry")  # below the project's root
DATA = "data"  # below HOME
HOST = "127.0.0.1"
PORT = 5000


@dataclass(frozen=True)
class RegistryStatus:
    """The state of the local registry.

    Attributes:
        running: whether its process runs.
        address: `host:port`, as in an image's reference.
        pid: its process id; None if it is not running.
        repositories: the names of its repositories, sorted; empty if it is not running.
        folder: the folder of its data, configuration and log.
    """

    running: bool
    address: str
    pid: int | None
    repositories: tuple[str, ...]
    folder: Path

    def document(self) -> dict[str, Any]:
        """Return the state as a JSON document."""
        return {**vars(self), "folder": str(self.folder), "repositories": list(self.repositories)}


def read_registry_status(home: Path) -> RegistryStatus:
    """Return whether the registry runs and what it holds.

    Raises:
        MachineError: its process runs but does not answer.
    """
    pid, port = _find_pid(home), _read_port(home)
    repositories = http.get(f"{_api(port)}/_catalog?n=1000").json()["repositories"] if pid else []
    return RegistryStatus(pid is not None, f"{HOST}:{port}", pid, tuple(sorted(repositories)), home)


def is_registry_answering(home: Path) -> bool:
    """Return whether a registry answers at the address of the local registry."""
    return http.is_answering(f"{_api(_read_port(home))}/")


def read_registry_address(home: Path) -> str:
    """Return `host:port` of the registry: on the port on which it runs or last ran, 5000 if it never did."""
    return f"{HOST}:{_read_port(home)}"


def start_registry(home: Path, port: int | None = None) -> tuple[RegistryStatus, bool]:
    """Start the registry if it is not running, and wait until it answers.

    Args:
        home: the folder for data, configuration, pid file and log.
        port: the port on 127.0.0.1, which only this machine can reach; None for the one on which it runs or last ran.

    Returns:
        its state, and whether this call started it.

    Raises:
        MachineError: docker-registry is not installed, the port is taken, the registry runs on another port, or it
            exited at once (the message has its log's tail).
    """
    process.require_program("docker-registry")
    home.mkdir(parents=True, exist_ok=True)
    with turns.alone(home / "lock"):
        last = _read_port(home)
        if _find_pid(home):
            if port not in {None, last}:
                again = f"invoke registry stop && invoke registry start --port {port}"
                raise MachineError(f"the registry is already running on port {last}", again)
            return read_registry_status(home), False
        _serve(home, last if port is None else port)
        return read_registry_status(home), True


@contextlib.contextmanager
def stopped_registry(home: Path) -> Iterator[Path]:
    """Stop the registry if it runs, and start it again afterwards; nobody else starts it meanwhile.

    Returns:
        the path of its configuration, for other programs that work on its data.
    """
    with turns.alone(home / "lock"):
        pid, port = _find_pid(home), _read_port(home)
        if pid:
            daemon.stop_daemon(pid)
        try:
            yield _configuration(home)
        finally:
            if pid:
                _serve(home, port)


def stop_registry(home: Path) -> bool:
    """Stop the registry; keep its data.

    Returns:
        whether it ran.

    Raises:
        MachineError: it belongs to another user.
    """
    if not home.is_dir():
        return False
    with turns.alone(home / "lock"):
        pid = _find_pid(home)
        if pid:
            daemon.stop_daemon(pid)
        (home / "pid").unlink(missing_ok=True)
        return pid is not None


def _serve(home: Path, port: int) -> None:
    _refuse_taken(port)
    write_whole(_configuration(home), _render_configuration(port, home / DATA))
    arguments = [process.require_program("docker-registry"), "serve", str(_configuration(home))]
    pid = daemon.start_daemon(arguments, _log(home), lambda: http.is_answering(f"{_api(port)}/"), patience=20)
    write_whole(home / "pid", f"{pid}\n")


def _configuration(home: Path) -> Path:
    return home / "config.yml"


def _log(home: Path) -> Path:
    return home / "log"


def _api(port: int) -> str:
    return f"http://{HOST}:{port}/v2"


def _find_pid(home: Path) -> int | None:
    return daemon.find_daemon(home / "pid", str(_configuration(home)))


def _read_port(home: Path) -> int:
    """Return the port of the last start, or the default port."""
    try:
        address = yaml.safe_load(_configuration(home).read_text(encoding="utf-8"))["http"]["addr"]
    except (FileNotFoundError, TypeError, KeyError, yaml.YAMLError):  # absent, or truncated by a full disk
        return PORT
    return int(address.rpartition(":")[2])


def _render_configuration(port: int, data: Path) -> str:
    """Return the registry's configuration; its format is that of CNCF distribution 2.8, docs/configuration.md."""
    settings = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(data)}, "delete": {"enabled": True}},
        "http": {"addr": f"{HOST}:{port}"},
    }
    return yaml.safe_dump(settings, sort_keys=False)


def _refuse_taken(port: int, patience: float = 1) -> None:
    """Raise MachineError if the port is taken after `patience` seconds; the message names the process if possible.

    A registry that was just killed may hold the port for a moment.
    """
    deadline = time.monotonic() + patience
    while not _is_free(port):
        if time.monotonic() > deadline:
            raise MachineError(
                f"port {port} on {HOST} is not free: {_find_listener(port) or 'another process'} uses it",
                f"invoke registry start --port {port % 65535 + 1}",
                hint="or stop that process",
            )
        time.sleep(0.05)


def _is_free(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((HOST, port))
        except OSError:
            return False
    return True


def _find_listener(port: int) -> str:
    """Return the process that listens on a port, "python3 (process 123)", with `ss` of iproute2; empty if unknown."""
    if process.find_program("ss") is None:
        return ""
    listing = process.capture(["ss", "-Hltnp", f"sport = :{port}"], check=False)
    match = re.search(r'\(\("(?P<name>[^"]+)",pid=(?P<pid>\d+)', listing)
    return f"{match['name']} (process {match['pid']})" if match else ""
