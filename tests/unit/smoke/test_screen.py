"""The report as text: its content and its largest size."""

from __future__ import annotations

from typing import Any

import screen

DTYPES = ("fp32", "bf16", "fp16", "int8", "bf16-fast-math")
WORKLOADS = (
    "lenet", "tinyvgg", "efficientnet", "detector", "lstm", "gru", "mgu", "decoder", "autoencoder", "frozengraph",
)  # fmt: skip
OPERATIONS = ("convolution", "inner_product", "matmul", "pooling", "softmax", "eltwise")
MOST = 48  # lines of a terminal that is as high as a laptop's screen
Report = dict[str, Any]


def passed(name: str, found: str = "it is") -> dict[str, str]:
    return {"name": name, "state": "pass", "expected": "right", "found": found}


def kernel(operation: str, implementation: str, calls: int = 3, source: str = "onednn") -> dict[str, object]:
    return {
        "source": source, "operation": operation, "implementation": implementation, "types": "f32", "calls": calls,
        "shape": "mb8",
    }  # fmt: skip


def run(workload: str, dtype: str) -> dict[str, Any]:
    by = {"fp32": "indirect_gemm:acl", "bf16": "gemm:acl", "bf16-fast-math": "indirect_gemm:acl"}.get(dtype)
    return {
        "workload": workload, "dtype": dtype, "samples": 60, "largest_error": 1e-6, "worst": 0.1, "seconds": 1.0,
        "metric": {"name": "accuracy", "value": 0.98, "minimum": 0.97},
        "kernels": [kernel(operation, by) for operation in OPERATIONS] + [kernel("reorder", "jit:uni")] if by else [],
    }  # fmt: skip


def report(**changes: Any) -> Report:  # noqa: ANN401 - fields of a JSON document
    """Make the report of an image that runs every workload in every data type."""
    runs = [run(workload, dtype) for workload in WORKLOADS for dtype in DTYPES]
    names = [f"{run['workload']} {run['dtype']}" for run in runs]
    checks = [passed(name) for name in ("floor", "cpu", "user", "files", "precision", "import")]
    checks += [passed(f"version {name}", "1.0") for name in ("torch", "oneDNN", "Arm Compute Library", "OpenBLAS")]
    checks += [passed(f"{head} {name}") for name in names for head in ("answers", "accuracy")]
    checks += [passed(f"kernels {operation}-{dtype}") for operation in OPERATIONS for dtype in DTYPES]
    return {
        "schema": 4, "combo": "pytorch-2.10.0-v1-acl", "passed": True,
        "cpu": {
            "title": "Arm Neoverse V1", "parts": ["0x41:0xd40"], "features": ["asimd"], "vector_bytes": 32,
            "emulator": "QEMU neoverse-v1", "cpus": 2,
        },
        "versions": {}, "checks": [*checks, passed("kernels known")], "runs": runs,
        "loaded": [kernel("core", "neoversev1", source="openblas")], "not_run": [],
        "peak_memory_bytes": 512_000_000, "seconds": 71.2, **changes,
    }  # fmt: skip


def lines(**changes: Any) -> list[str]:  # noqa: ANN401 - as above
    return screen.page(report(**changes)).splitlines()


def failing(*names: str) -> list[dict[str, str]]:
    failure = {"state": "fail", "expected": "what is right", "found": "what is wrong"}
    return [{**check, **failure} if check["name"] in names else check for check in report()["checks"]]


def test_a_full_report_fits_on_one_screen() -> None:
    page = lines()
    assert len(page) <= MOST
    assert page[0] == "pytorch-2.10.0-v1-acl on Arm Neoverse V1, emulated by QEMU neoverse-v1"
    assert (
        page[-1]
        == "every check passed by the image's own word in 71 s (emulated: says nothing about speed), peak memory 512 MB"
    )
    (header,) = [line for line in page if line.split()[:2] == ["workload", "metric"]]
    assert header.split()[2:] == list(DTYPES)
    for name in WORKLOADS:
        (row,) = [line for line in page if line.split()[:1] == [name]]
        assert row.split() == [name, "accuracy", *["0.9800"] * len(DTYPES)]


def test_it_fits_with_what_is_not_run_and_with_failures_too() -> None:
    reasons = {"int8": "8-bit models run elsewhere", "fp16": "not measured yet"}
    left = [
        {"workload": name, "dtype": dtype, "reason": reason} for name in WORKLOADS for dtype, reason in reasons.items()
    ]
    runs = [run for run in report()["runs"] if run["dtype"] not in reasons]
    checks = failing("answers lenet bf16", "kernels convolution-fp32", "floor", "accuracy gru fp32")
    checks = [check for check in checks if not check["name"].endswith(("int8", "fp16"))]
    assert len(lines(runs=runs, not_run=left, checks=checks, passed=False)) <= MOST


