"""Builds one combo, from its plan to a proven image: fetch, assemble, prove, tag. What is done is not repeated."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from armwright.assembly import record
from armwright.assembly.buildx import BuildStep
from armwright.engine.client import Engine, Image
from armwright.matrix.matrix import Combo, Matrix
from armwright.plan.plan import Plan, Source, make_plan
from armwright.proof import prove
from armwright.proof.evidence import Evidence
from armwright.proof.state import find_plan_state
from armwright.system.errors import ArmwrightError

Outcome = Literal["proven", "built", "proven before", "built before", "failed", "interrupted", "not started"]


@dataclass(frozen=True)
class BuildOptions:
    """How to build.

    Attributes:
        smoke: prove the images after building them.
        keep_going: continue with the other combos after a failure.
        builder: the buildx builder to use; empty for the engine's own.
        source: where the base comes from.
        locked: use the project's lock of a base only, and fail if its packages cannot be fetched.
        verbose: print BuildKit's output as it comes, and the tables of every proof.
        jobs: combos to build at once; 0 for as many as the machine has room for.
    """

    smoke: bool = True
    keep_going: bool = False
    builder: str = ""
    source: Source = "archive"
    locked: bool = False
    verbose: bool = False
    jobs: int = 0


@dataclass
class ComboResult:
    """What happened to one combo.

    Attributes:
        combo: the combo.
        outcome: how far it came.
        image: its image in the engine; None before there is one.
        seconds: the duration of each part: fetch, build, smoke.
        steps: BuildKit's steps, if the image was built now.
        proof: the proof that was made now, whether it holds or not.
        error: why it failed; None if it did not.
        began: when the work began, in seconds of the monotonic clock; 0.0 before.
        ended: when the work ended, in success or failure; 0.0 before.
        plan: its plan; None to make it when the work begins, because an earlier combo may refresh the base's lock.
    """

    combo: Combo
    outcome: Outcome = "not started"
    image: Image | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    steps: list[BuildStep] = field(default_factory=list)
    proof: Evidence | None = None
    error: ArmwrightError | None = None
    began: float = 0.0
    ended: float = 0.0
    plan: Plan | None = None


def build_combo(matrix: Matrix, combo: Combo, engine: Engine, options: BuildOptions, result: ComboResult) -> None:
    """Build and prove a combo.

    Args:
        matrix: the loaded matrix.
        combo: what to build; it is not refused.
        engine: the engine that gets the image.
        options: how to build.
        result: filled while the work goes on, so that it shows how far a failed combo came.

    Raises:
        ArmwrightError: the combo failed; the class says why.
    """
    root = matrix.root
    plan = result.plan or make_plan(matrix, combo, options.source)
    image = engine.find(plan.reference)
    if image is None or image.digest != record.read_record(root, plan):
        plan, image = _make_image(matrix, plan, engine, options, result)
        result.outcome = "built"
    else:
        result.outcome = "built before"
    result.image = image
    if not options.smoke:
        return
    if find_plan_state(root, plan, {plan.reference: image.digest}) == "proven":
        result.outcome = "proven before"
        engine.tag(plan.reference, plan.tag)
        return
    with prove.proof_slot(), _timed(result, "smoke"):
        result.proof = prove.prove_plan(root, engine, plan)
    prove.require_proven(result.proof)
    result.outcome, result.image = "proven", engine.find(plan.reference) or image


def _make_image(
    matrix: Matrix, plan: Plan, engine: Engine, options: BuildOptions, result: ComboResult
) -> tuple[Plan, Image]:
    """Fetch and assemble a plan; return it, with the base lock that was used, and its image."""
    from armwright.assembly import assemble  # noqa: PLC0415 - a build with nothing to do stays quick

    assemble.log_path(matrix.root, plan.combo).unlink(missing_ok=True)
    with _timed(result, "fetch"):
        plan = assemble.fetch_or_refresh(matrix, plan, locked=options.locked)
    with assemble.build_turn(plan), _timed(result, "build"):
        result.steps = assemble.assemble(matrix.root, plan, engine.address, options.builder, verbose=options.verbose)
    return plan, record.name_image(matrix.root, engine, plan)


@contextlib.contextmanager
def _timed(result: ComboResult, name: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        result.seconds[name] = time.monotonic() - started
