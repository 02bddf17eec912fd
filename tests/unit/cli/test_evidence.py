"""The command `evidence`: what it shows, what differs, what is refused, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from armwright.cli import evidence as command
from armwright.matrix import matrix as matrices
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan, make_plan
from armwright.proof import compare, evidence, verify
from armwright.proof.evidence import Evidence
from armwright.system.errors import InputError, MachineError
from tests import proofs as synthetic
from tests.sabotage import edits
from tests.support import ROOT

N1, V1 = "pytorch-2.10.0-n1-acl", "pytorch-2.10.0-v1-acl"
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def project(matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Matrix:
    """The project with evidence of two combos, in a folder of its own, on a machine without an engine."""

    def none() -> None:
        raise MachineError("the Docker engine does not answer")

    monkeypatch.setattr(evidence, "evidence_path", lambda _, combo: tmp_path / "build" / "evidence" / f"{combo}.json")
    monkeypatch.setattr(command, "Engine", none)
    for combo in (N1, V1):
        put(matrix, combo)
    return matrix


@cache
def planned(combo: str) -> Plan:
    matrix = matrices.load_matrix(ROOT)
    return make_plan(matrix, matrix.by_id[combo])


def document(combo: str = N1) -> dict[str, Any]:
    return synthetic.document(planned(combo))


def put(matrix: Matrix, combo: str, change: Change = lambda _: None) -> Path:
    """Write evidence where it belongs."""
    data = document(combo)
    change(data)
    file = evidence.evidence_path(matrix.root, combo)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(edits.text(data), encoding="utf-8")
    return file


def test_one_proof_is_shown_whole_in_tables(project: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(project, "show", N1) == 0
    shown = capsys.readouterr()
    for told in (
        f"evidence of {N1}", "sha256:1111", "Docker 26.1.5", "an exact model; match: exact",
        "130.0 MB, 390.0 MB unpacked", "emulated: no measure of speed", "oneDNN 3.7.1",
        "accuracy 1.0000 of 360", "x:acl", "neoversen1",
        evidence.fingerprint(Evidence.model_validate(document())),
    ):  # fmt: skip
        assert told in shown.out
    assert f"{N1}: proven" in shown.err


def test_of_many_proofs_each_gets_a_line(project: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    for combo in ("pytorch-2.10.0-n1-openblas", "pytorch-2.10.0-v1-openblas"):
        put(project, combo)
    put(project, V1, lambda data: data["report"]["runs"][0].update(worst=2.0))
    assert command.run(project, "show", "") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    states = {line[0]: line[1] for line in lines if line[0].startswith("pytorch")}
    assert states == {
        N1: "proven", V1: "fail", "pytorch-2.10.0-n1-openblas": "proven", "pytorch-2.10.0-v1-openblas": "proven",
    }  # fmt: skip


def test_json_is_the_evidence_itself(project: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    command.run(project, "show", f"{N1},{V1}", as_json=True)
    assert json.loads(capsys.readouterr().out) == [document(N1), document(V1)]


def test_its_schema_is_that_of_the_files(project: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    command.run(project, "schema", "")
    schema = json.loads(capsys.readouterr().out)
    assert set(schema["properties"]) == set(document())
    assert set(schema["$defs"]["Report"]["properties"]) == set(document()["report"])
    assert schema["additionalProperties"] is False


def differing(project: Matrix, tmp_path: Path, change: Change, *, times: bool = False) -> dict[str, tuple[str, str]]:
    """Compare the evidence of N1 with itself, changed; the command's exit code agrees with the rows."""
    other = document()
    change(other)
    file = tmp_path / "other.json"
    file.write_text(edits.text(other), encoding="utf-8")
    rows = compare.compare_evidence(Evidence.model_validate(document()), Evidence.model_validate(other), times=times)
    same = evidence.fingerprint(Evidence.model_validate(other)) == evidence.fingerprint(
        Evidence.model_validate(document())
    )
    assert command.run(project, "diff", f"{N1},{file}", times=times) == (0 if same else 1)
    return {row.what: (row.first, row.second) for row in rows}


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        (lambda data: data.update(image=edits.OTHER), {"image": (synthetic.DIGEST, edits.OTHER)}),
        (lambda data: data.update(compressed_bytes=1), {"bytes compressed": ("130000000", "1")}),
        (lambda data: data["report"]["versions"].update(torch="2.9"), {"version torch": ("2.10.0", "2.9")}),
        (lambda data: data["report"]["cpu"]["features"].append("sve"), {"cpu feature sve": ("-", "there")}),
        (lambda data: data["report"]["cpu"].update(cpus=4), {"cpus": ("2", "4")}),
        (lambda data: data["report"]["checks"][2].update(state="fail"), {"check user": ("pass", "fail")}),
        (
            lambda data: data["report"]["runs"][0]["metric"].update(value=0.98),
            {"lenet fp32 accuracy": ("1, at least 0.97", "0.98, at least 0.97")},
        ),
        (
            lambda data: data["report"]["runs"][0].update(largest_error=0.5),
            {"lenet fp32 largest error": ("1e-06, 0.25 of what is tolerated", "0.5, 0.25 of what is tolerated")},
        ),
        (
            lambda data: data["report"]["runs"][0]["kernels"][0].update(implementation="gemm:ref", calls=3),
            {"lenet fp32: onednn convolution f32": ("x:acl x2", "gemm:ref x3")},
        ),
        (
            lambda data: data["report"]["loaded"][0].update(implementation="armv8"),
            {"loading: openblas core": ("neoversen1 x2", "armv8 x2")},
        ),
        (
            lambda data: data["report"]["checks"][2].update(found="uid 7"),  # only a check's words
            {"report.checks.2.found": ("'it is'", "'uid 7'")},
        ),
    ],
)
def test_a_difference_is_a_row_that_says_what_and_how_each_has_it(
    project: Matrix, tmp_path: Path, change: Change, rows: dict[str, tuple[str, str]]
) -> None:
    assert differing(project, tmp_path, change) == rows


