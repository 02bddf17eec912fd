"""A decoder-only transformer in TensorFlow, which generates token by token with a key-value cache."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[np.float32]

TYPES = {"fp32": tf.float32, "bf16": tf.bfloat16}
HEADS, EPSILON = 4, 1e-5


def forward(weights: Mapping[str, Array], inputs: Mapping[str, npt.NDArray[np.int64]], dtype: str) -> dict[str, Array]:
    """Decode greedily: read all prompts at once, then append the best token of each until the last position.

    The same graph reads the prompts and then one token at a time. The cache has its full size from the start; it is an
    input and an output of the graph.

    Args:
        weights: from `workload.weights`.
        inputs: `tokens` (N, 8), from `prepare`.
        dtype: fp32 or bf16.

    Returns:
        `tokens` (N, 16) and the `logits` (N, 16, 29) of each token.
    """
    w = {name: tf.cast(array, TYPES[dtype]) for name, array in weights.items()}
    layers = sum(name.endswith("attention.weight") for name in weights)
    places, width = weights["place"].shape
    count, start = inputs["tokens"].shape
    size = width // HEADS
    root = tf.cast(size**-0.5, TYPES[dtype])

    def dense(x: tf.Tensor, name: str) -> tf.Tensor:
        return tf.nn.bias_add(tf.matmul(x, w[f"{name}.weight"], transpose_b=True), w[f"{name}.bias"])

    def read(tokens: tf.Tensor, now: tf.Tensor, cache: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        mask = tf.cast(tf.where(np.arange(places) > now[:, tf.newaxis], -np.inf, 0.0), TYPES[dtype])
        before, after = tf.unstack(cache[..., : now[0], :]), tf.unstack(cache[..., now[-1] + 1 :, :])
        x = tf.reshape(tf.gather(w["token"], tokens) + tf.gather(w["place"], now), (-1, width))
        new_cache = []
        for number in range(layers):
            layer = f"layer{number}"
            new = tf.reshape(dense(norm(x, w, f"{layer}.norm1"), f"{layer}.attention"), (count, -1, 3, HEADS, size))
            queries, *new = tf.unstack(tf.transpose(new, (2, 0, 3, 1, 4)))
            new_cache.append(tf.concat([before[number], new, after[number]], axis=3))
            keys, values = tf.unstack(new_cache[-1])
            shares = tf.nn.softmax(tf.matmul(queries * root, keys, transpose_b=True) + mask)
            mixed = tf.reshape(tf.transpose(tf.matmul(shares, values), (0, 2, 1, 3)), (-1, width))
            x += dense(mixed, f"{layer}.project")
            x += dense(tf.nn.relu(dense(norm(x, w, f"{layer}.norm2"), f"{layer}.expand")), f"{layer}.shrink")
        last = tf.reshape(x, (count, -1, width))[:, -1]
        logits = tf.cast(dense(norm(last, w, "norm"), "head"), tf.float32)
        return tf.argmax(logits, axis=1)[:, tf.newaxis], logits, tf.stack(new_cache)

    shape = (layers, 2, count, HEADS, places, size)
    signature = [
        tf.TensorSpec((count, None), tf.int64),
        tf.TensorSpec((None,), tf.int64),
        tf.TensorSpec(shape, TYPES[dtype]),
    ]
    graph = tf.function(read, signature, autograph=False)
    steps = [graph(inputs["tokens"], np.arange(start), tf.zeros(shape, TYPES[dtype]))]
    for place in range(start, places):
        token, _, cache = steps[-1]
        steps.append(graph(token, np.array([place]), cache))
    return {
        "tokens": np.hstack([token.numpy() for token, _, _ in steps]),
        "logits": np.stack([logits.numpy() for _, logits, _ in steps], axis=1),
    }


def norm(x: tf.Tensor, weights: Mapping[str, tf.Tensor], name: str) -> tf.Tensor:
    """Apply a layer normalisation in fp32: a variance in bf16 has only 8 bits."""
    in_fp32 = tf.cast(x, tf.float32)
    centred = in_fp32 - tf.reduce_mean(in_fp32, axis=1, keepdims=True)
    normal = centred * tf.math.rsqrt(tf.reduce_mean(centred * centred, axis=1, keepdims=True) + EPSILON)
    return tf.cast(normal, x.dtype) * weights[f"{name}.weight"] + weights[f"{name}.bias"]
