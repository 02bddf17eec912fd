"""The runs of a proof: which workload in which data type, in which process, and a worker that does not end well."""

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


def planned(**changes: Any) -> dict[tuple[str, str], str]:  # noqa: ANN401 - fields of image.json
    """Return the reason of each run that is planned; empty for those that are to run."""
    found = list(runs.list_runs({**IMAGE, **changes}))
    assert len({(one.workload, one.dtype) for one in found}) == len(found)
    assert all(bool(one.operations) != bool(one.reason) for one in found)
    return {(one.workload, one.dtype): one.reason for one in found}


# --- what is run, and why not


@pytest.mark.usefixtures("bench")
def test_every_workload_comes_in_every_data_type_and_what_the_image_does_not_run_has_the_image_s_reason() -> None:
    found = planned()
    assert list(found) == [(workload, dtype) for workload in ("lenet", "vgg") for dtype in DTYPES]
    assert {one for one, reason in found.items() if reason} == {("lenet", "int8"), ("vgg", "int8")}
    assert found["vgg", "int8"] == "this CPU has no 8-bit instructions"


def test_a_data_type_without_a_tolerance_is_not_run_and_the_workload_is_named(bench: Bench) -> None:
    bench.describe("vgg", dtypes={"fp32": TOLERANCE, "int8": TOLERANCE})
    found = planned()
    assert found["vgg", "bf16"] == found["vgg", "bf16-fast-math"] == "the manifest of vgg does not list it"
    assert found["vgg", "int8"] == "this CPU has no 8-bit instructions"  # the image's reason comes first
    assert (found["vgg", "fp32"], found["lenet", "bf16"]) == ("", "")


def test_a_workload_skips_data_types_in_a_dialect_of_its_choice(bench: Bench) -> None:
    skip = {"dialect": "tensorflow1", "dtypes": ["bf16", "int8"], "reason": "it was saved in fp32"}
    bench.describe("lenet", skips=[skip])
    assert planned()["lenet", "bf16"] == ""
    found = planned(dialect="tensorflow1")
    assert (found["lenet", "bf16"], found["lenet", "fp32"]) == ("it was saved in fp32", "")
    assert found["lenet", "int8"] == "this CPU has no 8-bit instructions"
    assert found["vgg", "bf16"] == ""


def test_a_skip_without_data_types_is_of_the_whole_workload(bench: Bench) -> None:
    bench.describe("vgg", skips=[{"dialect": "pytorch", "reason": "its operators are not there"}])
    found = planned()
    assert {found["vgg", dtype] for dtype in ("fp32", "bf16", "bf16-fast-math")} == {"its operators are not there"}
    assert found["lenet", "fp32"] == ""
    assert planned(dialect="tensorflow")["vgg", "fp32"] == ""


def test_a_skip_can_speak_only_of_images_in_which_the_data_type_is_slow(bench: Bench) -> None:
    bench.describe("vgg", skips=[{"dialect": "pytorch", "dtypes": ["bf16"], "state": "slow", "reason": "minutes"}])
    said = {
        state: planned(dtypes=[{"name": "bf16", "state": state, "note": "a note"}])["vgg", "bf16"]
        for state in ("fast", "slow", "not run")
    }
    assert said == {"fast": "", "slow": "minutes", "not run": "a note"}


def test_a_skip_can_speak_of_one_backend(bench: Bench) -> None:
    skip = {"dialect": "pytorch", "backend": "openblas", "dtypes": ["fp32"], "reason": "minutes"}
    bench.describe("vgg", skips=[skip])
    said = {name: planned(backend={"name": name})["vgg", "fp32"] for name in ("acl", "openblas")}
    assert said == {"acl": "", "openblas": "minutes"}


def test_the_first_skip_that_fits_gives_the_reason(bench: Bench) -> None:
    skips = [
        {"dialect": "other", "reason": "of another dialect"},
        {"dialect": "pytorch", "dtypes": ["bf16"], "reason": "of bf16"},
        {"dialect": "pytorch", "reason": "of the whole"},
    ]
    bench.describe("vgg", skips=skips)
    found = planned()
    assert (found["vgg", "bf16"], found["vgg", "fp32"]) == ("of bf16", "of the whole")


def test_a_workload_that_shares_has_the_other_one_s_data_types_and_operations_and_skips_of_its_own(
    bench: Bench,
) -> None:
    skip = {"dialect": "pytorch", "dtypes": ["bf16"], "reason": "lenet's own"}
    bench.describe("lenet", skips=[skip], operations=["convolution", "matmul"], dtypes={"fp32": TOLERANCE, "bf16": {}})
    bare = dict.fromkeys(MANIFEST.keys() - {"name"})
    bench.describe("vgg", **bare, shares="lenet")
    found = planned()
    assert (found["lenet", "bf16"], found["vgg", "bf16"]) == ("lenet's own", "")
    assert found["vgg", "bf16-fast-math"] == "the manifest of vgg does not list it"
    operations = {one.operations for one in runs.list_runs(IMAGE) if (one.workload, one.dtype) == ("vgg", "fp32")}
    assert operations == {("convolution", "matmul")}
    own = {"dialect": "pytorch", "dtypes": ["fp32"], "reason": "vgg's own"}
    bench.describe("vgg", **bare, shares="lenet", skips=[own])
    found = planned()
    assert (found["lenet", "fp32"], found["vgg", "fp32"], found["vgg", "bf16"]) == ("", "vgg's own", "")


