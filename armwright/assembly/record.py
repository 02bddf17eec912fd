"""Records which image digest the build of a plan produced on this machine. An image without a record is not believed.

A build ends in a name of its own. The record is written next, and only then does the image get the plan's name: an
image under the plan's name without a record came from elsewhere, and says of itself what it likes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from armwright.engine.client import Engine, Image
from armwright.plan.plan import Plan
from armwright.system.errors import FailedError
from armwright.system.files import write_whole

_UNRECORDED = "-unrecorded-"


def unrecorded_name(root: Path, plan: Plan) -> str:
    """Return the name of a plan's image between its build in a checkout and the record of its digest."""
    return f"{plan.reference}{_mark(root)}"


def remove_unrecorded(root: Path, engine: Engine, names: Iterable[str]) -> None:
    """Remove the names that killed builds of a checkout left. No build of that checkout may run.

    Args:
        root: the checkout.
        engine: the engine.
        names: all names in it.
    """
    for name in names:
        if name.endswith(_mark(root)):
            engine.untag(name)


def name_image(root: Path, engine: Engine, plan: Plan) -> Image:
    """Record the digest of the image that a plan's build has just produced, then give it the plan's name.

    Raises:
        FailedError: the engine does not have it.
    """
    built = unrecorded_name(root, plan)
    image = engine.find(built)
    if image is None:
        raise FailedError(f"the build succeeded, but the engine has no image {built}", "invoke doctor")
    write_record(root, plan, image.digest)
    engine.tag(image.digest, plan.reference)
    engine.untag(built)
    return image


def _mark(root: Path) -> str:
    return f"{_UNRECORDED}{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:8]}"


def write_record(root: Path, plan: Plan, digest: str) -> None:
    """Write the digest that a plan's build has just produced."""
    document = {"digest": digest, "inputs": plan.inputs}
    write_whole(_record_path(root, plan), json.dumps(document, indent=1, sort_keys=True) + "\n")


def read_record(root: Path, plan: Plan) -> str | None:
    """Return the digest that the last build of exactly this plan produced; None if it was not built here."""
    try:
        document = json.loads(_record_path(root, plan).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    fits = isinstance(document, dict) and document.get("inputs") == plan.inputs
    digest = document.get("digest") if fits else None
    return digest if isinstance(digest, str) else None


def _record_path(root: Path, plan: Plan) -> Path:
    return root / "build" / "made" / f"{plan.combo.id}.json"
