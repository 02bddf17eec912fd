"""The package's errors: each class has an exit code; a message says what happened, why, and the next command."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class ArmwrightError(Exception):
    """Base of every error that a user can see.

    Args:
        what: one sentence: what happened and why.
        next_step: the command to run next, as it can be pasted; printed on a line of its own after `next:`.
        hint: advice that is not a command; printed after `hint:`.

    Attributes:
        code: the exit code of the process: 1 failed, 2 wrong input, 3 unfit machine.
    """

    code = 1

    def __init__(self, what: str, next_step: str = "", *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step
        self.hint = hint


class FailedError(ArmwrightError):
    """A build, a proof or a push was started and failed."""

    code = 1


class InputError(ArmwrightError):
    """The command line or a file is wrong; nothing was started."""

    code = 2


class MachineError(ArmwrightError):
    """The machine cannot do it: engine, emulator, disk or network. `invoke doctor` shows why."""

    code = 3


def some(names: Sequence[str], most: int) -> str:
    """List at most `most` names and count the others: "a, b and 3 more"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def nearest(value: str, allowed: Iterable[str], shown: Iterable[str] | None = None) -> str:
    """Suggest what the user may have meant, for the end of an error message.

    Args:
        value: the value that was given.
        allowed: the values that are accepted.
        shown: the values to list, if `allowed` also has aliases; None lists all of them.

    Returns:
        "did you mean 'n1'? allowed: a64fx, generic, n1, v1"; without the question if no value is similar.
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(value.lower(), names, n=1, cutoff=0.4)
    question = f"did you mean '{close[0]}'? " if close else ""
    return f"{question}allowed: {', '.join(names if shown is None else sorted(shown))}"
