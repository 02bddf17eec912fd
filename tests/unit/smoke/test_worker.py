"""The worker process: the run of a workload and the comparison of its answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import answers
import checks
import numpy as np
import numpy.typing as npt
import pytest
import worker

Array = npt.NDArray[Any]
LOGITS = np.array([[1.0, 2.0], [3.0, 1.0]])
TOLERANCE = {"absolute": 1e-4, "relative": 1e-4}
WORKLOAD = """
import numpy as np
def prepare(inputs):
    return {"images": inputs["images"] * 2}
def score(answers, inputs):
    return np.mean(np.argmax(answers["logits"], axis=1) == inputs["labels"])
"""


class Kit:
    """A framework in NumPy that returns given answers."""

    PROFILED = frozenset({"convolution"})

    def profiled(self, call: Callable[[], Any]) -> tuple[Any, dict[str, dict[str, int]]]:
        return call(), {"convolution": {"one": 1}}


class Tiny:
    """A workload with two samples in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        np.savez(folder / "weights.npz", w=np.float32(LOGITS))
        np.savez(folder / "inputs.npz", images=np.float32(LOGITS), labels=np.array([1, 0]))
        np.savez(folder / "expected.npz", logits=LOGITS)
        self.write("workload.py", WORKLOAD)
        self.describe({"fp32": TOLERANCE}, "convolution", "matmul")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def describe(self, dtypes: dict[str, Any], *operations: str) -> None:
        manifest = {"metric": {"name": "accuracy", "minimum": 0.97}, "operations": operations, "dtypes": dtypes}
        self.write("manifest.json", json.dumps(manifest))

    def run(self, forward: str, dtype: str = "fp32") -> dict[str, Any]:
        self.write("other.py", f"import numpy as np\ndef forward(weights, inputs, dtype):\n    {forward}\n")
        return worker.run("tiny", dtype, "other", Kit())  # type: ignore[arg-type]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    monkeypatch.setattr(worker, "HERE", tmp_path)
    return Tiny(tmp_path / "tiny")


# --- a run


def test_a_run_reports_its_measurements(tiny: Tiny) -> None:
    result = tiny.run('return {"logits": weights["w"] + np.float32(1e-5)}')
    assert result.pop("seconds") >= 0
    numbers = result.pop("numbers")
    assert np.frombuffer(base64.b64decode(numbers["logits"]["data"]), "<f4").tolist() == pytest.approx(
        [1, 2, 3, 1], abs=1e-4
    )
    assert (result.pop("largest_error"), result.pop("worst")) == pytest.approx((1e-5, 1e-5 / 2e-4), rel=0.1)
    assert result == {
        "samples": 2,
        "metric": {"name": "accuracy", "value": 1.0, "minimum": 0.97},
        "operators": {"convolution": {"one": 1}},
        "answers": answers.digest(numbers),
    }


def test_profiler_runs_only_for_operations_it_reports(tiny: Tiny) -> None:
    tiny.describe({"fp32": TOLERANCE}, "matmul")
    result = tiny.run('return {"logits": weights["w"]}')
    assert (result["operators"], result["worst"]) == ({}, 0)


def test_a_framework_reads_what_the_workload_prepared(tiny: Tiny) -> None:
    assert tiny.run('return {"logits": inputs["images"] / 2}')["worst"] == 0


@pytest.mark.parametrize(
    ("dtype", "expected_dtype"), [("fp32", "fp32"), ("bf16", "bf16"), ("int8", "int8"), ("bf16-fast-math", "fp32")]
)
def test_forward_gets_the_data_type_and_fp32_for_fast_math(tiny: Tiny, dtype: str, expected_dtype: str) -> None:
    tiny.describe({dtype: TOLERANCE})
    assert (
        tiny.run(f'return {{"logits": weights["w"] * (1 if dtype == {expected_dtype!r} else 0)}}', dtype)["worst"] == 0
    )


def test_data_types_have_own_tolerances_and_metric_minimums(tiny: Tiny) -> None:
    tiny.describe({"fp32": TOLERANCE, "bf16": {"absolute": 1.0, "relative": 0, "minimum": 0.5}})
    forward = 'return {"logits": weights["w"] + np.float32(0.5)}'
    exact, rough = tiny.run(forward), tiny.run(forward, "bf16")
    assert exact["worst"] > 1 > rough["worst"]
    assert (exact["metric"]["minimum"], rough["metric"]["minimum"]) == (0.97, 0.5)


def test_data_type_may_use_fewer_samples(tiny: Tiny) -> None:
    tiny.describe({"fp32": TOLERANCE, "bf16": {**TOLERANCE, "samples": 1}})
    result = tiny.run('return {"logits": inputs["images"] / 2}', "bf16")
    assert (result["samples"], result["worst"], result["metric"]["value"]) == (1, 0, 1.0)
    assert tiny.run('return {"logits": inputs["images"] / 2}')["samples"] == 2


