"""What is printed of a proof: its summary, its tables, and what failed with the rule and the reason."""

from __future__ import annotations

from typing import Any

import pytest

from armwright.proof import wording
from armwright.proof.evidence import Evidence
from tests import proofs
from tests.support import SMALL, Tree

COMBO = "pytorch-2.10.0-n1-acl"
PICTURE = 16  # lines at most


@pytest.fixture
def document(tree: Tree) -> dict[str, Any]:
    tree.publish(SMALL)
    return proofs.document(tree.plan(COMBO))


def summary(document: dict[str, Any], capsys: pytest.CaptureFixture[str], written: str = "") -> dict[str, str]:
    """Return the texts of a proof's summary by their labels; its title has the empty label."""
    wording.print_proof(Evidence.model_validate(document), written)
    title, *lines = capsys.readouterr().out.splitlines()
    assert len(lines) < PICTURE
    texts = {"": title}
    for line in lines:
        label, _, text = line.strip().partition("  ")
        texts[label] = text.strip()
    return texts


def kernel(operation: str, implementation: str, calls: int, source: str = "onednn") -> dict[str, Any]:
    return {
        "source": source, "operation": operation, "implementation": implementation, "types": "f32", "calls": calls,
        "shape": "1x1",
    }  # fmt: skip


def test_the_summary_has_the_parts_of_a_proof(document: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    texts = summary(document, capsys, f"build/evidence/{COMBO}.json")
    number = len(document["report"]["checks"])
    assert texts[""] == f"{COMBO} on Arm Neoverse N1, emulated by QEMU neoverse-n1"
    assert texts["versions"].startswith("torch 2.10.0, ")
    assert texts["size"] == "130.0 MB compressed, 390.0 MB unpacked; peak memory 500.0 MB"
    assert texts["proof"] == f"{number} of {number} checks hold, in 60 s (emulated: not a measure of speed)"
    assert texts["evidence"] == f"build/evidence/{COMBO}.json"
    assert "evidence" not in summary(document, capsys)


def test_kernels_are_counted_by_library_and_operation(
    document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = document["report"]["runs"]
    for run in runs:
        run["kernels"] = []
    runs[0]["kernels"] = [
        kernel("convolution", "gemm:acl", 64), kernel("convolution", "indirect:acl", 17), kernel("matmul", "acl", 2),
        kernel("convolution", "jit:a", 2), kernel("convolution", "jit:b", 1), kernel("reorder", "jit:uni", 99),
    ]  # fmt: skip
    runs[1]["kernels"] = [kernel("convolution", "gemm:acl", 6), kernel("depthwise", "aten::a", 3, "profiler")]
    document["report"]["loaded"] = [kernel("core", "neoversen1", 1, "openblas")]
    texts = summary(document, capsys)
    assert texts["oneDNN kernels"] == "convolution gemm:acl x70, indirect:acl x17, 2 others x3; matmul acl x2"
    assert texts["framework kernels"] == "depthwise aten::a x3"
    assert texts["OpenBLAS core"] == "neoversen1"


def test_right_answers_are_counted_by_data_type(document: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    runs = document["report"]["runs"]
    number = len([run for run in runs if run["dtype"] == "fp32"])
    assert f"fp32 {number} of {number}, " in summary(document, capsys)["right answers"]
    for check in document["report"]["checks"]:
        if check["name"] in {
            f"answers {runs[0]['workload']} fp32",
            f"answers {runs[1]['workload']} {runs[1]['dtype']}",
        }:
            check["state"] = "fail"
    wrong = 2 if runs[1]["dtype"] == "fp32" else 1
    assert f"fp32 {number - wrong} of {number}, " in summary(document, capsys)["right answers"]


def test_a_failed_kernel_check_names_its_rule_and_reason(
    document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    document["report"]["checks"][-1] |= {
        "name": "kernels acl-convolution", "state": "fail", "expected": "convolution by *acl", "found": "ref:any",
        "rule": "acl-convolution", "reason": "a reference kernel is 50 times slower",
    }  # fmt: skip
    proof = Evidence.model_validate(document)
    (failure,) = wording.list_failures(proof)
    assert failure == (
        "kernels acl-convolution: expected convolution by *acl, found ref:any; "
        "rule acl-convolution: a reference kernel is 50 times slower"
    )
    wording.print_verdict(proof)
    assert capsys.readouterr().err == f"{COMBO}: NOT PROVEN\n  {failure}\n"


def test_the_verbose_proof_has_every_check_and_kernel(
    document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    wording.print_proof(Evidence.model_validate(document), verbose=True)
    printed = capsys.readouterr().out
    assert all(f"{check['name']} " in printed for check in document["report"]["checks"])
    kernels = [row for run in document["report"]["runs"] for row in run["kernels"]]
    assert all(row["implementation"] in printed for row in kernels)
