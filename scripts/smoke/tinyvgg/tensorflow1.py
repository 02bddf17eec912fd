"""TinyVGG as a TensorFlow 1.x program writes it, with `import tensorflow as tf` only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[np.float32]

TYPES = {"fp32": tf.float32, "bf16": tf.bfloat16, "fp16": tf.float16}


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Classify the whole batch at once.

    Args:
        weights: the arrays of `weights.npz`.
        inputs: `images` (N, 3, 28, 28), from `prepare`.
        dtype: fp32, bf16 or fp16.

    Returns:
        `logits` (N, 8).
    """
    with tf.Graph().as_default():

        def variable(name: str, values: Array) -> tf.Tensor:
            return tf.get_variable(name, initializer=tf.cast(tf.constant(values), TYPES[dtype]))

        images = tf.placeholder(tf.float32, [None, 3, 28, 28], name="images")
        x = tf.cast(tf.transpose(images, [0, 2, 3, 1]), TYPES[dtype])  # CPU convolutions need NHWC
        for block in (("conv1", "conv2"), ("conv3", "conv4")):
            for name in block:
                kernel = variable(f"{name}/kernel", weights[f"{name}.weight"].transpose(2, 3, 1, 0))
                x = tf.nn.conv2d(x, kernel, strides=[1, 1, 1, 1], padding="VALID")
                x = tf.nn.relu(tf.nn.bias_add(x, variable(f"{name}/bias", weights[f"{name}.bias"])))
            x = tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
        dense = weights["dense.weight"]
        x = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [-1, dense.shape[1]])  # back to the order of the weights
        x = tf.matmul(x, variable("dense/kernel", dense.T)) + variable("dense/bias", weights["dense.bias"])
        logits = tf.cast(x, tf.float32, name="logits")
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            return {"logits": session.run(logits, feed_dict={images: inputs["images"]})}
