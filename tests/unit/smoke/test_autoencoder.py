"""The files of the auto-encoder smoke workload are complete, correct and strict; the score follows its definition."""

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

FOLDER = Path(__file__).resolve().parents[3] / "scripts" / "smoke" / "autoencoder"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
WORKLOAD = runpy.run_path(str(FOLDER / "workload.py"))
LAYERS = ("encode1", "encode2", "encode3", "decode1", "decode2", "decode3")


def arrays(name: str) -> Arrays:
    with np.load(FOLDER / name, allow_pickle=False) as archive:
        return dict(archive)


WEIGHTS, INPUTS, EXPECTED = arrays("weights.npz"), arrays("inputs.npz"), arrays("expected.npz")
IMAGES = WORKLOAD["prepare"](INPUTS)["images"]


def kind(array: Array) -> str:
    return f"{array.dtype} {array.shape}"


def convolved(x: Array, weight: Array, stride: int, margin: int) -> Array:
    framed = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    views = np.lib.stride_tricks.sliding_window_view(framed, (4, 4), axis=(2, 3))[:, :, ::stride, ::stride]
    maps: Array = np.einsum("nchwij,ocij->nohw", views, weight, optimize=True)
    return maps


def forward(weights: Arrays, images: Array, number: type[np.floating[Any]]) -> Arrays:
    """Run the network by windows and einsum, not by the method that made the expected answers."""
    w = {name: array.astype(number) for name, array in weights.items()}
    x = codes = images = images.astype(number)
    for name in LAYERS:
        weight, bias = w[f"{name}.weight"], w[f"{name}.bias"].reshape(-1, 1, 1)
        if name.startswith("encode"):
            x = convolved(x, weight, 2, 1) + bias
        else:
            wide = np.zeros((*x.shape[:2], 2 * x.shape[2] - 1, 2 * x.shape[3] - 1), dtype=number)
            wide[:, :, ::2, ::2] = x
            x = convolved(wide, weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1], 1, 2) + bias
        codes = x if name == "encode3" else codes
        x = x if name in {"encode3", "decode3"} else np.maximum(x, 0)
    drawn = 1 / (1 + np.exp(-x))
    return {"codes": codes, "reconstructions": drawn[:8], "errors": ((drawn - images) ** 2).sum(axis=(1, 2, 3))}


def worst(answers: Arrays, dtype: str = "fp32") -> float:
    """Return the largest error as a multiple of the manifest's tolerance."""
    tolerance, largest = MANIFEST["dtypes"][dtype], 0.0
    for name, answer in answers.items():
        right = EXPECTED[name][: len(answer)]
        allowed = tolerance["absolute"] + tolerance["relative"] * np.abs(right)
        largest = max(largest, float((np.abs(answer - right) / allowed).max()))
    return largest


def score(errors: Array, faults: Array = INPUTS["faults"]) -> float:
    return float(WORKLOAD["score"]({"errors": errors}, {"faults": faults}))


def to_bf16(array: Array) -> Array:
    """Round to the nearest number of eight significant bits."""
    mantissa, exponent = np.frexp(array)
    return np.asarray(np.ldexp(np.round(mantissa * 2.0**8) / 2.0**8, exponent), dtype=np.float32)


def test_the_weights_have_the_documented_shapes_and_grid() -> None:
    halving = {"encode1": (8, 1), "encode2": (16, 8), "encode3": (8, 16)}
    doubling = {"decode1": (8, 16), "decode2": (16, 8), "decode3": (8, 1)}
    shapes: dict[str, tuple[int, ...]] = {
        f"{name}.weight": (*size, 4, 4) for name, size in (halving | doubling).items()
    }
    shapes |= {f"{name}.bias": size[:1] for name, size in halving.items()}
    shapes |= {f"{name}.bias": size[1:] for name, size in doubling.items()}
    assert {name: array.shape for name, array in WEIGHTS.items()} == shapes
    for array in WEIGHTS.values():
        assert array.dtype == np.float32
        assert np.array_equal(array * 2.0**14, np.round(array * 2.0**14))


def test_half_of_the_pieces_are_sound() -> None:
    assert set(INPUTS) == {"images", "faults"}
    assert kind(INPUTS["images"]) == "uint8 (64, 32, 32)"
    assert (INPUTS["images"].min(), INPUTS["images"].max()) == (0, 15)
    assert kind(INPUTS["faults"]) == "int64 (64,)"
    assert np.bincount(INPUTS["faults"]).tolist() == [32, 11, 11, 10]


