"""Evidence: written only for a proven image, and rejected for everything that does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from armwright.engine.containers import ContainerResult
from armwright.proof import check_evidence, evidence, smoke
from armwright.proof.evidence import Evidence
from armwright.system.errors import FailedError, InputError

COMBO = "pytorch-2.10.0-n1-acl"
DIGEST, INPUTS = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
CHECK = {"name": "floor", "state": "pass", "expected": "asimd", "found": "all there"}
KERNEL = {
    "source": "onednn", "operation": "convolution", "implementation": "acl", "types": "f32", "calls": 2, "shape": "mb9",
}  # fmt: skip


def report(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a JSON document
    return {
        "schema": 4,
        "combo": COMBO,
        "passed": True,
        "cpu": {
            "title": "Arm Neoverse N1", "parts": ["0x41:0xd0c"], "features": ["asimd"], "vector_bytes": None,
            "emulator": "QEMU neoverse-n1", "cpus": 2,
        },
        "versions": {"torch": "2.10.0"},
        "checks": [CHECK],
        "runs": [
            {
                "workload": "lenet", "dtype": "fp32", "samples": 9, "largest_error": 1e-6, "worst": 0.2, "seconds": 1.5,
                "answers": DIGEST,
                "metric": {"name": "accuracy", "value": 1.0, "minimum": 0.97}, "kernels": [KERNEL],
            }
        ],
        "loaded": [{**KERNEL, "source": "openblas", "operation": "core", "implementation": "neoversen1"}],
        "not_run": [{"workload": "lenet", "dtype": "bf16", "reason": "this CPU has no bfloat16 instructions"}],
        "peak_memory_bytes": 1,
        "seconds": 20.0,
        **changes,
    }  # fmt: skip


def proof(made: dict[str, Any] | None = None, **changes: Any) -> Evidence:  # noqa: ANN401 - as above
    fields = {
        "combo": COMBO, "image": DIGEST, "inputs": INPUTS, "platform": "linux/arm64", "engine": "26.1.5",
        "emulator": "QEMU 10.0.2", "match": "exact", "compressed_bytes": 1, "unpacked_bytes": 2,
        "files": DIGEST, **changes,
    }  # fmt: skip
    return Evidence.model_validate({**fields, "report": made or report()})


def mismatch(made: Evidence) -> str | None:
    return evidence.explain_mismatch(made, combo=COMBO, inputs=INPUTS, digest=DIGEST)


def test_matching_evidence_is_accepted() -> None:
    assert mismatch(proof()) is None


BASELINE = report(passed=False, checks=[{**CHECK, "state": "not run"}, {**CHECK, "name": "answers lenet"}])


def test_evidence_of_a_superset_needs_a_baseline_run() -> None:
    assert "the proof failed or was incomplete" in str(mismatch(proof(match="superset")))
    assert mismatch(proof(match="superset", baseline=BASELINE)) is None
    wrong = report(checks=[{**CHECK, "name": "answers lenet", "state": "fail"}])
    above = proof(match="superset", baseline=wrong)
    assert "the proof failed or was incomplete" in str(mismatch(above))
    assert [check.name for check in above.failed] == ["answers lenet"]


FAILED = [CHECK, {**CHECK, "name": "cpu", "state": "fail"}]
NOT_RUN = [CHECK, {**CHECK, "name": "run lenet fp32", "state": "not run"}]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (proof(combo="pytorch-2.10.0-v1-acl"), "the evidence is for pytorch-2.10.0-v1-acl"),
        (proof(report(combo="pytorch-2.10.0-v1-acl")), "the report in the evidence is for pytorch-2.10.0-v1-acl"),
        (proof(image=f"sha256:{'3' * 64}"), "the evidence is for another image"),
        (proof(inputs=f"sha256:{'3' * 64}"), "recipes or scripts have changed since"),
        (proof(report(passed=False)), "the proof failed or was incomplete"),
        (proof(report(checks=FAILED)), "the proof failed or was incomplete"),  # `proven` was set manually
        (proof(report(checks=NOT_RUN)), "the proof failed or was incomplete"),
        (proof(report(checks=[])), "the evidence contains no checks"),
    ],
)
def test_every_mismatch_with_the_image_is_explained(made: Evidence, expected: str) -> None:
    assert expected in str(mismatch(made))


def test_written_evidence_is_read_back_unchanged(tmp_path: Path) -> None:
    file = evidence.write_evidence(tmp_path, proof())
    assert file == tmp_path / "build/evidence" / f"{COMBO}.json"
    assert check_evidence.read_stored_evidence(tmp_path, COMBO) == proof()
    assert json.loads(file.read_text())["report"]["schema"] == 4
    assert [path.name for path in file.parent.iterdir()] == [file.name]  # no temporary file is left


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (report(passed=False, checks=FAILED), "cpu"),
        (report(checks=FAILED), "cpu"),
        (report(passed=False, checks=NOT_RUN), "run lenet fp32"),
        (report(passed=False), "its report says so"),
    ],
)
def test_evidence_of_a_failed_proof_is_never_written(tmp_path: Path, made: dict[str, Any], named: str) -> None:
    with pytest.raises(FailedError, match=f"{COMBO} is not proven: {named}"):
        evidence.write_evidence(tmp_path, proof(made))
    assert check_evidence.read_stored_evidence(tmp_path, COMBO) is None
    assert not (tmp_path / "build").exists()


def test_a_failed_proof_keeps_earlier_evidence(tmp_path: Path) -> None:
    evidence.write_evidence(tmp_path, proof())
    with pytest.raises(FailedError):
        evidence.write_evidence(tmp_path, proof(report(passed=False), image="sha256:new"))
    assert check_evidence.read_stored_evidence(tmp_path, COMBO) == proof()


@pytest.mark.parametrize("size", [0, 1, 40, -2])
def test_a_truncated_file_reads_as_none(tmp_path: Path, size: int) -> None:
    file = evidence.write_evidence(tmp_path, proof())
    file.write_bytes(file.read_bytes()[:size])
    assert check_evidence.read_stored_evidence(tmp_path, COMBO) is None


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[]", b"null", b"{}", b"[" * 100_000])
def test_a_file_of_another_kind_reads_as_none(tmp_path: Path, data: bytes) -> None:
    file = evidence.write_evidence(tmp_path, proof())
    file.write_bytes(data)
    assert check_evidence.read_stored_evidence(tmp_path, COMBO) is None
    file.unlink()
    file.mkdir()
    assert check_evidence.read_stored_evidence(tmp_path, COMBO) is None


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ((), "note", "trust me"),
        ((), "schema_version", 3),
        ((), "match", "nearly"),
        ((), "image", None),
        (("report",), "speed", 3),
        (("report",), "schema", 3),
        (("report",), "passed", "maybe"),
        (("report", "cpu"), "mhz", 3000),
        (("report", "checks", 0), "state", "passed"),
        (("report", "checks", 0), "weight", 1),
        (("report", "runs", 0), "accuracy", 1.0),
        (("report", "runs", 0), "worst", "little"),
        (("report", "runs", 0), "dtype", None),
        (("report", "runs", 0, "metric"), "value", "good"),
        (("report", "runs", 0, "metric"), "maximum", 1.0),
        (("report", "runs", 0, "kernels", 0), "calls", "many"),
        (("report", "runs", 0, "kernels", 0), "fast", True),
        (("report", "loaded", 0), "types", None),
        (("report", "not_run", 0), "reason", 1),
        (("report", "not_run", 0), "state", "fast"),
    ],
)
def test_an_extra_field_or_a_wrong_value_reads_as_none(
    tmp_path: Path, place: tuple[str | int, ...], key: str, value: object
) -> None:
    file = evidence.write_evidence(tmp_path, proof())
    document = json.loads(file.read_text())
    part = document
    for step in place:
        part = part[step]
    part[key] = value
    file.write_text(json.dumps(document))
    assert check_evidence.read_stored_evidence(tmp_path, COMBO) is None


@pytest.mark.parametrize("key", sorted(report()))
def test_a_report_without_one_of_its_fields_is_rejected(key: str) -> None:
    document = report()
    del document[key]
    with pytest.raises(ValidationError, match=key):
        evidence.parse_report(document)


@pytest.mark.parametrize(("code", "checks"), [(0, FAILED), (1, [CHECK])])
def test_a_report_that_contradicts_its_exit_code_is_rejected(code: int, checks: list[dict[str, str]]) -> None:
    with pytest.raises(FailedError, match=f"contradicts its exit code {code}"):
        smoke._parse_report("ours:1", ContainerResult(code, json.dumps({**report(checks=checks), "numbers": {}}), ""))


def test_only_a_usage_error_of_the_smoke_run_is_an_input_error() -> None:
    usage = "usage: docker run IMAGE smoke [-h]\nsmoke: error: argument --workload: invalid choice: 'x'"
    with pytest.raises(InputError, match="invalid choice: 'x'"):
        smoke._parse_report("ours:1", ContainerResult(2, "", usage))
    with pytest.raises(FailedError, match="gave no report"):
        smoke._parse_report("ours:1", ContainerResult(2, "", "python3: can't open file '/gone.py'"))
