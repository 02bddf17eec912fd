"""The files of the LeNet-5 smoke workload are complete and correct, and detect one wrong weight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import worker

Array = npt.NDArray[Any]

FOLDER = Path(__file__).resolve().parents[3] / "scripts" / "smoke" / "lenet"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
SHAPES = {
    "conv1.weight": (6, 1, 5, 5),
    "conv1.bias": (6,),
    "conv2.weight": (16, 6, 5, 5),
    "conv2.bias": (16,),
    "fc1.weight": (120, 400),
    "fc1.bias": (120,),
    "fc2.weight": (84, 120),
    "fc2.bias": (84,),
    "fc3.weight": (10, 84),
    "fc3.bias": (10,),
}


def arrays(name: str) -> dict[str, Array]:
    with np.load(FOLDER / name, allow_pickle=False) as archive:
        return dict(archive)


workload = worker.load(FOLDER / "workload.py")


def prepare(images: Array) -> Array:
    prepared: Array = workload.prepare({"images": images})["images"]
    return prepared


WEIGHTS = arrays("weights.npz")
INPUTS = arrays("inputs.npz")
EXPECTED = arrays("expected.npz")
LOGITS = EXPECTED["logits"]


def kind(array: Array) -> str:
    return f"{array.dtype} {array.shape}"


def forward(weights: dict[str, Array], images: Array, number: type[np.floating[Any]]) -> Array:
    """Run LeNet-5 by windows and einsum: a different method from the one that made the expected logits."""
    w = {name: array.astype(number) for name, array in weights.items()}
    x = prepare(images).astype(number)
    for layer in ("conv1", "conv2"):
        views = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(2, 3))
        maps = np.einsum("nchwij,ocij->nohw", views, w[f"{layer}.weight"]) + w[f"{layer}.bias"].reshape(-1, 1, 1)
        count, channels, height, width = maps.shape
        x = np.maximum(maps, 0).reshape(count, channels, height // 2, 2, width // 2, 2).max(axis=(3, 5))
    x = x.reshape(len(x), -1)
    for layer in ("fc1", "fc2"):
        x = np.maximum(np.einsum("ni,oi->no", x, w[f"{layer}.weight"]) + w[f"{layer}.bias"], 0)
    logits: Array = np.einsum("ni,oi->no", x, w["fc3.weight"]) + w["fc3.bias"]
    return logits


def worst(logits: Array, expected: Array, dtype: str = "fp32") -> float:
    """Return the largest error as a multiple of the manifest's tolerance, as the smoke run does."""
    return worker.compare({"logits": logits}, {"logits": expected}, MANIFEST["dtypes"][dtype])[1]


def test_the_weights_have_the_documented_shapes() -> None:
    assert {name: array.shape for name, array in WEIGHTS.items()} == SHAPES
    assert {array.dtype for array in WEIGHTS.values()} == {np.dtype(np.float32)}


def test_the_weights_lie_on_the_grid_of_the_training() -> None:
    for array in WEIGHTS.values():
        assert np.array_equal(array * 2.0**16, np.round(array * 2.0**16))


def test_the_inputs_are_digits_as_stored_by_their_authors() -> None:
    assert set(INPUTS) == {"images", "labels"}
    assert kind(INPUTS["images"]) == "uint8 (360, 8, 8)"
    assert (INPUTS["images"].min(), INPUTS["images"].max()) == (0, 16)
    assert kind(INPUTS["labels"]) == "int64 (360,)"
    assert np.bincount(INPUTS["labels"]).min() >= 20
    assert len(np.bincount(INPUTS["labels"])) == 10


def test_the_expected_logits_belong_to_the_inputs() -> None:
    assert set(EXPECTED) == {"logits"}
    assert kind(LOGITS) == "float64 (360, 10)"
    assert np.isfinite(LOGITS).all()


def test_the_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 600_000


def test_prepare_spreads_each_pixel_over_its_block() -> None:
    image = np.zeros((2, 8, 8), dtype=np.uint8)
    image[1, 2, 7] = 16
    image[1, 0, 0] = 5
    prepared = prepare(image)
    assert kind(prepared) == "float32 (2, 1, 32, 32)"
    assert prepared.flags.c_contiguous
    assert not prepared[0].any()
    assert (prepared[1, 0, 8:12, 28:32] == 1).all()
    assert (prepared[1, 0, 0:4, 0:4] == 5 / 16).all()
    assert np.count_nonzero(prepared) == 2 * 16


