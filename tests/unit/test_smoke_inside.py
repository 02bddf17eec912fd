"""The proof that runs inside an image: its checks on made-up readings, and a worker that does not get to the end."""

from __future__ import annotations

import hashlib
import json
import platform
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import smoke
import worker
from kernels import Row
from machine import Cpus, Emulation, Machine, Processor

from armwright import evidence

AsWorker = Callable[[str], None]
FEATURES = frozenset({"fp", "asimd", "aes", "atomics", "fphp", "asimdhp", "asimddp"})
PYTHON = ".".join(platform.python_version_tuple()[:2])
TARGET: dict[str, Any] = {
    "name": "n1",
    "title": "Arm Neoverse N1",
    "floor": ["fp", "asimd", "atomics", "asimddp"],
    "parts": ["0x41:0xd0c"],
    "vector_bytes": None,
}
TRACE = "onednn_verbose,v1,primitive,exec,cpu,convolution,indirect_gemm:acl,forward,,,,mb1,0.1"
RULE = {
    "source": "onednn", "operation": "convolution", "implementations": ["*:acl"], "optional": False, "reason": "a test",
}  # fmt: skip
WORKLOAD = {
    "name": "lenet", "samples": 100, "accuracy": 0.98, "minimum_accuracy": 0.97, "largest_error": 1e-6, "worst": 0.2,
    "operators": {"convolution": {"aten::mkldnn_convolution": 2}}, "seconds": 0.5,
}  # fmt: skip
IMAGE: dict[str, Any] = {
    "combo": "pytorch-2.10.0-n1-acl", "dialect": "pytorch", "title": "PyTorch 2.10.0", "distribution": "torch",
    "version": "2.10.0", "python": PYTHON, "target": TARGET, "backend": {"versions": {"oneDNN": "3.7.1"}},
    "smoke": {"workloads": ["lenet", "resnet"], "kernels": [RULE], "files": {}},
}  # fmt: skip
ANSWERS = {
    "versions": {"torch": "2.10.0", "oneDNN": "3.7.1"}, "workloads": [WORKLOAD], "peak_memory_bytes": 123_000_000,
}  # fmt: skip


def seen(*parts: str, features: frozenset[str] = FEATURES, vectors: int | None = None) -> Machine:
    return Machine(
        "aarch64",
        Processor(features, parts),
        vectors,
        Cpus(2, "all"),
        Emulation(emulated=True, name="QEMU", model="neoverse-n1"),
    )


N1 = seen("0x41:0xd0c")


@pytest.fixture
def as_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsWorker:
    """Put a script in the worker's place; it gets the words of the real one."""

    def put(script: str) -> None:
        head = "import json, os, sys\nsink, names = int(sys.argv[2]), sys.argv[3:]\n"
        (tmp_path / "worker.py").write_text(head + textwrap.dedent(script))
        monkeypatch.setattr(smoke, "HERE", tmp_path)

    return put


GOOD_WORKER = f"""
print("armwright-workload:lenet")
print({TRACE!r})
print("Core: neoversen1", file=sys.stderr)
os.write(sink, json.dumps({ANSWERS!r}).encode())
"""


def test_the_floor_names_what_is_missing() -> None:
    assert smoke.floor(TARGET, N1)["state"] == "pass"
    below = smoke.floor(TARGET, seen("0x41:0xd08", features=frozenset({"fp", "asimd"})))
    assert (below["state"], below["found"]) == ("fail", "missing: asimddp atomics")


@pytest.mark.parametrize(
    ("target", "machine", "state"),
    [
        ({}, N1, "pass"),
        ({}, seen("0x41:0xd40"), "fail"),
        ({}, seen("0x41:0xd0c", "0x41:0xd40"), "fail"),
        ({}, seen(), "fail"),  # a part that is not shown proves nothing
        ({"parts": ["*"]}, seen(), "pass"),
        ({"parts": ["0x41:0xd0c", "0x41:0xd40"]}, seen("0x41:0xd0c", "0x41:0xd40"), "pass"),
        ({"vector_bytes": 64}, seen("0x41:0xd0c", vectors=64), "pass"),
        ({"vector_bytes": 64}, seen("0x41:0xd0c", vectors=16), "fail"),
        ({"vector_bytes": 64}, N1, "fail"),
    ],
)
def test_the_cpu_must_be_the_one_that_is_meant(target: dict[str, Any], machine: Machine, state: str) -> None:
    assert smoke.meant_cpu({**TARGET, **target}, machine)["state"] == state


