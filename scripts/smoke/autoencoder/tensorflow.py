"""A convolutional auto-encoder in TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[np.float32]

TYPES = {"fp32": tf.float32, "bf16": tf.bfloat16, "fp16": tf.float16}


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Encode and decode the batch in a graph: eagerly executed operators do not use oneDNN.

    Args:
        weights: the arrays of `weights.npz`; the decoder's kernels are (inputs, outputs, 4, 4).
        inputs: images (N, 1, 32, 32), from `prepare`.
        dtype: the type of weights and activations; differences and their sum are float32.

    Returns:
        codes (N, 8, 4, 4), reconstructions (8, 1, 32, 32) of the first eight images, errors (N,).
    """
    # (outputs, inputs, rows, columns) to (rows, columns, inputs, outputs); the decoder's inputs and outputs are swapped
    transposed = {name: array.transpose(2, 3, 1, 0) if array.ndim == 4 else array for name, array in weights.items()}  # noqa: PLR2004
    w = {name: tf.cast(tf.constant(array), TYPES[dtype]) for name, array in transposed.items()}

    def encode(x: tf.Tensor, name: str) -> tf.Tensor:
        return tf.nn.bias_add(tf.nn.conv2d(x, w[f"{name}.weight"], 2, "SAME"), w[f"{name}.bias"])

    def decode(x: tf.Tensor, name: str) -> tf.Tensor:
        kernel = w[f"{name}.weight"]
        shape = (x.shape[0], x.shape[1] * 2, x.shape[2] * 2, kernel.shape[2])
        return tf.nn.bias_add(tf.nn.conv2d_transpose(x, kernel, shape, 2, "SAME"), w[f"{name}.bias"])

    def autoencoder(images: tf.Tensor) -> tuple[tf.Tensor, ...]:
        x = tf.nn.relu(encode(tf.cast(images, TYPES[dtype]), "encode1"))
        x = tf.nn.relu(encode(x, "encode2"))
        codes = encode(x, "encode3")
        x = tf.nn.relu(decode(codes, "decode1"))
        x = tf.nn.relu(decode(x, "decode2"))
        decoded = tf.cast(tf.sigmoid(decode(x, "decode3")), tf.float32)
        return tf.cast(codes, tf.float32), decoded, tf.reduce_sum((decoded - images) ** 2, axis=(1, 2, 3))

    codes, decoded, errors = tf.function(autoencoder)(tf.constant(inputs["images"].transpose(0, 2, 3, 1)))
    return {
        "codes": codes.numpy().transpose(0, 3, 1, 2),
        "reconstructions": decoded.numpy()[:8].transpose(0, 3, 1, 2),
        "errors": errors.numpy(),
    }
