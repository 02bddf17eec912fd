"""The files of the TinyVGG smoke workload are complete, correct and strict; the score follows its definition."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import worker

Array = npt.NDArray[Any]
Arrays = dict[str, Array]

FOLDER = Path(__file__).resolve().parents[3] / "scripts" / "smoke" / "tinyvgg"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
WORKLOAD = runpy.run_path(str(FOLDER / "workload.py"))
CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4")
LAYERS = (*CONVOLUTIONS, "dense")
DEAD = 1  # a map of conv3 that is zero on every texture


def arrays(name: str) -> Arrays:
    with np.load(FOLDER / name, allow_pickle=False) as archive:
        return dict(archive)


WEIGHTS, INPUTS, EXPECTED = arrays("weights.npz"), arrays("inputs.npz"), arrays("expected.npz")
LOGITS = EXPECTED["logits"]
IMAGES: Array = WORKLOAD["prepare"](INPUTS)["images"]


def kind(array: Array) -> str:
    return f"{array.dtype} {array.shape}"


def maps(weights: Arrays, images: Array, number: type[np.floating[Any]]) -> Arrays:
    """Run the convolutions by windows and einsum: a different method from the one that made the expected logits."""
    outputs, x = {}, images.astype(number)
    for name in CONVOLUTIONS:
        weight, bias = (weights[f"{name}.{part}"].astype(number) for part in ("weight", "bias"))
        views = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
        sums = np.einsum("nchwij,ocij->nohw", views, weight, optimize=True) + bias.reshape(-1, 1, 1)
        outputs[name] = x = np.maximum(sums, 0)
        if name in {"conv2", "conv4"}:
            count, channels, height, width = x.shape
            x = x.reshape(count, channels, height // 2, 2, width // 2, 2).max(axis=(3, 5))
    return {**outputs, "pooled": x.reshape(len(x), -1)}


def forward(weights: Arrays, images: Array, number: type[np.floating[Any]] = np.float64) -> Array:
    flat = maps(weights, images, number)["pooled"]
    return np.asarray(flat @ weights["dense.weight"].astype(number).T + weights["dense.bias"].astype(number))


def worst(logits: Array, dtype: str = "fp32") -> float:
    """Return the largest error as a multiple of the manifest's tolerance, as the smoke run does."""
    return worker.compare({"logits": logits}, {"logits": LOGITS[: len(logits)]}, MANIFEST["dtypes"][dtype])[1]


def read(dtype: str) -> int:
    """Return the number of textures that a data type runs."""
    return int(MANIFEST["dtypes"][dtype].get("samples", len(IMAGES)))


def to_bf16(array: Array) -> Array:
    """Round to the nearest number of eight significant bits."""
    mantissa, exponent = np.frexp(array)
    return np.asarray(np.ldexp(np.round(mantissa * 2.0**8) / 2.0**8, exponent), dtype=np.float32)


def test_the_weights_have_the_documented_shapes_and_grid() -> None:
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (10, 3, 3, 3), "dense.weight": (8, 160), "dense.bias": (8,)}
    shapes |= {f"{name}.weight": (10, 10, 3, 3) for name in CONVOLUTIONS[1:]}
    shapes |= {f"{name}.bias": (10,) for name in CONVOLUTIONS}
    assert {name: array.shape for name, array in WEIGHTS.items()} == shapes
    for array in WEIGHTS.values():
        assert array.dtype == np.float32
        assert np.array_equal(array * 2.0**14, np.round(array * 2.0**14))


def test_every_kind_of_texture_is_there_as_often_as_the_others() -> None:
    assert {name: kind(array) for name, array in INPUTS.items()} == {
        "patterns": "uint8 (48, 28, 28)", "colours": "uint8 (48, 2, 3)", "labels": "int64 (48,)",
    }  # fmt: skip
    assert np.bincount(INPUTS["labels"]).tolist() == [6] * 8
    assert len({pattern.tobytes() for pattern in INPUTS["patterns"]}) == 48


def test_the_expected_logits_belong_to_the_inputs() -> None:
    assert {name: kind(array) for name, array in EXPECTED.items()} == {"logits": "float64 (48, 8)"}
    assert np.isfinite(LOGITS).all()
    assert np.array_equal(LOGITS * 2.0**32, np.round(LOGITS * 2.0**32))


def test_the_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 100_000


def test_prepare_mixes_colours_exactly_and_keeps_its_input() -> None:
    before = {name: array.copy() for name, array in INPUTS.items()}
    images = WORKLOAD["prepare"](INPUTS)["images"]
    assert kind(images) == "float32 (48, 3, 28, 28)"
    assert images.flags.c_contiguous
    assert all(np.array_equal(INPUTS[name], array) for name, array in before.items())
    assert np.array_equal(images, to_bf16(images))
    share, colours = INPUTS["patterns"].astype(int), INPUTS["colours"].astype(int)
    for texture, channel, row, column in ((0, 0, 0, 0), (17, 1, 5, 20), (47, 2, 27, 27)):
        (first, second), part = colours[texture, :, channel], share[texture, row, column]
        mixed = (first * (255 - part) + second * part) // 255
        assert images[texture, channel, row, column] * 64 + 128 == mixed


