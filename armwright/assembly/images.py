"""Images of Armwright in the engine: find one, require that it is built, read its target."""

from __future__ import annotations

from collections.abc import Sequence

from armwright.engine.client import Engine, Image
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan
from armwright.recipes.targets import Target
from armwright.system.errors import InputError


def find_image(engine: Engine, reference: str) -> Image:
    """Find an image of ours in the engine.

    Raises:
        InputError: the engine has none by that name, or it is somebody else's.
    """
    image = engine.find(reference)
    if image is None:
        raise InputError(f"the engine has no image {reference!r}", f"docker pull {reference}, or invoke list")
    missing = [name for name in ("combo", "target", "inputs") if f"org.armwright.{name}" not in image.labels]
    if missing:
        raise InputError(
            f"{reference} was not made by Armwright: it has no label org.armwright.{missing[0]}; it was not started",
            "invoke list shows the images that can be built",
        )
    return image


def require_built(engine: Engine, plans: Sequence[Plan]) -> None:
    """Refuse plans whose images are not there.

    Raises:
        InputError: they are named.
    """
    absent = [one.combo.id for one in plans if engine.find(one.reference) is None]
    if absent:
        raise InputError(f"not built: {', '.join(absent)}", f"invoke build --combo {absent[0]}")


def read_target(matrix: Matrix, image: Image) -> Target:
    """Return the target an image says it is for.

    Raises:
        InputError: no recipe knows it.
    """
    name = image.labels["org.armwright.target"]
    if name not in matrix.recipes.targets:
        raise InputError(f"the image is for the target {name!r}, which no recipe here knows", "invoke list --all")
    return matrix.recipes.targets[name]
