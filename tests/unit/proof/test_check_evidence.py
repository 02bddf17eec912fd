"""Evidence is verified: a good document holds, and each edited one is rejected for the part meant for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from armwright.assembly import record
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan, make_plan
from armwright.proof import check_evidence, check_plan, evidence, verify
from armwright.proof.check_evidence import InvalidEvidenceError
from armwright.proof.evidence import Evidence
from armwright.proof.verify import EvidenceFile, Verification
from tests import proofs
from tests.sabotage import edits, ledger
from tests.sabotage.documents import DOCUMENTS

COMBO = "pytorch-2.10.0-n1-acl"
EDITED = {name: sabotage for name, sabotage in DOCUMENTS.items() if sabotage.checkpoint == "evidence"}


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that this checkout built the image of the documents here, which does not exist."""
    monkeypatch.setattr(record, "read_record", lambda *_: proofs.DIGEST)


@pytest.fixture(scope="module")
def planned(matrix: Matrix) -> Plan:
    return make_plan(matrix, matrix.by_id[COMBO])


@pytest.fixture
def document(planned: Plan) -> dict[str, Any]:
    return proofs.document(planned)


def verify_text(matrix: Matrix, planned: Plan, folder: Path, text: str, engine: Any = None) -> Verification:  # noqa: ANN401 - a fake
    file = folder / "proof.json"
    file.write_text(text, encoding="utf-8")
    proofs.put_parts(file, planned)
    fake: Any = proofs.OneImage(planned)
    return verify.verify_evidence(matrix, EvidenceFile(file.name, file), engine or fake)


@pytest.mark.parametrize(
    "combo",
    [
        COMBO,
        "pytorch-2.10.0-v1-acl",
        "pytorch-2.10.0-n1-openblas",
        "pytorch-2.9.1-generic-acl",
        "tensorflow-2.15.1-n1-acl",
    ],
)
def test_a_good_document_holds(matrix: Matrix, tmp_path: Path, combo: str) -> None:
    plan = make_plan(matrix, matrix.by_id[combo])
    result = verify_text(matrix, plan, tmp_path, edits.to_text(proofs.document(plan)))
    assert (result.problems, result.not_compared) == ([], [])


@pytest.mark.parametrize("name", EDITED)
def test_an_edited_document_is_rejected_for_the_right_part(
    name: str, matrix: Matrix, planned: Plan, document: dict[str, Any], tmp_path: Path
) -> None:
    sabotage = EDITED[name]
    assert sabotage.edit is not None
    result = verify_text(matrix, planned, tmp_path, sabotage.edit(document))
    outcome = ledger.Outcome({problem.part: problem.text for problem in reversed(result.problems)})
    row = ledger.judge(name, sabotage.check, sabotage.pattern, outcome)
    assert not row.problem, result.problems


def test_every_value_of_a_document_is_read(planned: Plan, document: dict[str, Any]) -> None:
    proof = check_evidence.read_evidence(edits.to_text(document))
    assert proof == Evidence.model_validate(document)
    assert check_evidence.find_contradictions(proof) == check_plan.find_shortfalls(proof, planned) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "not a JSON document"), ("[]", "the document: "), ("null", "the document: "),
        ("{}", "combo: Field required"), ("[" * 100_000, "not a JSON document"),
        ('{"a": 1e999}', "too large for a number"), ('{"a": -Infinity}', "-Infinity is not a JSON number"),
    ],
)  # fmt: skip
def test_anything_else_is_rejected_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(InvalidEvidenceError, match=expected):
        check_evidence.read_evidence(text)


def test_a_field_of_another_type_is_named(document: dict[str, Any]) -> None:
    document["report"]["runs"][0]["metric"]["value"] = "good"
    with pytest.raises(InvalidEvidenceError, match=r"report\.runs\.0\.metric\.value: "):
        check_evidence.read_evidence(edits.to_text(document))


def test_a_number_in_quotes_is_rejected(document: dict[str, Any]) -> None:
    document["compressed_bytes"] = "130000000"
    with pytest.raises(InvalidEvidenceError, match="compressed_bytes: "):
        check_evidence.read_evidence(edits.to_text(document))


