"""Draws accelerometer traces, trains the recurrent networks of the smoke workload on them, and writes its files.

    pip install --require-hashes -r requirements/train.lock
    python -m training.activity                  # draw the data, train, write the three files
    python -m training.activity --check          # compare with the committed files instead, bit for bit
    python -m training.activity --expected-only  # only the expected answers, from the committed weights

Files, in `scripts/smoke/activity/`:

    weights.npz   float16, multiples of 2**-8: for each network `<cell>.<arrangement>` its .weight_ih (gates * 32,
                  inputs), .weight_hh (gates * 32, 32), .bias_ih and .bias_hh (gates * 32,), .head.weight (outputs, 32)
                  and .head.bias; the gates in PyTorch's order: lstm input, forget, cell, output; gru reset, update,
                  new; mgu forget, new, and it has no .bias_hh
    inputs.npz    traces int8 (32, 64, 3), 4 s at 16 samples per second, in 1/32 g; activities uint8 (32, 16), for each
                  frame of four samples; labels uint8 (20,), phases uint8 (20,): every activity from every quarter turn
    expected.npz  multiples of 2**-20: <cell>.labels float64 (32, 16, 5), logits; <cell>.traces float64 (20, 16, 3), g

Three cells: LSTM (Hochreiter and Schmidhuber, 1997, with the forget gate of Gers et al., 2000), GRU (Cho et al., 2014,
in the form that PyTorch and cuDNN have: the reset gate applies after the product) and the minimal gated unit (Zhou et
al., 2016).

Each cell has two arrangements. Many to many (`labels`): the network reads a trace with changing activities frame by
frame and returns the activity of each frame. One to many (`traces`): it reads an activity and a phase once and returns
sixteen samples, 8 per second; it reads each sample at the next step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from training import descent, files, layers, movements

Array = npt.NDArray[Any]
Weights = Mapping[str, npt.NDArray[Any]]

WORKLOAD = files.run_workload("activity")
ACTIVITIES, AXES, STEPS = movements.ACTIVITIES, movements.AXES, movements.STEPS
GATES = {"lstm": 4, "gru": 3, "mgu": 2}
HIDDEN = 32
INPUTS = {"labels": movements.FRAME * AXES, "traces": len(ACTIVITIES) + 2 + AXES}
OUTPUTS = {"labels": len(ACTIVITIES), "traces": AXES}
TRACES, TRACES_SEED, TRAINING_SEED = 32, 1997, 2016
LESSONS = {"labels": 600, "traces": 1500}
BATCH, RATE = 32, 0.01


# The expected answers, from the definitions of the networks.


def lstm(x: Array, state: tuple[Array, ...], w: Weights) -> tuple[Array, ...]:
    """LSTM: i, f, o = sigmoid and g = tanh of their sums; c' = f c + i g; h' = o tanh(c')."""
    h, c = state
    sums = layers.dense(x, w["weight_ih"], w["bias_ih"]) + layers.dense(h, w["weight_hh"], w["bias_hh"])
    i, f, g, o = np.split(sums, 4, axis=1)
    c = layers.sigmoid(f) * c + layers.sigmoid(i) * np.tanh(g)
    return layers.sigmoid(o) * np.tanh(c), c


def gru(x: Array, state: tuple[Array, ...], w: Weights) -> tuple[Array, ...]:
    """GRU: r, z = sigmoid of their sums; n = tanh(W x + b + r (U h + b')); h' = (1 - z) n + z h."""
    (h,) = state
    read = np.split(layers.dense(x, w["weight_ih"], w["bias_ih"]), 3, axis=1)
    kept = np.split(layers.dense(h, w["weight_hh"], w["bias_hh"]), 3, axis=1)
    r, z = layers.sigmoid(read[0] + kept[0]), layers.sigmoid(read[1] + kept[1])
    n = np.tanh(read[2] + r * kept[2])
    return ((1 - z) * n + z * h,)


def mgu(x: Array, state: tuple[Array, ...], w: Weights) -> tuple[Array, ...]:
    """Minimal gated unit: f = sigmoid(W x + U h + b); n = tanh(W' x + U' (f h) + b'); h' = (1 - f) h + f n."""
    (h,) = state
    read = np.split(layers.dense(x, w["weight_ih"], w["bias_ih"]), 2, axis=1)
    forget, new = np.split(w["weight_hh"], 2)
    f = layers.sigmoid(read[0] + layers.dense(h, forget))
    n = np.tanh(read[1] + layers.dense(f * h, new))
    return ((1 - f) * h + f * n,)


DEFINITIONS: dict[str, Callable[[Array, tuple[Array, ...], Weights], tuple[Array, ...]]] = {
    "lstm": lstm,
    "gru": gru,
    "mgu": mgu,
}


def expected(weights: Weights, frames: Array, starts: Array) -> dict[str, Array]:
    """Compute the answers in float64, independently of the training's forward pass."""
    answers = {}
    for cell, step in DEFINITIONS.items():
        for arrangement, first in (("labels", frames[:, 0]), ("traces", np.pad(starts, ((0, 0), (0, AXES))))):
            prefix = f"{cell}.{arrangement}."
            w = {
                name[len(prefix) :]: array.astype(np.float64)
                for name, array in weights.items()
                if name.startswith(prefix)
            }
            x, outputs = first.astype(np.float64), []
            state = tuple(np.zeros((len(x), HIDDEN)) for _ in range(2 if cell == "lstm" else 1))
            for number in range(STEPS):
                state = step(x, state, w)
                outputs.append(layers.dense(state[0], w["head.weight"], w["head.bias"]))
                if arrangement == "labels":
                    x = frames[:, min(number + 1, STEPS - 1)].astype(np.float64)
                else:
                    x = np.pad(outputs[-1], ((0, 0), (starts.shape[1], 0)))
            answers[f"{cell}.{arrangement}"] = layers.on_grid(np.stack(outputs, axis=1), 20)
    return answers


# The training.


def step_cell(cell: str, w: Any, read: Any, state: Any) -> Any:  # noqa: ANN401 - JAX's arrays
    """Return the next state of a cell, its output first; `read` is the input times its weight plus the bias."""
    h = state[0]
    if cell == "lstm":
        i, f, g, o = jnp.split(read + h @ w["weight_hh"].T + w["bias_hh"], 4, axis=1)
        c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c
    if cell == "gru":
        kept = jnp.split(h @ w["weight_hh"].T + w["bias_hh"], 3, axis=1)
        read = jnp.split(read, 3, axis=1)
        r, z = jax.nn.sigmoid(read[0] + kept[0]), jax.nn.sigmoid(read[1] + kept[1])
        return ((1 - z) * jnp.tanh(read[2] + r * kept[2]) + z * h,)
    forget, new = jnp.split(w["weight_hh"], 2)
    read = jnp.split(read, 2, axis=1)
    f = jax.nn.sigmoid(read[0] + h @ forget.T)
    return ((1 - f) * h + f * jnp.tanh(read[1] + (f * h) @ new.T),)


def losses(cell: str) -> dict[str, descent.Loss]:
    """Return the losses of a cell's two networks, functions of (weights, inputs, wanted outputs)."""

    def begun(count: int) -> Any:  # noqa: ANN401 - JAX's arrays
        return (jnp.zeros((count, HIDDEN)),) * (2 if cell == "lstm" else 1)

    def labels(w: descent.Tensors, frames: Any, activities: Any) -> Any:  # noqa: ANN401 - JAX's arrays
        def move(state: Any, frame: Any) -> Any:  # noqa: ANN401 - JAX's arrays
            state = step_cell(cell, w, frame @ w["weight_ih"].T + w["bias_ih"], state)
            return state, state[0] @ w["head.weight"].T + w["head.bias"]

        _, answers = jax.lax.scan(move, begun(len(frames)), frames.swapaxes(0, 1))
        shares = jax.nn.log_softmax(answers.swapaxes(0, 1))
        return -jnp.take_along_axis(shares, activities[:, :, jnp.newaxis], axis=2).mean()

    def traces(w: descent.Tensors, starts: Any, wanted: Any) -> Any:  # noqa: ANN401 - JAX's arrays
        def move(carried: Any, _: Any) -> Any:  # noqa: ANN401 - JAX's arrays
            x, state = carried
            state = step_cell(cell, w, x @ w["weight_ih"].T + w["bias_ih"], state)
            out = state[0] @ w["head.weight"].T + w["head.bias"]
            return (jnp.pad(out, ((0, 0), (starts.shape[1], 0))), state), out

        first = jnp.pad(starts, ((0, 0), (0, AXES)))
        _, out = jax.lax.scan(move, (first, begun(len(starts))), length=STEPS)
        return ((out.swapaxes(0, 1) - wanted) ** 2).mean()

    return {"labels": labels, "traces": traces}


def lessons(arrangement: str, random: np.random.RandomState) -> Iterator[tuple[Array, Array]]:
    """Draw the inputs and the wanted outputs of each step of the training."""
    for _ in range(LESSONS[arrangement]):
        if arrangement == "labels":
            traces = movements.draw_traces(random, BATCH)
            frames = WORKLOAD["prepare"](traces | make_requests())["frames"]
            yield frames.astype(np.float64), traces["activities"].astype(np.int64)
        else:
            labels, phases = np.arange(BATCH) % len(ACTIVITIES), random.uniform(0, 1, BATCH)
            turned = np.stack([np.cos(2 * np.pi * phases), np.sin(2 * np.pi * phases)], axis=1)
            yield np.hstack([np.eye(len(ACTIVITIES))[labels], turned]), movements.make_traces(labels, phases)


def train() -> dict[str, npt.NDArray[np.float16]]:
    """Train the six networks and return their weights."""
    random = np.random.RandomState(TRAINING_SEED)
    weights: dict[str, Array] = {}
    for cell, gates in GATES.items():
        for arrangement, loss in losses(cell).items():
            print(f"{cell}, {arrangement}")
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (gates * HIDDEN, INPUTS[arrangement]), "weight_hh": (gates * HIDDEN, HIDDEN),
                "bias_ih": (gates * HIDDEN,), "bias_hh": (gates * HIDDEN,),
                "head.weight": (OUTPUTS[arrangement], HIDDEN), "head.bias": (OUTPUTS[arrangement],),
            }  # fmt: skip
            if cell == "mgu":
                del shapes["bias_hh"]
            limit = HIDDEN**-0.5
            w = {name: random.uniform(-limit, limit, shape) for name, shape in shapes.items()}
            trained = descent.train_weights(w, loss, lessons(arrangement, random), RATE, LESSONS[arrangement])
            weights |= {f"{cell}.{arrangement}.{name}": layers.on_grid(array, 8) for name, array in trained.items()}
    if max(np.abs(array).max() for array in weights.values()) >= 8:  # noqa: PLR2004 - 3 bits before the point, 8 behind
        raise ValueError("a weight is too large for float16")
    return {name: array.astype(np.float16) for name, array in weights.items()}


