"""A small single-shot detector as a TensorFlow 1.x program writes it, with `import tensorflow as tf` only."""

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
    """Detect objects in the whole batch at once.

    Args:
        weights: the arrays of `weights.npz`; the kernels are OIHW.
        inputs: images (N, 3, 48, 48), from `prepare`.
        dtype: the type of weights and activations.

    Returns:
        logits (N, 90, 4) of background and classes; offsets (N, 90, 4) from the default boxes.
    """
    with tf.Graph().as_default():
        pictures = tf.placeholder(tf.float32, [None, 3, 48, 48], name="images")

        def conv(x: tf.Tensor, name: str, stride: int = 1) -> tf.Tensor:
            with tf.variable_scope(name):
                transposed = weights[f"{name}.weight"].transpose(2, 3, 1, 0)
                kernel = tf.get_variable("kernel", initializer=tf.cast(tf.constant(transposed), TYPES[dtype]))
                bias = tf.get_variable("bias", initializer=tf.cast(tf.constant(weights[f"{name}.bias"]), TYPES[dtype]))
                padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
                return tf.nn.bias_add(tf.nn.conv2d(padded, kernel, [1, stride, stride, 1], "VALID"), bias)

        x = tf.cast(tf.transpose(pictures, [0, 2, 3, 1]), TYPES[dtype])  # CPU convolutions need NHWC
        x = tf.nn.relu(conv(x, "conv1", stride=2))
        x = tf.nn.relu(conv(x, "conv2", stride=2))
        x = tf.nn.max_pool(tf.nn.relu(conv(x, "conv3")), [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
        fine = tf.nn.relu(conv(x, "conv4"))
        coarse = tf.nn.relu(conv(fine, "conv5", stride=2))
        heads = [conv(fine, "head1"), conv(coarse, "head2")]
        boxes = tf.concat([tf.reshape(head, [tf.shape(x)[0], -1, 8]) for head in heads], axis=1)
        logits, offsets = tf.split(tf.cast(boxes, tf.float32), 2, axis=2)

        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            answers: list[Array] = session.run([logits, offsets], feed_dict={pictures: inputs["images"]})
    return {"logits": answers[0], "offsets": answers[1]}
