"""EfficientNet-B0 in TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf

Array = npt.NDArray[np.float32]

TYPES = {"fp32": tf.float32, "bf16": tf.bfloat16}
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)  # of the 16 blocks


def to_tensorflow_layout(weights: Mapping[str, Array]) -> dict[str, Array]:
    """Convert the weights to TensorFlow's layout: kernels HWIO, depthwise kernels HWC1, dense layers (in, out)."""
    converted = {}
    for name, array in weights.items():
        axes = {4: (2, 3, 0, 1) if ".depthwise" in name else (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[array.ndim]
        converted[name] = array.transpose(axes)
    return converted


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Classify the batch in a graph: eagerly executed operators do not use oneDNN.

    Args:
        weights: from `workload.weights`.
        inputs: `images` (N, 3, 48, 48), from `prepare`.
        dtype: fp32 or bf16.

    Returns:
        `logits` (N, 1000).
    """
    w = {name: tf.cast(array, TYPES[dtype]) for name, array in to_tensorflow_layout(weights).items()}

    def efficientnet(x: tf.Tensor) -> tf.Tensor:
        x = swish(conv(x, w, "stem", stride=2))
        for number, stride in enumerate(STRIDES):
            x = block(x, w, f"blocks.{number}", stride)
        x = tf.reduce_mean(swish(conv(x, w, "head")), (1, 2))
        return tf.matmul(x, w["classifier.weight"]) + w["classifier.bias"]

    logits = tf.function(efficientnet, autograph=False)(tf.cast(inputs["images"].transpose(0, 2, 3, 1), TYPES[dtype]))
    return {"logits": tf.cast(logits, tf.float32).numpy()}


def block(x: tf.Tensor, w: Mapping[str, tf.Tensor], name: str, stride: int) -> tf.Tensor:
    """Apply an inverted residual block with squeeze and excitation; add the input if the shape is unchanged."""
    y = swish(conv(x, w, f"{name}.expand")) if f"{name}.expand.weight" in w else x
    kernel, bias = w[f"{name}.depthwise.weight"], w[f"{name}.depthwise.bias"]
    y = swish(tf.nn.bias_add(tf.nn.depthwise_conv2d(y, kernel, (1, stride, stride, 1), padding="SAME"), bias))
    squeezed = swish(conv(tf.reduce_mean(y, (1, 2), keepdims=True), w, f"{name}.reduce"))
    y = conv(y * tf.sigmoid(conv(squeezed, w, f"{name}.excite")), w, f"{name}.project")
    return x + y if x.shape == y.shape else y


def conv(x: tf.Tensor, w: Mapping[str, tf.Tensor], name: str, stride: int = 1) -> tf.Tensor:
    """Convolve with the authors' padding, which is TensorFlow's SAME."""
    return tf.nn.bias_add(tf.nn.conv2d(x, w[f"{name}.weight"], strides=stride, padding="SAME"), w[f"{name}.bias"])


def swish(x: tf.Tensor) -> tf.Tensor:
    """Return x * sigmoid(x); the graph optimizer fuses the two operators."""
    return x * tf.sigmoid(x)
