"""The combos that a command works on: those selected that can be built, or that are built already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from armwright.matrix import selection
from armwright.matrix.matrix import Combo, Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline import inventory
from armwright.plan.plan import Source
from armwright.system import console
from armwright.system.errors import InputError, nearest


def select_buildable(matrix: Matrix, chosen: Selector) -> list[Combo]:
    """Return the selected combos that a build makes; print those that are skipped, with the reason."""
    combos = selection.select_combos(matrix, chosen)
    left_out = selection.omitted_combos(matrix, chosen)
    if chosen.version or chosen.backend or chosen.combo or chosen.every:
        for reason in selection.reasons(left_out):
            console.say(f"skipped: {reason}", console.DOUBTFUL)
    elif left_out:  # the selection names none of these: a count is enough
        count = f"{len(left_out)} refused or unverified combo(s)"
        console.say(f"skipped: {count}; invoke list --all shows why", console.DOUBTFUL)
    return combos


def select_built(combos: Sequence[Combo]) -> list[Combo]:
    """Return the combos of which the engine has an image, of any inputs; print those that it has not.

    If it has none of them, all are returned: the command that uses them reports which image is missing.
    """
    tags = inventory.find_built_tags(inventory.read_engine_names() or ())
    built = [combo for combo in combos if combo.tag in tags]
    not_built = [combo.id for combo in combos if combo.tag not in tags]
    if not built or not not_built:
        return list(combos)
    console.say(f"skipped, never built: {', '.join(not_built)}", console.DOUBTFUL)
    return built


def adopt_wheel(matrix: Matrix, chosen: Selector, wheel: str) -> None:
    """Use a local wheel for the selected combos instead of downloading it.

    Raises:
        InputError: the file cannot be read, or none of the combos uses it.
    """
    from armwright.fetch import downloads  # noqa: PLC0415 - a build with nothing to do stays quick

    files = [file for combo in selection.select_combos(matrix, chosen) for file in combo.release.files]
    downloads.adopt_file(matrix.root / "build" / "cache", files, Path(wheel))


def parse_source(text: str) -> Source:
    """Return the value of --base: where the base comes from.

    Raises:
        InputError: it is neither archive nor registry.
    """
    for source in get_args(Source):
        if text == source:
            return source  # type: ignore[no-any-return]
    raise InputError(f"--base {text!r} is not known: {nearest(text, get_args(Source))}", "invoke build --help")