# --- what the workers say


@pytest.mark.usefixtures("bench")
def test_answers_kernels_and_the_core_are_collected_from_both_processes() -> None:
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
    assert [(one["workload"], one["dtype"]) for one in done.runs] == [("lenet", "fp32"), ("lenet", "bf16-fast-math")]
    for one in done.runs:
        assert one["kernels"] == done.table.of(one["workload"], one["dtype"])
        assert len(one["kernels"]) == 2
        assert {key: value for key, value in RUN.items() if key != "operators"}.items() <= one.items()
        assert "operators" not in one  # they are in the table of kernels


TELLING = """
told = {"pid": os.getpid(), "variable": os.environ.get("ONEDNN_DEFAULT_FPMATH_MODE"), "asked": names}
keys = [dict(zip(("workload", "dtype"), name.split(":"))) for name in names]
document = {"versions": {}, "runs": [{**key, **told, "operators": {}} for key in keys], "peak_memory_bytes": PEAK}
os.write(sink, json.dumps(document).encode())
"""


def test_fast_math_has_a_process_of_its_own_and_only_that_has_the_variable(bench: Bench) -> None:
    bench.work(TELLING.replace("PEAK", "7 if told['variable'] else 9"))
    asked = [Run(name, dtype, ("convolution",)) for name in ("lenet", "vgg") for dtype in ("fp32", FAST.dtype, "bf16")]
    done = runs.work(IMAGE, asked)
    plain, fast = done.runs[:4], done.runs[4:]
    assert {one["dtype"] for one in plain} == {"fp32", "bf16"}
    assert {one["dtype"] for one in fast} == {"bf16-fast-math"}
    assert [len({one["pid"] for one in part}) for part in (plain, fast)] == [1, 1]
    assert plain[0]["pid"] not in {fast[0]["pid"], os.getpid()}
    assert ({one["variable"] for one in plain}, {one["variable"] for one in fast}) == ({None}, {"BF16"})
    assert plain[0]["asked"] == ["lenet:fp32", "lenet:bf16", "vgg:fp32", "vgg:bf16"]
    assert done.peak_memory_bytes == 9 + 7


@pytest.mark.parametrize("some", [[LENET], [FAST], []], ids=["plain", "fast math", "nothing"])
def test_one_process_does_where_one_is_enough_and_with_nothing_to_run_the_framework_is_loaded_all_the_same(
    bench: Bench, some: list[Run]
) -> None:
    bench.work(f"open({str(bench.folder)!r} + '/' + str(os.getpid()) + '.pid', 'w').close()\n{GOOD_WORKER}")
    done = runs.work(IMAGE, some)
    assert done.versions == {"torch": "2.10.0", "oneDNN": "3.7.1"}
    assert len(done.runs) == len(some)
    assert len(list(bench.folder.glob("*.pid"))) == 1


def test_on_an_emulated_cpu_and_only_there_numpys_idle_threads_are_not_started(bench: Bench) -> None:
    bench.work("sys.exit(os.environ.get('OPENBLAS_NUM_THREADS', 'as usual'))")
    said = {emulated: runs.work(IMAGE, [LENET, FAST], emulated=emulated).failure for emulated in (True, False)}
    assert said == {True: "exit 1: 1", False: "exit 1: as usual"}


def test_an_image_without_fast_math_runs_the_rest(bench: Bench) -> None:
    bench.work(TELLING.replace("PEAK", "1"))
    done = runs.work({**IMAGE, "fast_math": None}, [LENET])
    assert (done.failure, done.runs[0]["variable"]) == ("", None)


def test_the_worker_is_told_to_trace_and_what_to_run(bench: Bench) -> None:
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
def test_a_worker_that_does_not_get_to_the_end_becomes_a_sentence_that_names_the_run_it_was_in(
    bench: Bench, script: str, complaint: str
) -> None:
    bench.work(script)
    done = runs.work(IMAGE, [LENET])
    assert (done.versions, done.runs, done.failure) == ({}, [], complaint)


def test_one_of_two_workers_that_dies_is_enough_for_a_complaint(bench: Bench) -> None:
    bench.work(f"if os.environ.get({FAST_MATH['name']!r}):\n    sys.exit('no bfloat16')\n{GOOD_WORKER}")
    done = runs.work(IMAGE, [LENET, FAST])
    assert done.failure == "exit 1: no bfloat16"
    assert [one["dtype"] for one in done.runs] == ["fp32"]


def test_answers_longer_than_a_pipe_holds_arrive_whole(bench: Bench) -> None:
    bench.work("""
        os.write(sink, json.dumps({"versions": {"x": "y" * 200_000}, "runs": [], "peak_memory_bytes": 1}).encode())
    """)
    done = runs.work(IMAGE, [])
    assert (len(done.versions["x"]), done.failure) == (200_000, "")
