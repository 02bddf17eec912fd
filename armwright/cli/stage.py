"""The command `stage`: pushes proven images to a registry."""

from __future__ import annotations

import shlex

from armwright.matrix.matrix import Matrix
from armwright.matrix.selection import AXES, Selector
from armwright.pipeline.selected import parse_source, select_buildable, select_built
from armwright.publish import stage
from armwright.publish.destination import choose_destination
from armwright.publish.stage import StagingOptions
from armwright.system import console


def run(matrix: Matrix, chosen: Selector, registry: str, base: str, *, move: bool = True) -> None:
    """Stage the selected combos that are built, and print a `docker pull` line for each.

    Args:
        matrix: the loaded matrix.
        chosen: the selected combos.
        registry: REGISTRY[/PATH…]; empty for ARMWRIGHT_REGISTRY, else the local registry.
        base: where the images' base came from: "archive" or "registry".
        move: also move the names that users pull.

    Raises:
        InputError: the registry's name is wrong; nothing was started.
        MachineError: the registry cannot be reached, or docker has no login for it; nothing is pushed.
        FailedError: an image is not proven or its immutable name is taken (nothing is pushed), or the registry failed.
    """
    to, source = choose_destination(matrix.root, registry), parse_source(base)
    combos = select_built(select_buildable(matrix, chosen))
    options = StagingOptions(source, move, _repeat(chosen, registry, base))
    for staged in stage.stage_images(matrix, combos, to, options):
        console.result(f"docker pull {staged.name}  # {staged.digest}")


def _repeat(chosen: Selector, registry: str, base: str) -> str:
    """Return the command that stages the same again."""
    given = {axis: getattr(chosen, axis) for axis in (*AXES, "combo")}
    given |= {"to": registry, "base": "" if base == "archive" else base}
    options = [part for name, value in given.items() if value for part in (f"--{name}", value)]
    return shlex.join(["invoke", "stage", *options, *(["--all"] if chosen.every else [])])