def test_workload_may_make_weights_even_scalars(tiny: Tiny) -> None:
    np.savez(tiny.folder / "weights.npz", scale=np.float32(2))
    assert tiny.run('return {"logits": inputs["images"] / weights["scale"]}')["worst"] == 0
    made = "def weights(folder):\n    return {'w': np.load(folder / 'expected.npz')['logits']}\n"
    tiny.write("workload.py", WORKLOAD + made)
    (tiny.folder / "weights.npz").unlink()
    assert tiny.run('return {"logits": weights["w"]}')["worst"] == 0


@pytest.mark.parametrize("answer", ["w", "w * float('nan')", "w + float('inf')", "w + 1"])
def test_nan_answers_are_wrong_and_fit_in_json(tiny: Tiny, answer: str) -> None:
    result = tiny.run(f'w = weights["w"]; return {{"logits": {answer}}}')
    json.dumps(result, allow_nan=False)
    (answers, _) = checks.grade({"workload": "tiny", "dtype": "fp32", **result})
    assert (answers["state"] == "pass") is (answer == "w")


# --- how answers are compared

EXPECTED = {"logits": LOGITS, "tokens": np.array([3, 1, 2])}


def compare(tolerance: dict[str, float] | None = None, **answers: Array | list[Any]) -> tuple[float, float]:
    given = {name: np.asarray(answer) for name, answer in answers.items()}
    return worker.compare({**EXPECTED, **given}, EXPECTED, tolerance or {"absolute": 0.1, "relative": 0})


def test_equal_answers_have_no_error() -> None:
    assert compare() == (0.0, 0.0)


def test_largest_error_is_a_multiple_of_the_tolerance() -> None:
    one_off = LOGITS + np.array([[0, 0.05], [0.2, 0]])
    assert compare(logits=one_off) == pytest.approx((0.2, 2.0))
    assert compare(logits=2 * LOGITS - one_off) == pytest.approx((0.2, 2.0))  # too small is as wrong as too large
    relative = {"absolute": 0.1, "relative": 0.1}  # 0.05 of 0.3, and 0.2 of 0.4
    assert compare(relative, logits=one_off) == pytest.approx((0.2, 0.5))


def test_a_missing_answer_and_one_of_another_shape_are_named() -> None:
    with pytest.raises(ValueError, match="the answer tokens is missing"):
        worker.compare({"logits": LOGITS}, EXPECTED, TOLERANCE)
    with pytest.raises(ValueError, match=r"the answer logits has the shape \(1, 2\), expected \(2, 2\)"):
        compare(logits=LOGITS[:1])
    with pytest.raises(ValueError, match=r"the answer tokens has the shape \(3, 1\), expected \(3,\)"):
        compare(tokens=[[3], [1], [2]])  # NumPy would stretch it


def test_answer_that_is_not_expected_is_ignored() -> None:
    assert compare(hidden=[float("nan")]) == (0.0, 0.0)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["logits", "tokens"])
def test_nan_is_a_huge_finite_error(name: str, wrong: float) -> None:
    given = EXPECTED[name].astype(np.float64)
    given.flat[0] = wrong
    largest, worst = worker.compare({**EXPECTED, name: given}, EXPECTED, TOLERANCE)
    assert worst > 1e300
    assert np.isfinite([largest, worst]).all()


@pytest.mark.parametrize("expected", [np.array([3, 1]), np.array([3, 1], np.uint8), np.array([True, False])])
def test_integers_have_no_tolerance(expected: Array) -> None:
    generous = {"absolute": 9.0, "relative": 9.0}
    assert worker.compare({"x": expected}, {"x": expected}, generous) == (0.0, 0.0)
    assert worker.compare({"x": expected.astype(np.float32)}, {"x": expected}, generous) == (0.0, 0.0)
    for off in (1, -1, 0.25):
        largest, worst = worker.compare({"x": expected + np.array([0, off])}, {"x": expected}, generous)
        assert (largest, worst > 1e300) == (0.0, True)


def test_without_tolerance_a_number_is_equal_or_wrong() -> None:
    bare = {"absolute": 0.0, "relative": 1e-3}
    expected = {"x": np.array([0.0, 1.0])}
    assert worker.compare({"x": np.array([0.0, 1.0])}, expected, bare) == (0.0, 0.0)
    assert worker.compare({"x": np.array([1e-9, 1.0])}, expected, bare)[1] > 1e300


def test_every_expected_array_counts() -> None:
    assert compare(logits=LOGITS + 0.05)[1] == pytest.approx(0.5)
    assert compare(logits=LOGITS + 0.05, tokens=[3, 1, 9])[1] > 1e300
