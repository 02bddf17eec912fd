#!/usr/bin/python3 -I
"""The entrypoint of every image: reads the machine, chooses environment variables and executes the user's command.

It imports only the standard library, so that a CPU below the image's floor gets a message instead of SIGILL. It writes
no files and needs no network, no HOME and no entry for the user in /etc/passwd.

Exit codes of the entrypoint itself:
    0    the page or the help was printed
    2    the arguments or the value of an ARMWRIGHT_ variable are invalid
    70   image.json is missing or damaged (EX_SOFTWARE)
    78   this CPU is below the image's floor (EX_CONFIG)
    126  the command was found but cannot be executed, as in a shell
    127  the command was not found, as in a shell
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # isolated mode leaves out the script's own folder
sys.dont_write_bytecode = True  # isolated mode ignores PYTHONDONTWRITEBYTECODE

import machine as hardware  # noqa: E402  (needs the path set above, as do the next imports)
from choices import BadSwitchError, choose, printable, refusal, switch  # noqa: E402
from image import DamagedError, read_image  # noqa: E402
from page import document, page, usage  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Execute = Callable[[str, list[str], dict[str, str]], object]

WRONG_ARGUMENTS, DAMAGED, BELOW_FLOOR, NOT_EXECUTABLE, NOT_FOUND = 2, 70, 78, 126, 127


class StopError(Exception):
    """Ends the program with a one-sentence message and an exit code."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


def main(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    root: Path = hardware.ROOT,
    execute: Execute | None = None,
    image_file: Path = HERE / "image.json",
) -> int:
    """Run the command that `docker run` passes to the image.

    Args:
        arguments: the arguments after the image's name.
        environ: the environment set by the user.
        root: the directory that stands for / when the machine is read.
        execute: replaces the process by the command; returns only in tests.
        image_file: image.json.

    Returns:
        the exit code, if the process was not replaced.
    """
    try:
        return _dispatch(list(arguments), environ, root, image_file, execute or _replace_process)
    except StopError as stop:
        sentence, code = str(stop), stop.code
    except BadSwitchError as bad:
        sentence, code = str(bad), WRONG_ARGUMENTS
    except DamagedError as damaged:
        sentence, code = str(damaged), DAMAGED
    print(f"armwright: {sentence}", file=sys.stderr)
    return code


def _dispatch(arguments: list[str], environ: Mapping[str, str], root: Path, image_file: Path, execute: Execute) -> int:
    first, *rest = arguments or ["info"]
    if first == "info":
        if rest not in ([], ["--json"]):
            raise StopError("info accepts only --json. To run a program named info: exec info", WRONG_ARGUMENTS)
        return _info(environ, root, image_file, as_json=bool(rest))
    if first in {"exec", "--"}:
        command = rest[1:] if first == "exec" and rest[:1] == ["--"] else rest
    elif first.startswith("-"):
        wanted = first in {"-h", "--help"}
        print(usage(), file=sys.stdout if wanted else sys.stderr)
        return 0 if wanted else WRONG_ARGUMENTS
    elif first == "smoke":
        command = [sys.executable, "-I", str(HERE / "smoke" / "smoke.py"), *rest]
    else:
        command = arguments
    return _run(command, environ, root, image_file, execute)


def _run(command: list[str], environ: Mapping[str, str], root: Path, image_file: Path, execute: Execute) -> int:
    if not command:
        raise StopError("exec needs a command to run.", WRONG_ARGUMENTS)
    image, machine = read_image(image_file), hardware.read_machine(environ, root)
    sentence = refusal(image, machine)
    if sentence:
        raise StopError(sentence, BELOW_FLOOR)
    choices = choose(image, machine, environ)
    quiet, explain = switch(environ, "ARMWRIGHT_QUIET"), switch(environ, "ARMWRIGHT_EXPLAIN")
    explained = [f"{choice.label}: {choice.origin}, {choice.reason}" for choice in choices.variables if explain]
    for line in [] if quiet else [*choices.notes, *explained]:
        print(f"armwright: {line}", file=sys.stderr, flush=True)
    chosen = {choice.name: choice.value for choice in choices.variables if choice.value is not None}
    try:
        execute(command[0], command, {**environ, **chosen})
    except (FileNotFoundError, NotADirectoryError):
        raise StopError(f"{printable(command[0])}: command not found", NOT_FOUND) from None
    except OSError as error:
        raise StopError(f"{printable(command[0])}: cannot execute: {error.strerror}", NOT_EXECUTABLE) from None
    return 0


def _replace_process(file: str, arguments: list[str], environ: dict[str, str]) -> NoReturn:
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):  # other programs expect these signals to end them
        signal.signal(ignored_by_python, signal.SIG_DFL)
    os.execvpe(file, arguments, environ)  # noqa: S606  (runs the user's command)


def _info(environ: Mapping[str, str], root: Path, image_file: Path, *, as_json: bool) -> int:
    image, machine = read_image(image_file), hardware.read_machine(environ, root)
    sentence, choices = refusal(image, machine), choose(image, machine, environ)
    print(document(image, machine, choices, sentence) if as_json else page(image, machine, choices, sentence))
    return BELOW_FLOOR if sentence else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
