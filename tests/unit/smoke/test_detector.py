"""The files of the detector smoke workload are complete, correct and strict; the score follows its definition."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Array = npt.NDArray[Any]
Arrays = dict[str, Array]

FOLDER = Path(__file__).resolve().parents[3] / "scripts" / "smoke" / "detector"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
WORKLOAD = runpy.run_path(str(FOLDER / "workload.py"))
LAYERS = {"conv1": 2, "conv2": 2, "conv3": 1, "conv4": 1, "conv5": 2, "head1": 1, "head2": 1}  # and their strides


def arrays(name: str) -> Arrays:
    with np.load(FOLDER / name, allow_pickle=False) as archive:
        return dict(archive)


WEIGHTS, INPUTS, EXPECTED = arrays("weights.npz"), arrays("inputs.npz"), arrays("expected.npz")
IMAGES = WORKLOAD["prepare"](INPUTS)["images"]


def kind(array: Array) -> str:
    return f"{array.dtype} {array.shape}"


def forward(weights: Arrays, images: Array, number: type[np.floating[Any]]) -> Arrays:
    """Run the detector by windows and einsum: a different method from the one that made the expected answers."""
    w = {name: array.astype(number) for name, array in weights.items()}

    def conv(x: Array, layer: str) -> Array:
        framed = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
        views = np.lib.stride_tricks.sliding_window_view(framed, (3, 3), axis=(2, 3))
        views = views[:, :, :: LAYERS[layer], :: LAYERS[layer]]
        maps = np.einsum("nchwij,ocij->nohw", views, w[f"{layer}.weight"], optimize=True)
        added: Array = maps + w[f"{layer}.bias"].reshape(-1, 1, 1)
        return added

    x = np.maximum(conv(np.maximum(conv(images.astype(number), "conv1"), 0), "conv2"), 0)
    x = np.maximum(conv(x, "conv3"), 0)
    x = x.reshape(*x.shape[:2], 6, 2, 6, 2).max(axis=(3, 5))
    fine = np.maximum(conv(x, "conv4"), 0)
    coarse = np.maximum(conv(fine, "conv5"), 0)
    heads = [np.moveaxis(conv(x, head), 1, -1) for x, head in ((fine, "head1"), (coarse, "head2"))]
    boxes = np.concatenate([head.reshape(len(head), -1, 8) for head in heads], axis=1)
    return {"logits": boxes[..., :4], "offsets": boxes[..., 4:]}


def worst(answers: Arrays, dtype: str = "fp32") -> float:
    """Return the largest error as a multiple of the manifest's tolerance."""
    tolerance, largest = MANIFEST["dtypes"][dtype], 0.0
    for name, answer in answers.items():
        right = EXPECTED[name][: len(answer)]
        allowed = tolerance["absolute"] + tolerance["relative"] * np.abs(right)
        largest = max(largest, float((np.abs(answer - right) / allowed).max()))
    return largest


def score(answers: Arrays) -> float:
    return float(WORKLOAD["score"](answers, INPUTS))


def to_bf16(array: Array) -> Array:
    """Round to the nearest number of eight significant bits."""
    mantissa, exponent = np.frexp(array)
    return np.asarray(np.ldexp(np.round(mantissa * 2.0**8) / 2.0**8, exponent), dtype=np.float32)


def test_the_weights_have_the_documented_shapes_and_grid() -> None:
    sizes = {"conv1": (12, 3), "conv2": (16, 12), "conv3": (24, 16), "conv4": (32, 24), "conv5": (24, 32)}
    sizes |= {"head1": (16, 32), "head2": (16, 24)}
    shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": (*size, 3, 3) for name, size in sizes.items()}
    shapes |= {f"{name}.bias": size[:1] for name, size in sizes.items()}
    assert {name: array.shape for name, array in WEIGHTS.items()} == shapes
    for array in WEIGHTS.values():
        assert array.dtype == np.float32
        assert np.array_equal(array * 2.0**14, np.round(array * 2.0**14))