REQUIRED = (
    "floor",
    "cpu",
    "user",
    "files",
    "import",
    "precision",
    "version torch",
    "kernels known",
    "answers lenet fp32",
)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_check_that_the_plan_requires_must_be_present(planned: Plan, document: dict[str, Any], name: str) -> None:
    checks = document["report"]["checks"]
    document["report"]["checks"] = [check for check in checks if check["name"] != name]
    assert len(document["report"]["checks"]) == len(checks) - 1
    evidence = Evidence.model_validate(document)
    assert any(
        name in problem.text
        for problem in [*check_evidence.find_contradictions(evidence), *check_plan.find_shortfalls(evidence, planned)]
    )


@pytest.mark.parametrize(
    ("place", "value", "part"),
    [
        (("report", "checks", 2, "state"), "not run", "verdict"),
        (("report", "passed"), False, "verdict"),
        (("report", "combo"), "pytorch-2.10.0-v1-acl", "combo"),
        (("report", "runs", 0, "samples"), 0, "runs"),
        (("report", "runs", 0, "worst"), -1.0, "answers"),
        (("report", "runs", 0, "kernels", 0, "calls"), 0, "kernels"),
        (("report", "runs", 0, "kernels", 0, "types"), "bf16", "kernels"),
        (("report", "runs", 0, "kernels", 0, "operation"), "deconvolution", "kernels"),
        (("report", "loaded", 0, "implementation"), "armv8", "kernels"),
        (("report", "loaded"), [], "kernels"),
        (("report", "runs", 0, "metric", "name"), "luck", "metric"),
        (("report", "runs", 0, "workload"), "resnet", "runs"),
        (("report", "cpu", "features"), ["fp", "asimd"], "cpu"),
        (("report", "cpu", "emulator"), "QEMU max", "cpu"),
        (("report", "cpu", "emulator"), "", "emulator"),
        (("report", "peak_memory_bytes"), 0, "sizes"),
        (("report", "seconds"), -1.0, "sizes"),
        (("emulator",), "", "emulator"),
        (("match",), "subset", "emulator"),
        (("unpacked_bytes",), 0, "sizes"),
        (("image",), f"sha256:{'A' * 64}", "digests"),
    ],
)  # fmt: skip
def test_an_impossible_value_is_rejected(
    planned: Plan, document: dict[str, Any], place: tuple[str | int, ...], value: object, part: str
) -> None:
    inner: Any = document
    for step in place[:-1]:
        inner = inner[step]
    assert inner[place[-1]] != value
    inner[place[-1]] = value
    evidence = Evidence.model_validate(document)
    assert part in {
        problem.part
        for problem in [*check_evidence.find_contradictions(evidence), *check_plan.find_shortfalls(evidence, planned)]
    }


def on_two_cpus(plan: Plan) -> dict[str, Any]:
    """Return good evidence of a plan whose target has a baseline CPU: the same report for both."""
    assert plan.combo.target.emulator.baseline is not None
    document = proofs.document(plan)
    document["baseline"] = json.loads(json.dumps(document["report"]))
    document["baseline"]["cpu"]["emulator"] = f"QEMU {plan.combo.target.emulator.baseline.cpu}"
    return document


def test_the_baseline_run_must_be_on_the_target_s_baseline_cpu(matrix: Matrix) -> None:
    combos = (combo for combo in matrix.combos if combo.is_known_to_work and combo.target.emulator.baseline)
    plan = make_plan(matrix, next(combos))
    document = on_two_cpus(plan)
    baseline = document["baseline"]
    proof = Evidence.model_validate(document)
    assert check_evidence.find_contradictions(proof) + check_plan.find_shortfalls(proof, plan) == []
    baseline["cpu"]["emulator"] = "QEMU cortex-a53"
    (problem,) = check_plan.find_shortfalls(Evidence.model_validate(document), plan)
    assert problem.text.startswith("on the baseline CPU: it ran on QEMU cortex-a53")
    baseline["runs"][0]["worst"] = 2.0
    problems = check_evidence.find_contradictions(Evidence.model_validate(document))
    assert "answers" in {problem.part for problem in problems}


