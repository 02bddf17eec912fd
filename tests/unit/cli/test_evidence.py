"""The command `evidence`: its output, differences, rejected evidence, and exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from armwright.cli.evidence import find_evidence, run
from armwright.matrix.matrix import Matrix, load_matrix
from armwright.plan.plan import Plan, make_plan
from armwright.proof import compare, evidence, verify
from armwright.proof.evidence import Evidence
from armwright.system.errors import InputError, MachineError
from tests import proofs
from tests.sabotage import edits
from tests.support import ROOT

N1, V1 = "pytorch-2.10.0-n1-acl", "pytorch-2.10.0-v1-acl"
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def project(matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Matrix:
    """The project with evidence of two combos in a temporary folder, on a machine without an engine."""

    def no_engine() -> None:
        raise MachineError("the Docker engine does not answer")

    monkeypatch.setattr(evidence, "evidence_path", lambda _, combo: tmp_path / "build" / "evidence" / f"{combo}.json")
    monkeypatch.setattr("armwright.cli.evidence.Engine", no_engine)
    for combo in (N1, V1):
        put(matrix, combo)
    return matrix


@cache
def planned(combo: str) -> Plan:
    matrix = load_matrix(ROOT)
    return make_plan(matrix, matrix.by_id[combo])


def document(combo: str = N1) -> dict[str, Any]:
    return proofs.document(planned(combo))


def put(matrix: Matrix, combo: str, change: Change = lambda _: None) -> Path:
    """Write evidence to its path under build/evidence."""
    data = document(combo)
    change(data)
    file = evidence.evidence_path(matrix.root, combo)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(edits.to_text(data), encoding="utf-8")
    proofs.put_parts(file, planned(combo))
    return file


def test_one_proof_is_shown_completely(project: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "show", N1) == 0
    shown = capsys.readouterr()
    for part in (
        f"evidence for {N1}", "sha256:1111", "Docker 26.1.5", "an exact model; match: exact",
        "130.0 MB, 390.0 MB unpacked", "emulated: not a measure of speed", "oneDNN 3.7.1",
        "accuracy 0.9917 of 360", "x:acl", "neoversen1", "kernel rules",
        evidence.fingerprint(Evidence.model_validate(document())),
    ):  # fmt: skip
        assert part in shown.out
    checks = [check for check in document()["report"]["checks"] if check["rule"]]
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert checks
    for check in checks:
        assert any(line.startswith(f"{check['rule']} it {check['reason'][:40]}") for line in lines), check
    assert f"{N1}: proven" in shown.err


def test_many_proofs_are_shown_as_one_line_each(project: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    for combo in ("pytorch-2.10.0-n1-openblas", "pytorch-2.10.0-v1-openblas"):
        put(project, combo)
    put(project, V1, lambda data: data["report"]["runs"][0].update(worst=2.0))
    assert run(project, "show", "") == 0
    lines = [re.split("  +", line) for line in capsys.readouterr().out.splitlines()]
    states = {line[0]: line[1] for line in lines if line[0].startswith("pytorch")}
    assert states == {
        N1: "proven",
        V1: "contradicts itself",
        "pytorch-2.10.0-n1-openblas": "proven",
        "pytorch-2.10.0-v1-openblas": "proven",
    }


def test_json_prints_the_evidence_itself(project: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    run(project, "show", f"{N1},{V1}", as_json=True)
    assert json.loads(capsys.readouterr().out) == [document(N1), document(V1)]


def test_the_schema_describes_the_files(project: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    run(project, "schema", "")
    schema = json.loads(capsys.readouterr().out)
    assert set(schema["properties"]) == set(document())
    assert set(schema["$defs"]["Report"]["properties"]) == set(document()["report"])
    assert schema["additionalProperties"] is False


def differing(project: Matrix, tmp_path: Path, change: Change, *, times: bool = False) -> dict[str, tuple[str, str]]:
    """Compare the evidence of N1 with a changed copy, and check the exit code of the"""
    other = document()
    change(other)
    file = tmp_path / "other.json"
    file.write_text(edits.to_text(other), encoding="utf-8")
    rows = compare.compare_evidence(Evidence.model_validate(document()), Evidence.model_validate(other), times=times)
    same = evidence.fingerprint(Evidence.model_validate(other)) == evidence.fingerprint(
        Evidence.model_validate(document())
    )
    assert run(project, "diff", f"{N1},{file}", times=times) == (0 if same else 1)
    return {row.what: (row.first, row.second) for row in rows}


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        (lambda data: data.update(image=edits.OTHER), {"image": (proofs.DIGEST, edits.OTHER)}),
        (lambda data: data.update(compressed_bytes=1), {"bytes compressed": ("130000000", "1")}),
        (lambda data: data["report"]["versions"].update(torch="2.9"), {"version torch": ("2.10.0", "2.9")}),
        (lambda data: data["report"]["cpu"]["features"].append("sve"), {"cpu feature sve": ("-", "present")}),
        (lambda data: data["report"]["cpu"].update(cpus=4), {"cpus": ("2", "4")}),
        (lambda data: data["report"]["checks"][2].update(state="fail"), {"check user": ("pass", "fail")}),
        (
            lambda data: data["report"]["runs"][0]["metric"].update(value=0.98),
            {"lenet fp32 accuracy": ("0.991667, minimum 0.97", "0.98, minimum 0.97")},
        ),
        (
            lambda data: data["report"]["runs"][0].update(largest_error=0.5),
            {"lenet fp32 largest error": ("0, 0 times the tolerance", "0.5, 0 times the tolerance")},
        ),
        (
            lambda data: data["report"]["runs"][0]["kernels"][0].update(implementation="gemm:ref", calls=3),
            {"lenet fp32: onednn convolution f32": ("x:acl x2", "gemm:ref x3")},
        ),
        (
            lambda data: data["report"]["loaded"][0].update(implementation="armv8"),
            {"library loading: openblas core": ("neoversen1 x2", "armv8 x2")},
        ),
        (
            lambda data: data["report"]["checks"][2].update(found="uid 7"),  # only the text of a check
            {"report.checks.2.found": ("'it is'", "'uid 7'")},
        ),
    ],
)
def test_each_difference_is_a_row_with_both_values(
    project: Matrix, tmp_path: Path, change: Change, rows: dict[str, tuple[str, str]]
) -> None:
    assert differing(project, tmp_path, change) == rows


def hurried(data: dict[str, Any]) -> None:
    data["report"].update(seconds=1.0, peak_memory_bytes=5)
    data["report"]["runs"][0]["seconds"] = 0.25


def test_times_and_memory_are_compared_only_on_request(project: Matrix, tmp_path: Path) -> None:
    assert differing(project, tmp_path, hurried) == {}
    assert differing(project, tmp_path, hurried, times=True) == {
        "lenet fp32 seconds": ("1.500", "0.250"), "seconds": ("60.5", "1.0"),
        "peak memory": ("500000000 bytes", "5 bytes"),
    }  # fmt: skip


def test_differences_as_json(project: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "diff", f"{N1},{V1}", as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["of"], document["same"]) == ([N1, V1], False)
    (row,) = [row for row in document["differences"] if row["what"] == "check kernels convolution-bf16"]
    assert row["first"] == "-"
    assert row["second"].startswith("pass: ")  # and the reason of the rule


def test_verify_lists_what_was_not_compared(project: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "verify", "", as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(result["name"], result["holds"]) for result in document] == [(N1, True), (V1, True)]
    assert document[0]["not_compared"] == ["image: the engine does not answer"]


def test_rejected_evidence_is_named_and_fails(project: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    put(project, V1, lambda data: data["report"]["runs"][0].update(worst=2.0))
    assert run(project, "verify", "") == 1
    printed = capsys.readouterr()
    assert "answers: lenet fp32: the worst answer is 2 times the tolerance" in printed.out
    assert "1 of 2 rejected" in printed.err
    assert run(project, "verify", N1) == 0


def test_evidence_under_another_combo_s_name_is_rejected(project: Matrix) -> None:
    evidence.evidence_path(project.root, V1).write_bytes(evidence.evidence_path(project.root, N1).read_bytes())
    (stored,) = find_evidence(project, V1)
    result = verify.verify_evidence(project, stored, None)
    assert [tuple(problem) for problem in result.problems] == [("combo", f"the file contains evidence for {N1}")]


def test_evidence_of_an_unknown_combo_is_rejected(project: Matrix, tmp_path: Path) -> None:
    data = document()
    data["combo"] = data["report"]["combo"] = "pytorch-9.9.9-n1-acl"
    file = tmp_path / "proof.json"
    file.write_text(edits.to_text(data))
    (stored,) = find_evidence(project, str(file))
    (problem,) = verify.verify_evidence(project, stored, None).problems
    assert problem.text == "there is no combo pytorch-9.9.9-n1-acl in this checkout"


@pytest.mark.parametrize(
    ("action", "of", "what"),
    [
        ("shwo", "", "unknown action 'shwo': did you mean 'show'"),
        ("show", "pytorch-2.10.0-n9-acl", "no combo matches"),
        ("show", "pytorch-2.9.1-n1-acl", "there is no evidence for 'pytorch-2.9.1-n1-acl'"),
        ("show", "gone.json", "there is no file 'gone.json'"),
        ("diff", N1, "compares two proofs, but 1 were selected"),
    ],
)
def test_wrong_arguments_are_explained(project: Matrix, action: str, of: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as error:
        run(project, action, of)
    assert error.value.next_step.startswith("invoke ")


def test_another_file_cannot_be_shown(project: Matrix, tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    file.write_text('{"combo": 1}')
    with pytest.raises(InputError, match="is not evidence: "):
        run(project, "show", str(file))


def test_without_evidence_verify_is_an_input_error(project: Matrix) -> None:
    for combo in (N1, V1):
        evidence.evidence_path(project.root, combo).unlink()
    with pytest.raises(InputError, match="there is no evidence yet"):
        run(project, "verify", "")


def test_stored_evidence_is_checked_against_its_plan(project: Matrix) -> None:
    plan = planned(N1)
    assert verify.explain_stored_rejection(project.root, plan, proofs.DIGEST) is None
    assert "for another image" in str(verify.explain_stored_rejection(project.root, plan, edits.OTHER))
    put(project, N1, lambda data: data["report"]["runs"][0]["kernels"][0].update(implementation="gemm:ref"))
    assert "does not allow onednn convolution by gemm:ref" in str(
        verify.explain_stored_rejection(project.root, plan, proofs.DIGEST)
    )
    file = evidence.evidence_path(project.root, N1)
    file.write_text(file.read_text().replace("{", '{"combo": "x",', 1))
    assert verify.explain_stored_rejection(project.root, plan, proofs.DIGEST) == "there is no valid evidence"
