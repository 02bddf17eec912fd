"""A decoder-only transformer as a TensorFlow 1.x program writes it: each session run takes and returns the cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[np.float32]

TYPES = {"fp32": tf.float32, "bf16": tf.bfloat16}
HEADS, EPSILON = 4, 1e-5


def forward(weights: Mapping[str, Array], inputs: Mapping[str, npt.NDArray[np.int64]], dtype: str) -> dict[str, Array]:
    """Decode greedily: read all prompts at once, then append the best token of each until the last position.

    Args:
        weights: from `workload.weights`.
        inputs: `tokens` (N, 8), from `prepare`.
        dtype: fp32 or bf16.

    Returns:
        `tokens` (N, 16) and the `logits` (N, 16, 29) of each token.
    """
    layers = sum(name.endswith("attention.weight") for name in weights)
    places, width = weights["place"].shape
    count, start = inputs["tokens"].shape
    size = width // HEADS
    with tf.Graph().as_default():
        w = {name: tf.cast(tf.constant(array), TYPES[dtype]) for name, array in weights.items()}
        tokens = tf.placeholder(tf.int64, [count, None], name="tokens")
        now = tf.placeholder(tf.int64, [None], name="places")
        cache = tf.placeholder(TYPES[dtype], [layers, 2, count, HEADS, places, size], name="cache")

        def norm(x: tf.Tensor, name: str) -> tf.Tensor:
            in_fp32 = tf.cast(x, tf.float32)  # a variance in bf16 has only 8 bits
            mean, variance = tf.nn.moments(in_fp32, axes=[1], keep_dims=True)
            normal = tf.cast((in_fp32 - mean) * tf.math.rsqrt(variance + EPSILON), TYPES[dtype])
            return normal * w[f"{name}.weight"] + w[f"{name}.bias"]

        def dense(x: tf.Tensor, name: str) -> tf.Tensor:
            return tf.nn.bias_add(tf.matmul(x, w[f"{name}.weight"], transpose_b=True), w[f"{name}.bias"])

        # 0, and minus infinity for later positions
        mask = tf.cast(tf.math.log(tf.cast(np.arange(places) <= now[:, tf.newaxis], tf.float32)), TYPES[dtype])
        before, after = tf.unstack(cache[..., : now[0], :]), tf.unstack(cache[..., now[-1] + 1 :, :])
        x = tf.reshape(tf.gather(w["token"], tokens) + tf.gather(w["place"], now), [-1, width])
        new_cache = []
        for number in range(layers):
            layer = f"layer{number}"
            with tf.name_scope(layer):
                new = tf.reshape(dense(norm(x, f"{layer}.norm1"), f"{layer}.attention"), [count, -1, 3, HEADS, size])
                queries, keys, values = tf.unstack(tf.transpose(new, [2, 0, 3, 1, 4]))
                new_cache.append(tf.concat([before[number], tf.stack([keys, values]), after[number]], axis=3))
                keys, values = tf.unstack(new_cache[-1])
                scores = tf.matmul(queries, keys, transpose_b=True) * tf.cast(size**-0.5, TYPES[dtype])
                mixed = tf.matmul(tf.nn.softmax(scores + mask), values)
                x += dense(tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, width]), f"{layer}.project")
                x += dense(tf.nn.relu(dense(norm(x, f"{layer}.norm2"), f"{layer}.expand")), f"{layer}.shrink")
        last = tf.reshape(x, [count, -1, width])[:, -1]
        logits = tf.cast(dense(norm(last, "norm"), "head"), tf.float32)
        fetched = tf.argmax(logits, axis=1)[:, tf.newaxis], logits, tf.stack(new_cache)

        empty = np.zeros(cache.shape.as_list(), TYPES[dtype].as_numpy_dtype)
        with tf.Session() as session:
            steps = [session.run(fetched, {tokens: inputs["tokens"], now: np.arange(start), cache: empty})]
            for place in range(start, places):
                token, _, past = steps[-1]
                steps.append(session.run(fetched, {tokens: token, now: [place], cache: past}))
    return {
        "tokens": np.hstack([token for token, _, _ in steps]),
        "logits": np.stack([logits for _, logits, _ in steps], axis=1),
    }
