"""The files of the decoder smoke workload are complete, correct and strict; the answers can be checked manually."""

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

FOLDER = Path(__file__).resolve().parents[3] / "scripts" / "smoke" / "decoder"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
WORKLOAD = runpy.run_path(str(FOLDER / "workload.py"))
ALPHABET: str = WORKLOAD["ALPHABET"]


def arrays(name: str) -> Arrays:
    with np.load(FOLDER / name, allow_pickle=False) as archive:
        return dict(archive)


INPUTS, EXPECTED = arrays("inputs.npz"), arrays("expected.npz")
WEIGHTS: Arrays = WORKLOAD["weights"](FOLDER)
PROMPTS: Array = WORKLOAD["prepare"](INPUTS)["tokens"]


def norm(x: Array, weights: Arrays, name: str) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + x.dtype.type(1e-5))
    shifted: Array = normal * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return shifted


def forward(weights: Arrays, number: type[np.floating[Any]] = np.float64, wrong_place: int = -1) -> Arrays:
    """Decode with a cache and matrix products: a different method from the one that made the expected answers.

    Args:
        weights: from `workload.weights`.
        number: to compute in.
        wrong_place: the place whose keys and values are put into the cache one place too late.
    """
    w = {name: array.astype(number) for name, array in weights.items()}
    cache = np.zeros((2, 2, len(PROMPTS), 4, 23, 16), number)
    tokens, logits, start = [PROMPTS], [], 0
    while start < 23:
        now = np.arange(start, start + tokens[-1].shape[1])
        start = now[-1] + 1
        x = w["token"][tokens[-1]] + w["place"][now]
        for layer in (0, 1):

            def dense(x: Array, name: str, layer: int = layer) -> Array:
                product: Array = x @ w[f"layer{layer}.{name}.weight"].T + w[f"layer{layer}.{name}.bias"]
                return product

            read = dense(norm(x, w, f"layer{layer}.norm1"), "attention").reshape(8, len(now), 3, 4, 16)
            queries, keys, values = read.transpose(2, 0, 3, 1, 4)
            stored = np.where(now == wrong_place, (now + 1) % 23, now)
            cache[layer, 0][:, :, stored], cache[layer, 1][:, :, stored] = keys, values
            scores = queries @ cache[layer, 0].swapaxes(2, 3) / number(4)
            powers = np.where(np.arange(23) > now[:, np.newaxis], 0, np.exp(scores))
            mixed = powers / powers.sum(axis=3, keepdims=True) @ cache[layer, 1]
            x = x + dense(mixed.transpose(0, 2, 1, 3).reshape(8, -1, 64), "project")
            x = x + dense(np.maximum(dense(norm(x, w, f"layer{layer}.norm2"), "expand"), 0), "shrink")
        logits.append(norm(x[:, -1], w, "norm") @ w["head.weight"].T + w["head.bias"])
        tokens.append(logits[-1].argmax(axis=1)[:, np.newaxis])
    return {"tokens": np.hstack(tokens[1:]), "logits": np.stack(logits, axis=1)}


def worst(answers: Arrays, dtype: str = "fp32") -> float:
    """Return the largest error as a multiple of the manifest's tolerance; a wrong token gives a huge number."""
    tolerance = MANIFEST["dtypes"][dtype]
    allowed = tolerance["absolute"] + tolerance["relative"] * np.abs(EXPECTED["logits"])
    largest = float((np.abs(answers["logits"] - EXPECTED["logits"]) / allowed).max())
    return largest if np.array_equal(answers["tokens"], EXPECTED["tokens"]) else np.inf


def text(tokens: Array) -> list[str]:
    return ["".join(ALPHABET[token] for token in row) for row in tokens]


def test_the_weights_have_the_documented_shapes() -> None:
    shapes: dict[str, tuple[int, ...]] = {"token": (29, 64), "place": (23, 64)}
    dense = {"head": (29, 64)}
    for layer in ("layer0", "layer1"):
        dense |= {f"{layer}.attention": (192, 64), f"{layer}.project": (64, 64)}
        dense |= {f"{layer}.expand": (256, 64), f"{layer}.shrink": (64, 256)}
    shapes |= {f"{name}.weight": shape for name, shape in dense.items()}
    shapes |= {f"{name}.bias": shape[:1] for name, shape in dense.items()}
    norms = ("norm", "layer0.norm1", "layer0.norm2", "layer1.norm1", "layer1.norm2")
    shapes |= {f"{name}.{part}": (64,) for name in norms for part in ("weight", "bias")}
    assert {name: array.shape for name, array in WEIGHTS.items()} == shapes
    assert {array.dtype for array in WEIGHTS.values()} == {np.dtype(np.float32)}


