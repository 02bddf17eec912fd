"""LeNet-5 as a TensorFlow 1.x program writes it, with `import tensorflow as tf` only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[np.float32]


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], _: str) -> dict[str, Array]:
    """Classify the whole batch at once, in fp32.

    Args:
        weights: the arrays of `weights.npz`.
        inputs: `images` (N, 1, 32, 32), from `prepare`.

    Returns:
        `logits` (N, 10).
    """
    w = {name: array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T for name, array in weights.items()}  # noqa: PLR2004
    with tf.Graph().as_default():
        digits = tf.placeholder(tf.float32, [None, 1, 32, 32], name="images")
        x = tf.transpose(digits, [0, 2, 3, 1])  # CPU convolutions need NHWC

        kernel = tf.get_variable("conv1/kernel", initializer=tf.constant(w["conv1.weight"]))
        bias = tf.get_variable("conv1/bias", initializer=tf.constant(w["conv1.bias"]))
        x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, strides=[1, 1, 1, 1], padding="VALID"), bias))
        x = tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")

        x = tf.layers.conv2d(x, 16, 5, activation=tf.nn.relu, name="conv2", **make_initializers(w, "conv2"))
        x = tf.layers.max_pooling2d(x, 2, 2)

        x = tf.layers.flatten(tf.transpose(x, [0, 3, 1, 2]))
        x = tf.layers.dense(x, 120, activation=tf.nn.relu, name="fc1", **make_initializers(w, "fc1"))
        x = tf.layers.dense(x, 84, activation=tf.nn.relu, name="fc2", **make_initializers(w, "fc2"))
        x = tf.layers.dense(x, 10, name="fc3", **make_initializers(w, "fc3"))

        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            return {"logits": session.run(x, feed_dict={digits: inputs["images"]})}


def make_initializers(weights: Mapping[str, Array], layer: str) -> dict[str, tf.Tensor]:
    """Return the initializers of a layer."""
    return {
        "kernel_initializer": tf.constant_initializer(weights[f"{layer}.weight"]),
        "bias_initializer": tf.constant_initializer(weights[f"{layer}.bias"]),
    }
