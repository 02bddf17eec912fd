"""The combos that a command works on: selected, buildable, built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from armwright.fetch import downloads
from armwright.matrix import selection
from armwright.matrix.matrix import Combo, Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline import inventory
from armwright.plan.plan import Source
from armwright.system import console
from armwright.system.errors import InputError, nearest


def buildable_combos(matrix: Matrix, chosen: Selector) -> list[Combo]:
    """Return the combos that were asked for and are built; name those that were left out, with the reason."""
    combos = selection.select_combos(matrix, chosen)
    left_out = selection.omitted_combos(matrix, chosen)
    if chosen.version or chosen.backend or chosen.combo or chosen.every:
        for reason in selection.reasons(left_out):
            console.say(f"left out: {reason}", "yellow")
    elif left_out:  # nobody asked for these in particular
        console.say(f"left out: {len(left_out)} refused or unverified combo(s); invoke list --all shows why", "yellow")
    return combos


def built_combos(combos: Sequence[Combo]) -> list[Combo]:
    """Return the combos of which the engine has an image, of whatever inputs; name those that were never built.

    A single combo, and combos of which none was built, come back as they are: what follows says what is missing.
    """
    tags = inventory.built_tags(inventory.engine_names() or ())
    there = [combo for combo in combos if combo.tag in tags]
    absent = [combo.id for combo in combos if combo.tag not in tags]
    if not there or not absent:
        return list(combos)
    console.say(f"left out, never built: {', '.join(absent)}", "yellow")
    return there


def adopt_wheel(matrix: Matrix, chosen: Selector, wheel: str) -> None:
    """Take a wheel that the user has, for the combos that were asked for, in place of its download.

    Raises:
        InputError: it cannot be read, or it is none that they take.
    """
    files = [file for combo in selection.select_combos(matrix, chosen) for file in combo.release.files]
    downloads.adopt_file(matrix.root / "build" / "cache", files, Path(wheel))


def parse_source(word: str) -> Source:
    """Return where the base comes from.

    Raises:
        InputError: there is no such source.
    """
    for known in get_args(Source):
        if word == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"--base {word!r} is not known: {nearest(word, get_args(Source))}", "invoke build --help")