# The files.


def make_requests() -> dict[str, Array]:
    """Return the activities and phases of the traces to generate: each activity from each quarter turn."""
    number = np.arange(4 * len(ACTIVITIES), dtype=np.uint8)
    return {"labels": number // 4, "phases": number % 4}


def expected_file(weights: Weights, inputs: Mapping[str, Array]) -> bytes:
    """Return the bytes of `expected.npz`, and print how accurate the networks are."""
    prepared = WORKLOAD["prepare"](inputs)
    answers = expected(weights, prepared["frames"], prepared["starts"])
    wanted = movements.make_traces(inputs["labels"], inputs["phases"] / 4)
    for cell in GATES:
        right = (answers[f"{cell}.labels"].argmax(axis=2) == inputs["activities"]).mean()
        away = np.sqrt(((answers[f"{cell}.traces"] - wanted) ** 2).mean())
        print(f"{cell}: {right:.4f} of the frames right, traces {away:.3f} g away (root mean square)")
    print(f"accuracy {WORKLOAD['score'](answers, inputs):.4f}")
    return files.pack_npz(answers, compressed=True)


def make_files() -> Iterator[tuple[str, bytes]]:
    """Draw the data, train, and yield the name and bytes of each file."""
    inputs = movements.draw_traces(np.random.RandomState(TRACES_SEED), TRACES) | make_requests()
    weights = train()
    yield "weights.npz", files.pack_npz(weights, compressed=True)
    yield "inputs.npz", files.pack_npz(inputs, compressed=True)
    yield "expected.npz", expected_file(weights, inputs)


def make_expected() -> Iterator[tuple[str, bytes]]:
    """Yield `expected.npz`, computed from the committed weights and inputs."""
    folder = files.SMOKE / "activity"
    yield "expected.npz", expected_file(WORKLOAD["weights"](folder), files.load_npz(folder / "inputs.npz"))


if __name__ == "__main__":
    sys.exit(
        files.main(
            "activity", "Train the smoke workload's recurrent networks and write its files.", make_files, make_expected
        )
    )
