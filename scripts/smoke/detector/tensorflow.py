"""A small single-shot detector in TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[np.float32]

TYPES = {"fp32": tf.float32, "bf16": tf.bfloat16, "fp16": tf.float16}
MARGIN = [[0, 0], [1, 1], [1, 1], [0, 0]]  # one pixel on all sides: SAME with stride 2 pads only the end


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Detect objects in the batch in a graph: eagerly executed operators do not use oneDNN.

    Args:
        weights: the arrays of `weights.npz`; the kernels are OIHW.
        inputs: images (N, 3, 48, 48), from `prepare`.
        dtype: the type of weights and activations.

    Returns:
        logits (N, 90, 4) of background and classes; offsets (N, 90, 4) from the default boxes.
    """
    transposed = {name: array.transpose(2, 3, 1, 0) if array.ndim == 4 else array for name, array in weights.items()}  # noqa: PLR2004
    w = {name: tf.cast(tf.constant(array), TYPES[dtype]) for name, array in transposed.items()}

    def conv(x: tf.Tensor, name: str, stride: int = 1) -> tf.Tensor:
        return tf.nn.bias_add(tf.nn.conv2d(x, w[f"{name}.weight"], stride, MARGIN), w[f"{name}.bias"])

    def detector(images: tf.Tensor) -> tf.Tensor:
        x = tf.nn.relu(conv(images, "conv1", stride=2))
        x = tf.nn.relu(conv(x, "conv2", stride=2))
        x = tf.nn.max_pool2d(tf.nn.relu(conv(x, "conv3")), ksize=2, strides=2, padding="VALID")
        fine = tf.nn.relu(conv(x, "conv4"))
        coarse = tf.nn.relu(conv(fine, "conv5", stride=2))
        heads = [conv(fine, "head1"), conv(coarse, "head2")]
        boxes = tf.concat([tf.reshape(head, (images.shape[0], -1, 8)) for head in heads], axis=1)
        return tf.cast(boxes, tf.float32)

    images = tf.cast(tf.constant(inputs["images"].transpose(0, 2, 3, 1)), TYPES[dtype])
    boxes: Array = tf.function(detector)(images).numpy()
    return {"logits": boxes[..., :4], "offsets": boxes[..., 4:]}
