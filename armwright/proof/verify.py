"""Evidence verified: against itself, against the plan of its combo, and against the image in the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from armwright.assembly import record
from armwright.engine.client import Engine
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan, Source, make_plan
from armwright.proof import check_evidence, check_image, check_plan, evidence
from armwright.proof.check_evidence import NoEvidenceError, Problem
from armwright.proof.evidence import Evidence
from armwright.recipes.bases import Base


@dataclass(frozen=True)
class EvidenceFile:
    """A file of evidence: what it was called by, and where it is."""

    name: str
    file: Path


@dataclass
class Verified:
    """What became of a file: why it is refused, and what was not compared."""

    name: str
    problems: list[Problem] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)


def verify_evidence(matrix: Matrix, file: EvidenceFile, engine: Engine | None) -> Verified:
    """Verify one file of evidence.

    Args:
        matrix: the loaded matrix.
        file: the file.
        engine: the engine that may have the image; None where none answers.
    """
    result = Verified(file.name)
    try:
        proof = check_evidence.read_evidence(file.file.read_text(encoding="utf-8"))
    except (NoEvidenceError, OSError, UnicodeDecodeError) as error:
        result.problems.append(Problem("schema", str(error)))
        return result
    result.problems += check_evidence.find_contradictions(proof)
    combo = matrix.by_id.get(proof.combo)
    if combo is None:
        result.problems.append(Problem("combo", f"no recipe here knows {proof.combo}"))
        return result
    if file.file == evidence.evidence_path(matrix.root, file.name) and file.name != proof.combo:
        result.problems.append(Problem("combo", f"it is of {proof.combo}"))
    planned = _plan(matrix, proof, matrix.base(combo))
    if planned.inputs != proof.inputs:
        words = f"it is of {proof.inputs}, and the plan's are {planned.inputs}: recipes or scripts changed since"
        result.problems.append(Problem("inputs", words))
    else:
        result.problems += check_plan.find_shortfalls(proof, planned)
        _compare(matrix.root, proof, planned, engine, result)
    return result


def evidence_doubt(root: Path, plan: Plan, digest: str) -> str | None:
    """Say why the evidence of a plan does not prove an image; None if it does.

    Args:
        root: the project's root.
        plan: the plan.
        digest: the image's digest.
    """
    try:
        proof = check_evidence.read_evidence(evidence.evidence_path(root, plan.combo.id).read_text(encoding="utf-8"))
    except (NoEvidenceError, OSError, UnicodeDecodeError):
        return evidence.mismatch(None, combo=plan.combo.id, inputs=plan.inputs, digest=digest)
    return proof_doubt(proof, plan, digest)


def proof_doubt(proof: Evidence, plan: Plan, digest: str) -> str | None:
    """Say why a proof does not prove the image of a plan; None if it does."""
    return evidence.mismatch(proof, combo=plan.combo.id, inputs=plan.inputs, digest=digest) or _shortfall(proof, plan)


def _shortfall(proof: Evidence, plan: Plan) -> str | None:
    """Say in what a proof contradicts itself or falls short of its plan; None if in nothing."""
    problems = [*check_evidence.find_contradictions(proof), *check_plan.find_shortfalls(proof, plan)]
    if not problems:
        return None
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return f"the evidence does not hold: {problems[0].words}{more}"


def _plan(matrix: Matrix, proof: Evidence, base: Base) -> Plan:
    """Plan the combo from the source of the base that the evidence is of; the usual one where it fits neither."""
    sources: list[Source] = ["archive", *(["registry"] if base.registry else [])]  # type: ignore[list-item]
    plans = [make_plan(matrix, matrix.by_id[proof.combo], source) for source in sources]
    return next((one for one in plans if one.inputs == proof.inputs), plans[0])


def _compare(root: Path, proof: Evidence, planned: Plan, engine: Engine | None, result: Verified) -> None:
    """Compare evidence with the image in the engine, and that with its plan."""
    image = engine.find(planned.reference) if engine else None
    if engine is None or image is None:
        result.not_compared.append("the image: the engine " + ("does not have it" if engine else "does not answer"))
        return
    if image.digest != proof.image:
        words = f"it is of {proof.image}, and {planned.reference} is {image.digest}"
        result.problems.append(Problem("image", words))
        return
    if (image.compressed, image.platform) != (proof.compressed_bytes, proof.platform):
        words = f"the image has {image.compressed} bytes for {image.platform}, not {proof.compressed_bytes}"
        result.problems.append(Problem("image", f"{words} for {proof.platform}"))
    for check in check_image.check_image(engine, planned, image, record.read_record(root, planned)):
        if check.state == "fail":
            words = f"{check.name}: expected {check.expected}, found {check.found}"
            result.problems.append(Problem("image", words))
        elif check.state == "not run":
            result.not_compared.append(f"{check.name}: {check.found}")
