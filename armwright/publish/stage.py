"""Pushes proven images, and only those, to a staging registry: immutable names first, the names users pull last."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from armwright.engine.client import Engine
from armwright.matrix.matrix import Combo, Matrix
from armwright.plan.plan import Plan, Source, make_plan
from armwright.proof import verify
from armwright.publish import local_registry
from armwright.system import console
from armwright.system.errors import FailedError, InputError

LOCAL = f"{local_registry.HOST}:{local_registry.PORT}"
STAGING = "staging"
# What the engine takes for a registry: a name with a dot or a port, or localhost. Any other name means Docker Hub.
_REGISTRY = re.compile(r"localhost(:\d{1,5})?|[a-z0-9-]+:\d{1,5}|[a-z0-9-]+(\.[a-z0-9-]+)+(:\d{1,5})?")


@dataclass(frozen=True)
class StagedImage:
    """A staged image: its combo, its digest, and the name to pull."""

    combo: Combo
    digest: str
    name: str


def stage_images(
    matrix: Matrix, combos: Sequence[Combo], registry: str = LOCAL, source: Source = "archive"
) -> list[StagedImage]:
    """Push proven images.

    Each image is first pushed under its immutable name (tag and inputs), and the registry's digest is compared with the
    proven one. The names that users pull move only after all images have arrived: a set is never half published.

    Args:
        matrix: the loaded matrix.
        combos: the combos to stage.
        registry: host and port, without a scheme.
        source: where the images' base came from.

    Raises:
        InputError: `registry` is not a host and port; nothing was started.
        FailedError: an image's digest is not proven (nothing is pushed), or the registry failed.
    """
    check_registry(registry, "--to")
    engine = Engine()
    plans = [make_plan(matrix, combo, source) for combo in combos]
    digests = _require_proven(matrix, plans, engine)
    staged = []
    images = "1 image" if len(plans) == 1 else f"{len(plans)} images"
    with console.progress(f"stage {images} to {registry}/{STAGING}") as progress:
        for plan in plans:
            _push(engine, plan, f"{registry}/{STAGING}/{plan.reference}", digests[plan.combo.id], progress)
        for plan in plans:
            name = f"{registry}/{STAGING}/{plan.tag}"
            _push(engine, plan, name, digests[plan.combo.id], progress)
            staged.append(StagedImage(plan.combo, digests[plan.combo.id], name))
    return staged


def check_registry(registry: str, option: str) -> None:
    """Check that an option's value is the host and port of a registry.

    Raises:
        InputError: it is not.
    """
    if not _REGISTRY.fullmatch(registry):
        what = f"{option} {registry!r} is not the host and port of a registry"
        raise InputError(what, "invoke registry show", hint=f"for example {option} {LOCAL}")


def _require_proven(matrix: Matrix, plans: Sequence[Plan], engine: Engine) -> dict[str, str]:
    """Return the digest of each image by combo; raise FailedError if one of them is not proven."""
    digests: dict[str, str] = {}
    problems: list[str] = []
    for plan in plans:
        image = engine.find(plan.reference)
        if image is None:
            problems.append(f"{plan.combo.id}: not built")
            continue
        rejection = verify.explain_stored_rejection(matrix.root, plan, image.digest)
        if rejection:
            problems.append(f"{plan.combo.id}: {rejection}")
        digests[plan.combo.id] = image.digest
    if problems:
        first = problems[0].split(":")[0]
        raise FailedError(
            "not proven, so nothing was pushed:\n  " + "\n  ".join(problems), f"invoke build --combo {first}"
        )
    return digests


def _push(engine: Engine, plan: Plan, name: str, digest: str, progress: console.Progress) -> None:
    if engine.remote_digest(name) != digest:
        before = engine.find(name)
        engine.tag(plan.reference, name)
        try:
            engine.push(name, lambda status: progress.update(f"{plan.tag}: {status}"))
        finally:  # restore what the name was in this engine: nothing, or an image that a user pulled
            if before is None:
                engine.untag(name)
            else:
                engine.tag(before.digest, name)
    pushed = engine.remote_digest(name)
    if pushed != digest:
        raise FailedError(f"the registry has {pushed} under {name}, but {digest} was proven", "invoke registry show")
