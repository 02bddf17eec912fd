"""Armwright's images in the engine: finds one, requires that it is built, reads its target."""

from __future__ import annotations

from collections.abc import Sequence

from armwright.engine.client import Engine, Image
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan
from armwright.recipes.targets import Target
from armwright.system.errors import InputError


def find_image(engine: Engine, reference: str) -> Image:
    """Find an image in the engine that Armwright built.

    Raises:
        InputError: the engine does not have it, or Armwright did not build it.
    """
    image = engine.find(reference)
    if image is None:
        raise InputError(
            f"the engine has no image {reference!r}",
            f"docker pull {reference}",
            hint="`invoke list` shows what to build",
        )
    missing = [name for name in ("combo", "target", "inputs") if f"org.armwright.{name}" not in image.labels]
    if missing:
        raise InputError(
            f"{reference} was not built by Armwright: it has no label org.armwright.{missing[0]}; it was not started",
            "invoke list",
        )
    return image


def require_built(engine: Engine, plans: Sequence[Plan]) -> None:
    """Check that the engine has the images of all plans.

    Raises:
        InputError: it does not; the message names them.
    """
    absent = [plan.combo.id for plan in plans if engine.find(plan.reference) is None]
    if absent:
        raise InputError(f"not built: {', '.join(absent)}", f"invoke build --combo {absent[0]}")


def read_target(matrix: Matrix, image: Image) -> Target:
    """Return the target that an image's label names.

    Raises:
        InputError: no recipe describes that target.
    """
    name = image.labels["org.armwright.target"]
    if name not in matrix.recipes.targets:
        raise InputError(
            f"the image is for the target {name!r}, which has no recipe in this checkout", "invoke list --all"
        )
    return matrix.recipes.targets[name]