def hurried(data: dict[str, Any]) -> None:
    data["report"].update(seconds=1.0, peak_memory_bytes=5)
    data["report"]["runs"][0]["seconds"] = 0.25


def test_times_and_memory_are_no_difference_and_shown_when_asked_for(project: Matrix, tmp_path: Path) -> None:
    assert differing(project, tmp_path, hurried) == {}
    assert differing(project, tmp_path, hurried, times=True) == {
        "lenet fp32 seconds": ("1.500", "0.250"), "seconds": ("60.5", "1.0"),
        "peak memory": ("500000000 bytes", "5 bytes"),
    }  # fmt: skip


def test_a_difference_as_json(project: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(project, "diff", f"{N1},{V1}", as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["of"], told["same"]) == ([N1, V1], False)
    assert {"what": "check kernels onednn convolution bf16", "first": "-", "second": "pass"} in told["differences"]


def test_all_evidence_is_verified_and_what_was_not_compared_is_said(
    project: Matrix, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.run(project, "verify", "", as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["holds"]) for one in told] == [(N1, True), (V1, True)]
    assert told[0]["not_compared"] == ["the image: the engine does not answer"]


def test_one_that_is_refused_makes_the_exit_code_and_is_named_with_the_reason(
    project: Matrix, capsys: pytest.CaptureFixture[str]
) -> None:
    put(project, V1, lambda data: data["report"]["runs"][0].update(worst=2.0))
    assert command.run(project, "verify", "") == 1
    said = capsys.readouterr()
    assert "answers: lenet fp32: the worst answer is 2 of what is tolerated" in said.out
    assert "1 of 2 refused" in said.err
    assert command.run(project, "verify", N1) == 0


def test_evidence_under_another_combos_name_is_refused(project: Matrix) -> None:
    evidence.evidence_path(project.root, V1).write_bytes(evidence.evidence_path(project.root, N1).read_bytes())
    (found,) = command.find(project, V1)
    result = verify.verify_evidence(project, found, None)
    assert [(one.part, one.words) for one in result.problems] == [("combo", f"it is of {N1}")]


def test_evidence_of_a_combo_that_nobody_knows_is_refused(project: Matrix, tmp_path: Path) -> None:
    data = document()
    data["combo"] = data["report"]["combo"] = "pytorch-9.9.9-n1-acl"
    file = tmp_path / "proof.json"
    file.write_text(edits.text(data))
    (found,) = command.find(project, str(file))
    (problem,) = verify.verify_evidence(project, found, None).problems
    assert problem.words == "no recipe here knows pytorch-9.9.9-n1-acl"


@pytest.mark.parametrize(
    ("action", "words", "what"),
    [
        ("shwo", "", "no action 'shwo': did you mean 'show'"),
        ("show", "pytorch-2.10.0-n9-acl", "no combo matches"),
        ("show", "pytorch-2.9.1-n1-acl", "there is no evidence of 'pytorch-2.9.1-n1-acl'"),
        ("show", "gone.json", "there is no file 'gone.json'"),
        ("diff", N1, "between two proofs, and here are 1"),
    ],
)
def test_wrong_words_are_told_with_what_would_be_right(project: Matrix, action: str, words: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as wrong:
        command.run(project, action, words)
    assert wrong.value.next_step


def test_what_is_no_evidence_cannot_be_shown(project: Matrix, tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    file.write_text('{"combo": 1}')
    with pytest.raises(InputError, match="is no evidence: "):
        command.run(project, "show", str(file))


def test_nothing_is_here_before_the_first_proof(project: Matrix) -> None:
    for combo in (N1, V1):
        evidence.evidence_path(project.root, combo).unlink()
    with pytest.raises(InputError, match="there is no evidence here yet"):
        command.run(project, "verify", "")


def test_doubt_is_about_the_parts_and_not_only_about_what_they_say_they_are(project: Matrix) -> None:
    one = planned(N1)
    assert verify.evidence_doubt(project.root, one, synthetic.DIGEST) is None
    assert "of another image" in str(verify.evidence_doubt(project.root, one, edits.OTHER))
    put(project, N1, lambda data: data["report"]["runs"][0]["kernels"][0].update(implementation="gemm:ref"))
    assert "another kernel than onednn convolution by gemm:ref" in str(
        verify.evidence_doubt(project.root, one, synthetic.DIGEST)
    )
    file = evidence.evidence_path(project.root, N1)
    file.write_text(file.read_text().replace("{", '{"combo": "x",', 1))
    assert verify.evidence_doubt(project.root, one, synthetic.DIGEST) == "there is no valid evidence"
