"""The files of the recurrent networks' smoke workload are complete and correct, and detect a wrong cell."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Array = npt.NDArray[Any]
Arrays = dict[str, Array]
Step = Callable[[Array, list[Array], Arrays], list[Array]]

FOLDER = Path(__file__).resolve().parents[3] / "scripts" / "smoke" / "activity"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
WORKLOAD = runpy.run_path(str(FOLDER / "workload.py"))
GATES = {"lstm": 4, "gru": 3, "mgu": 2}
NETWORKS = [f"{cell}.{arrangement}" for cell in GATES for arrangement in ("labels", "traces")]


def arrays(name: str) -> Arrays:
    with np.load(FOLDER / name, allow_pickle=False) as archive:
        return dict(archive)


INPUTS, EXPECTED = arrays("inputs.npz"), arrays("expected.npz")
WEIGHTS: Arrays = WORKLOAD["weights"](FOLDER)
PREPARED: Arrays = WORKLOAD["prepare"](INPUTS)


def sigmoid(x: Array) -> Array:
    return (1 + np.tanh(x / 2)) / 2


def lstm(x: Array, state: list[Array], w: Arrays) -> list[Array]:
    sums = np.hstack([x, state[0]]) @ np.hstack([w["weight_ih"], w["weight_hh"]]).T + (w["bias_ih"] + w["bias_hh"])
    i, f, g, o = np.split(sums, 4, axis=1)
    c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return [sigmoid(o) * np.tanh(c), c]


def gru(x: Array, state: list[Array], w: Arrays) -> list[Array]:
    read = np.split(x @ w["weight_ih"].T + w["bias_ih"], 3, axis=1)
    kept = np.split(state[0] @ w["weight_hh"].T + w["bias_hh"], 3, axis=1)
    n = np.tanh(read[2] + sigmoid(read[0] + kept[0]) * kept[2])
    return [n + sigmoid(read[1] + kept[1]) * (state[0] - n)]


def reset_before(x: Array, state: list[Array], w: Arrays) -> list[Array]:
    """Compute the GRU as in its paper: the reset gate applies before the product."""
    read = np.split(x @ w["weight_ih"].T + w["bias_ih"], 3, axis=1)
    of_r, of_z, of_n = np.split(w["weight_hh"], 3)
    bias_r, bias_z, bias_n = np.split(w["bias_hh"], 3)
    r, z = sigmoid(read[0] + state[0] @ of_r.T + bias_r), sigmoid(read[1] + state[0] @ of_z.T + bias_z)
    n = np.tanh(read[2] + (r * state[0]) @ of_n.T + bias_n)
    return [n + z * (state[0] - n)]


def mgu(x: Array, state: list[Array], w: Arrays) -> list[Array]:
    read = np.split(x @ w["weight_ih"].T + w["bias_ih"], 2, axis=1)
    of_forget, of_new = np.split(w["weight_hh"], 2)
    f = sigmoid(read[0] + state[0] @ of_forget.T)
    n = np.tanh(read[1] + (f * state[0]) @ of_new.T)
    return [state[0] + f * (n - state[0])]


CELLS: dict[str, Step] = {"lstm": lstm, "gru": gru, "mgu": mgu}


def run(network: str, weights: Arrays, number: type[np.floating[Any]] = np.float64, step: Step | None = None) -> Array:
    """Run one network with matrix products: a different method from the one that made the expected answers."""
    cell, arrangement = network.split(".")
    w = {name[len(network) + 1 :]: a.astype(number) for name, a in weights.items() if name.startswith(f"{network}.")}
    frames, starts = PREPARED["frames"].astype(number), PREPARED["starts"].astype(number)
    x = frames[:, 0] if arrangement == "labels" else np.pad(starts, ((0, 0), (0, 3)))
    state, outputs = [np.zeros((len(x), 32), number)] * (2 if cell == "lstm" else 1), []
    for moment in range(16):
        state = (step or CELLS[cell])(x, state, w)
        outputs.append(state[0] @ w["head.weight"].T + w["head.bias"])
        x = frames[:, (moment + 1) % 16] if arrangement == "labels" else np.pad(outputs[-1], ((0, 0), (7, 0)))
    return np.stack(outputs, axis=1)


def worst(network: str, answer: Array, dtype: str = "fp32") -> float:
    """Return the largest error as a multiple of the manifest's tolerance."""
    tolerance = MANIFEST["dtypes"][dtype]
    allowed = tolerance["absolute"] + tolerance["relative"] * np.abs(EXPECTED[network])
    return float((np.abs(answer - EXPECTED[network]) / allowed).max())


