"""The only way to run a program: argument lists, never a shell; output goes to a log and is shown on failure."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from armwright.system import interrupt
from armwright.system.errors import FailedError, MachineError

TAIL_LINES = 15
EnvironmentChanges = Mapping[str, str] | Mapping[str, str | None]  # changes of the environment; None removes a variable


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
    arguments: Sequence[str],
    *,
    check: bool = True,
    timeout: float | None = 600,
    env: EnvironmentChanges | None = None,
    pass_fds: Sequence[int] = (),
) -> str:
    """Run a short program and return its standard output.

    Args:
        arguments: the program and its arguments.
        check: raise if its exit code is not 0.
        timeout: seconds after which it is killed.
        env: variables to add to the environment; None removes one.
        pass_fds: file descriptors that the program keeps open.

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
            env=_merge(env),
            stdin=subprocess.DEVNULL,
            pass_fds=pass_fds,
        )
    except subprocess.TimeoutExpired as error:
        raise FailedError(f"'{arguments[0]}' did not finish within {timeout:.0f} s") from error
    if check and done.returncode:
        raise FailedError(_failure(arguments, done.returncode, (done.stdout + done.stderr).splitlines()))
    return done.stdout


def exchange_text(arguments: Sequence[str], given: str, *, timeout: float = 60) -> tuple[int, str]:
    """Run a short program with a text on its standard input; return its exit code and standard output.

    For programs that handle secrets: neither the text nor the output reaches a message.

    Raises:
        MachineError: the program is not installed.
        FailedError: it took more than `timeout` seconds.
    """
    program = require_program(arguments[0])
    interrupt.check_interrupted()
    try:
        done = subprocess.run(
            [program, *arguments[1:]], input=given, capture_output=True, text=True, errors="replace", timeout=timeout,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise FailedError(f"'{arguments[0]}' did not finish within {timeout:.0f} s") from None
    return done.returncode, done.stdout


def stream(  # noqa: PLR0913 - the parts of a process
    arguments: Sequence[str],
    log: Path,
    on_line: Callable[[str], str | None] | None = None,
    *,
    env: EnvironmentChanges | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> None:
    """Run a long program and append its output (both streams) to a log file, line by line.

    Args:
        arguments: the program and its arguments.
        log: the log file; its folder is created.
        on_line: called with each line; its result is logged instead of the line, None logs nothing.
        env: variables to add to the environment; None removes one.
        cwd: the folder to run in.
        pass_fds: file descriptors that the program and its children keep open.

    Raises:
        MachineError: the program is not installed.
        FailedError: its exit code is not 0; the message has the log's tail.
        KeyboardInterrupt: raised after the program and its children were stopped, in this thread or another.
    """
    program = require_program(arguments[0])
    interrupt.check_interrupted()
    log.parent.mkdir(parents=True, exist_ok=True)
    tail: list[str] = []
    with log.open("a", encoding="utf-8", buffering=1) as sink:
        child = subprocess.Popen(
            [program, *arguments[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True, errors="replace", env=_merge(env), cwd=cwd, pass_fds=pass_fds,
            start_new_session=True,  # Ctrl-C reaches this process only, which then stops the child
        )  # fmt: skip
        assert child.stdout is not None  # noqa: S101 - for the type checker; stdout is a PIPE
        try:
            with interrupt.stoppable(lambda patience: _stop(child, patience)):
                for line in child.stdout:
                    kept = on_line(line.rstrip("\n")) if on_line else line.rstrip("\n")
                    if kept is not None:
                        sink.write(kept + "\n")
                        tail = [*tail, *kept.splitlines()][-TAIL_LINES:]
                code = child.wait()
        except BaseException:
            _stop(child)
            raise
        finally:
            child.stdout.close()
    if code:
        raise FailedError(_failure(arguments, code, tail), f"less {shlex.quote(str(log))}")


@contextlib.contextmanager
def piped(arguments: Sequence[str]) -> Iterator[IO[bytes]]:
    """Run a program and yield its standard output, which is read to its end when the work inside is done.

    Raises:
        MachineError: the program is not installed.
        FailedError: its exit code is not 0; the message has the tail of its errors.
    """
    program = require_program(arguments[0])
    interrupt.check_interrupted()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [program, *arguments[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            start_new_session=True,
        )  # fmt: skip
        assert child.stdout is not None  # noqa: S101 - for the type checker; stdout is a PIPE
        try:
            with interrupt.stoppable(lambda patience: _stop(child, patience)):
                yield child.stdout
                while child.stdout.read(1 << 16):
                    pass
                code = child.wait()
        except BaseException:
            _stop(child)
            raise
        finally:
            child.stdout.close()
        errors.seek(0)
        lines = errors.read().decode(errors="replace").splitlines()
    if code:
        raise FailedError(_failure(arguments, code, lines))


def run_attached(arguments: Sequence[str], *, env: EnvironmentChanges | None = None, cwd: Path | None = None) -> int:
    """Run a program with its output on the terminal; return its exit code.

    Raises:
        MachineError: the program is not installed.
    """
    program = require_program(arguments[0])
    environment = _merge(env)
    return subprocess.run(
        [program, *arguments[1:]], cwd=cwd, check=False, env=environment, stdin=subprocess.DEVNULL
    ).returncode


def spawn(arguments: Sequence[str], log: Path, env: EnvironmentChanges | None = None) -> subprocess.Popen[bytes]:
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
            env=_merge(env),
            cwd="/",
        )
    threading.Thread(target=child.wait, daemon=True).start()  # or it stays a zombie if it ends before this process
    return child


def attach(arguments: Sequence[str], connection: socket.socket, log: Path) -> None:
    """Start a program whose input and output are a socket; it ends when the other side closes the socket.

    Args:
        arguments: the program and its arguments.
        connection: the socket; the caller closes its own copy.
        log: the file that the program's errors are appended to.

    Raises:
        MachineError: the program is not installed.
    """
    program = require_program(arguments[0])
    with log.open("ab") as errors:
        child = subprocess.Popen(
            [program, *arguments[1:]],
            stdin=connection.fileno(),
            stdout=connection.fileno(),
            stderr=errors,
            start_new_session=True,  # Ctrl-C reaches this process only, which still has to remove its containers
        )
    threading.Thread(target=child.wait, daemon=True).start()


def _merge(env: EnvironmentChanges | None) -> dict[str, str]:
    """Return this process's environment with changes."""
    return {name: value for name, value in {**os.environ, **(env or {})}.items() if value is not None}


def _stop(child: subprocess.Popen[Any], patience: float = interrupt.PATIENCE) -> None:
    """Interrupt a process group, and kill what is left after `patience` seconds or at a second interrupt."""
    gentle = signal.SIGTERM if interrupt.is_ignored(signal.SIGINT) else signal.SIGINT  # children ignore the same
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, gentle)
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