def test_the_inputs_are_scenes_with_one_to_three_objects_each() -> None:
    assert set(INPUTS) == {"scenes", "objects"}
    assert kind(INPUTS["scenes"]) == "uint8 (24, 3, 48, 48)"
    assert (INPUTS["scenes"].min(), INPUTS["scenes"].max()) == (1, 14)
    assert kind(INPUTS["objects"]) == "int64 (24, 4, 5)"
    there = INPUTS["objects"][..., 0] > 0
    assert set(there.sum(axis=1)) == {1, 2, 3}
    assert np.bincount(INPUTS["objects"][..., 0][there], minlength=4)[1:].min() >= 10
    corners = INPUTS["objects"][there][:, 1:]
    assert (corners[:, 2:] - corners[:, :2]).min() >= 10
    assert corners.min() >= 0
    assert corners.max() <= 48
    assert not INPUTS["objects"][~there].any()


def test_the_expected_answers_belong_to_the_inputs() -> None:
    assert {name: kind(array) for name, array in EXPECTED.items()} == dict.fromkeys(
        ("logits", "offsets"), "float64 (24, 90, 4)"
    )
    assert all(np.isfinite(array).all() for array in EXPECTED.values())


def test_the_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 220_000


def test_prepare_scales_exactly_and_keeps_its_input() -> None:
    before = INPUTS["scenes"].copy()
    images = WORKLOAD["prepare"](INPUTS)["images"]
    assert kind(images) == "float32 (24, 3, 48, 48)"
    assert images.flags.c_contiguous
    assert np.array_equal(INPUTS["scenes"], before)
    assert np.array_equal(images * 8 + 8, before)
    assert np.array_equal(images, to_bf16(images))


def test_the_expected_answers_come_out_of_another_method() -> None:
    for name, answer in forward(WEIGHTS, IMAGES, np.float64).items():
        assert np.abs(answer - EXPECTED[name]).max() < 2.0**-19 + 1e-9


def test_expected_answers_find_the_objects_with_a_margin() -> None:
    assert MANIFEST["metric"]["name"] == "mean average precision"
    assert MANIFEST["metric"]["minimum"] == 0.9
    assert score(EXPECTED) > 0.95


def test_float32_is_far_within_the_tolerance() -> None:
    assert worst(forward(WEIGHTS, IMAGES, np.float32)) < 1 / 20


@pytest.mark.parametrize("rounded", ["fp16", "bf16"])
def test_weights_of_half_the_size_are_noticed_in_fp32(rounded: str) -> None:
    some = {name: to_bf16(array) if rounded == "bf16" else array.astype(np.float16) for name, array in WEIGHTS.items()}
    assert worst(forward(some, IMAGES, np.float64)) > 2


def test_weights_of_bf16_are_within_the_tolerance_of_bf16() -> None:
    rounded = {name: to_bf16(array) for name, array in WEIGHTS.items()}
    assert 1 / 20 < worst(forward(rounded, IMAGES, np.float64), "bf16") < 1 / 2


@pytest.mark.parametrize("layer", list(LAYERS))
def test_missing_bias_or_wrong_layout_fails_everywhere(layer: str) -> None:
    bias, weight = f"{layer}.bias", f"{layer}.weight"
    without = forward(WEIGHTS | {bias: np.zeros_like(WEIGHTS[bias])}, IMAGES[:6], np.float64)
    mirrored = forward(WEIGHTS | {weight: WEIGHTS[weight][..., ::-1]}, IMAGES[:6], np.float64)
    for dtype in MANIFEST["dtypes"]:
        assert worst(mirrored, dtype) > 1, dtype
        small = dtype.startswith("bf16") and layer.startswith("head")  # as small as the rounding: the manifest says so
        assert small or worst(without, dtype) > 1, dtype


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3"])  # above, a few of the maps are silent on these scenes
def test_one_changed_weight_is_noticed(layer: str) -> None:
    name = f"{layer}.weight"
    for place in np.random.default_rng(0).choice(WEIGHTS[name].size, 8, replace=False):
        changed = WEIGHTS[name].copy()
        changed.flat[place] += 1
        assert worst(forward(WEIGHTS | {name: changed}, IMAGES[:6], np.float64)) > 1, f"{name}.flat[{place}]"


