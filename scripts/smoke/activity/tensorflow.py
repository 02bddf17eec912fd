"""Recurrent networks in TensorFlow: LSTM, GRU and the minimal gated unit in loops of a graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[np.float32]
Tensors = Mapping[str, tf.Tensor]

TYPES = {"fp32": tf.float32, "bf16": tf.bfloat16, "fp16": tf.float16}
STEPS, HIDDEN = 16, 32


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Run the six networks in one graph.

    Args:
        weights: from `workload.weights`.
        inputs: `frames` (N, 16, 12) and `starts` (M, 7), from `prepare`.
        dtype: fp32, bf16 or fp16.

    Returns:
        for each cell, `<cell>.labels` (N, 16, 5), logits, and `<cell>.traces` (M, 16, 3), in g.
    """
    w = {name: tf.cast(array.T, TYPES[dtype]) for name, array in weights.items()}

    def networks(frames: tf.Tensor, starts: tf.Tensor) -> dict[str, tf.Tensor]:
        labels, traces = compute_labels(w, frames), generate_traces(w, starts)
        return {name: tf.cast(answer, tf.float32) for name, answer in {**labels, **traces}.items()}

    run = tf.function(networks, autograph=False)
    answers = run(tf.cast(inputs["frames"], TYPES[dtype]), tf.cast(inputs["starts"], TYPES[dtype]))
    return {name: answer.numpy() for name, answer in answers.items()}


def compute_labels(w: Tensors, frames: tf.Tensor) -> dict[str, tf.Tensor]:
    """Many to many: compute the input products of all steps before the loop, and the logits after it."""
    count, steps, inputs = frames.shape
    rows = tf.reshape(tf.transpose(frames, (1, 0, 2)), (-1, inputs))
    projected = {cell: tf.reshape(dense(w, f"{cell}.labels", rows, "ih"), (steps, count, -1)) for cell in CELLS}

    def body(
        step: tf.Tensor, states: dict[str, list[tf.Tensor]], outputs: dict[str, tf.TensorArray]
    ) -> tuple[object, ...]:
        states = {cell: move(w, f"{cell}.labels", projected[cell][step], states[cell]) for cell, move in CELLS.items()}
        return step + 1, states, {cell: outputs[cell].write(step, states[cell][0]) for cell in CELLS}

    arrays = {cell: tf.TensorArray(frames.dtype, steps, element_shape=(count, HIDDEN)) for cell in CELLS}
    loop = (tf.constant(0), make_initial_states(frames), arrays)
    _, _, outputs = tf.while_loop(lambda step, *_: step < steps, body, loop)
    logits = {
        cell: dense(w, f"{cell}.labels", tf.reshape(outputs[cell].stack(), (-1, HIDDEN)), "head") for cell in CELLS
    }
    return {f"{cell}.labels": tf.transpose(tf.reshape(logits[cell], (steps, count, -1)), (1, 0, 2)) for cell in CELLS}


def generate_traces(w: Tensors, starts: tf.Tensor) -> dict[str, tf.Tensor]:
    """One to many: read the start at the first step, then the output of the step before."""
    count, start_size = starts.shape
    axes = w["lstm.traces.head.weight"].shape[1]

    def body(
        step: tf.Tensor,
        cell_inputs: dict[str, tf.Tensor],
        states: dict[str, list[tf.Tensor]],
        out: dict[str, tf.TensorArray],
    ) -> tuple[object, ...]:
        moved, samples = {}, {}
        for cell, move in CELLS.items():
            name = f"{cell}.traces"
            moved[cell] = move(w, name, dense(w, name, cell_inputs[cell], "ih"), states[cell])
            samples[cell] = dense(w, name, moved[cell][0], "head")
        cell_inputs = {cell: tf.pad(sample, ((0, 0), (start_size, 0))) for cell, sample in samples.items()}
        return step + 1, cell_inputs, moved, {cell: out[cell].write(step, samples[cell]) for cell in CELLS}

    arrays = {cell: tf.TensorArray(starts.dtype, STEPS, element_shape=(count, axes)) for cell in CELLS}
    first = tf.pad(starts, ((0, 0), (0, axes)))
    loop = (tf.constant(0), dict.fromkeys(CELLS, first), make_initial_states(starts), arrays)
    *_, out = tf.while_loop(lambda step, *_: step < STEPS, body, loop)
    return {f"{cell}.traces": tf.transpose(out[cell].stack(), (1, 0, 2)) for cell in CELLS}


def make_initial_states(x: tf.Tensor) -> dict[str, list[tf.Tensor]]:
    """Return the cells' initial states."""
    zeros = tf.zeros((x.shape[0], HIDDEN), x.dtype)
    return {cell: [zeros, zeros] if cell == "lstm" else [zeros] for cell in CELLS}


def dense(w: Tensors, name: str, x: tf.Tensor, part: str) -> tf.Tensor:
    """Apply a dense layer of a network."""
    weight, bias = ("head.weight", "head.bias") if part == "head" else (f"weight_{part}", f"bias_{part}")
    return tf.nn.bias_add(tf.matmul(x, w[f"{name}.{weight}"]), w[f"{name}.{bias}"])


def lstm(w: Tensors, name: str, projected: tf.Tensor, state: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the next state; the gates are in PyTorch's order."""
    h, c = state
    i, f, g, o = tf.split(projected + dense(w, name, h, "hh"), 4, axis=1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return [tf.sigmoid(o) * tf.tanh(c), c]


def gru(w: Tensors, name: str, projected: tf.Tensor, state: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the next state; the reset gate applies after the product."""
    (h,) = state
    r, z, n = tf.split(projected, 3, axis=1)
    of_r, of_z, of_n = tf.split(dense(w, name, h, "hh"), 3, axis=1)
    z = tf.sigmoid(z + of_z)
    n = tf.tanh(n + tf.sigmoid(r + of_r) * of_n)
    return [n + z * (h - n)]


def mgu(w: Tensors, name: str, projected: tf.Tensor, state: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the next state of the minimal gated unit (Zhou et al., 2016)."""
    (h,) = state
    forget, new = tf.split(projected, 2, axis=1)
    of_forget, of_new = tf.split(w[f"{name}.weight_hh"], 2, axis=1)
    f = tf.sigmoid(forget + tf.matmul(h, of_forget))
    n = tf.tanh(new + tf.matmul(f * h, of_new))
    return [h + f * (n - h)]


CELLS = {"lstm": lstm, "gru": gru, "mgu": mgu}