def test_the_expected_answers_belong_to_the_inputs() -> None:
    assert {name: kind(array) for name, array in EXPECTED.items()} == {
        "codes": "float64 (64, 8, 4, 4)", "reconstructions": "float64 (8, 1, 32, 32)", "errors": "float64 (64,)",
    }  # fmt: skip
    assert all(np.isfinite(array).all() for array in EXPECTED.values())


def test_the_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 150_000


def test_prepare_scales_exactly_and_keeps_its_input() -> None:
    before = INPUTS["images"].copy()
    images = WORKLOAD["prepare"](INPUTS)["images"]
    assert kind(images) == "float32 (64, 1, 32, 32)"
    assert images.flags.c_contiguous
    assert np.array_equal(INPUTS["images"], before)
    assert np.array_equal(images[:, 0] * 16, before)
    assert np.array_equal(images, to_bf16(images))


def test_the_expected_answers_come_out_of_another_method() -> None:
    for name, answer in forward(WEIGHTS, IMAGES, np.float64).items():
        assert np.abs(answer - EXPECTED[name]).max() < 2.0**-21 + 1e-9


def test_expected_errors_separate_faults_with_a_margin() -> None:
    assert MANIFEST["metric"]["name"] == "area under the ROC curve"
    assert MANIFEST["metric"]["minimum"] == 0.95
    assert score(EXPECTED["errors"]) > 0.97


def test_float32_is_far_within_the_tolerance() -> None:
    assert worst(forward(WEIGHTS, IMAGES, np.float32)) < 1 / 20


@pytest.mark.parametrize("rounded", ["fp16", "bf16"])
def test_weights_of_half_the_size_are_noticed_in_fp32(rounded: str) -> None:
    some = {name: to_bf16(array) if rounded == "bf16" else array.astype(np.float16) for name, array in WEIGHTS.items()}
    assert worst(forward(some, IMAGES, np.float64)) > 2


def test_weights_of_bf16_are_within_the_tolerance_of_bf16() -> None:
    rounded = {name: to_bf16(array) for name, array in WEIGHTS.items()}
    assert 1 / 20 < worst(forward(rounded, IMAGES, np.float64), "bf16") < 1 / 2


@pytest.mark.parametrize("layer", LAYERS)
def test_missing_bias_or_wrong_layout_fails_everywhere(layer: str) -> None:
    bias, weight = f"{layer}.bias", f"{layer}.weight"
    without = forward(WEIGHTS | {bias: np.zeros_like(WEIGHTS[bias])}, IMAGES, np.float64)
    mirrored = forward(WEIGHTS | {weight: WEIGHTS[weight][..., ::-1]}, IMAGES, np.float64)
    for dtype in MANIFEST["dtypes"]:
        assert worst(without, dtype) > 1, dtype
        assert worst(mirrored, dtype) > 1, dtype


@pytest.mark.parametrize("layer", LAYERS)
def test_one_changed_weight_is_noticed(layer: str) -> None:
    name = f"{layer}.weight"
    for place in np.random.default_rng(0).choice(WEIGHTS[name].size, 8, replace=False):
        changed = WEIGHTS[name].copy()
        changed.flat[place] += 1
        assert worst(forward(WEIGHTS | {name: changed}, IMAGES[:24], np.float64)) > 1, f"{name}.flat[{place}]"


def test_the_area_is_the_share_of_pairs_in_the_right_order() -> None:
    faults = np.array([0, 1, 0, 3])
    assert score(np.array([1.0, 2, 1, 3]), faults) == 1
    assert score(np.array([2.0, 1, 3, 1]), faults) == 0
    assert score(np.array([1.0, 1, 2, 3]), faults) == (0.5 + 0 + 1 + 1) / 4
    assert score(np.ones(4), faults) == 0.5


def test_wrong_errors_score_below_the_minimum() -> None:
    minimum = MANIFEST["metric"]["minimum"]
    errors = EXPECTED["errors"]
    for wrong in (-errors, errors[::-1], np.zeros(64), np.full(64, np.nan), np.full(64, np.inf)):
        assert score(wrong) < minimum
    assert score((IMAGES.astype(np.float64) ** 2).sum(axis=(1, 2, 3))) < minimum  # nothing was drawn


@pytest.mark.parametrize("dtype", list(MANIFEST["dtypes"]))
def test_rounding_within_the_tolerance_keeps_the_score(dtype: str) -> None:
    tolerance, errors = MANIFEST["dtypes"][dtype], EXPECTED["errors"]
    allowed = tolerance["absolute"] + tolerance["relative"] * errors
    assert score(np.where(INPUTS["faults"] > 0, errors - allowed, errors + allowed)) >= MANIFEST["metric"]["minimum"]