def to_bf16(array: Array) -> Array:
    """Round to the nearest number of eight significant bits."""
    mantissa, exponent = np.frexp(array)
    return np.asarray(np.ldexp(np.round(mantissa * 2.0**8) / 2.0**8, exponent), dtype=np.float32)


def turned(network: str) -> Arrays:
    """Return the weights with a network's gates in a different order."""
    weights = dict(WEIGHTS)
    for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        name = f"{network}.{part}"
        if name in weights:
            weights[name] = np.roll(weights[name], 32, axis=0)
    return weights


def test_the_weights_have_the_documented_shapes() -> None:
    for network in NETWORKS:
        cell, arrangement = network.split(".")
        inputs, outputs = (12, 5) if arrangement == "labels" else (10, 3)
        rows = GATES[cell] * 32
        shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, 32), "bias_ih": (rows,), "bias_hh": (rows,)}
        shapes |= {"head.weight": (outputs, 32), "head.bias": (outputs,)}
        if cell == "mgu":
            del shapes["bias_hh"]
        read = {name: array.shape for name, array in WEIGHTS.items() if name.startswith(f"{network}.")}
        assert read == {f"{network}.{part}": shape for part, shape in shapes.items()}
    assert {array.dtype for array in WEIGHTS.values()} == {np.dtype(np.float32)}


def test_weights_are_exact_in_fp16_and_on_the_training_grid() -> None:
    stored = arrays("weights.npz")
    assert {array.dtype for array in stored.values()} == {np.dtype(np.float16)}
    assert list(stored) == list(WEIGHTS)
    for name, array in WEIGHTS.items():
        assert np.array_equal(array, stored[name])
        assert np.array_equal(array * 2.0**8, np.round(array * 2.0**8))


def test_input_traces_contain_every_activity_and_change() -> None:
    assert {name: f"{a.dtype} {a.shape}" for name, a in INPUTS.items()} == {
        "traces": "int8 (32, 64, 3)", "activities": "uint8 (32, 16)", "labels": "uint8 (20,)", "phases": "uint8 (20,)",
    }  # fmt: skip
    assert np.bincount(INPUTS["activities"].ravel(), minlength=5).min() >= 50
    changes = (np.diff(INPUTS["activities"].astype(int), axis=1) != 0).sum(axis=1)
    assert set(changes) == {1, 2}
    assert {tuple(pair) for pair in zip(INPUTS["labels"], INPUTS["phases"], strict=True)} == {
        (label, phase) for label in range(5) for phase in range(4)
    }


def test_prepare_turns_counts_into_g_and_labels_into_one_hot() -> None:
    traces = np.zeros((2, 64, 3), dtype=np.int8)
    traces[1, 5] = (32, -16, 127)
    few = {"traces": traces, "labels": np.array([3, 0]), "phases": np.array([1, 2])}
    prepared = WORKLOAD["prepare"](few)
    assert {name: f"{a.dtype} {a.shape}" for name, a in prepared.items()} == {
        "frames": "float32 (2, 16, 12)", "starts": "float32 (2, 7)",
    }  # fmt: skip
    assert prepared["frames"][1, 1, 3:6].tolist() == [1, -0.5, 127 / 32]
    assert np.count_nonzero(prepared["frames"]) == 3
    assert prepared["starts"].tolist() == [[0, 0, 0, 1, 0, 0, 1], [1, 0, 0, 0, 0, -1, 0]]


