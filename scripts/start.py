"""What happens before a program of the image starts: the CPU is checked, and variables are chosen.

The entrypoint does it before it becomes the user's command. Where the entrypoint is replaced, Python does it when it
starts (overlays/start). The marker in the environment tells the processes below that it is done.
"""

from __future__ import annotations

import os
import sys

from account import choose_account
from choices import BadSwitchError, choose, refusal, switch
from image import DamagedError, read_image
from machine import ROOT, read_machine

TYPE_CHECKING = False  # the constant of `typing`, which type checkers take for true
if TYPE_CHECKING:
    from collections.abc import Mapping

    from choices import Choices
    from image import Image
    from machine import Machine, Root

MARKER = "ARMWRIGHT_STARTED"
IMAGE_FILE = f"{os.path.dirname(os.path.abspath(__file__))}/image.json"  # noqa: PTH100, PTH120  (pathlib is not loaded)
WRONG_ARGUMENTS, DAMAGED, BELOW_FLOOR = 2, 70, 78


class StopError(Exception):
    """Ends the program with a one-sentence message and an exit code."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


def choose_all(image: Image, machine: Machine, environ: Mapping[str, str]) -> Choices:
    """Decide on the variables of the image and of the user."""
    choices = choose(image, machine, environ)
    choices.variables.extend(choose_account(environ))
    return choices


def prepare(environ: Mapping[str, str], root: Root = ROOT, image_file: Root = IMAGE_FILE) -> dict[str, str]:
    """Check the CPU and return the variables to set, the marker among them; print the notes on standard error.

    Raises:
        StopError: the CPU is below the floor, a switch has an invalid value, or image.json is damaged.
    """
    try:
        image, machine = read_image(image_file), read_machine(environ, root, vectors=False)
        sentence = refusal(image, machine)
        if sentence:
            raise StopError(sentence, BELOW_FLOOR)
        choices = choose_all(image, machine, environ)
        quiet, explain = switch(environ, "ARMWRIGHT_QUIET"), switch(environ, "ARMWRIGHT_EXPLAIN")
    except BadSwitchError as bad:
        raise StopError(str(bad), WRONG_ARGUMENTS) from None
    except DamagedError as damaged:
        raise StopError(str(damaged), DAMAGED) from None
    explained = [f"{choice.label}: {choice.origin}, {choice.reason}" for choice in choices.variables if explain]
    for line in [] if quiet else [*choices.notes, *explained]:
        say(line)
    return {MARKER: "1", **{choice.name: choice.value for choice in choices.variables if choice.value is not None}}


def say(sentence: str) -> None:
    """Print a sentence on standard error, which a program may have closed."""
    if sys.stderr is not None:
        print(f"armwright: {sentence}", file=sys.stderr, flush=True)


def start_python() -> None:
    """Prepare this process, which is Python, before it runs the user's code; end it where `prepare` says so."""
    try:
        os.environ.update(prepare(os.environ))
    except StopError as stop:
        say(str(stop))
        os._exit(stop.code)  # at this point Python would turn SystemExit into a failure of its own
