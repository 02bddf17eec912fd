"""Tamperings with the records of builds, with evidence in its place, and with the names in an engine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from armwright.assembly import record
from armwright.plan.plan import Plan, make_plan
from armwright.proof import check_image, evidence, verify
from armwright.proof.state import find_plan_state
from armwright.proof.verify import EvidenceFile
from tests import proofs
from tests.sabotage import edits
from tests.sabotage.ledger import Outcome
from tests.sabotage.tampering import Tampering, Workplace, expect_true
from tests.support import Tree

OTHER = f"sha256:{'2' * 64}"
OTHER_COMBO = "pytorch-2.10.0-v1-acl"
Change = Callable[[Path, Workplace], object]


def changed(change: Change, digest: str = proofs.DIGEST) -> Callable[[Workplace], Outcome]:
    """Change the record of a build, and compare the image with its plan.

    Args:
        change: gets the record's path.
        digest: the digest of the image that then has the plan's name.
    """

    def attempt(place: Workplace) -> Outcome:
        root, plan = place.folder, place.plan
        record.write_record(root, plan, proofs.DIGEST)
        assert _compare(root, plan, proofs.DIGEST) == {}
        change(root / "build" / "made" / f"{plan.combo.id}.json", place)
        return Outcome(_compare(root, plan, digest))

    return attempt


def _compare(root: Path, plan: Plan, digest: str) -> dict[str, str]:
    engine: Any = proofs.OneImage(plan, digest=digest)
    checks = check_image.check_image(engine, plan, engine.image, record.read_record(root, plan))
    return {check.name: check.found for check in checks if check.state == "fail"}


def edit(change: Callable[[dict[str, Any]], object]) -> Change:
    """Edit a record manually."""

    def edit_file(path: Path, _: Workplace) -> None:
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))

    return edit_file


def take_other(path: Path, place: Workplace) -> None:
    """Copy the record of another combo, with the same digest."""
    other = make_plan(place.matrix, place.matrix.by_id[OTHER_COMBO])
    record.write_record(place.folder, other, proofs.DIGEST)
    shutil.copy(path.with_name(f"{OTHER_COMBO}.json"), path)


def name_stranger(path: Path, _: Workplace) -> None:
    """Write the digest of another image into the record, so that both agree."""
    path.write_text(path.read_text().replace(proofs.DIGEST, OTHER))


def state(change: Callable[[Workplace], Mapping[str, str]]) -> Callable[[Workplace], Outcome]:
    """Change what belongs to a proven image; it must not be called proven any more.

    Args:
        change: returns the names in the engine.
    """

    def attempt(place: Workplace) -> Outcome:
        root, plan = place.folder, place.plan
        proofs.keep(root, plan, proofs.OneImage(plan).image)
        assert find_plan_state(root, plan, {plan.reference: proofs.DIGEST}) == "proven"
        found = find_plan_state(root, plan, dict(change(place)))
        return expect_true("state", found, noticed=found != "proven")

    return attempt


def without_record(place: Workplace) -> Mapping[str, str]:
    (place.folder / "build" / "made" / f"{place.plan.combo.id}.json").unlink()
    return {place.plan.reference: proofs.DIGEST}


def retagged(place: Workplace) -> Mapping[str, str]:
    """Give the plan's name to another image."""
    return {place.plan.reference: OTHER, f"{place.plan.reference}-kept": proofs.DIGEST}


def unnamed(place: Workplace) -> Mapping[str, str]:
    """Leave the name that a build has before its record."""
    return {record.unrecorded_name(place.folder, place.plan): proofs.DIGEST}


def edited_digest(place: Workplace) -> Mapping[str, str]:
    """Write the digest of the image that is there into the evidence."""
    path = evidence.evidence_path(place.folder, place.plan.combo.id)
    path.write_text(path.read_text().replace(proofs.DIGEST, OTHER))
    return {place.plan.reference: OTHER}


def linked_evidence(place: Workplace) -> Mapping[str, str]:
    """Let a link in place of the evidence lead to a folder."""
    path = evidence.evidence_path(place.folder, place.plan.combo.id)
    path.unlink()
    path.symlink_to(place.folder)
    return {place.plan.reference: proofs.DIGEST}


def renamed_evidence(place: Workplace) -> Outcome:
    """Put the evidence of one combo at the place of another."""
    root, engine = Tree(place.folder / "project").root, proofs.OneImage(place.plan)
    matrix = Tree(root).load()
    path = evidence.evidence_path(root, OTHER_COMBO)
    path.parent.mkdir(parents=True)
    path.write_text(edits.to_text(proofs.document(place.plan)))
    fake: Any = engine
    result = verify.verify_evidence(matrix, EvidenceFile(OTHER_COMBO, path), fake)
    return Outcome({problem.part: problem.text for problem in reversed(result.problems) if problem.part == "combo"})


def _recorded(pattern: str, attempt: Callable[[Workplace], Outcome]) -> Tampering:
    return Tampering("record", "image digest", pattern, attempt)


def _state(pattern: str, change: Callable[[Workplace], Mapping[str, str]]) -> Tampering:
    return Tampering("record", "state", pattern, state(change))


def take_folder(path: Path, _: Workplace) -> None:
    path.unlink()
    path.mkdir()


def without_answers(place: Workplace) -> Mapping[str, str]:
    """Remove the numbers that the evidence is about."""
    evidence.answers_path(place.folder, place.plan.combo.id).unlink()
    return {place.plan.reference: proofs.DIGEST}


NONE = "no record"
RECORDS: Mapping[str, Tampering] = {
    "a record that was removed": _recorded(NONE, changed(lambda path, _: path.unlink())),
    "a record of other inputs": _recorded(NONE, changed(edit(lambda document: document.update(inputs=OTHER)))),
    "a record of another combo": _recorded(NONE, changed(take_other)),
    "a record that is cut off": _recorded(NONE, changed(lambda path, _: path.write_text(path.read_text()[:-4]))),
    "a record of several digests": _recorded(
        NONE, changed(edit(lambda document: document.update(digest=[proofs.DIGEST, OTHER])))
    ),
    "a record that is a folder": _recorded(NONE, changed(take_folder)),
    "another image under the recorded name": _recorded(OTHER, changed(lambda _, __: None, OTHER)),
    "a record that names another image": _recorded(".", changed(name_stranger, OTHER)),
    "a proven image without its record": _state("^not built$", without_record),
    "a proven image whose name was given away": _state("^not built$", retagged),
    "a proven image with the name of an unfinished build": _state("^not built$", unnamed),
    "a digest in evidence that names another image": _state("^not built$", edited_digest),
    "a link in place of evidence that leads to a folder": _state("^built$", linked_evidence),
    "evidence without its answers": _state("^built$", without_answers),
    "evidence in the place of another combo's": Tampering(
        "record", "combo", "the file contains evidence for", renamed_evidence
    ),
}
