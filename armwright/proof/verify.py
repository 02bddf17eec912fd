"""Verifies evidence: against itself, against the plan of its combo, and against the image in the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from armwright.assembly import record
from armwright.audit import file_tree
from armwright.engine.client import Engine
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan, Source, make_plan
from armwright.proof import check_evidence, check_image, check_plan, evidence, image_tree
from armwright.proof.check_evidence import InvalidEvidenceError, Problem
from armwright.proof.evidence import Evidence
from armwright.recipes.bases import Base
from armwright.system.errors import FailedError, some

if TYPE_CHECKING:
    from armwright.proof.answers import Answers

NAMED = 3  # problems that an error names; the others are counted


@dataclass(frozen=True)
class EvidenceFile:
    """A file of evidence.

    Attributes:
        name: the combo or the path that the user gave.
        path: the file.
    """

    name: str
    path: Path


@dataclass
class Verification:
    """The result for one file.

    Attributes:
        name: that of the file.
        problems: why it is rejected; none if it holds.
        not_compared: what could not be compared, with the reason.
    """

    name: str
    problems: list[Problem] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)


def verify_evidence(matrix: Matrix, file: EvidenceFile, engine: Engine | None) -> Verification:
    """Verify one file of evidence.

    Args:
        matrix: the loaded matrix.
        file: the file.
        engine: the engine that may have the image; None if no engine answers.
    """
    result = Verification(file.name)
    try:
        proof = check_evidence.read_evidence(file.path.read_text(encoding="utf-8"))
    except (InvalidEvidenceError, OSError, UnicodeDecodeError) as error:
        result.problems.append(Problem("schema", str(error)))
        return result
    result.problems += check_evidence.find_contradictions(proof)
    combo = matrix.by_id.get(proof.combo)
    if combo is None:
        result.problems.append(Problem("combo", f"there is no combo {proof.combo} in this checkout"))
        return result
    if file.path == evidence.evidence_path(matrix.root, file.name) and file.name != proof.combo:
        result.problems.append(Problem("combo", f"the file contains evidence for {proof.combo}"))
    plan = _plan_like(matrix, proof, matrix.base(combo))
    if plan.inputs != proof.inputs:
        text = f"the evidence is for {proof.inputs}, the plan has {plan.inputs}: recipes or scripts have changed since"
        result.problems.append(Problem("inputs", text))
    else:
        result.problems += check_plan.find_shortfalls(proof, plan)
        compare_answers(proof, plan, file.path.with_suffix(".answers.npz"), result)
        compare_manifest(proof, file.path.with_suffix(".files.json.gz"), result)
        compare_image(matrix.root, proof, plan, engine, result)
    return result


def explain_stored_rejection(root: Path, plan: Plan, digest: str) -> str | None:
    """Return why the evidence of a plan under build/evidence does not prove an image; None if it does.

    Args:
        root: the project's root.
        plan: the plan.
        digest: the image's digest.
    """
    proof = check_evidence.read_stored_evidence(root, plan.combo.id)
    if proof is None:
        return "there is no valid evidence"
    rejection = explain_rejection(proof, plan, digest)
    if rejection is None and not evidence.answers_path(root, plan.combo.id).exists():
        return "the answers that its evidence is about are not here"
    return rejection


def explain_rejection(proof: Evidence, plan: Plan, digest: str) -> str | None:
    """Return why a proof does not prove the image of a plan; None if it does."""
    mismatch = evidence.explain_mismatch(proof, combo=plan.combo.id, inputs=plan.inputs, digest=digest)
    if mismatch:
        return mismatch
    problems = [*check_evidence.find_contradictions(proof), *check_plan.find_shortfalls(proof, plan)]
    if not problems:
        return None
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"the evidence is not valid: {problems[0].text}{more}"


def require_own_numbers(proof: Evidence, plan: Plan, reports: Mapping[str, Answers]) -> None:
    """Check that the numbers which an image computed give what its report says, as far as it was run.

    Raises:
        FailedError: they do not, although the report says that all is right.
    """
    from armwright.proof import answers  # noqa: PLC0415 - NumPy, which `invoke list` does without

    problems = [] if proof.failed else [problem.text for problem in answers.find_wrong_answers(proof, plan, reports)]
    if problems:
        what = f"{plan.reference}: the report is not that of its numbers: {some(problems, NAMED)}"
        raise FailedError(what, f"docker image rm {plan.reference} && invoke build --combo {plan.combo.id}")


def compare_answers(proof: Evidence, plan: Plan, file: Path, result: Verification) -> None:
    """Judge the answers that evidence is about again.

    Args:
        proof: evidence of this plan.
        plan: the plan.
        file: the file with the answers.
        result: the verification, to which problems are added, or that there is no such file.
    """
    from armwright.proof import answers  # noqa: PLC0415 - as above

    if not file.exists():
        result.not_compared.append(f"answers: {file.name} is not there")
        return
    try:
        result.problems += answers.find_wrong_answers(proof, plan, answers.read_answers(file))
    except answers.InvalidAnswersError as error:
        result.problems.append(Problem("answers", str(error)))


def compare_manifest(proof: Evidence, file: Path, result: Verification) -> None:
    """Compare the manifest of an image's files with its digest in the evidence.

    Args:
        proof: the evidence.
        file: the manifest.
        result: the verification, to which a problem is added, or that there is no such file.
    """
    if not file.exists():
        result.not_compared.append(f"files: {file.name} is not there")
        return
    manifest = image_tree.read_manifest(file)
    if manifest is None or file_tree.hash_tree(manifest) != proof.files:
        result.problems.append(Problem("files", f"{file.name} is not the manifest that the evidence is about"))


def _plan_like(matrix: Matrix, proof: Evidence, base: Base) -> Plan:
    """Plan the combo with the base's source that gives the evidence's inputs; with the archive if none does."""
    sources: list[Source] = ["archive", *(["registry"] if base.registry else [])]  # type: ignore[list-item]
    plans = [make_plan(matrix, matrix.by_id[proof.combo], source) for source in sources]
    return next((plan for plan in plans if plan.inputs == proof.inputs), plans[0])


def compare_image(root: Path, proof: Evidence, plan: Plan, engine: Engine | None, result: Verification) -> None:
    """Compare the evidence with the image in the engine, and the image with its plan.

    Args:
        root: the project's root.
        proof: evidence of this plan.
        plan: the plan.
        engine: the engine that may have the image; None if no engine answers.
        result: the verification, to which problems are added, and what could not be compared.
    """
    image = engine.find(plan.reference) if engine else None
    if engine is None or image is None:
        result.not_compared.append("image: " + ("not in the engine" if engine else "the engine does not answer"))
        return
    if image.digest != proof.image:
        text = f"the evidence is for {proof.image}, but {plan.reference} is {image.digest}"
        result.problems.append(Problem("image", text))
        return
    if (image.compressed, image.platform) != (proof.compressed_bytes, proof.platform):
        text = f"the image has {image.compressed} bytes for {image.platform}, the evidence says"
        result.problems.append(Problem("image", f"{text} {proof.compressed_bytes} bytes for {proof.platform}"))
    recorded = record.read_record(root, plan)
    checks = check_image.check_image(engine, plan, image, recorded)
    manifest = None if recorded else image_tree.read_manifest(image_tree.manifest_path(root, proof.combo))
    if manifest is not None and file_tree.hash_tree(manifest) == proof.files:
        checks[-1] = image_tree.compare_whole(root, engine, image, manifest)  # in place of the record's digest
    for check in checks:
        if check.state == "fail":
            result.problems.append(Problem("image", check.failure))
        elif check.state == "not run":
            result.not_compared.append(f"{check.name}: {check.found}")