def test_a_changed_and_a_missing_file_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "HOME", tmp_path)
    digests = {}
    for name in ("a.py", "smoke/b.npz", "smoke/c.npz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
        digests[name] = hashlib.sha256(name.encode()).hexdigest()
    assert smoke.files(digests)["state"] == "pass"
    (tmp_path / "smoke/b.npz").write_bytes(b"smoke/b.npy")
    (tmp_path / "smoke/c.npz").unlink()
    wrong = smoke.files(digests)
    assert (wrong["state"], wrong["found"]) == ("fail", "changed: smoke/b.npz, smoke/c.npz")


def test_versions_are_compared_one_by_one_and_a_silent_library_is_not_right() -> None:
    found = {one["name"]: one["state"] for one in smoke.versions(IMAGE, {"torch": "2.10.0", "oneDNN": "3.7.2"})}
    assert found == {"version torch": "pass", "version oneDNN": "fail", "version python": "pass"}
    missing = smoke.versions({**IMAGE, "python": "2.7"}, {"oneDNN": "3.7.1"})
    assert [one["state"] for one in missing] == ["fail", "pass", "fail"]
    assert missing[0]["found"] == "not found"


@pytest.mark.parametrize(
    ("changes", "answers", "accuracy"),
    [
        ({}, "pass", "pass"),
        ({"worst": 1.0}, "pass", "pass"),
        ({"worst": 1.01}, "fail", "pass"),
        ({"worst": float("inf")}, "fail", "pass"),
        ({"worst": float("nan")}, "fail", "pass"),
        ({"accuracy": 0.96}, "pass", "fail"),
        ({"accuracy": float("nan")}, "pass", "fail"),
    ],
)
def test_answers_are_right_value_by_value_and_by_label(changes: dict[str, float], answers: str, accuracy: str) -> None:
    assert [one["state"] for one in smoke.graded({**WORKLOAD, **changes})] == [answers, accuracy]


def test_kernels_are_judged_on_the_meant_cpu_only_but_what_must_not_run_is_judged_everywhere() -> None:
    off = {**RULE, "operation": "*", "implementations": []}
    image = {"smoke": {"kernels": [RULE, off]}}
    rows = Counter([Row("lenet", "onednn", "convolution", "gemm:ref")])
    states = [one["state"] for one in smoke.judged(image, rows, on_meant_cpu=True)]
    assert states == ["fail", "fail"]
    here, everywhere = smoke.judged(image, rows, on_meant_cpu=False)
    assert (here["state"], everywhere["state"]) == ("not run", "fail")
    assert "what is right on this CPU is not known" in here["found"]


def test_a_worker_s_answers_kernels_and_core_are_collected(as_worker: AsWorker) -> None:
    as_worker(GOOD_WORKER)
    answers, rows, complaint = smoke.work("pytorch", ["lenet"])
    assert (answers, complaint) == (ANSWERS, "")
    assert rows == Counter(
        {
            Row("lenet", "onednn", "convolution", "indirect_gemm:acl"): 1,
            Row("", "openblas", "core", "neoversen1"): 1,
            Row("lenet", "profiler", "convolution", "aten::mkldnn_convolution"): 2,
        }
    )


def test_the_worker_is_told_to_trace_and_what_to_run(as_worker: AsWorker) -> None:
    as_worker("""
        print(os.environ["ONEDNN_VERBOSE"], os.environ["OPENBLAS_VERBOSE"], sys.argv[1], *names, file=sys.stderr)
        sys.exit(3)
    """)
    assert smoke.work("pytorch", ["lenet", "resnet"])[2] == "exit 3: 1 2 pytorch lenet resnet"


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("import signal; os.kill(os.getpid(), signal.SIGILL)", "signal 4: it said nothing"),
        ("print('bad opcode', file=sys.stderr, flush=True)\nos.abort()", "signal 6: bad opcode"),
        ("import nonsense_library", "exit 1: ModuleNotFoundError: No module named 'nonsense_library'"),
        ("sys.exit('libacl.so: cannot open shared object file')", "exit 1: libacl.so: cannot open shared object file"),
        ("pass", "exit 0: it said nothing"),
        ("os.write(int(sys.argv[2]), b'{\"versions\": ')", "exit 0: it said nothing"),
        ("print('a' * 500, '\\n\\n', file=sys.stderr)\nsys.exit(9)", f"exit 9: {'a' * 300}"),
        (f"{GOOD_WORKER}\nsys.exit(1)", "exit 1: Core: neoversen1"),
        ("os.write(2, b'\\xff\\xfe broken')\nsys.exit(1)", "exit 1: \ufffd\ufffd broken"),
    ],
)
def test_a_worker_that_does_not_get_to_the_end_becomes_a_sentence(
    as_worker: AsWorker, script: str, complaint: str
) -> None:
    as_worker(script)
    answers, _, said = smoke.work("pytorch", ["lenet"])
    assert (answers, said) == ({}, complaint)


