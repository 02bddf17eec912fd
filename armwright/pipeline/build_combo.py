"""One combo, from its plan to a proven image: fetch, assemble, prove, name. What is done is not done again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from armwright.assembly import assemble, record
from armwright.assembly.buildx import BuildStep
from armwright.engine.client import Engine, Image
from armwright.matrix.matrix import Combo, Matrix
from armwright.plan.plan import Source, make_plan
from armwright.proof import prove
from armwright.proof.evidence import Evidence
from armwright.proof.state import plan_state
from armwright.system.errors import ArmwrightError, FailedError

Outcome = Literal["proven", "built", "proven before", "built before", "failed", "interrupted", "not started"]


@dataclass(frozen=True)
class BuildOptions:
    """How to build.

    Attributes:
        smoke: prove what was built.
        keep_going: a failed combo does not end the run.
        builder: a buildx builder other than the engine's own.
        source: where the base comes from.
        locked: never make a base's lock anew, even if the archive moved on.
        verbose: show BuildKit's words as they come, and every proof as a whole.
        jobs: combos that are worked on at once; 0: as many as the machine has room for.
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
        image: its image in the engine.
        seconds: of each part of the work.
        steps: BuildKit's, where it was built.
        proof: where it was proven or could not be.
        problem: why it failed.
        began: when the work began, on a clock of its own; 0.0 before.
        ended: when it ended, well or badly.
    """

    combo: Combo
    outcome: Outcome = "not started"
    image: Image | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    steps: list[BuildStep] = field(default_factory=list)
    proof: Evidence | None = None
    problem: ArmwrightError | None = None
    began: float = 0.0
    ended: float = 0.0


def build_combo(matrix: Matrix, combo: Combo, engine: Engine, options: BuildOptions, result: ComboResult) -> None:
    """Build and prove a combo.

    Args:
        matrix: the loaded matrix.
        combo: what to make; it is not refused.
        engine: the engine that gets the image.
        options: how.
        result: is filled while the work goes on, so that it tells how far it came if it fails.

    Raises:
        ArmwrightError: one of them; the combo failed.
    """
    root = matrix.root
    one = make_plan(matrix, combo, options.source)  # a combo before this one may have made the base's lock anew
    image = engine.find(one.reference)
    if image is None:
        assemble.log_path(root, combo).unlink(missing_ok=True)
        with _timed(result, "fetch"):
            one = assemble.fetch_or_refresh(matrix, one, locked=options.locked)
        with assemble.build_turn(one), _timed(result, "build"):
            result.steps = assemble.assemble(root, one, options.builder, verbose=options.verbose)
        image = engine.find(one.reference)
        if image is None:
            raise FailedError(f"the build ended well, but the engine has no image {one.reference}", "invoke doctor")
        record.write_record(root, one, image.digest)
        result.outcome = "built"
    else:
        result.outcome = "built before"
    result.image = image
    if not options.smoke:
        return
    if plan_state(root, one, {one.reference: image.digest}) == "proven":
        result.outcome = "proven before"
        engine.tag(one.reference, one.tag)
        return
    with prove.proof_slot(), _timed(result, "smoke"):
        result.proof = prove.prove_plan(root, engine, one)
    prove.require_proven(result.proof)
    result.outcome, result.image = "proven", engine.find(one.reference) or image


@contextlib.contextmanager
def _timed(result: ComboResult, name: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        result.seconds[name] = time.monotonic() - started