def test_only_skipped_data_types_may_be_left_out_on_baseline(matrix: Matrix) -> None:
    plan = make_plan(matrix, next(combo for combo in matrix.combos if combo.id == "pytorch-2.10.0-v2-acl"))
    assert plan.combo.target.emulator.baseline is not None
    skips = plan.combo.target.emulator.baseline.skips
    assert skips == ["bf16", "bf16-fast-math"]
    document = on_two_cpus(plan)
    baseline = document["baseline"]

    def leave_out(dtypes: Sequence[str]) -> None:
        for run in [run for run in baseline["runs"] if run["dtype"] in dtypes]:
            name = f"{run['workload']} {run['dtype']}"
            baseline["runs"].remove(run)
            baseline["checks"] = [check for check in baseline["checks"] if not check["name"].endswith(f" {name}")]
            skipped = {"state": "not run", "expected": "right answers", "found": "not selected"}
            baseline["checks"].append({"name": f"run {name}", **skipped})
        baseline["passed"] = False

    leave_out(skips)
    proof = Evidence.model_validate(document)
    assert proof.left_out
    assert check_evidence.find_contradictions(proof) + check_plan.find_shortfalls(proof, plan) == []
    leave_out(["fp32"])
    shortfalls = check_plan.find_shortfalls(Evidence.model_validate(document), plan)
    assert {problem.text.split()[-3] for problem in shortfalls} == {"fp32"}
    assert all(problem.text.startswith("on the baseline CPU: ") and "missing" in problem.text for problem in shortfalls)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"rule": ""}, "the rule is none, expected "),
        ({"rule": "any"}, "the rule is any, expected "),
        ({"reason": "any kernel is good enough"}, "the reason is 'any kernel is good enough', in the plan it is "),
    ],
)
def test_kernel_checks_must_name_the_plan_s_rule_and_reason(
    planned: Plan, document: dict[str, Any], change: dict[str, str], expected: str
) -> None:
    check = next(check for check in document["report"]["checks"] if check["rule"])
    check.update(change)
    (problem,) = check_plan.find_shortfalls(Evidence.model_validate(document), planned)
    assert problem.part == "rules"
    assert problem.text.startswith(f"{check['name']}: {expected}")


def test_a_check_without_rule_must_not_name_one(planned: Plan, document: dict[str, Any]) -> None:
    document["report"]["checks"][0].update(rule="convolution-fp32")
    (problem,) = check_plan.find_shortfalls(Evidence.model_validate(document), planned)
    assert problem.text == f"{document['report']['checks'][0]['name']}: the rule is convolution-fp32, expected none"


def test_a_forbidden_kernel_names_the_rule_and_its_reason(planned: Plan, document: dict[str, Any]) -> None:
    edits.reference_kernel(document)
    problems = check_plan.find_shortfalls(Evidence.model_validate(document), planned)
    rules = {rule["id"]: rule["reason"] for rule in check_plan.read_requirements(planned).rules}
    assert problems
    for problem in problems:
        name = problem.text.partition(": rule ")[2].partition(" does not allow ")[0]
        assert problem.text.endswith(f": {rules[name]}")


def test_the_fingerprint_leaves_out_only_times_and_memory(document: dict[str, Any]) -> None:
    before = evidence.fingerprint(Evidence.model_validate(document))
    document["report"].update(seconds=1.0, peak_memory_bytes=2)
    document["report"]["runs"][0]["seconds"] = 99.0
    assert evidence.fingerprint(Evidence.model_validate(document)) == before
    document["report"]["runs"][0]["largest_error"] += 2
    assert evidence.fingerprint(Evidence.model_validate(document)) != before


def test_without_an_engine_the_image_is_not_compared(matrix: Matrix, document: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    file.write_text(edits.to_text(document))
    result = verify.verify_evidence(matrix, EvidenceFile("proof.json", file), None)
    assert (result.problems, result.not_compared) == (
        [],
        [
            "answers: proof.answers.npz is not there",
            "files: proof.files.json.gz is not there",
            "image: the engine does not answer",
        ],
    )


def test_an_image_that_was_not_built_here_is_not_believed(
    matrix: Matrix, planned: Plan, document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "read_record", lambda *_: None)
    (problem,) = verify_text(matrix, planned, tmp_path, edits.to_text(document)).problems
    assert (problem.part, "it was not built here" in problem.text) == ("image", True)


def test_an_image_that_differs_from_its_plan_is_reported(
    matrix: Matrix, planned: Plan, document: dict[str, Any], tmp_path: Path
) -> None:
    engine = proofs.OneImage(planned, {"opt/armwright/smoke/smoke.py": b"print('proven')\n"})
    result = verify_text(matrix, planned, tmp_path, edits.to_text(document), engine)
    (problem,) = result.problems
    assert problem.part == "image"
    assert "changed opt/armwright/smoke/smoke.py" in problem.text
