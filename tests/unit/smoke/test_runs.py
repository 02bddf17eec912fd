"""The runs of a proof: workloads, data types and processes, and a worker that fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import runs
import worker
from kernels import Row
from runs import Run

from tests.inside import FAST_MATH, GOOD_WORKER, IMAGE, MANIFEST, RUN, TOLERANCE, Bench

LENET = Run("lenet", "fp32", ("convolution",))
FAST = Run("lenet", "bf16-fast-math", ("convolution",))
DTYPES = ("fp32", "bf16", "int8", "bf16-fast-math")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def list_reasons(**changes: Any) -> dict[tuple[str, str], str]:  # noqa: ANN401 - fields of image.json
    """Return the skip reason of each run; empty for the runs that are not skipped."""
    listed = list(runs.list_runs({**IMAGE, **changes}))
    assert len({(run.workload, run.dtype) for run in listed}) == len(listed)
    assert all(bool(run.operations) != bool(run.reason) for run in listed)
    return {(run.workload, run.dtype): run.reason for run in listed}


# --- what is run, and why not


@pytest.mark.usefixtures("bench")
def test_every_workload_has_a_run_or_reason_per_data_type() -> None:
    reasons = list_reasons()
    assert list(reasons) == [(workload, dtype) for workload in ("lenet", "vgg") for dtype in DTYPES]
    assert {run for run, reason in reasons.items() if reason} == {("lenet", "int8"), ("vgg", "int8")}
    assert reasons["vgg", "int8"] == "this CPU has no 8-bit instructions"


def test_data_type_without_a_tolerance_is_skipped(bench: Bench) -> None:
    bench.describe("vgg", dtypes={"fp32": TOLERANCE, "int8": TOLERANCE})
    reasons = list_reasons()
    assert reasons["vgg", "bf16"] == reasons["vgg", "bf16-fast-math"] == "the manifest of vgg does not list it"
    assert reasons["vgg", "int8"] == "this CPU has no 8-bit instructions"  # the image's reason comes first
    assert (reasons["vgg", "fp32"], reasons["lenet", "bf16"]) == ("", "")


def test_a_workload_skips_data_types_in_a_dialect_of_its_choice(bench: Bench) -> None:
    skip = {"dialect": "tensorflow1", "dtypes": ["bf16", "int8"], "reason": "it was saved in fp32"}
    bench.describe("lenet", skips=[skip])
    assert list_reasons()["lenet", "bf16"] == ""
    reasons = list_reasons(dialect="tensorflow1")
    assert (reasons["lenet", "bf16"], reasons["lenet", "fp32"]) == ("it was saved in fp32", "")
    assert reasons["lenet", "int8"] == "this CPU has no 8-bit instructions"
    assert reasons["vgg", "bf16"] == ""


def test_a_skip_without_data_types_is_of_the_whole_workload(bench: Bench) -> None:
    bench.describe("vgg", skips=[{"dialect": "pytorch", "reason": "its operators are not there"}])
    reasons = list_reasons()
    assert {reasons["vgg", dtype] for dtype in ("fp32", "bf16", "bf16-fast-math")} == {"its operators are not there"}
    assert reasons["lenet", "fp32"] == ""
    assert list_reasons(dialect="tensorflow")["vgg", "fp32"] == ""


def test_skip_can_apply_to_slow_data_types_only(bench: Bench) -> None:
    bench.describe("vgg", skips=[{"dialect": "pytorch", "dtypes": ["bf16"], "state": "slow", "reason": "minutes"}])
    reasons = {
        state: list_reasons(dtypes=[{"name": "bf16", "state": state, "note": "a note"}])["vgg", "bf16"]
        for state in ("fast", "slow", "not run")
    }
    assert reasons == {"fast": "", "slow": "minutes", "not run": "a note"}


def test_skip_can_apply_to_one_backend(bench: Bench) -> None:
    skip = {"dialect": "pytorch", "backend": "openblas", "dtypes": ["fp32"], "reason": "minutes"}
    bench.describe("vgg", skips=[skip])
    reasons = {name: list_reasons(backend={"name": name})["vgg", "fp32"] for name in ("acl", "openblas")}
    assert reasons == {"acl": "", "openblas": "minutes"}


def test_the_first_skip_that_fits_gives_the_reason(bench: Bench) -> None:
    skips = [
        {"dialect": "other", "reason": "of another dialect"},
        {"dialect": "pytorch", "dtypes": ["bf16"], "reason": "of bf16"},
        {"dialect": "pytorch", "reason": "of the whole"},
    ]
    bench.describe("vgg", skips=skips)
    reasons = list_reasons()
    assert (reasons["vgg", "bf16"], reasons["vgg", "fp32"]) == ("of bf16", "of the whole")


def test_sharing_workload_keeps_only_its_own_skips(
    bench: Bench,
) -> None:
    skip = {"dialect": "pytorch", "dtypes": ["bf16"], "reason": "lenet's own"}
    bench.describe("lenet", skips=[skip], operations=["convolution", "matmul"], dtypes={"fp32": TOLERANCE, "bf16": {}})
    bare = dict.fromkeys(MANIFEST.keys() - {"name"})
    bench.describe("vgg", **bare, shares="lenet")
    reasons = list_reasons()
    assert (reasons["lenet", "bf16"], reasons["vgg", "bf16"]) == ("lenet's own", "")
    assert reasons["vgg", "bf16-fast-math"] == "the manifest of vgg does not list it"
    operations = {run.operations for run in runs.list_runs(IMAGE) if (run.workload, run.dtype) == ("vgg", "fp32")}
    assert operations == {("convolution", "matmul")}
    own = {"dialect": "pytorch", "dtypes": ["fp32"], "reason": "vgg's own"}
    bench.describe("vgg", **bare, shares="lenet", skips=[own])
    reasons = list_reasons()
    assert (reasons["lenet", "fp32"], reasons["vgg", "fp32"], reasons["vgg", "bf16"]) == ("", "vgg's own", "")


# --- what the workers say


@pytest.mark.usefixtures("bench")
def test_results_of_both_processes_are_merged() -> None:
    done = runs.work(IMAGE, [LENET, FAST])
    assert (done.failure, done.versions) == ("", {"torch": "2.10.0", "oneDNN": "3.7.1"})
    assert done.peak_memory_bytes == 2 * 123_000_000  # both at once
    by_acl = ("onednn", "convolution", "indirect_gemm:acl")
    assert dict(done.table.calls) == {
        Row("", "", "openblas", "core", "neoversen1"): 2,  # each of the two loads it
        Row("lenet", "fp32", *by_acl, "f32"): 1,
        Row("lenet", "bf16-fast-math", *by_acl, "f32 as bf16"): 1,
        Row("lenet", "fp32", "profiler", "convolution", "aten::convolution"): 2,
        Row("lenet", "bf16-fast-math", "profiler", "convolution", "aten::convolution"): 2,
    }
    assert [(run["workload"], run["dtype"]) for run in done.runs] == [("lenet", "fp32"), ("lenet", "bf16-fast-math")]
    for run in done.runs:
        assert run["kernels"] == done.table.of(run["workload"], run["dtype"])
        assert len(run["kernels"]) == 2
        assert {key: value for key, value in RUN.items() if key != "operators"}.items() <= run.items()
        assert "operators" not in run  # they are in the table of kernels


REPORTING = """
facts = {"pid": os.getpid(), "variable": os.environ.get("ONEDNN_DEFAULT_FPMATH_MODE"), "arguments": names}
keys = [dict(zip(("workload", "dtype"), name.split(":"))) for name in names]
document = {"versions": {}, "runs": [{**key, **facts, "operators": {}} for key in keys], "peak_memory_bytes": PEAK}
os.write(sink, json.dumps(document).encode())
"""


def test_only_the_fast_math_process_has_its_variable(bench: Bench) -> None:
    bench.work(REPORTING.replace("PEAK", "7 if facts['variable'] else 9"))
    selected = [
        Run(name, dtype, ("convolution",)) for name in ("lenet", "vgg") for dtype in ("fp32", FAST.dtype, "bf16")
    ]
    done = runs.work(IMAGE, selected)
    plain, fast = done.runs[:4], done.runs[4:]
    assert {run["dtype"] for run in plain} == {"fp32", "bf16"}
    assert {run["dtype"] for run in fast} == {"bf16-fast-math"}
    assert [len({run["pid"] for run in part}) for part in (plain, fast)] == [1, 1]
    assert plain[0]["pid"] not in {fast[0]["pid"], os.getpid()}
    assert ({run["variable"] for run in plain}, {run["variable"] for run in fast}) == ({None}, {"BF16"})
    assert plain[0]["arguments"] == ["lenet:fp32", "lenet:bf16", "vgg:fp32", "vgg:bf16"]
    assert done.peak_memory_bytes == 9 + 7


@pytest.mark.parametrize("some", [[LENET], [FAST], []], ids=["plain", "fast math", "nothing"])
def test_one_process_loads_the_framework_even_without_runs(bench: Bench, some: list[Run]) -> None:
    bench.work(f"open({str(bench.folder)!r} + '/' + str(os.getpid()) + '.pid', 'w').close()\n{GOOD_WORKER}")
    done = runs.work(IMAGE, some)
    assert done.versions == {"torch": "2.10.0", "oneDNN": "3.7.1"}
    assert len(done.runs) == len(some)
    assert len(list(bench.folder.glob("*.pid"))) == 1


def test_numpy_has_one_thread_on_emulated_cpus_only(bench: Bench) -> None:
    bench.work("sys.exit(os.environ.get('OPENBLAS_NUM_THREADS', 'as usual'))")
    failures = {emulated: runs.work(IMAGE, [LENET, FAST], emulated=emulated).failure for emulated in (True, False)}
    assert failures == {True: "exit 1: 1", False: "exit 1: as usual"}


def test_an_image_without_fast_math_runs_the_rest(bench: Bench) -> None:
    bench.work(REPORTING.replace("PEAK", "1"))
    done = runs.work({**IMAGE, "fast_math": None}, [LENET])
    assert (done.failure, done.runs[0]["variable"]) == ("", None)


def test_worker_gets_trace_variables_and_runs(bench: Bench) -> None:
    bench.work("""
        traces = [os.environ[name] for name in ("ONEDNN_VERBOSE", "MKLDNN_VERBOSE", "OPENBLAS_VERBOSE")]
        print(*traces, sys.argv[1], *names, file=sys.stderr)
        sys.exit(3)
    """)
    assert runs.work(IMAGE, [LENET, Run("vgg", "bf16")]).failure == "exit 3: 1 1 2 pytorch lenet:fp32 vgg:bf16"


def began(*names: str) -> str:
    return "\n".join(f"print('{worker.MARKER}{name}', flush=True)" for name in names)


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("import signal; os.kill(os.getpid(), signal.SIGILL)", "signal 4: no error output"),
        ("print('bad opcode', file=sys.stderr, flush=True)\nos.abort()", "signal 6: bad opcode"),
        ("import nonsense_library", "exit 1: ModuleNotFoundError: No module named 'nonsense_library'"),
        ("sys.exit('libacl.so: cannot open shared object file')", "exit 1: libacl.so: cannot open shared object file"),
        ("pass", "exit 0: no error output"),
        ("os.write(sink, b'{\"versions\": ')", "exit 0: no error output"),
        ("print('a' * 500, '\\n\\n', file=sys.stderr)\nsys.exit(9)", f"exit 9: {'a' * 300}"),
        (f"{GOOD_WORKER}\nsys.exit(1)", "exit 1: Core: neoversen1"),
        ("os.write(2, b'\\xff\\xfe broken')\nsys.exit(1)", "exit 1: \ufffd\ufffd broken"),
        (f"{began('lenet fp32')}\nos.abort()", "signal 6 in lenet fp32: no error output"),
        (f"{began('lenet fp32', '', 'vgg bf16')}\nsys.exit('no')", "exit 1 in vgg bf16: no"),
        (f"{began('lenet fp32', '')}\nsys.exit('no')", "exit 1: no"),  # between two runs
    ],
)
def test_failed_worker_is_reported_with_its_run(bench: Bench, script: str, complaint: str) -> None:
    bench.work(script)
    done = runs.work(IMAGE, [LENET])
    assert (done.versions, done.runs, done.failure) == ({}, [], complaint)


def test_one_crash_of_two_workers_is_reported(bench: Bench) -> None:
    bench.work(f"if os.environ.get({FAST_MATH['name']!r}):\n    sys.exit('no bfloat16')\n{GOOD_WORKER}")
    done = runs.work(IMAGE, [LENET, FAST])
    assert done.failure == "exit 1: no bfloat16"
    assert [run["dtype"] for run in done.runs] == ["fp32"]


def test_answers_longer_than_a_pipe_holds_arrive_whole(bench: Bench) -> None:
    bench.work("""
        os.write(sink, json.dumps({"versions": {"x": "y" * 200_000}, "runs": [], "peak_memory_bytes": 1}).encode())
    """)
    done = runs.work(IMAGE, [])
    assert (len(done.versions["x"]), done.failure) == (200_000, "")
