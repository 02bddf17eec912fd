"""The only way to run a program: argument lists, never a shell; output goes to a log and is shown on failure."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
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
    """Return the absolute path of a program, or None; also searches the sbin folders that only root's PATH has."""
    path = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    )
    return shutil.which(name, path=path)


def require_program(name: str, next_step: str = "./inv setup") -> str:
    """Return the absolute path of a program.

    Raises:
        MachineError: it is not installed.
    """
    path = find_program(name)
    if path is None:
        raise MachineError(f"the program '{name}' is not installed", next_step)
    return path


def capture(
    arguments: Sequence[str], *, check: bool = True, timeout: float | None = 600, env: Mapping[str, str] | None = None
) -> str:
    """Run a short program and return its standard output.

    Args:
        arguments: the program and its arguments.
        check: raise if its exit code is not 0.
        timeout: seconds after which it is killed.
        env: variables to add to the environment.

    Raises:
        MachineError: the program is not installed.
        FailedError: it failed or took too long; the message has the tail of its output.
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
    """Run a long program and append its output (both streams) to a log file, line by line.

    Args:
        arguments: the program and its arguments.
        log: the log file; its folder is created.
        on_line: called with each line; its result is logged instead of the line, None logs nothing.
        env: variables to add to the environment.
        cwd: the folder to run in.

    Raises:
        MachineError: the program is not installed.
        FailedError: its exit code is not 0; the message has the log's tail.
        KeyboardInterrupt: raised after the program and its children were stopped, in this thread or another.
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
            start_new_session=True,  # Ctrl-C reaches this process only, which then stops the child
        )
        assert child.stdout is not None  # noqa: S101 - for the type checker; stdout is a PIPE
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
        raise FailedError(_failure(arguments, code, tail), f"less {shlex.quote(str(log))}")


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
    """Start a daemon that outlives this process: detached from the terminal, its output appended to a log file.

    Returns:
        the started process.

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
    threading.Thread(target=child.wait, daemon=True).start()  # or it stays a zombie if it ends before this process
    return child


@contextlib.contextmanager
def turn(name: str, places: int = 1) -> Iterator[None]:
    """Let at most `places` threads of this process do the work of this name at once; the others wait.

    Args:
        name: names the work.
        places: how many threads may do it at once; must be the same wherever the name is used.

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
    """Let one process at a time do the work inside; the others wait.

    Args:
        path: the file to lock; its folder is created.
        waiting: called once if another process holds the lock.
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
    """Interrupt a process group, and kill what is left after `patience` seconds or at a second interrupt."""
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