def test_prepare_does_not_change_its_inputs() -> None:
    before = {name: array.copy() for name, array in INPUTS.items()}
    WORKLOAD["prepare"](INPUTS)
    assert all(np.array_equal(INPUTS[name], array) for name, array in before.items())


def test_the_files_stay_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 200_000


def test_every_network_has_an_expected_answer() -> None:
    assert {name: f"{a.dtype} {a.shape}" for name, a in EXPECTED.items()} == {
        name: "float64 (32, 16, 5)" if name.endswith("labels") else "float64 (20, 16, 3)" for name in NETWORKS
    }


@pytest.mark.parametrize("network", NETWORKS)
def test_the_expected_answers_come_out_of_another_method(network: str) -> None:
    assert np.abs(run(network, WEIGHTS) - EXPECTED[network]).max() < 2.0**-20


def test_the_expected_answers_name_the_activities() -> None:
    assert MANIFEST["metric"]["minimum"] == 0.97
    assert WORKLOAD["score"](EXPECTED, INPUTS) >= 0.98


@pytest.mark.parametrize("cell", GATES)
def test_score_drops_if_one_cell_answers_nothing(cell: str) -> None:
    silent = EXPECTED | {f"{cell}.labels": np.zeros_like(EXPECTED[f"{cell}.labels"])}
    assert WORKLOAD["score"](silent, INPUTS) < MANIFEST["metric"]["minimum"] - 0.2


def test_the_score_counts_time_steps() -> None:
    perfect = {f"{cell}.labels": np.eye(5)[INPUTS["activities"]] for cell in GATES}
    assert WORKLOAD["score"](perfect, INPUTS) == 1
    perfect["gru.labels"][0, 0] = np.roll(perfect["gru.labels"][0, 0], 1)
    assert WORKLOAD["score"](perfect, INPUTS) == pytest.approx(1 - 1 / (3 * 32 * 16))


@pytest.mark.parametrize("network", NETWORKS)
def test_float32_is_far_within_the_tolerance(network: str) -> None:
    assert worst(network, run(network, WEIGHTS, np.float32)) < 1 / 20


@pytest.mark.parametrize("network", NETWORKS)
def test_bfloat16_weights_fail_in_fp32_and_pass_in_bf16(network: str) -> None:
    answer = run(network, {name: to_bf16(array) for name, array in WEIGHTS.items()})
    assert worst(network, answer) > 10
    assert worst(network, answer, "bf16") < 1


@pytest.mark.parametrize("dtype", MANIFEST["dtypes"])
@pytest.mark.parametrize("network", NETWORKS)
def test_gates_in_another_order_are_noticed_in_every_data_type(network: str, dtype: str) -> None:
    assert worst(network, run(network, turned(network)), dtype) > 1


@pytest.mark.parametrize("dtype", MANIFEST["dtypes"])
@pytest.mark.parametrize("network", ["gru.labels", "gru.traces"])
def test_reset_gate_before_the_product_fails_everywhere(network: str, dtype: str) -> None:
    assert worst(network, run(network, WEIGHTS, step=reset_before), dtype) > 1


@pytest.mark.parametrize("dtype", MANIFEST["dtypes"])
@pytest.mark.parametrize("network", NETWORKS)
def test_state_that_is_not_carried_over_fails_everywhere(network: str, dtype: str) -> None:
    cell = CELLS[network.split(".", maxsplit=1)[0]]
    forgetful = run(network, WEIGHTS, step=lambda x, state, w: cell(x, [np.zeros_like(array) for array in state], w))
    assert worst(network, forgetful, dtype) > 1


@pytest.mark.parametrize("name", [name for name in WEIGHTS if "weight" in name])
def test_a_changed_weight_is_noticed(name: str) -> None:
    network, rows = ".".join(name.split(".")[:2]), len(WEIGHTS[name])
    for place in np.random.default_rng(0).choice(rows, 3, replace=False):
        changed = WEIGHTS[name].copy()
        changed[place, 0] += 0.5
        assert worst(network, run(network, WEIGHTS | {name: changed})) > 1, f"{name}[{place}, 0]"
