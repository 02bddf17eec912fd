"""Recurrent networks as a TensorFlow 1.x program writes them: tf.while_loop in a graph that a session runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[np.float32]

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
    with tf.Graph().as_default():
        w = {name: tf.cast(tf.constant(array.T), TYPES[dtype]) for name, array in weights.items()}
        frames = tf.placeholder(tf.float32, [None, STEPS, inputs["frames"].shape[2]], name="frames")
        starts = tf.placeholder(tf.float32, [None, inputs["starts"].shape[1]], name="starts")
        answers = compute_labels(w, tf.cast(frames, TYPES[dtype]))
        answers.update(generate_traces(w, tf.cast(starts, TYPES[dtype])))
        answers = {name: tf.cast(answer, tf.float32) for name, answer in answers.items()}
        with tf.Session() as session:
            arrays: dict[str, Array] = session.run(answers, {frames: inputs["frames"], starts: inputs["starts"]})
    return arrays


def compute_labels(w: Mapping[str, tf.Tensor], frames: tf.Tensor) -> dict[str, tf.Tensor]:
    """Many to many: compute the input products of all steps before the loop, and the logits after it."""
    count = tf.shape(frames)[0]
    rows = tf.reshape(tf.transpose(frames, [1, 0, 2]), [-1, frames.shape[2]])
    projected = {cell: dense(w, f"{cell}.labels", rows, "ih") for cell in CELLS}
    projected = {cell: tf.reshape(product, [STEPS, count, product.shape[1]]) for cell, product in projected.items()}

    def body(
        step: tf.Tensor, states: dict[str, list[tf.Tensor]], outputs: dict[str, tf.TensorArray]
    ) -> tuple[object, ...]:
        states = {cell: move(w, f"{cell}.labels", projected[cell][step], states[cell]) for cell, move in CELLS.items()}
        return step + 1, states, {cell: outputs[cell].write(step, states[cell][0]) for cell in CELLS}

    loop = (
        tf.constant(0),
        make_initial_states(count, frames.dtype),
        {cell: tf.TensorArray(frames.dtype, STEPS) for cell in CELLS},
    )
    _, _, outputs = tf.while_loop(lambda step, *_: step < STEPS, body, loop)
    logits = {
        cell: dense(w, f"{cell}.labels", tf.reshape(outputs[cell].stack(), [-1, HIDDEN]), "head") for cell in CELLS
    }
    return {f"{cell}.labels": tf.transpose(tf.reshape(logits[cell], [STEPS, count, -1]), [1, 0, 2]) for cell in CELLS}


def generate_traces(w: Mapping[str, tf.Tensor], starts: tf.Tensor) -> dict[str, tf.Tensor]:
    """One to many: read the start at the first step, then the output of the step before."""
    start_size, axes = starts.shape[1], w["lstm.traces.head.bias"].shape[0]

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
        cell_inputs = {cell: tf.pad(sample, [[0, 0], [start_size, 0]]) for cell, sample in samples.items()}
        return step + 1, cell_inputs, moved, {cell: out[cell].write(step, samples[cell]) for cell in CELLS}

    arrays = {cell: tf.TensorArray(starts.dtype, STEPS) for cell in CELLS}
    first = dict.fromkeys(CELLS, tf.pad(starts, [[0, 0], [0, axes]]))
    loop = (tf.constant(0), first, make_initial_states(tf.shape(starts)[0], starts.dtype), arrays)
    out = tf.while_loop(lambda step, *_: step < STEPS, body, loop)[-1]
    return {f"{cell}.traces": tf.transpose(out[cell].stack(), [1, 0, 2]) for cell in CELLS}


def make_initial_states(count: tf.Tensor, dtype: tf.DType) -> dict[str, list[tf.Tensor]]:
    """Return the cells' initial states."""
    zeros = tf.zeros([count, HIDDEN], dtype)
    return {cell: [zeros, zeros] if cell == "lstm" else [zeros] for cell in CELLS}


def dense(w: Mapping[str, tf.Tensor], name: str, x: tf.Tensor, part: str) -> tf.Tensor:
    """Apply a dense layer of a network."""
    weight, bias = ("head.weight", "head.bias") if part == "head" else (f"weight_{part}", f"bias_{part}")
    return tf.nn.bias_add(tf.matmul(x, w[f"{name}.{weight}"]), w[f"{name}.{bias}"])


def lstm(w: Mapping[str, tf.Tensor], name: str, projected: tf.Tensor, state: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the next state; the gates are in PyTorch's order."""
    h, c = state
    i, f, g, o = tf.split(projected + dense(w, name, h, "hh"), 4, axis=1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return [tf.sigmoid(o) * tf.tanh(c), c]


def gru(w: Mapping[str, tf.Tensor], name: str, projected: tf.Tensor, state: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the next state; the reset gate applies after the product."""
    (h,) = state
    r, z, n = tf.split(projected, 3, axis=1)
    of_r, of_z, of_n = tf.split(dense(w, name, h, "hh"), 3, axis=1)
    z = tf.sigmoid(z + of_z)
    n = tf.tanh(n + tf.sigmoid(r + of_r) * of_n)
    return [n + z * (h - n)]


def mgu(w: Mapping[str, tf.Tensor], name: str, projected: tf.Tensor, state: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the next state of the minimal gated unit (Zhou et al., 2016)."""
    (h,) = state
    forget, new = tf.split(projected, 2, axis=1)
    of_forget, of_new = tf.split(w[f"{name}.weight_hh"], 2, axis=1)
    f = tf.sigmoid(forget + tf.matmul(h, of_forget))
    n = tf.tanh(new + tf.matmul(f * h, of_new))
    return [h + f * (n - h)]


CELLS = {"lstm": lstm, "gru": gru, "mgu": mgu}
