"""LeNet-5 in TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[np.float32]

TYPES = {"fp32": tf.float32, "bf16": tf.bfloat16, "fp16": tf.float16}


def to_tensorflow_layout(weights: Mapping[str, Array]) -> dict[str, Array]:
    """Convert the weights to TensorFlow's layout: kernels HWIO, dense layers (in, out).

    The first dense layer reads the flattened 16 maps of 5x5 of the last convolution. It was trained with the order
    channel, row, column; TensorFlow flattens row, column, channel, so its inputs are reordered.
    """
    converted = {name: array.transpose(2, 3, 1, 0) for name, array in weights.items() if array.ndim == 4}  # noqa: PLR2004
    converted |= {name: array.T for name, array in weights.items() if array.ndim <= 2}  # noqa: PLR2004
    channels = converted["conv2.bias"].size
    inputs, outputs = converted["fc1.weight"].shape
    side = round((inputs / channels) ** 0.5)
    maps = converted["fc1.weight"].reshape(channels, side, side, outputs)
    converted["fc1.weight"] = maps.transpose(1, 2, 0, 3).reshape(inputs, outputs)
    return converted


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Classify the batch in a graph: eagerly executed operators do not use oneDNN.

    Args:
        weights: the arrays of `weights.npz`.
        inputs: `images` (N, 1, 32, 32), from `prepare`.
        dtype: fp32, bf16 or fp16.

    Returns:
        `logits` (N, 10).
    """
    w = {name: tf.cast(array, TYPES[dtype]) for name, array in to_tensorflow_layout(weights).items()}
    images = inputs["images"]

    def lenet(x: tf.Tensor) -> tf.Tensor:
        for name in ("conv1", "conv2"):
            x = tf.nn.bias_add(tf.nn.conv2d(x, w[f"{name}.weight"], strides=1, padding="VALID"), w[f"{name}.bias"])
            x = tf.nn.max_pool2d(tf.nn.relu(x), ksize=2, strides=2, padding="VALID")
        x = tf.reshape(x, (len(images), -1))
        for name in ("fc1", "fc2"):
            x = tf.nn.relu(tf.matmul(x, w[f"{name}.weight"]) + w[f"{name}.bias"])
        return tf.matmul(x, w["fc3.weight"]) + w["fc3.bias"]

    logits = tf.function(lenet)(tf.cast(images.transpose(0, 2, 3, 1), TYPES[dtype]))
    return {"logits": tf.cast(logits, tf.float32).numpy()}
