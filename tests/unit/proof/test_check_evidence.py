"""Evidence judged again: a good document holds, every edited one is refused by the part that is meant for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from armwright.assembly import record
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan, make_plan
from armwright.proof import check_evidence, check_plan, evidence, verify
from armwright.proof.check_evidence import NoEvidenceError
from armwright.proof.evidence import Evidence
from armwright.proof.verify import EvidenceFile, Verified
from tests import proofs
from tests.sabotage import edits, ledger
from tests.sabotage.documents import DOCUMENTS

COMBO = "pytorch-2.10.0-n1-acl"
EDITED = {name: one for name, one in DOCUMENTS.items() if one.door == "evidence"}


@pytest.fixture(autouse=True)
def no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what was built in this folder: the documents here are of no image that ever was."""
    monkeypatch.setattr(record, "read_record", lambda *_: None)


@pytest.fixture(scope="module")
def planned(matrix: Matrix) -> Plan:
    return make_plan(matrix, matrix.by_id[COMBO])


@pytest.fixture
def document(planned: Plan) -> dict[str, Any]:
    return proofs.document(planned)


def verified(matrix: Matrix, planned: Plan, folder: Path, text: str, engine: Any = None) -> Verified:  # noqa: ANN401 - stands for an engine
    file = folder / "proof.json"
    file.write_text(text, encoding="utf-8")
    return verify.verify_evidence(matrix, EvidenceFile(file.name, file), engine or proofs.OneImage(planned))


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
    one = make_plan(matrix, matrix.by_id[combo])
    result = verified(matrix, one, tmp_path, edits.text(proofs.document(one)))
    assert (result.problems, result.not_compared) == ([], ["image digest: no build of it on record here"])


@pytest.mark.parametrize("name", EDITED)
def test_an_edited_document_is_refused_by_the_part_it_is_meant_for(
    name: str, matrix: Matrix, planned: Plan, document: dict[str, Any], tmp_path: Path
) -> None:
    sabotage = EDITED[name]
    assert sabotage.edit is not None
    result = verified(matrix, planned, tmp_path, sabotage.edit(document))
    outcome = ledger.Outcome({problem.part: problem.words for problem in reversed(result.problems)})
    row = ledger.judge(name, sabotage.check, sabotage.words, outcome)
    assert not row.problem, result.problems


def test_every_number_and_text_of_a_document_is_read(planned: Plan, document: dict[str, Any]) -> None:
    proof = check_evidence.read_evidence(edits.text(document))
    assert proof == Evidence.model_validate(document)
    assert check_evidence.find_contradictions(proof) == check_plan.find_shortfalls(proof, planned) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON document"), ("[]", "the document: "), ("null", "the document: "), ("{}", "combo: Field required"),
        ("[" * 100_000, "no JSON document"), ('{"a": 1e999}', "larger than a number can be"),
        ('{"a": -Infinity}', "-Infinity is no number"),
    ],
)  # fmt: skip
def test_what_is_no_evidence_is_refused_with_the_place(text: str, words: str) -> None:
    with pytest.raises(NoEvidenceError, match=words):
        check_evidence.read_evidence(text)


def test_a_field_of_another_kind_is_named(document: dict[str, Any]) -> None:
    document["report"]["runs"][0]["metric"]["value"] = "good"
    with pytest.raises(NoEvidenceError, match=r"report\.runs\.0\.metric\.value: "):
        check_evidence.read_evidence(edits.text(document))


def test_a_number_in_words_is_no_number(document: dict[str, Any]) -> None:
    document["compressed_bytes"] = "130000000"
    with pytest.raises(NoEvidenceError, match="compressed_bytes: "):
        check_evidence.read_evidence(edits.text(document))


