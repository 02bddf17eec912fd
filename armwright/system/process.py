"""The one door for processes: argument lists only, output kept and shown when it matters, no secret in an argument."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from armwright.system import interrupt
from armwright.system.errors import FailedError, MachineError

TAIL_LINES = 15
_guard = threading.Lock()
_turns: dict[tuple[str, int], threading.Semaphore] = {}


def find_program(name: str) -> str | None:
    """Return the absolute path of a program, also from the folders that only root's PATH has; None if absent."""
    path = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    )
    return shutil.which(name, path=path)


def require_program(name: str, next_step: str = "./inv setup") -> str:
    """Return the absolute path of a program.

    Raises:
        MachineError: it is not installed.
    """
    found = find_program(name)
    if found is None:
        raise MachineError(f"the program '{name}' is not installed", next_step)
    return found


def capture(
    arguments: Sequence[str], *, check: bool = True, timeout: float | None = 600, env: Mapping[str, str] | None = None
) -> str:
    """Run a short program and return its standard output.

    Args:
        arguments: program and words; the program is looked up first.
        check: raise when it exits non-zero.
        timeout: seconds after which it is killed.
        env: variables added to the environment.

    Raises:
        MachineError: the program is not installed.
        FailedError: it failed (the tail of what it printed is in the message) or took too long.
    """
    program = require_program(arguments[0])
    interrupt.check_interrupted()
    try:
        done = subprocess.run(
            [program, *arguments[1:]],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise FailedError(f"'{arguments[0]}' did not finish within {timeout:.0f} s") from error
    if check and done.returncode:
        raise FailedError(_failure(arguments, done.returncode, (done.stdout + done.stderr).splitlines()))
    return done.stdout


def stream(
    arguments: Sequence[str],
    log: Path,
    on_line: Callable[[str], str | None] | None = None,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a long program; its output (both streams) goes line by line to a log file.

    Args:
        arguments: program and words.
        log: the file that is appended to; its folder is made.
        on_line: called with each line; what it returns is written to the log instead of the line, None writes nothing.
        env: variables added to the environment.
        cwd: the folder to run in.

    Raises:
        MachineError: the program is not installed.
        FailedError: it exited non-zero; the message holds the log's tail.
        KeyboardInterrupt: passed on after the program and its children were told to stop, in this thread or another.
    """
    program = require_program(arguments[0])
    interrupt.check_interrupted()
    log.parent.mkdir(parents=True, exist_ok=True)
    tail: list[str] = []
    with log.open("a", encoding="utf-8") as sink:
        child = subprocess.Popen(
            [program, *arguments[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,  # one interrupt, handled here, and not a second one racing it in the child
        )
        assert child.stdout is not None  # noqa: S101 - for the type checker; PIPE was asked for
        try:
            with interrupt.stoppable(lambda patience: _stop(child, patience)):
                for line in child.stdout:
                    kept = on_line(line.rstrip("\n")) if on_line else line.rstrip("\n")
                    if kept is not None:
                        sink.write(kept + "\n")
                        sink.flush()
                        tail = [*tail[-(TAIL_LINES - 1) :], *kept.splitlines()][-TAIL_LINES:]
                code = child.wait()
        except BaseException:
            _stop(child)
            raise
        finally:
            child.stdout.close()
    if code:
        raise FailedError(_failure(arguments, code, tail), f"the whole log: {log}")


def run_attached(arguments: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> int:
    """Run a program with its output on the terminal; return its exit code.

    Raises:
        MachineError: the program is not installed.
    """
    program = require_program(arguments[0])
    environment = {**os.environ, **(env or {})}
    return subprocess.run(
        [program, *arguments[1:]], cwd=cwd, check=False, env=environment, stdin=subprocess.DEVNULL
    ).returncode


def spawn(arguments: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a daemon of our own: detached from the terminal, output appended to a log file.

    Returns:
        the started process; it outlives this one.

    Raises:
        MachineError: the program is not installed.
    """
    program = require_program(arguments[0])
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        child = subprocess.Popen(
            [program, *arguments[1:]],
            stdout=sink,
            stderr=sink,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **(env or {})},
            cwd="/",
        )
    threading.Thread(target=child.wait, daemon=True).start()  # else it stays a zombie if it ends before we do
    return child


@contextlib.contextmanager
def turn(name: str, places: int = 1) -> Iterator[None]:
    """Let one thread of this process at a time, or so many, do what has this name; the others wait.

    Args:
        name: what is done.
        places: how many threads may do it at once; the same number wherever the name is used.

    Raises:
        KeyboardInterrupt: everything is being stopped.
    """
    with _guard:
        free = _turns.setdefault((name, places), threading.Semaphore(places))
    with free:
        interrupt.check_interrupted()
        yield


@contextlib.contextmanager
def alone(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let one process at a time in; the others wait.

    Args:
        path: the file that is locked; its folder is made.
        waiting: called once when somebody else is in.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _stop(child: subprocess.Popen[str], patience: float = interrupt.PATIENCE) -> None:
    """Interrupt a process group, and kill what does not go, also when a second interrupt ends the waiting."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGINT)
    try:
        child.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _failure(arguments: Sequence[str], code: int, lines: Sequence[str]) -> str:
    tail = "\n".join(f"  | {line}" for line in lines[-TAIL_LINES:])
    return f"'{Path(arguments[0]).name} {' '.join(arguments[1:3])}' exited with {code}" + (f":\n{tail}" if tail else "")
