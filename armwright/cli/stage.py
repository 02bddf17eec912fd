"""The command `stage`: pushes proven images to a registry."""

from __future__ import annotations

from armwright.matrix.matrix import Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline.selected import parse_source, select_buildable, select_built
from armwright.publish import stage
from armwright.system import console


def run(matrix: Matrix, chosen: Selector, registry: str, base: str) -> None:
    """Stage the selected combos that are built, and print a `docker pull` line for each.

    Args:
        matrix: the loaded matrix.
        chosen: the selected combos.
        registry: host and port, without a scheme; empty for the local registry.
        base: where the images' base came from: "archive" or "registry".

    Raises:
        InputError: `registry` is not a host and port; nothing was started.
        FailedError: an image is not proven (nothing is pushed), or the registry failed.
    """
    combos = select_built(select_buildable(matrix, chosen))
    for staged in stage.stage_images(matrix, combos, registry or stage.LOCAL, parse_source(base)):
        console.result(f"docker pull {staged.name}  # {staged.digest}")