def test_a_pattern_s_ends_are_the_two_colours() -> None:
    patterns = np.array([0, 255], dtype=np.uint8).reshape(1, 1, 2)
    colours = np.array([[[0, 128, 255], [192, 64, 1]]], dtype=np.uint8)
    images = WORKLOAD["prepare"]({"patterns": patterns, "colours": colours})["images"]
    assert images[0, :, 0].tolist() == [[-2, 1], [0, -1], [127 / 64, -127 / 64]]


def test_the_expected_logits_come_out_of_another_method() -> None:
    assert np.abs(forward(WEIGHTS, IMAGES) - LOGITS).max() < 1e-9


def test_the_expected_logits_recognise_the_textures() -> None:
    assert (MANIFEST["metric"]["name"], MANIFEST["metric"]["minimum"]) == ("accuracy", 0.95)
    assert WORKLOAD["score"](EXPECTED, INPUTS) == 47 / 48


def test_the_accuracy_is_the_share_of_right_textures() -> None:
    labels = np.arange(8)
    assert WORKLOAD["score"]({"logits": np.eye(8)}, {"labels": labels}) == 1
    assert WORKLOAD["score"]({"logits": np.eye(8)[::-1]}, {"labels": labels}) == 0
    wrong = np.eye(8)
    wrong[3, 7] = 2
    assert WORKLOAD["score"]({"logits": wrong}, {"labels": labels}) == 7 / 8
    assert WORKLOAD["score"]({"logits": np.full_like(LOGITS, np.nan)}, INPUTS) < 0.5
    assert WORKLOAD["score"]({"logits": LOGITS[::-1]}, INPUTS) < 0.5


@pytest.mark.parametrize("dtype", list(MANIFEST["dtypes"]))
def test_no_rounding_as_it_was_measured_turns_an_answer(dtype: str) -> None:
    tolerance, logits = MANIFEST["dtypes"][dtype], LOGITS[: read(dtype)]
    best = np.sort(logits, axis=1)[:, -2:]
    measured = (tolerance["absolute"] + tolerance["relative"] * np.abs(best)) / 3  # that is the least multiple
    assert (best[:, 1] - best[:, 0] > measured.sum(axis=1)).all()


def test_float32_is_far_within_the_tolerance() -> None:
    assert worst(forward(WEIGHTS, IMAGES, np.float32)) < 1 / 20


@pytest.mark.parametrize("rounded", ["fp16", "bf16"])
def test_weights_of_half_the_size_are_noticed_in_fp32(rounded: str) -> None:
    some = {name: to_bf16(array) if rounded == "bf16" else array.astype(np.float16) for name, array in WEIGHTS.items()}
    assert worst(forward(some, IMAGES)) > 10


def test_weights_of_bf16_are_within_the_tolerance_of_bf16() -> None:
    logits = forward({name: to_bf16(array) for name, array in WEIGHTS.items()}, IMAGES)
    assert 1 / 20 < worst(logits, "bf16") < 1 / 2


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", list(MANIFEST["dtypes"]))
def test_missing_bias_or_wrong_layout_fails(layer: str, dtype: str) -> None:
    bias, weight, images = f"{layer}.bias", f"{layer}.weight", IMAGES[: read(dtype)]
    for defect in (
        {bias: np.zeros_like(WEIGHTS[bias])}, {weight: WEIGHTS[weight][..., ::-1]}, {weight: WEIGHTS[weight][:, ::-1]}
    ):  # fmt: skip
        assert worst(forward(WEIGHTS | defect, images), dtype) > 1, list(defect)


def test_one_map_is_always_zero_and_all_others_are_used() -> None:
    outputs = maps(WEIGHTS, IMAGES, np.float64)
    zero = [(name, at) for name in CONVOLUTIONS for at in range(10) if not outputs[name][:, at].any()]
    assert zero == [("conv3", DEAD)]


@pytest.mark.parametrize("layer", CONVOLUTIONS)
@pytest.mark.parametrize("change", [1.0, -1.0])
def test_one_changed_weight_is_noticed(layer: str, change: float) -> None:
    name = f"{layer}.weight"
    places = [
        place for place in np.ndindex(*WEIGHTS[name].shape)
        if (layer, place[0]) != ("conv3", DEAD) and (layer, place[1]) != ("conv4", DEAD)
    ]  # fmt: skip
    for at in np.random.default_rng(0).choice(len(places), 8, replace=False):
        changed = WEIGHTS[name].copy()
        changed[places[at]] += change
        assert worst(forward(WEIGHTS | {name: changed}, IMAGES[:16])) > 1, places[at]