def test_a_dead_worker_fails_the_import_check_and_nothing_is_proven(as_worker: AsWorker) -> None:
    as_worker("import signal; os.kill(os.getpid(), signal.SIGILL)")
    report = smoke.prove(IMAGE, ["lenet"], N1)
    checks = {one["name"]: one for one in report["checks"]}
    assert checks["import"]["state"] == "fail"
    assert checks["import"]["found"] == "signal 4: it said nothing"
    assert report["proven"] is False


def test_a_report_is_what_the_outside_expects(as_worker: AsWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    as_worker(GOOD_WORKER)
    monkeypatch.setattr(smoke.os, "getuid", lambda: 1000)
    report = evidence.load(json.loads(json.dumps(smoke.prove(IMAGE, ["lenet", "resnet"], N1))))
    assert [check.name for check in report.checks if check.state != "pass"] == []
    assert report.proven
    assert report.cpu.emulator == "QEMU neoverse-n1"
    assert report.workloads[0].accuracy == 0.98


def test_a_workload_that_was_not_asked_for_is_not_run_and_nothing_is_proven(
    as_worker: AsWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_worker(GOOD_WORKER)
    monkeypatch.setattr(smoke.os, "getuid", lambda: 1000)
    report = smoke.prove(IMAGE, ["lenet"], N1)
    assert [(one["name"], one["state"]) for one in report["checks"] if one["state"] != "pass"] == [
        ("workload resnet", "not run")
    ]
    assert report["proven"] is False
    assert "right so far, and not proven as a whole, in" in smoke.page(report)


def test_below_the_floor_on_purpose_what_the_cpu_lacks_is_not_run_and_wrong_answers_still_fail(
    as_worker: AsWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke.os, "getuid", lambda: 1000)
    smaller = seen("0x41:0xd08", features=frozenset({"fp", "asimd"}))
    for script, wrong in ((GOOD_WORKER, []), (GOOD_WORKER.replace("0.98", "0.5"), ["accuracy lenet"])):
        as_worker(script)
        report = smoke.prove(IMAGE, ["lenet", "resnet"], smaller, below_floor=True)
        states = {one["name"]: one["state"] for one in report["checks"]}
        assert (states["floor"], states["cpu"]) == ("not run", "not run")
        assert [name for name, state in states.items() if state == "fail"] == wrong
        assert report["proven"] is False


def test_root_is_never_proven(as_worker: AsWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    as_worker(GOOD_WORKER)
    monkeypatch.setattr(smoke.os, "getuid", lambda: 0)
    report = smoke.prove(IMAGE, ["lenet", "resnet"], N1)
    assert [one["name"] for one in report["checks"] if one["state"] == "fail"] == ["user"]
    assert "user: expected not root, found uid 0" in smoke.page(report)
    assert "NOT PROVEN in" in smoke.page(report)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "image.json").write_text(json.dumps(IMAGE))
    monkeypatch.setattr(smoke, "HOME", tmp_path)
    monkeypatch.setattr(smoke.machine, "read_machine", lambda _: N1)
    monkeypatch.setattr(smoke.os, "getuid", lambda: 1000)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "script", "code"),
    [
        ([], GOOD_WORKER, 0),
        (["--workload", "lenet"], GOOD_WORKER, 0),
        ([], "sys.exit(1)", 1),
        ([], GOOD_WORKER.replace("indirect_gemm:acl", "gemm:ref"), 1),
        ([], GOOD_WORKER.replace("0.98", "0.5"), 1),
    ],
    ids=["proven", "a part is right", "dead", "a reference kernel", "wrong answers"],
)
@pytest.mark.usefixtures("home")
def test_the_exit_code_says_whether_a_check_failed(
    as_worker: AsWorker, capsys: pytest.CaptureFixture[str], words: list[str], script: str, code: int
) -> None:
    as_worker(script)
    assert smoke.main([*words, "--json"]) == code
    assert json.loads(capsys.readouterr().out)["combo"] == "pytorch-2.10.0-n1-acl"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("words", [["--workload", "vgg"], ["--nonsense"], ["lenet"]])