def test_the_weights_are_the_bytes_of_the_file_in_steps() -> None:
    for name, array in arrays("weights.npz").items():
        coarse = array.ndim == 2
        assert array.dtype == (np.int8 if coarse else np.float32)
        assert np.array_equal(WEIGHTS[name], array * (2.0**-7 if coarse else 1))
        assert np.array_equal(array * 2.0**14, np.round(array * 2.0**14))
        assert not coarse or array.min() > -128


def test_the_prompts_are_words_of_different_letters() -> None:
    words = [row.tobytes().decode() for row in INPUTS["prompts"]]
    assert f"{INPUTS['prompts'].dtype} {INPUTS['prompts'].shape}" == "uint8 (8, 8)"
    assert all(word.endswith("=") and len(set(word)) == 8 and word[:-1].isalpha() for word in words)
    assert words[0] == "machine="


def test_prepare_numbers_the_characters() -> None:
    assert f"{PROMPTS.dtype} {PROMPTS.shape}" == "int64 (8, 8)"
    assert text(PROMPTS) == [row.tobytes().decode() for row in INPUTS["prompts"]]


def test_answer_is_the_sorted_word_and_the_word_backwards() -> None:
    assert text(WORKLOAD["make_answers"](PROMPTS))[0] == "acehimn;enihcam."
    for prompt, answer in zip(text(PROMPTS), text(WORKLOAD["make_answers"](PROMPTS)), strict=True):
        assert answer == "".join(sorted(prompt[:-1])) + ";" + prompt[-2::-1] + "."


def test_the_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 400_000


def test_the_expected_tokens_are_the_right_ones_and_the_best() -> None:
    assert {name: f"{a.dtype} {a.shape}" for name, a in EXPECTED.items()} == {
        "tokens": "int64 (8, 16)", "logits": "float64 (8, 16, 29)",
    }  # fmt: skip
    assert np.array_equal(EXPECTED["tokens"], WORKLOAD["make_answers"](PROMPTS))
    assert np.array_equal(EXPECTED["tokens"], EXPECTED["logits"].argmax(axis=2))
    assert WORKLOAD["score"](EXPECTED, INPUTS) == MANIFEST["metric"]["minimum"] == 1


def test_the_score_is_the_share_of_right_tokens() -> None:
    tokens = EXPECTED["tokens"].copy()
    tokens[3, 7] += 1
    assert WORKLOAD["score"]({"tokens": tokens}, INPUTS) == 1 - 1 / 128


def test_the_expected_answers_come_out_of_decoding_with_a_cache() -> None:
    answers = forward(WEIGHTS)
    assert np.array_equal(answers["tokens"], EXPECTED["tokens"])
    assert np.abs(answers["logits"] - EXPECTED["logits"]).max() < 2.0**-20


def test_lead_of_the_best_token_exceeds_every_tolerance() -> None:
    ordered = np.sort(EXPECTED["logits"], axis=2)
    lead = (ordered[..., -1] - ordered[..., -2]).min()
    assert f"at least {lead:.2f}" in MANIFEST["metric"]["reason"]
    assert lead > 2 * max(tolerance["absolute"] for tolerance in MANIFEST["dtypes"].values())


def test_float32_is_far_within_the_tolerance() -> None:
    assert worst(forward(WEIGHTS, np.float32)) < 1 / 20


def test_weights_in_half_precision_are_noticed() -> None:
    assert worst(forward({name: array.astype(np.float16) for name, array in WEIGHTS.items()})) > 10


@pytest.mark.parametrize("dtype", MANIFEST["dtypes"])
@pytest.mark.parametrize("place", [0, 5, 8, 15])
def test_wrong_position_in_the_cache_fails_everywhere(place: int, dtype: str) -> None:
    assert worst(forward(WEIGHTS, wrong_place=place), dtype) > 1


@pytest.mark.parametrize("dtype", MANIFEST["dtypes"])
@pytest.mark.parametrize("name", [name for name, array in WEIGHTS.items() if array.ndim == 2 and "layer" in name])
def test_layer_without_its_product_fails_everywhere(name: str, dtype: str) -> None:
    assert worst(forward(WEIGHTS | {name: np.zeros_like(WEIGHTS[name])}), dtype) > 1


@pytest.mark.parametrize("name", [name for name in WEIGHTS if name.endswith(".bias")])
def test_a_forgotten_bias_is_noticed(name: str) -> None:
    assert worst(forward(WEIGHTS | {name: np.zeros_like(WEIGHTS[name])})) > 1


@pytest.mark.parametrize("name", [name for name, array in WEIGHTS.items() if array.ndim == 2 and "layer" in name])
def test_one_changed_weight_is_noticed(name: str) -> None:
    for place in np.random.default_rng(0).choice(WEIGHTS[name].size, 4, replace=False):
        changed = WEIGHTS[name].copy()
        changed.flat[place] += 0.5
        assert worst(forward(WEIGHTS | {name: changed})) > 1, f"{name}.flat[{place}]"
