"""A convolutional auto-encoder as a TensorFlow 1.x program writes it, with `import tensorflow as tf` only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[np.float32]

TYPES = {"fp32": tf.float32, "bf16": tf.bfloat16, "fp16": tf.float16}
STRIDES = [1, 2, 2, 1]  # two rows and two columns


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Encode and decode the whole batch at once.

    Args:
        weights: the arrays of `weights.npz`; the decoder's kernels are (inputs, outputs, 4, 4).
        inputs: images (N, 1, 32, 32), from `prepare`.
        dtype: the type of weights and activations; differences and their sum are float32.

    Returns:
        codes (N, 8, 4, 4), reconstructions (8, 1, 32, 32) of the first eight images, errors (N,).
    """
    with tf.Graph().as_default():
        pictures = tf.placeholder(tf.float32, [None, 1, 32, 32], name="images")

        def variables(name: str) -> tuple[tf.Variable, tf.Variable]:
            transposed = tf.constant(weights[f"{name}.weight"].transpose(2, 3, 1, 0))
            with tf.variable_scope(name):
                kernel = tf.get_variable("kernel", initializer=tf.cast(transposed, TYPES[dtype]))
                bias = tf.get_variable("bias", initializer=tf.cast(tf.constant(weights[f"{name}.bias"]), TYPES[dtype]))
            return kernel, bias

        def encode(x: tf.Tensor, name: str) -> tf.Tensor:
            kernel, bias = variables(name)
            return tf.nn.bias_add(tf.nn.conv2d(x, kernel, STRIDES, "SAME"), bias)

        def decode(x: tf.Tensor, name: str, side: int) -> tf.Tensor:
            kernel, bias = variables(name)
            shape = [tf.shape(pictures)[0], side, side, int(kernel.shape[2])]
            return tf.nn.bias_add(tf.nn.conv2d_transpose(x, kernel, shape, STRIDES, "SAME"), bias)

        images = tf.transpose(pictures, [0, 2, 3, 1])  # CPU convolutions need NHWC
        x = tf.nn.relu(encode(tf.cast(images, TYPES[dtype]), "encode1"))
        x = tf.nn.relu(encode(x, "encode2"))
        codes = encode(x, "encode3")
        x = tf.nn.relu(decode(codes, "decode1", 8))
        x = tf.nn.relu(decode(x, "decode2", 16))
        decoded = tf.cast(tf.sigmoid(decode(x, "decode3", 32)), tf.float32)
        errors = tf.reduce_sum(tf.square(decoded - images), axis=[1, 2, 3])
        answers = {
            "codes": tf.transpose(tf.cast(codes, tf.float32), [0, 3, 1, 2]),
            "reconstructions": tf.transpose(decoded[:8], [0, 3, 1, 2]),
            "errors": errors,
        }
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            arrays: dict[str, Array] = session.run(answers, feed_dict={pictures: inputs["images"]})
    return arrays
