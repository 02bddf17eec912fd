"""A way to break a good image, and the doors at which it is tried.

The doors, from outside to inside:

    outside   what the engine and the plan know is compared; nothing of the image runs (armwright/integrity.py)
    proof     the image proves itself on a CPU (armwright/smoke.py, prove)
    settle    the same as `invoke smoke` does it: nothing may be left behind (armwright/smoke.py, settle)
    evidence  a document that was edited is verified (armwright/verification.py)
    stage     an image with such a document is staged (armwright/stage.py)

A check that runs in an image can be faked by that image. So what fakes a report is meant for the outside; what changes
how an image computes is meant for its proof, and the outside notices it too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from tests.sabotage.changes import Files, Good

Door = Literal["outside", "proof", "settle", "evidence", "stage"]


@dataclass(frozen=True)
class Sabotage:
    """A way to break a good image, or what is written about it.

    Attributes:
        door: where it is tried.
        check: the check that must fail, as a pattern.
        words: what that check says, as a regular expression.
        files: what is put over the image.
        lines: lines of its Dockerfile.
        whole: the image is made anew from the good one's content, with as many layers and the same configuration.
        cpu: the emulator's CPU that it runs on, if not its own.
        edit: what is done to the document, or to its text.
        combos: the combos that it can break: patterns.
    """

    door: Door
    check: str
    words: str = "."
    files: Callable[[Good], Files] = lambda _: {}
    lines: tuple[str, ...] = ()
    whole: bool = False
    cpu: str = ""
    edit: Callable[[dict[str, Any]], str] | None = None
    combos: tuple[str, ...] = ("*",)

    def breaks(self, combo: str) -> bool:
        """Say whether it can break a combo."""
        return any(fnmatchcase(combo, one) for one in self.combos)
