"""The model of a sabotage: a way to break a good image, and the checkpoint at which it must be caught.

The checkpoints, from the outside of an image to its inside:

    outside   the engine's facts are compared with the plan; nothing in the image runs (proof/check_image.py)
    leftovers the image is searched for what a builder leaves (proof/check_leftovers.py)
    proof     the image runs its smoke run on a CPU (proof/smoke.py)
    settle    as `invoke smoke` proves a plan: no evidence and no tag may remain (proof/prove.py)
    evidence  an edited document is verified (proof/verify.py)
    stage     an image with an edited document is staged (publish/stage.py)

An image can fake every check that runs inside it. A sabotage that fakes a report is therefore meant for the outside;
one that changes how the image computes is meant for its proof, and the outside notices it too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from tests.sabotage.changes import Files, GoodImage

Checkpoint = Literal["outside", "leftovers", "proof", "settle", "evidence", "stage"]


@dataclass(frozen=True)
class Sabotage:
    """A way to break a good image, or the document about it.

    Attributes:
        checkpoint: where it is tried.
        check: the check that must fail, as a glob.
        pattern: a regular expression that must match in what the check found.
        files: the files to put over the image's own.
        lines: lines to add to the Dockerfile.
        whole: rebuild the image from the good one's content, with as many layers and the same configuration.
        cpu: the emulator's CPU to run on, if not the target's.
        edit: changes the document and returns its text.
        combos: globs over the combos that it can break.
    """

    checkpoint: Checkpoint
    check: str
    pattern: str = "."
    files: Callable[[GoodImage], Files] = lambda _: {}
    lines: tuple[str, ...] = ()
    whole: bool = False
    cpu: str = ""
    edit: Callable[[dict[str, Any]], str] | None = None
    combos: tuple[str, ...] = ("*",)

    def breaks(self, combo: str) -> bool:
        """Return whether it can break a combo."""
        return any(fnmatchcase(combo, glob) for glob in self.combos)
