"""Daemons that setup and registry start: detached, found again by pid file, waited for until they answer."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from armwright.system import process
from armwright.system.errors import MachineError

_PAUSE = 0.1


def find_daemon(pid_file: Path, marker: str) -> int | None:
    """Find a daemon by its pid file.

    Args:
        pid_file: where the daemon's process id is, or was.
        marker: a word of its command line. A process id is given away again after a crash or a restart of the
            machine, so the number alone proves nothing.

    Returns:
        the process id; None if the file is stale, unreadable or absent.
    """
    try:
        pid = int(pid_file.read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")  # empty for a dead process nobody waited for
    except (OSError, ValueError):
        return None
    return pid if any(marker.encode() in word for word in words) else None


def start_daemon(arguments: Sequence[str], log: Path, answers: Callable[[], bool], *, patience: float = 60) -> int:
    """Start a daemon and wait until it answers.

    Args:
        arguments: program and words.
        log: the file its output is appended to.
        answers: asked every tenth of a second.
        patience: seconds to wait.

    Returns:
        its process id.

    Raises:
        MachineError: it is not installed, it ended, or it does not answer; the tail of its log is in the message.
    """
    before = log.stat().st_size if log.exists() else 0
    child = process.spawn(arguments, log)
    deadline = time.monotonic() + patience
    try:
        while not answers() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(_PAUSE)
    except BaseException:  # an interrupt: what nobody waits for any more must not stay
        _end(child)
        raise
    if child.poll() is None and answers():
        return child.pid
    what = f"ended with {child.returncode}" if child.returncode is not None else f"was silent for {patience:.0f} s"
    _end(child)
    raise MachineError(f"{Path(arguments[0]).name} {what}:\n{_tail(log, before)}", f"read {log}")


def _end(child: subprocess.Popen[bytes]) -> None:
    stop_daemon(child.pid)
    child.wait()


def stop_daemon(pid: int, *, patience: float = 20) -> None:
    """End a process: first asked, then killed. Returns when it is gone; a process that is gone already is no mistake.

    Raises:
        MachineError: it belongs to somebody else.
    """
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.kill(pid, number)
            deadline = time.monotonic() + patience
            while _running(pid) and time.monotonic() < deadline:
                time.sleep(_PAUSE)
            if not _running(pid):
                return
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise MachineError(f"process {pid} belongs to another user", f"sudo kill {pid}") from error


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _tail(log: Path, start_at: int) -> str:
    with log.open("rb") as written:
        written.seek(start_at)
        lines = written.read().decode(errors="replace").splitlines()
    return "\n".join(f"  | {line}" for line in lines[-process.TAIL_LINES :])