def test_wrong_words_are_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        smoke.main(words)
    assert left.value.code == 2
    assert "usage: docker run IMAGE smoke" in capsys.readouterr().err


class Kit:
    """A framework in numpy: what it is told to answer."""

    def profiled(self, call: Callable[[], Any]) -> tuple[Any, dict[str, dict[str, int]]]:
        return call(), {"convolution": {}}


@pytest.mark.parametrize("answer", ["expected", "expected * float('nan')", "expected + float('inf')", "expected + 1"])
def test_answers_that_are_no_numbers_are_wrong_and_still_make_a_json_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    np = pytest.importorskip("numpy")
    folder = tmp_path / "tiny"
    folder.mkdir()
    logits = np.array([[1.0, 2.0], [3.0, 1.0]], dtype=np.float32)
    np.savez(folder / "weights.npz", w=logits)
    np.savez(folder / "inputs.npz", images=logits, labels=np.array([1, 0]))
    np.savez(folder / "expected.npz", logits=logits.astype(np.float64))
    (folder / "manifest.json").write_text(
        '{"tolerance": {"absolute": 1e-4, "relative": 1e-4}, "accuracy": {"minimum": 0.97}}'
    )
    (folder / "prepare.py").write_text("def prepare(images):\n    return images\n")
    (folder / "other.py").write_text(f"def forward(weights, expected):\n    return {answer}\n")
    monkeypatch.setattr(worker, "HERE", tmp_path)
    found = worker.run("tiny", "other", Kit())  # type: ignore[arg-type]
    json.dumps(found, allow_nan=False)
    assert (smoke.graded({"name": "tiny", **found})[0]["state"] == "pass") is (answer == "expected")


def test_the_weights_of_the_repository_compute_the_expected_logits() -> None:
    np = pytest.importorskip("numpy")
    folder = Path(worker.__file__).parent / "lenet"
    inputs, expected = worker.arrays(folder / "inputs.npz"), worker.arrays(folder / "expected.npz")
    manifest = json.loads((folder / "manifest.json").read_text())
    accuracy = np.mean(np.argmax(expected["logits"], axis=1) == inputs["labels"])
    assert accuracy >= manifest["accuracy"]["minimum"] >= 0.97
    assert np.isfinite(expected["logits"]).all()


def test_answers_longer_than_a_pipe_holds_arrive_whole(as_worker: AsWorker) -> None:
    as_worker("""
        import json
        os.write(int(sys.argv[2]), json.dumps({"versions": {"x": "y" * 200_000}, "workloads": []}).encode())
    """)
    answers, _, said = smoke.work("pytorch", [])
    assert (len(answers["versions"]["x"]), said) == (200_000, "")
