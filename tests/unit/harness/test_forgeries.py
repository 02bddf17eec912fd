"""Forged evidence: each document is rejected for the part meant for it, or is known not to be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from armwright.assembly import record
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan, make_plan
from armwright.proof import check_evidence, evidence, verify
from armwright.proof.verify import EvidenceFile
from tests import proofs
from tests.sabotage import ledger
from tests.sabotage.forgeries import FORGERIES

COMBO = "pytorch-2.10.0-n1-acl"
EDITED = [name for name, sabotage in FORGERIES.items() if sabotage.checkpoint == "evidence"]


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that this checkout built the image of the documents here, which does not exist."""
    monkeypatch.setattr(record, "read_record", lambda *_: proofs.DIGEST)


@pytest.fixture(scope="module")
def planned(matrix: Matrix) -> Plan:
    return make_plan(matrix, matrix.by_id[COMBO])


def judge(name: str, matrix: Matrix, plan: Plan, folder: Path) -> ledger.Row:
    """Forge a document and verify it."""
    sabotage, file = FORGERIES[name], folder / "proof.json"
    assert sabotage.edit is not None
    file.write_text(sabotage.edit(proofs.document(plan)), encoding="utf-8")
    proofs.put_parts(file, plan)
    engine: Any = proofs.OneImage(plan)
    result = verify.verify_evidence(matrix, EvidenceFile(file.name, file), engine)
    found: dict[str, str] = {}
    for problem in result.problems:
        found[problem.part] = "; ".join(filter(None, (found.get(problem.part, ""), problem.text)))
    return ledger.judge(name, sabotage.check, sabotage.pattern, ledger.Outcome(found))


@pytest.mark.parametrize("name", EDITED)
def test_a_forged_document_is_rejected_for_the_right_part(
    name: str, matrix: Matrix, planned: Plan, tmp_path: Path
) -> None:
    row = judge(name, matrix, planned, tmp_path)
    assert not row.problem, row.found


@pytest.mark.parametrize("name", [name for name, sabotage in FORGERIES.items() if sabotage.checkpoint == "stage"])
def test_what_must_not_be_staged_is_rejected(name: str, matrix: Matrix, planned: Plan, tmp_path: Path) -> None:
    sabotage = FORGERIES[name]
    assert sabotage.edit is not None
    file = evidence.evidence_path(tmp_path, COMBO)
    file.parent.mkdir(parents=True)
    file.write_text(sabotage.edit(proofs.document(planned)), encoding="utf-8")
    proof = check_evidence.read_stored_evidence(tmp_path, COMBO)
    if proof is None:
        assert verify.explain_stored_rejection(tmp_path, planned, proofs.DIGEST) == "there is no valid evidence"
        return
    engine: Any = proofs.OneImage(planned)
    result = verify.Verification(COMBO)
    verify.compare_image(matrix.root, proof, planned, engine, result)
    assert [problem.part for problem in result.problems] == ["image"]