def test_page_of_a_real_cpu_does_not_mention_emulation() -> None:
    page = lines(cpu={**report()["cpu"], "emulator": ""})
    assert page[0] == "pytorch-2.10.0-v1-acl on Arm Neoverse V1"
    assert page[-1] == "every check passed by the image's own word in 71 s, peak memory 512 MB"


def test_failure_is_marked_in_its_row_and_explained_last() -> None:
    wrong = ["floor", "version oneDNN", "answers lenet bf16", "accuracy gru fp32", "kernels convolution-fp32"]
    page = lines(checks=failing(*wrong), passed=False)
    rows = {line.split()[0]: line.split() for line in page if line.split()[1:2] == ["accuracy"]}
    assert rows["lenet"][2:] == ["0.9800", "0.9800", "FAIL", *["0.9800"] * 3]
    assert rows["gru"][2:] == ["0.9800", "FAIL", *["0.9800"] * 4]
    assert {tuple(row[2:]) for name, row in rows.items() if name not in {"lenet", "gru"}} == {("0.9800",) * 5}
    marked = [line.split()[:2] for line in page if line.split()[:1] == ["FAIL"]]
    assert marked == [["FAIL", "floor"], ["FAIL", "versions"]]
    assert page[-6:-1] == [f"{name}: expected what is right, found what is wrong" for name in wrong]
    assert page[-1].startswith("FAILED in")


def test_kernel_without_a_rule_is_explained_last() -> None:
    page = lines(checks=failing("kernels known"), passed=False)
    assert page[-2] == "kernels known: expected what is right, found what is wrong"


def test_unselected_runs_neither_fail_nor_prove() -> None:
    runs = [run("lenet", "fp32")]
    page = lines(runs=runs, checks=[passed("floor"), {**passed("run gru fp32"), "state": "not run"}], passed=False)
    assert page[-1].startswith("no check failed, but not all were run, in")
    assert not any("gru" in line for line in page)


def test_missing_data_type_of_a_workload_is_a_dash() -> None:
    page = lines(runs=[run("lenet", "fp32"), run("lenet", "bf16"), run("gru", "bf16")])
    rows = {line.split()[0]: line.split() for line in page if line.split()[1:2] == ["accuracy"]}
    assert (rows["lenet"][2:], rows["gru"][2:]) == (["0.9800", "0.9800"], ["-", "0.9800"])


def test_operations_list_kernels_calls_and_data_types() -> None:
    page = lines()
    rows = [line.split(None, 1)[1] for line in page if line.split()[0:1] == ["convolution"]]
    assert [" ".join(line.split()) for line in rows] == [
        "fp32 bf16-fast-math indirect_gemm:acl x60",
        "bf16 gemm:acl x30",
    ]
    assert not any("reorder" in line for line in page)  # copies, and no arithmetic
    (core,) = [line for line in page if "at load" in line]
    assert core.split() == ["core", "at", "load", "openblas", "neoversev1"]


def test_two_reports_of_one_call_are_not_added_up() -> None:
    lenet = {**run("lenet", "fp32"), "kernels": [kernel("convolution", "acl", 2), kernel("convolution", "Conv2D", 2)]}
    (row,) = [line for line in lines(runs=[lenet]) if line.split()[:1] == ["convolution"]]
    assert row.split(None, 2)[2] == "Conv2D x2, acl x2"


def test_each_skip_reason_is_printed_once() -> None:
    left = [
        {"workload": name, "dtype": dtype, "reason": "elsewhere"} for name in ("lenet", "gru") for dtype in DTYPES[2:4]
    ]
    left.append({"workload": "gru", "dtype": "bf16", "reason": "it was saved in fp32"})
    page = lines(not_run=left)
    assert [line for line in page if line.startswith("not run")] == [
        "not run: fp16 int8: elsewhere",
        "not run: bf16 (gru): it was saved in fp32",
    ]


def test_report_without_a_loaded_framework_is_a_page() -> None:
    import_failed = {**passed("import"), "state": "fail", "found": "signal 4: no error output"}
    page = lines(runs=[], loaded=[], checks=[passed("floor"), import_failed], passed=False, peak_memory_bytes=0)
    assert page[-2] == "import: expected right, found signal 4: no error output"
    assert not any("workload" in line for line in page)


def test_failed_kernel_check_shows_its_rule_and_reason() -> None:
    (failed,) = [row for row in failing("kernels convolution-fp32") if row["state"] == "fail"]
    page = lines(checks=[{**failed, "rule": "convolution-fp32", "reason": "ACL has an fp32 convolution"}], passed=False)
    expected = "kernels convolution-fp32: expected what is right, found what is wrong"
    assert page[-2] == f"{expected}; rule convolution-fp32: ACL has an fp32 convolution"
