"""The files of the EfficientNet-B0 smoke workload are complete and correct, and detect a wrong layer."""

from __future__ import annotations

import hashlib
import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Array = npt.NDArray[Any]
Arrays = dict[str, Array]

FOLDER = Path(__file__).resolve().parents[3] / "scripts" / "smoke" / "efficientnet"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
WORKLOAD = runpy.run_path(str(FOLDER / "workload.py"))
# Kernel, stride and input channels of the depthwise convolution of every block, from the paper's table 1.
BLOCKS = (
    (3, 1, 32), (3, 2, 16), (3, 1, 24), (5, 2, 24), (5, 1, 40), (3, 2, 40), (3, 1, 80), (3, 1, 80), (5, 1, 80),
    (5, 1, 112), (5, 1, 112), (5, 2, 112), (5, 1, 192), (5, 1, 192), (5, 1, 192), (3, 1, 192),
)  # fmt: skip
FOLDED = 21_008  # channels that are normalised: of a scale and a shift each, a bias is left


def arrays(name: str) -> Arrays:
    with np.load(FOLDER / name, allow_pickle=False) as archive:
        return dict(archive)


INPUTS, EXPECTED = arrays("inputs.npz"), arrays("expected.npz")
LOGITS = EXPECTED["logits"]
WEIGHTS: Arrays = WORKLOAD["weights"](FOLDER)
IMAGES: Array = WORKLOAD["prepare"](INPUTS)["images"]


def kind(array: Array) -> str:
    return f"{array.dtype} {array.shape}"


def swish(x: Array) -> Array:
    return np.asarray(x / (1 + np.exp(-x)))


def margins(size: int, kernel: int, stride: int) -> tuple[int, int]:
    whole = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return whole // 2, whole - whole // 2