def exact() -> Arrays:
    """Make answers that find every object of the scenes, one default box each, and nothing else."""
    defaults = WORKLOAD["default_boxes"]()
    logits, offsets = np.zeros((24, 90, 4)), np.zeros((24, 90, 4))
    logits[..., 0] = 20
    for scene, objects in enumerate(INPUTS["objects"]):
        for seat, (kind_, *corner) in enumerate(objects[objects[:, 0] > 0]):
            left, top, right, bottom = corner
            logits[scene, seat, kind_] = 40
            wanted = np.array([left + right, top + bottom]) / 2, np.array([right - left, bottom - top])
            offsets[scene, seat, :2] = (wanted[0] - defaults[seat, :2]) / defaults[seat, 2:] / 0.1
            offsets[scene, seat, 2:] = np.log(wanted[1] / defaults[seat, 2:]) / 0.2
    return {"logits": logits, "offsets": offsets}


def test_the_default_boxes_fill_both_maps() -> None:
    boxes = WORKLOAD["default_boxes"]()
    assert boxes.shape == (90, 4)
    assert boxes[1].tolist() == [4, 4, 18, 18]
    assert boxes[2].tolist() == [12, 4, 12, 12]
    assert boxes[71].tolist() == [44, 44, 18, 18]
    assert boxes[72].tolist() == [8, 8, 24, 24]


def test_every_object_found_and_nothing_else_scores_one() -> None:
    assert score(exact()) == 1


def test_an_object_that_is_not_found_costs_its_share() -> None:
    answers = exact()
    answers["logits"][:, :, 3] = 0  # no triangle
    assert score(answers) == pytest.approx(2 / 3)


def test_boxes_that_share_too_little_are_wrong() -> None:
    answers = exact()
    answers["offsets"][..., 2:] += np.log(1.5) / 0.2  # 1 / 2.25 is less than half
    assert score(answers) == 0


def test_an_object_found_twice_is_a_wrong_claim_the_second_time() -> None:
    box, away = np.array([0.0, 0, 10, 10]), np.array([0.0, 0, 10, 8])
    precision = WORKLOAD["average_precision"]
    assert precision([(0.9, 0, box), (0.8, 1, box)], [box[None], box[None]]) == 1
    assert precision([(0.9, 0, box), (0.8, 0, away), (0.7, 1, box)], [box[None], box[None]]) == pytest.approx(5 / 6)
    assert precision([(0.9, 0, away)], [np.zeros((0, 4)), box[None]]) == 0
    assert precision([], [box[None]]) == 0


def test_precision_at_a_recall_is_the_largest_from_there_on() -> None:
    box, none = np.array([0.0, 0, 10, 10]), np.array([20.0, 20, 30, 30])
    claims = [(0.9, 0, none), (0.8, 0, box), (0.7, 1, box), (0.6, 2, none)]
    assert WORKLOAD["average_precision"](claims, [box[None]] * 4) == pytest.approx(2 / 3 * 2 / 4)


def test_suppression_keeps_the_most_confident_box() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 4], [20, 20, 30, 30]])
    assert WORKLOAD["suppress"](boxes, np.array([0.6, 0.9, 0.5, 0.7])) == [1, 3, 2]


def test_wrong_answers_score_below_the_minimum() -> None:
    minimum = MANIFEST["metric"]["minimum"]
    assert score({name: array[::-1] for name, array in EXPECTED.items()}) < minimum
    assert score({name: np.zeros_like(array) for name, array in EXPECTED.items()}) < minimum
    assert score({**EXPECTED, "logits": EXPECTED["logits"][..., [0, 2, 1, 3]]}) < minimum
    for wrong in (np.nan, np.inf, -np.inf):
        assert score({name: np.full_like(array, wrong) for name, array in EXPECTED.items()}) < minimum


def test_rounding_within_the_tolerance_of_bf16_keeps_the_score() -> None:
    random = np.random.default_rng(0)
    tolerance = MANIFEST["dtypes"]["bf16"]
    for _ in range(3):
        moved = {}
        for name, array in EXPECTED.items():
            allowed = tolerance["absolute"] + tolerance["relative"] * np.abs(array)
            moved[name] = array + random.uniform(-1, 1, array.shape) * allowed
        assert score(moved) >= MANIFEST["metric"]["minimum"]
