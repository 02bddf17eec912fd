"""Staging: proven images, and only those, go to a registry; immutable names first, everybody's names last."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from armwright.engine.client import Engine
from armwright.matrix.matrix import Combo, Matrix
from armwright.plan.plan import Plan, Source, make_plan
from armwright.proof import verify
from armwright.system import console
from armwright.system.errors import FailedError, InputError

LOCAL = "127.0.0.1:5000"
STAGING = "staging"
# What the engine takes for a registry: with a dot, a port, or called localhost. Any other word would mean Docker Hub.
_REGISTRY = re.compile(r"localhost(:\d{1,5})?|[a-z0-9-]+:\d{1,5}|[a-z0-9-]+(\.[a-z0-9-]+)+(:\d{1,5})?")


@dataclass(frozen=True)
class StagedImage:
    """A staged image: its combo, digest, and the name to pull."""

    combo: Combo
    digest: str
    name: str


def stage_images(
    matrix: Matrix, combos: Sequence[Combo], registry: str = LOCAL, source: Source = "archive"
) -> list[StagedImage]:
    """Push proven images.

    Every image is first pushed under its immutable name (tag and inputs), and the registry's digest compared with the
    proven one. Only when all of them are there do the names that people pull move: a set is never half published.

    Args:
        matrix: the loaded matrix.
        combos: what to stage.
        registry: host and port, without a scheme.
        source: where the images' base came from.

    Raises:
        InputError: `registry` is no host and port; nothing was started.
        FailedError: an image is not proven for its very digest (nothing is pushed), or the registry failed.
    """
    check_registry(registry, "--to")
    engine = Engine()
    plans = [make_plan(matrix, combo, source) for combo in combos]
    digests = _proven(matrix, plans, engine)
    staged = []
    with console.progress(f"stage {len(plans)} image(s) to {registry}/{STAGING}") as shown:
        for one in plans:
            _push(engine, one, f"{registry}/{STAGING}/{one.reference}", digests[one.combo.id], shown)
        for one in plans:
            name = f"{registry}/{STAGING}/{one.tag}"
            _push(engine, one, name, digests[one.combo.id], shown)
            staged.append(StagedImage(one.combo, digests[one.combo.id], name))
    return staged


def check_registry(registry: str, option: str) -> None:
    """Look whether a word is the host and port of a registry.

    Raises:
        InputError: it is not.
    """
    if not _REGISTRY.fullmatch(registry):
        raise InputError(f"{option} {registry!r} is not the host and port of a registry", f"e.g. {option} {LOCAL}")


def _proven(matrix: Matrix, plans: Sequence[Plan], engine: Engine) -> dict[str, str]:
    """Return the digest of each image; refuse all if one is not proven."""
    digests: dict[str, str] = {}
    problems: list[str] = []
    for one in plans:
        image = engine.find(one.reference)
        if image is None:
            problems.append(f"{one.combo.id}: not built")
            continue
        doubt = verify.explain_stored_rejection(matrix.root, one, image.digest)
        if doubt:
            problems.append(f"{one.combo.id}: {doubt}")
        digests[one.combo.id] = image.digest
    if problems:
        first = problems[0].split(":")[0]
        raise FailedError(
            "not proven, so nothing was pushed:\n  " + "\n  ".join(problems), f"invoke build --combo {first}"
        )
    return digests


def _push(engine: Engine, plan: Plan, name: str, digest: str, shown: console.Progress) -> None:
    if engine.remote_digest(name) != digest:
        before = engine.find(name)
        engine.tag(plan.reference, name)
        try:
            engine.push(name, lambda status: shown.update(f"{plan.tag}: {status}"))
        finally:  # the name belongs to the registry: here it is again what it was, perhaps an image somebody pulled
            if before is None:
                engine.untag(name)
            else:
                engine.tag(before.digest, name)
    there = engine.remote_digest(name)
    if there != digest:
        raise FailedError(f"the registry has {there} under {name}, and {digest} was proven", "invoke registry show")
