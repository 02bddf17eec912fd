"""TinyVGG in TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[np.float32]

TYPES = {"fp32": tf.float32, "bf16": tf.bfloat16, "fp16": tf.float16}


def to_tensorflow_layout(weights: Mapping[str, Array]) -> dict[str, Array]:
    """Convert the weights to TensorFlow's layout: kernels HWIO, the dense layer (in, out) with inputs in HWC order."""
    converted = {name: array.transpose(2, 3, 1, 0) if array.ndim == 4 else array for name, array in weights.items()}  # noqa: PLR2004
    dense = weights["dense.weight"]
    maps = dense.reshape(len(dense), -1, 4, 4)
    converted["dense.weight"] = maps.transpose(2, 3, 1, 0).reshape(-1, len(dense))
    return converted


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Classify the batch in a graph: eagerly executed operators do not use oneDNN.

    Args:
        weights: the arrays of `weights.npz`.
        inputs: `images` (N, 3, 28, 28), from `prepare`.
        dtype: fp32, bf16 or fp16.

    Returns:
        `logits` (N, 8).
    """
    w = {name: tf.cast(array, TYPES[dtype]) for name, array in to_tensorflow_layout(weights).items()}

    def tinyvgg(x: tf.Tensor) -> tf.Tensor:
        for block in (("conv1", "conv2"), ("conv3", "conv4")):
            for name in block:
                x = tf.nn.conv2d(x, w[f"{name}.weight"], strides=1, padding="VALID")
                x = tf.nn.relu(tf.nn.bias_add(x, w[f"{name}.bias"]))
            x = tf.nn.max_pool2d(x, ksize=2, strides=2, padding="VALID")
        return tf.matmul(tf.reshape(x, (x.shape[0], -1)), w["dense.weight"]) + w["dense.bias"]

    logits = tf.function(tinyvgg, autograph=False)(tf.cast(inputs["images"].transpose(0, 2, 3, 1), TYPES[dtype]))
    return {"logits": tf.cast(logits, tf.float32).numpy()}