class Network:
    """EfficientNet-B0 by windows and einsum: a different method from the one that made the expected logits."""

    def __init__(self, weights: Arrays, number: type[np.floating[Any]], *, symmetric: bool = False) -> None:
        self.weights = {name: array.astype(number) for name, array in weights.items()}
        self.symmetric = symmetric

    def conv(self, x: Array, layer: str, stride: int = 1) -> Array:
        weight = self.weights[f"{layer}.weight"]
        size = weight.shape[2]
        margin = (size // 2,) * 2 if self.symmetric else margins(x.shape[2], size, stride)
        views = np.lib.stride_tricks.sliding_window_view(
            np.pad(x, ((0, 0), (0, 0), margin, margin)), (size, size), axis=(2, 3)
        )[:, :, ::stride, ::stride]
        alone = weight.shape[1] == 1 and len(weight) == x.shape[1]
        sums = (
            np.einsum("nchwij,cij->nchw", views, weight[:, 0])
            if alone
            else np.einsum("nchwij,ocij->nohw", views, weight, optimize=True)
        )
        return np.asarray(sums + self.weights[f"{layer}.bias"].reshape(-1, 1, 1))

    def __call__(self, images: Array) -> Array:
        x = swish(self.conv(images.astype(self.weights["stem.bias"].dtype), "stem", 2))
        for number, (_, stride, inputs) in enumerate(BLOCKS):
            name = f"blocks.{number}"
            assert x.shape[1] == inputs
            y = swish(self.conv(x, f"{name}.expand")) if number else x
            y = swish(self.conv(y, f"{name}.depthwise", stride))
            gates = self.conv(swish(self.conv(y.mean(axis=(2, 3), keepdims=True), f"{name}.reduce")), f"{name}.excite")
            y = self.conv(y / (1 + np.exp(-gates)), f"{name}.project")
            x = x + y if x.shape == y.shape else y
        pooled = swish(self.conv(x, "head")).mean(axis=(2, 3))
        return np.asarray(pooled @ self.weights["classifier.weight"].T + self.weights["classifier.bias"])


def error(weights: Arrays, number: type[np.floating[Any]] = np.float64, *, symmetric: bool = False) -> float:
    return float(np.abs(Network(weights, number, symmetric=symmetric)(IMAGES) - LOGITS).max())


def tolerated(dtype: str) -> float:
    assert MANIFEST["dtypes"][dtype]["relative"] == 0
    return float(MANIFEST["dtypes"][dtype]["absolute"])


def to_bf16(array: Array) -> Array:
    mantissa, exponent = np.frexp(array)
    return np.asarray(np.ldexp(np.round(mantissa * 2.0**8) / 2.0**8, exponent), dtype=np.float32)


def test_it_is_the_whole_of_efficientnet_b0() -> None:
    published = 5_288_548  # torchvision's count for its efficientnet_b0, normalisation included
    assert sum(array.size for array in WEIGHTS.values()) == published - FOLDED
    assert {array.dtype for array in WEIGHTS.values()} == {np.dtype(np.float32)}
    depthwise = [WEIGHTS[f"blocks.{number}.depthwise.weight"].shape for number in range(16)]
    assert depthwise == [(inputs * (6 if at else 1), 1, k, k) for at, (k, _, inputs) in enumerate(BLOCKS)]
    assert WEIGHTS["classifier.weight"].shape == (1000, 1280)
    assert "blocks.16.project.weight" not in WEIGHTS


def test_the_drawn_weights_are_the_same_on_every_machine() -> None:
    digest = hashlib.sha256()
    for name, array in WEIGHTS.items():
        digest.update(name.encode() + array.astype("<f4").tobytes())
    assert digest.hexdigest() == "098407c8184caa05be8fb83d223b2663f8f5eb771a79aa52b64d957daa31a9eb"


def test_the_weights_are_drawn_again_each_time_and_not_kept() -> None:
    again = WORKLOAD["weights"](FOLDER)
    assert list(again) == list(WEIGHTS)
    assert all(np.array_equal(again[name], WEIGHTS[name]) for name in WEIGHTS)


def test_the_weights_fill_their_range_evenly() -> None:
    for name, array in WEIGHTS.items():
        if array.size > 10_000:
            limit = np.abs(array).max()
            assert abs(array.mean()) < limit / 20, name
            assert array.std() == pytest.approx(limit / 3**0.5, rel=0.05), name


def test_the_inputs_are_two_images_and_the_reference_s_classes() -> None:
    assert {name: kind(array) for name, array in INPUTS.items()} == {
        "images": "uint8 (2, 3, 48, 48)",
        "labels": "int64 (2,)",
    }
    assert INPUTS["labels"].tolist() == LOGITS.argmax(axis=1).tolist()
    assert len(set(INPUTS["labels"].tolist())) == 2


def test_the_expected_logits_differ_from_image_to_image() -> None:
    assert set(EXPECTED) == {"logits"}
    assert kind(LOGITS) == "float64 (2, 1000)"
    assert np.isfinite(LOGITS).all()
    assert np.array_equal(LOGITS * 2.0**32, np.round(LOGITS * 2.0**32))
    assert np.corrcoef(LOGITS)[0, 1] < 0.9
    assert 1 < LOGITS.std(axis=1).min() < LOGITS.std(axis=1).max() < 5


def test_the_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 60_000


def test_prepare_is_exact_and_does_not_change_its_input() -> None:
    before = INPUTS["images"].copy()
    prepared = WORKLOAD["prepare"](INPUTS)["images"]
    assert kind(prepared) == "float32 (2, 3, 48, 48)"
    assert prepared.flags.c_contiguous
    assert np.array_equal(INPUTS["images"], before)
    assert np.array_equal(prepared * 64 + 128, before)
    assert np.array_equal(to_bf16(prepared), prepared)


def test_the_expected_logits_come_out_of_another_method() -> None:
    assert error(WEIGHTS) < 1e-8


def test_float32_is_far_within_the_tolerance() -> None:
    assert error(WEIGHTS, np.float32) < tolerated("fp32") / 20


def test_rounding_within_the_tolerance_of_fp32_changes_no_class() -> None:
    ordered = np.sort(LOGITS, axis=1)
    assert (ordered[:, -1] - ordered[:, -2]).min() > 2 * tolerated("fp32")
    assert (ordered[:, -1] - ordered[:, -2]).min() > 1.5


def test_rounded_weights_fail_in_fp32_and_pass_in_bf16() -> None:
    halves = {name: array.astype(np.float16) for name, array in WEIGHTS.items()}
    assert error(halves) > 2 * tolerated("fp32")
    bf16 = error({name: to_bf16(array) for name, array in WEIGHTS.items()})
    assert 2 * tolerated("fp32") < bf16 < tolerated("bf16-fast-math") / 2


def test_symmetric_padding_is_noticed_in_every_data_type() -> None:
    assert error(WEIGHTS, symmetric=True) > 2 * max(map(tolerated, MANIFEST["dtypes"]))


@pytest.mark.parametrize("layer", ["stem", "head", "classifier", *(f"blocks.{at}.project" for at in (0, 4, 9, 15))])
def test_a_missing_layer_is_detected_in_every_data_type(layer: str) -> None:
    name = f"{layer}.weight"
    assert error({**WEIGHTS, name: np.zeros_like(WEIGHTS[name])}) > max(map(tolerated, MANIFEST["dtypes"]))


@pytest.mark.parametrize("number", [0, 3, 8, 15])  # the others take as long again, and are noticed too
def test_rounded_weights_of_any_layer_type_fail_in_fp32(number: int) -> None:
    for layer in ("expand", "depthwise", "reduce", "excite", "project"):
        name = f"blocks.{number}.{layer}.weight"
        if name in WEIGHTS:
            assert error({**WEIGHTS, name: to_bf16(WEIGHTS[name])}) > tolerated("fp32"), name


@pytest.mark.parametrize("number", [1, 8, 15])
def test_mirrored_kernels_are_noticed(number: int) -> None:
    name = f"blocks.{number}.depthwise.weight"
    assert error({**WEIGHTS, name: WEIGHTS[name][..., ::-1]}) > tolerated("bf16-fast-math")


def test_score_is_the_share_of_reference_classes() -> None:
    assert WORKLOAD["score"]({"logits": LOGITS}, INPUTS) == MANIFEST["metric"]["minimum"] == 1
    assert WORKLOAD["score"]({"logits": LOGITS[::-1]}, INPUTS) == 0
    logits = LOGITS.copy()
    logits[0, 0] = 99
    assert WORKLOAD["score"]({"logits": logits}, INPUTS) == 0.5
    assert WORKLOAD["score"]({"logits": np.full_like(LOGITS, np.nan)}, INPUTS) == 0