SILENT = (
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


@pytest.mark.parametrize("name", [*SILENT, "answers lenet fp32"])
def test_a_check_that_the_plan_asks_for_must_be_there(planned: Plan, document: dict[str, Any], name: str) -> None:
    checks = document["report"]["checks"]
    document["report"]["checks"] = [one for one in checks if one["name"] != name]
    assert len(document["report"]["checks"]) == len(checks) - 1
    found = Evidence.model_validate(document)
    assert any(
        name in problem.words
        for problem in [*check_evidence.find_contradictions(found), *check_plan.find_shortfalls(found, planned)]
    )


@pytest.mark.parametrize(
    ("place", "value", "part"),
    [
        (("report", "checks", 2, "state"), "not run", "verdict"),
        (("report", "proven"), False, "verdict"),
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
def test_a_value_that_cannot_be_is_refused(
    planned: Plan, document: dict[str, Any], place: tuple[str | int, ...], value: object, part: str
) -> None:
    inner: Any = document
    for step in place[:-1]:
        inner = inner[step]
    assert inner[place[-1]] != value
    inner[place[-1]] = value
    found = Evidence.model_validate(document)
    assert part in {
        problem.part
        for problem in [*check_evidence.find_contradictions(found), *check_plan.find_shortfalls(found, planned)]
    }


def on_two_cpus(plan: Plan) -> dict[str, Any]:
    """Return good evidence of a plan whose target has a smaller CPU: the same report for both."""
    assert plan.combo.target.emulator.smaller is not None
    document = proofs.document(plan)
    document["smaller"] = json.loads(json.dumps(document["report"]))
    document["smaller"]["cpu"]["emulator"] = f"QEMU {plan.combo.target.emulator.smaller.cpu}"
    return document


def test_a_larger_cpu_is_believed_only_with_the_smaller_one_that_the_target_names(matrix: Matrix) -> None:
    one = make_plan(matrix, next(combo for combo in matrix.combos if combo.sound and combo.target.emulator.smaller))
    document = on_two_cpus(one)
    smaller = document["smaller"]
    proof = Evidence.model_validate(document)
    assert check_evidence.find_contradictions(proof) + check_plan.find_shortfalls(proof, one) == []
    smaller["cpu"]["emulator"] = "QEMU cortex-a53"
    (problem,) = check_plan.find_shortfalls(Evidence.model_validate(document), one)
    assert problem.words.startswith("on the smaller CPU: it ran on QEMU cortex-a53")
    smaller["runs"][0]["worst"] = 2.0
    assert any(one.part == "answers" for one in check_evidence.find_contradictions(Evidence.model_validate(document)))


def test_on_the_smaller_cpu_only_the_data_types_that_the_target_names_may_be_left_out(matrix: Matrix) -> None:
    one = make_plan(matrix, next(combo for combo in matrix.combos if combo.id == "pytorch-2.10.0-v2-acl"))
    assert one.combo.target.emulator.smaller is not None
    skips = one.combo.target.emulator.smaller.skips
    assert skips == ["bf16", "bf16-fast-math"]
    document = on_two_cpus(one)
    smaller = document["smaller"]

    def leave_out(dtypes: list[str]) -> None:
        for run in [run for run in smaller["runs"] if run["dtype"] in dtypes]:
            name = f"{run['workload']} {run['dtype']}"
            smaller["runs"].remove(run)
            smaller["checks"] = [check for check in smaller["checks"] if not check["name"].endswith(f" {name}")]
            told = {"state": "not run", "expected": "right answers", "found": "not asked for"}
            smaller["checks"].append({"name": f"run {name}", **told})
        smaller["proven"] = False

    leave_out(skips)
    proof = Evidence.model_validate(document)
    assert proof.left_out
    assert check_evidence.find_contradictions(proof) + check_plan.find_shortfalls(proof, one) == []
    leave_out(["fp32"])
    found = check_plan.find_shortfalls(Evidence.model_validate(document), one)
    assert {problem.words.split()[-3] for problem in found} == {"fp32"}
    assert all(problem.words.startswith("on the smaller CPU: ") and "missing" in problem.words for problem in found)


def test_the_fingerprint_leaves_out_times_and_memory_and_nothing_else(document: dict[str, Any]) -> None:
    before = evidence.fingerprint(Evidence.model_validate(document))
    document["report"].update(seconds=1.0, peak_memory_bytes=2)
    document["report"]["runs"][0]["seconds"] = 99.0
    assert evidence.fingerprint(Evidence.model_validate(document)) == before
    document["report"]["runs"][0]["largest_error"] *= 2
    assert evidence.fingerprint(Evidence.model_validate(document)) != before


def test_without_the_engine_it_says_what_was_not_compared(
    matrix: Matrix, document: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "proof.json"
    file.write_text(edits.text(document))
    result = verify.verify_evidence(matrix, EvidenceFile("proof.json", file), None)
    assert (result.problems, result.not_compared) == ([], ["the image: the engine does not answer"])


def test_an_image_that_is_not_what_its_plan_makes_is_told(
    matrix: Matrix, planned: Plan, document: dict[str, Any], tmp_path: Path
) -> None:
    engine = proofs.OneImage(planned, {"opt/armwright/smoke/smoke.py": b"print('proven')\n"})
    result = verified(matrix, planned, tmp_path, edits.text(document), engine)
    (problem,) = result.problems
    assert problem.part == "image"
    assert "changed opt/armwright/smoke/smoke.py" in problem.words
