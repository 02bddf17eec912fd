"""The whole smoke run: its report, its exit code, and the causes of a failure."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import screen
import smoke
from kernels import Row, Table
from machine import Machine
from runs import Answers, Run

from armwright.proof import evidence
from tests.inside import FAST_MATH, GOOD_WORKER, IMAGE, N1, RULE, Bench, seen

WORKLOADS = ("lenet", "vgg")
DTYPES = ("fp32", "bf16", "int8", "bf16-fast-math")
Report = dict[str, Any]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("os.getuid", lambda: 1000)
    return Bench(tmp_path, monkeypatch)


def prove(
    workloads: tuple[str, ...] = WORKLOADS,
    dtypes: tuple[str, ...] = DTYPES,
    machine: Machine = N1,
    **options: bool,
) -> Report:
    report = smoke.prove(IMAGE, workloads, dtypes, machine, **options)
    assert report.pop("numbers") == {f"{run['workload']} {run['dtype']}": {} for run in report["runs"]}
    document: Report = json.loads(json.dumps(report, allow_nan=False))
    evidence.parse_report(document)  # the report stays valid even if checks fail
    return document


def states(report: Report) -> dict[str, str]:
    """Return the checks that did not pass."""
    assert len({check["name"] for check in report["checks"]}) == len(report["checks"])
    return {check["name"]: check["state"] for check in report["checks"] if check["state"] != "pass"}


@pytest.mark.usefixtures("bench")
def test_proven_image_passes_all_checks_in_all_data_types() -> None:
    report = prove()
    assert (states(report), report["passed"]) == ({}, True)
    names = [check["name"] for check in report["checks"]]
    ran = [f"{workload} {dtype}" for dtype in ("fp32", "bf16", "bf16-fast-math") for workload in WORKLOADS]
    assert {f"{head} {name}" for head in ("answers", "accuracy") for name in ran} <= set(names)
    assert sorted(f"{run['workload']} {run['dtype']}" for run in report["runs"]) == sorted(ran)
    assert {
        "floor", "cpu", "user", "files", "precision", "import", "version torch", "version oneDNN", "version python",
        "kernels convolution-fp32", "kernels convolution-fast-math", "kernels nothing-bf16",
        "kernels convolution-operator", "kernels core", "kernels known",
    } <= set(names)  # fmt: skip
    assert report["cpu"]["emulator"] == "QEMU neoverse-n1"
    assert [kernel["implementation"] for kernel in report["loaded"]] == ["neoversen1"]
    assert {(run["workload"], run["dtype"]) for run in report["not_run"]} == {("lenet", "int8"), ("vgg", "int8")}


@pytest.mark.parametrize(
    ("workloads", "dtypes", "left_out"),
    [
        (("lenet",), DTYPES, ["run vgg fp32", "run vgg bf16", "run vgg bf16-fast-math"]),
        (WORKLOADS, ("fp32", "bf16", "int8"), ["run lenet bf16-fast-math", "run vgg bf16-fast-math"]),
    ],
)
@pytest.mark.usefixtures("bench")
def test_unselected_runs_are_skipped_and_prove_nothing(
    workloads: tuple[str, ...], dtypes: tuple[str, ...], left_out: list[str]
) -> None:
    report = prove(workloads, dtypes)
    assert states(report) == dict.fromkeys(left_out, "not run")
    assert report["passed"] is False
    assert "no check failed, but not all were run, in" in screen.page(report)


@pytest.mark.usefixtures("bench")
def test_selecting_a_skipped_run_reports_its_reason() -> None:
    report = prove(dtypes=("int8",))
    assert set(states(report).values()) == {"not run"}  # the framework loads, and its versions are right
    assert (report["runs"], report["versions"]["torch"]) == ([], "2.10.0")
    assert "this CPU has no 8-bit instructions" in screen.page(report)


def test_crashed_worker_fails_the_import_check_with_its_run(bench: Bench) -> None:
    bench.work("import signal; print('armwright-run:vgg bf16', flush=True); os.kill(os.getpid(), signal.SIGILL)")
    report = prove()
    assert states(report) == {"import": "fail"}
    (check,) = [check for check in report["checks"] if check["name"] == "import"]
    assert check["found"] == "signal 4 in vgg bf16: no error output"
    assert report["passed"] is False
    assert "import: expected PyTorch 2.10.0 loads, found signal 4 in vgg bf16" in screen.page(report)


CONVOLUTIONS = ["kernels convolution-fast-math", "kernels convolution-fp32"]


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("'worst': 0.2", "'worst': 1.5 if name == 'vgg:bf16' else 0.2", ["answers vgg bf16"]),
        ("'value': 0.98", "'value': 0.5 if name == 'vgg:fp32' else 0.98", ["accuracy vgg fp32"]),
        ("indirect_gemm:acl", "gemm:ref", CONVOLUTIONS),
        ('if dtype != "bf16"', "if dtype", ["kernels nothing-bf16"]),
        ("attr-fpmath:bf16", "attr-fpmath:any", ["kernels convolution-fast-math"]),
        ("src:f32", "src:s8", CONVOLUTIONS),
        ("exec,cpu,convolution", "exec,cpu,softmax", [*CONVOLUTIONS, "kernels known"]),
        ("aten::convolution", "Conv2D", ["kernels convolution-operator"]),
        ("neoversen1", "armv8", ["kernels core"]),
        ('print("Core: neoversen1", file=sys.stderr)', "", ["kernels core"]),
        ('"oneDNN": "3.7.1"', '"oneDNN": "3.7.2"', ["version oneDNN"]),
    ],
)
def test_what_is_wrong_is_named_by_its_check(bench: Bench, old: str, new: str, wrong: list[str]) -> None:
    assert old in GOOD_WORKER
    bench.work(GOOD_WORKER.replace(old, new))
    report = prove()
    assert states(report) == dict.fromkeys(wrong, "fail")
    assert report["passed"] is False


def test_below_the_floor_wrong_answers_still_fail(bench: Bench) -> None:
    smaller = seen("0x41:0xd08", features=frozenset({"fp", "asimd"}))
    for script, wrong in ((GOOD_WORKER, set()), (GOOD_WORKER.replace("0.98", "0.5"), {"accuracy"})):
        bench.work(script)
        report = prove(machine=smaller, below_floor=True)
        state_of = states(report)
        assert (state_of["floor"], state_of["cpu"]) == ("not run", "not run")
        assert {name.split()[0] for name, state in state_of.items() if state == "fail"} == wrong
        assert report["passed"] is False
    assert states(prove(machine=smaller))["floor"] == "fail"


def test_root_is_never_proven(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    del bench
    monkeypatch.setattr("os.getuid", lambda: 0)
    report = prove()
    assert states(report) == {"user": "fail"}
    assert "user: expected not root, found uid 0" in screen.page(report)
    assert "FAILED in" in screen.page(report)


def test_fast_math_for_the_whole_process_proves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    del bench
    monkeypatch.setenv(FAST_MATH["name"], "BF16")
    state_of = states(prove())
    assert state_of["precision"] == "fail"
    assert state_of["kernels convolution-fp32"] == "fail"  # the products of fp32 models are those of bfloat16


def test_forbidden_kernels_are_checked_on_every_cpu() -> None:
    off = {**RULE, "id": "nothing", "operation": "*", "implementations": [], "types": "*"}
    image = {"smoke": {"kernels": [RULE, off]}}
    table = Table()
    table.add(Row("lenet", "fp32", "onednn", "convolution", "gemm:ref", "f32"))
    table.add(Row("lenet", "bf16", "onednn", "softmax", "acl", "f32"))
    answers, selected = Answers({}, [], 0, table, ""), [Run("lenet", "fp32", ("convolution",))]
    assert [check["state"] for check in smoke.judge_kernels(image, answers, selected, on_meant_cpu=True)] == [
        "fail"
    ] * 3
    here, everywhere, known = smoke.judge_kernels(image, answers, selected, on_meant_cpu=False)
    assert (here["state"], everywhere["state"], known["state"]) == ("not run", "fail", "not run")
    assert "the rule is for another CPU" in here["found"]


def test_kernel_checks_carry_their_rule_and_its_reason() -> None:
    answers = Answers({}, [], 0, Table(), "")
    judged, known = smoke.judge_kernels({"smoke": {"kernels": [RULE]}}, answers, [], on_meant_cpu=True)
    assert (judged["name"], judged["rule"], judged["reason"]) == (
        "kernels convolution-fp32",
        RULE["id"],
        RULE["reason"],
    )
    assert "rule" not in known


def test_unselected_run_needs_no_kernel() -> None:
    image = {"smoke": {"kernels": [RULE]}}
    answers = Answers({}, [], 0, Table(), "")
    for reason, state in (("", "fail"), ("skipped", "pass")):
        run = Run("lenet", "fp32", () if reason else ("convolution",), reason)
        counts = Counter(check["state"] for check in smoke.judge_kernels(image, answers, [run], on_meant_cpu=True))
        assert (counts[state] > 0, counts["fail"] > 0) == (True, state == "fail")


@pytest.fixture
def home(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    (bench.folder / "image.json").write_text(json.dumps(IMAGE))
    monkeypatch.setattr(smoke, "HOME", bench.folder)
    monkeypatch.setattr("machine.read_machine", lambda _: N1)
    return bench


@pytest.mark.parametrize(
    ("arguments", "script", "code"),
    [
        ([], GOOD_WORKER, 0),
        (["--workload", "lenet"], GOOD_WORKER, 0),
        (["--dtype", "fp32", "--dtype", "int8"], GOOD_WORKER, 0),
        ([], "sys.exit(1)", 1),
        ([], GOOD_WORKER.replace("indirect_gemm:acl", "gemm:ref"), 1),
        ([], GOOD_WORKER.replace("0.98", "0.5"), 1),
    ],
    ids=["proven", "a part is right", "two data types are right", "dead", "a reference kernel", "wrong answers"],
)
def test_the_exit_code_says_whether_a_check_failed(
    home: Bench, capsys: pytest.CaptureFixture[str], arguments: list[str], script: str, code: int
) -> None:
    home.work(script)
    assert smoke.main([*arguments, "--json"]) == code
    assert json.loads(capsys.readouterr().out)["combo"] == "pytorch-2.10.0-n1-acl"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("arguments", [["--workload", "vgh"], ["--dtype", "fp64"], ["--nonsense"], ["lenet"]])
def test_wrong_arguments_are_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        smoke.main(arguments)
    assert left.value.code == 2
    assert "usage: docker run IMAGE smoke" in capsys.readouterr().err
