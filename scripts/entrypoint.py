#!/usr/bin/python3 -I
"""The first program of every image: looks at the machine, chooses the environment, and becomes what was asked for.

It loads nothing but the standard library, so that a CPU below the image's floor gets a sentence instead of SIGILL. It
writes no files and needs no network, no HOME and no known user.

Exit codes, when they are this program's own:
    0    the page or the help was printed
    2    the words, or the value of an ARMWRIGHT_ variable, are wrong
    70   image.json is missing or damaged (EX_SOFTWARE)
    78   this CPU is below the image's floor (EX_CONFIG)
    126  the command was found but cannot be executed, as shells say it
    127  the command was not found, as shells say it
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # isolated mode leaves the script's own folder out
sys.dont_write_bytecode = True  # isolated mode does not hear PYTHONDONTWRITEBYTECODE

import machine as hardware  # noqa: E402  (found through the line above, as the next ones)
from choices import BadSwitchError, choose, printable, refusal, switch  # noqa: E402
from image import DamagedError, read_image  # noqa: E402
from page import document, page, usage  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Execute = Callable[[str, list[str], dict[str, str]], object]

WRONG_WORDS, DAMAGED, BELOW_FLOOR, NOT_EXECUTABLE, NOT_FOUND = 2, 70, 78, 126, 127


class StopError(Exception):
    """Ends the program with one sentence and an exit code."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


def main(
    words: Sequence[str],
    environ: Mapping[str, str],
    root: Path = hardware.ROOT,
    execute: Execute | None = None,
    image_file: Path = HERE / "image.json",
) -> int:
    """Do what the words of `docker run` ask.

    Args:
        words: what follows the image's name.
        environ: the environment as the user gave it.
        root: the file tree to read the machine from.
        execute: becomes the command; returns only in tests.
        image_file: what this image is.

    Returns:
        The exit code, when the process has not become another program.
    """
    try:
        return _answer(list(words), environ, root, image_file, execute or _replace_process)
    except StopError as stop:
        sentence, code = str(stop), stop.code
    except BadSwitchError as bad:
        sentence, code = str(bad), WRONG_WORDS
    except DamagedError as damaged:
        sentence, code = str(damaged), DAMAGED
    print(f"armwright: {sentence}", file=sys.stderr)
    return code


def _answer(words: list[str], environ: Mapping[str, str], root: Path, image_file: Path, execute: Execute) -> int:
    first, *rest = words or ["info"]
    if first == "info":
        if rest not in ([], ["--json"]):
            raise StopError("info takes no word but --json; to run a program of that name: exec info", WRONG_WORDS)
        return _info(environ, root, image_file, as_json=bool(rest))
    if first in {"exec", "--"}:
        command = rest[1:] if first == "exec" and rest[:1] == ["--"] else rest
    elif first.startswith("-"):
        asked = first in {"-h", "--help"}
        print(usage(), file=sys.stdout if asked else sys.stderr)
        return 0 if asked else WRONG_WORDS
    elif first == "smoke":
        command = [sys.executable, "-I", str(HERE / "smoke" / "smoke.py"), *rest]
    else:
        command = words
    return _become(command, environ, root, image_file, execute)


def _become(command: list[str], environ: Mapping[str, str], root: Path, image_file: Path, execute: Execute) -> int:
    if not command:
        raise StopError("there is no command to run after exec.", WRONG_WORDS)
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
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):  # other programs expect to be ended by them
        signal.signal(ignored_by_python, signal.SIG_DFL)
    os.execvpe(file, arguments, environ)  # noqa: S606  (to run what the user asked for is the purpose)


def _info(environ: Mapping[str, str], root: Path, image_file: Path, *, as_json: bool) -> int:
    image, machine = read_image(image_file), hardware.read_machine(environ, root)
    sentence, choices = refusal(image, machine), choose(image, machine, environ)
    print(document(image, machine, choices, sentence) if as_json else page(image, machine, choices, sentence))
    return BELOW_FLOOR if sentence else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
