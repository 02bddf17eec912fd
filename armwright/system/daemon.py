"""Daemons that setup and registry start: detached from the terminal, found again by their pid file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from armwright.system import process
from armwright.system.errors import MachineError

_POLL = 0.1  # seconds between two looks at a process


def find_daemon(pid_file: Path, marker: str) -> int | None:
    """Find a running daemon by its pid file.

    Args:
        pid_file: the file that holds the daemon's process id.
        marker: text that one argument of its command line contains. The kernel reuses process ids after a crash or a
            reboot, so the id alone proves nothing.

    Returns:
        the process id; None if the file is absent, unreadable or stale.
    """
    try:
        pid = int(pid_file.read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")  # empty for a zombie
    except (OSError, ValueError):
        return None
    return pid if any(marker.encode() in argument for argument in arguments) else None


def start_daemon(arguments: Sequence[str], log: Path, is_ready: Callable[[], bool], *, patience: float = 60) -> int:
    """Start a daemon and wait until it is ready.

    Args:
        arguments: the program and its arguments.
        log: the file that its output is appended to.
        is_ready: returns whether the daemon answers; called every 0.1 s.
        patience: seconds to wait.

    Returns:
        its process id.

    Raises:
        MachineError: it is not installed, it exited, or it was not ready in time; the message has its log's tail.
    """
    before = log.stat().st_size if log.exists() else 0
    child = process.spawn(arguments, log)
    deadline = time.monotonic() + patience
    try:
        while not is_ready() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(_POLL)
    except BaseException:  # an interrupt: do not leave a daemon behind that was never reported
        _end(child)
        raise
    if child.poll() is None and is_ready():
        return child.pid
    what = f"exited with {child.returncode}" if child.returncode is not None else f"did not answer in {patience:.0f} s"
    _end(child)
    raise MachineError(f"{Path(arguments[0]).name} {what}:\n{_read_tail(log, before)}", f"less {log}")


def _end(child: subprocess.Popen[bytes]) -> None:
    stop_daemon(child.pid)
    child.wait()


def stop_daemon(pid: int, *, patience: float = 20) -> None:
    """Terminate a process, kill it after `patience` seconds, and return when it is gone. It may be gone already.

    Raises:
        MachineError: it belongs to another user.
    """
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.kill(pid, number)
            deadline = time.monotonic() + patience
            while _is_running(pid) and time.monotonic() < deadline:
                time.sleep(_POLL)
            if not _is_running(pid):
                return
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise MachineError(f"process {pid} belongs to another user", f"sudo kill {pid}") from error


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _read_tail(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(f"  | {line}" for line in lines[-process.TAIL_LINES :])
