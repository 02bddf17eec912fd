"""Writes the files of the EfficientNet-B0 smoke workload; its weights are random and not trained.

    pip install --require-hashes -r requirements/train.lock
    python -m training.efficientnet                  # draw the images, compute the answers, write both files
    python -m training.efficientnet --check          # compare with the committed files instead, bit for bit
    python -m training.efficientnet --expected-only  # only the expected logits, from the committed images

Files, in `scripts/smoke/efficientnet/`:

    inputs.npz    images uint8 (2, 3, 48, 48), textures; labels int64 (2,): each image's class in the reference
    expected.npz  logits float64 (2, 1000), multiples of 2**-32

The network is that of M. Tan and Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks" (ICML 2019), table 1, at its full width and depth, for images of 48x48 instead of 224x224: 23 million
multiplications per image instead of 390. Random weights (`workload.weights`) reach every layer and every kernel that
trained ones do; their answers mean nothing, so the images are two textures out of 64 on which the largest logit leads
clearly, and rounding does not decide which it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from training import files, layers, textures

Array = npt.NDArray[Any]
Arrays = Mapping[str, npt.NDArray[np.float64]]

WORKLOAD = files.run_workload("efficientnet")
FOLDER = files.SMOKE / "efficientnet"
SIDE, DRAWN, SEED = 48, 64, 2019
CHOSEN = [3, 52]  # their largest logits are similar, their classes differ
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)  # of the 16 blocks


def logits(weights: Mapping[str, Array], images: Array) -> layers.Array:
    """Compute the logits in float64, from the definition of the network."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    x = layers.silu(conv(images.astype(np.float64), w, "stem", stride=2))
    for number, stride in enumerate(STRIDES):
        x = block(x, w, f"blocks.{number}", stride)
    pooled = layers.global_avg_pool(layers.silu(conv(x, w, "head")))
    return layers.dense(pooled, w["classifier.weight"], w["classifier.bias"])


def block(x: layers.Array, w: Arrays, name: str, stride: int) -> layers.Array:
    """Inverted bottleneck with squeeze and excitation."""
    y = layers.silu(conv(x, w, f"{name}.expand")) if f"{name}.expand.weight" in w else x
    y = layers.silu(conv(y, w, f"{name}.depthwise", stride=stride, groups=y.shape[1]))
    squeezed = layers.global_avg_pool(y)[:, :, np.newaxis, np.newaxis]
    gates = layers.sigmoid(conv(layers.silu(conv(squeezed, w, f"{name}.reduce")), w, f"{name}.excite"))
    y = conv(y * gates, w, f"{name}.project")
    return x + y if x.shape == y.shape else y


def conv(x: layers.Array, w: Arrays, name: str, *, stride: int = 1, groups: int = 1) -> layers.Array:
    """Convolve to an output of ceil(input / stride)."""
    weight = w[f"{name}.weight"]
    before, after = layers.same_padding(x.shape[2], weight.shape[2], stride)
    padding = (before, after, before, after)
    return layers.conv2d(x, weight, w[f"{name}.bias"], stride=stride, padding=padding, groups=groups)


def images() -> Array:
    """Draw the textures and return the two chosen images, uint8."""
    patterns, colours, _ = textures.draw_textures(DRAWN, SIDE, np.random.RandomState(SEED))
    return textures.mix_textures(patterns[CHOSEN], colours[CHOSEN])


def answers(inputs: Mapping[str, Array]) -> layers.Array:
    """Compute the logits, and print the lead of the largest."""
    answered = layers.on_grid(logits(WORKLOAD["weights"](FOLDER), WORKLOAD["prepare"](inputs)["images"]))
    ordered = np.sort(answered, axis=1)
    print(
        f"classes {answered.argmax(axis=1).tolist()}, leading by {(ordered[:, -1] - ordered[:, -2]).round(3).tolist()}"
    )
    return answered


def make_files() -> Iterator[tuple[str, bytes]]:
    """Draw the images, compute the answers, and yield the name and bytes of each file."""
    inputs = {"images": images()}
    answered = answers(inputs)
    yield "inputs.npz", files.pack_npz({**inputs, "labels": answered.argmax(axis=1).astype(np.int64)})
    yield "expected.npz", files.pack_npz({"logits": answered})


def make_expected() -> Iterator[tuple[str, bytes]]:
    """Yield `expected.npz`, computed from the committed images."""
    yield "expected.npz", files.pack_npz({"logits": answers(files.load_npz(FOLDER / "inputs.npz"))})


if __name__ == "__main__":
    description = "Write the files of the smoke workload's EfficientNet-B0."
    sys.exit(files.main("efficientnet", description, make_files, make_expected))
