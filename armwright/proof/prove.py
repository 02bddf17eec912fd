"""Proves the image of a plan: check it, run it, compare its report with the plan, and write evidence if it holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from armwright.assembly.images import find_image
from armwright.audit import file_tree
from armwright.engine.client import Engine, Image
from armwright.plan.plan import Plan
from armwright.proof import answers, check_image, check_leftovers, evidence, image_tree, verify, wording
from armwright.proof.evidence import Evidence
from armwright.proof.smoke import run_smoke
from armwright.system import console, turns
from armwright.system.errors import FailedError


def proof_slot() -> AbstractContextManager[None]:
    """Return a context manager that waits for one of the slots for concurrent proofs.

    There is one slot per CPU: a single proof leaves nearly half of two CPUs idle (measured with top), and more proofs
    than CPUs only wait for each other's threads.
    """
    return turns.turn("proof", places=os.cpu_count() or 1)


def prove_plan(root: Path, engine: Engine, plan: Plan, options: Sequence[str] = ()) -> Evidence:
    """Prove the image of a plan. A proven image gets evidence and its public tag; a failed one loses both.

    Args:
        root: the project's root.
        engine: the engine that has the image.
        plan: the plan.
        options: options of the smoke run; if they leave something out, evidence and tag stay as they are.

    Returns:
        the proof, which may have failed.

    Raises:
        FailedError: the image is not what its plan builds, there is no report, or the report does not fit the plan or
            its own numbers.
        MachineError: this machine cannot run the image (see `run_smoke`).
    """
    target = plan.combo.target
    image = find_image(engine, plan.reference)
    try:
        check_image.require_planned_image(root, engine, plan, image)
        manifest = check_leftovers.require_no_leftovers(root, engine, plan, image)
        with console.progress(f"prove {plan.combo.id} on {target.title} ({target.emulator.cpu})"):
            ran, numbers = run_smoke(engine, plan.reference, image, target, options)
        proof = ran.model_copy(update={"files": file_tree.hash_tree(manifest)})
        verify.require_own_numbers(proof, plan, numbers)
    except FailedError:
        _withdraw(root, engine, plan, image)
        raise
    if proof.proves:
        rejection = verify.explain_rejection(proof, plan, image.digest)
        if rejection:
            next_step = f"docker image rm {plan.reference} && invoke build --combo {plan.combo.id}"
            raise FailedError(f"{plan.reference}: {rejection}", next_step)
        image_tree.write_manifest(image_tree.manifest_path(root, proof.combo), manifest)
        answers.write_answers(evidence.answers_path(root, proof.combo), numbers)
        evidence.write_evidence(root, proof)
        engine.tag(plan.reference, plan.tag)
    elif proof.failed:
        _withdraw(root, engine, plan, image)
    return proof


def _withdraw(root: Path, engine: Engine, plan: Plan, image: Image) -> None:
    """Remove the evidence and the tag that an earlier proof gave the image."""
    evidence.evidence_path(root, plan.combo.id).unlink(missing_ok=True)
    evidence.answers_path(root, plan.combo.id).unlink(missing_ok=True)
    image_tree.manifest_path(root, plan.combo.id).unlink(missing_ok=True)
    if engine.names().get(plan.tag) == image.digest:
        engine.untag(plan.tag)


def require_proven(proof: Evidence) -> None:
    """Check that an image is proven.

    Raises:
        FailedError: it is not; each failed check is named with what was expected and found, and each kernel rule with
            its id and reason.
    """
    if not proof.proves:
        failures = "".join(f"\n  {line}" for line in wording.list_failures(proof))
        raise FailedError(
            f"{proof.combo} is not proven:{failures}",
            f"docker run --rm {proof.image[:19]}",
            hint=f"this prints what is inside the image; build/logs/{proof.combo}.log is the log of its build",
        )
