"""EfficientNet-B0 as a TensorFlow 1.x program writes it, with `import tensorflow as tf` only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[np.float32]

TYPES = {"fp32": tf.float32, "bf16": tf.bfloat16}
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)  # of the 16 blocks


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Classify the whole batch at once; the weights are constants, as in a frozen graph.

    Args:
        weights: from `workload.weights`.
        inputs: `images` (N, 3, 48, 48), from `prepare`.
        dtype: fp32 or bf16.

    Returns:
        `logits` (N, 1000).
    """
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, [None, 3, 48, 48], name="images")
        network = Network(weights, TYPES[dtype])
        x = tf.cast(tf.transpose(images, [0, 2, 3, 1]), TYPES[dtype])  # CPU convolutions need NHWC
        x = tf.nn.swish(network.conv(x, "stem", stride=2))
        for number, stride in enumerate(STRIDES):
            x = network.block(x, f"blocks.{number}", stride)
        x = tf.reduce_mean(tf.nn.swish(network.conv(x, "head")), [1, 2])
        x = tf.matmul(x, network.constant("classifier.weight", (1, 0))) + network.constant("classifier.bias", (0,))
        logits = tf.cast(x, tf.float32, name="logits")
        with tf.Session() as session:
            return {"logits": session.run(logits, feed_dict={images: inputs["images"]})}


class Network:
    """Adds layers with their weights to the graph."""

    def __init__(self, weights: Mapping[str, Array], dtype: tf.DType) -> None:
        self.weights = weights
        self.dtype = dtype

    def constant(self, name: str, axes: tuple[int, ...]) -> tf.Tensor:
        """Add a weight to the graph, with its axes in TensorFlow's order."""
        return tf.cast(tf.constant(self.weights[name].transpose(axes), name=name), self.dtype)

    def conv(self, x: tf.Tensor, name: str, stride: int = 1) -> tf.Tensor:
        """Convolve with the authors' padding, which is TensorFlow's SAME."""
        kernel = self.constant(f"{name}.weight", (2, 3, 1, 0))
        x = tf.nn.conv2d(x, kernel, strides=[1, stride, stride, 1], padding="SAME")
        return tf.nn.bias_add(x, self.constant(f"{name}.bias", (0,)))

    def depthwise(self, x: tf.Tensor, name: str, stride: int) -> tf.Tensor:
        """Convolve each channel separately."""
        kernel = self.constant(f"{name}.weight", (2, 3, 0, 1))
        x = tf.nn.depthwise_conv2d(x, kernel, strides=[1, stride, stride, 1], padding="SAME")
        return tf.nn.bias_add(x, self.constant(f"{name}.bias", (0,)))

    def block(self, x: tf.Tensor, name: str, stride: int) -> tf.Tensor:
        """Apply an inverted residual block with squeeze and excitation; add the input if the shape is unchanged."""
        y = tf.nn.swish(self.conv(x, f"{name}.expand")) if f"{name}.expand.weight" in self.weights else x
        y = tf.nn.swish(self.depthwise(y, f"{name}.depthwise", stride))
        squeezed = tf.nn.swish(self.conv(tf.reduce_mean(y, [1, 2], keepdims=True), f"{name}.reduce"))
        y = self.conv(y * tf.sigmoid(self.conv(squeezed, f"{name}.excite")), f"{name}.project")
        return x + y if x.shape.as_list() == y.shape.as_list() else y