def test_prepare_is_exact_and_does_not_change_its_input() -> None:
    before = INPUTS["images"].copy()
    prepared = prepare(INPUTS["images"])
    assert np.array_equal(INPUTS["images"], before)
    assert np.array_equal(prepared[:, 0], np.kron(before / 16, np.ones((4, 4))))


def test_the_expected_logits_come_out_of_another_method() -> None:
    assert np.abs(forward(WEIGHTS, INPUTS["images"], np.float64) - LOGITS).max() < 1e-9


def test_expected_logits_classify_the_digits_with_a_margin() -> None:
    assert (MANIFEST["metric"]["name"], MANIFEST["metric"]["minimum"]) == ("accuracy", 0.97)
    assert workload.score(EXPECTED, INPUTS) >= 0.98


def test_the_accuracy_is_the_share_of_right_digits() -> None:
    labels = np.arange(10)
    assert workload.score({"logits": np.eye(10)}, {"labels": labels}) == 1.0
    assert workload.score({"logits": np.eye(10)[::-1]}, {"labels": labels}) == 0.0
    wrong = np.eye(10)
    wrong[3, 7] = 2
    assert workload.score({"logits": wrong}, {"labels": labels}) == pytest.approx(0.9)
    assert workload.score({"logits": LOGITS[::-1]}, INPUTS) < 0.5


def test_rounding_within_the_tolerance_changes_no_answer() -> None:
    ordered = np.sort(LOGITS, axis=1)
    tolerance = MANIFEST["dtypes"]["fp32"]
    allowed = tolerance["absolute"] + tolerance["relative"] * np.abs(LOGITS).max()
    assert (ordered[:, -1] - ordered[:, -2]).min() > 2 * allowed


@pytest.mark.parametrize("dtype", MANIFEST["dtypes"])
def test_measured_rounding_changes_no_digit_of_a_data_type(
    dtype: str,
) -> None:
    tolerance = MANIFEST["dtypes"][dtype]
    few = tolerance.get("samples")
    read = {name: array[:few] for name, array in INPUTS.items()}
    assert workload.score({"logits": LOGITS[:few]}, read) >= tolerance.get("minimum", MANIFEST["metric"]["minimum"])
    ordered = np.sort(LOGITS[:few], axis=1)
    measured = tolerance["absolute"] / 4  # the tolerances are four times that at least
    assert (ordered[:, -1] - ordered[:, -2]).min() > 2 * measured


def test_float32_is_far_within_the_tolerance() -> None:
    assert worst(forward(WEIGHTS, INPUTS["images"], np.float32), LOGITS) < 1 / 20


def test_weights_in_half_precision_are_noticed() -> None:
    rounded = {name: array.astype(np.float16) for name, array in WEIGHTS.items()}
    assert worst(forward(rounded, INPUTS["images"], np.float64), LOGITS) > 2


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
@pytest.mark.parametrize("change", [1.0, -1.0])
def test_one_changed_convolution_weight_is_noticed(layer: str, change: float) -> None:
    some = 30  # digits; the smoke run has twelve times as many
    name = f"{layer}.weight"
    for place in np.random.default_rng(0).choice(WEIGHTS[name].size, 25, replace=False):
        changed = WEIGHTS[name].copy()
        changed.flat[place] += change
        logits = forward(WEIGHTS | {name: changed}, INPUTS["images"][:some], np.float64)
        assert worst(logits, LOGITS[:some]) > 1, f"{name}.flat[{place}]"


@pytest.mark.parametrize("layer", ["conv1", "conv2", "fc1", "fc2", "fc3"])
def test_weights_in_a_wrong_layout_fail_everywhere(layer: str) -> None:
    some = 60  # digits, as few as a data type reads
    name = f"{layer}.weight"
    turned = WEIGHTS[name][..., ::-1]
    logits = forward(WEIGHTS | {name: turned}, INPUTS["images"][:some], np.float64)
    assert {dtype for dtype in MANIFEST["dtypes"] if worst(logits, LOGITS[:some], dtype) <= 1} == set()
