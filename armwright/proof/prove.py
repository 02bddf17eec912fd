"""The proof: run an image on its CPU, real or emulated, take its report, and write evidence when it holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from armwright.assembly.images import find_image
from armwright.engine.client import Engine, Image
from armwright.plan.plan import Plan
from armwright.proof import check_image, evidence, verify, wording
from armwright.proof.evidence import Evidence
from armwright.proof.smoke import run_smoke
from armwright.system import console, process
from armwright.system.errors import FailedError


def proof_slot() -> AbstractContextManager[None]:
    """Return a place among the proofs that run at once: to be entered, which may take until another has ended.

    There is one for each CPU: of two, a proof alone leaves nearly the half idle (top, on 2 cores), and more proofs than
    CPUs wait for one another's threads.
    """
    return process.turn("proof", places=os.cpu_count() or 1)


def prove_plan(root: Path, engine: Engine, plan: Plan, words: Sequence[str] = ()) -> Evidence:
    """Prove the image of a plan: it gets evidence and its name when it is proven, and loses both when a check fails.

    Args:
        root: the project's root.
        engine: the engine that has the image.
        plan: the plan.
        words: options of the smoke run; when they leave something out, evidence and name stay as they are.

    Returns:
        the proof, which may have failed.

    Raises:
        FailedError: there is no report, or it is not of this plan's image.
        MachineError: see `prove`.
    """
    target = plan.combo.target
    image = find_image(engine, plan.reference)
    try:
        check_image.require_planned_image(root, engine, plan, image)
    except FailedError:
        _withdraw(root, engine, plan, image)
        raise
    with console.progress(f"prove {plan.combo.id} on {target.title} ({target.emulator.cpu})"):
        try:
            proof = run_smoke(engine, plan.reference, image, target, words)
        except FailedError:
            _withdraw(root, engine, plan, image)
            raise
    if proof.proves:
        doubt = verify.proof_doubt(proof, plan, image.digest)
        if doubt:
            raise FailedError(f"{plan.reference}: {doubt}", f"docker rmi {plan.reference}, then the same command again")
        conclude(root, proof)
        engine.tag(plan.reference, plan.tag)
    elif proof.failed:
        _withdraw(root, engine, plan, image)
    return proof


def _withdraw(root: Path, engine: Engine, plan: Plan, image: Image) -> None:
    """Take back what an earlier proof gave: it no longer holds."""
    evidence.evidence_path(root, plan.combo.id).unlink(missing_ok=True)
    if engine.names().get(plan.tag) == image.digest:
        engine.untag(plan.tag)


def conclude(root: Path, proof: Evidence) -> Path:
    """Write the evidence of a proven image.

    Raises:
        FailedError: it is not proven.
    """
    require_proven(proof)
    return evidence.write_evidence(root, proof)


def require_proven(proof: Evidence) -> None:
    """Raise FailedError if an image is not proven; each failed check is named with what was expected and found."""
    if not proof.proves:
        raise FailedError(
            f"{proof.combo} is not proven:\n" + "\n".join(f"  {line}" for line in wording.failed_checks(proof)),
            f"docker run --rm -it {proof.image[:19]} shows the image; build/logs/{proof.combo}.log its making",
        )
