"""Draws textures, trains the TinyVGG of the smoke workload on them, and writes its files.

    pip install --require-hashes -r requirements/train.lock
    python -m training.tinyvgg                  # draw the data, train, write the three files
    python -m training.tinyvgg --check          # compare with the committed files instead, bit for bit
    python -m training.tinyvgg --expected-only  # only the expected logits, from the committed weights

Files, in `scripts/smoke/tinyvgg/`:

    weights.npz   float32, multiples of 2**-14: conv1.weight (10, 3, 3, 3), conv2 to conv4.weight (10, 10, 3, 3),
                  dense.weight (8, 160), which reads the maps in the order CHW, and for each layer its .bias (outputs,)
    inputs.npz    patterns uint8 (48, 28, 28); colours uint8 (48, 2, 3), the two that a pattern mixes; labels int64
                  (48,), indexes into `textures.KINDS`; the training does not use them
    expected.npz  logits float64 (48, 8), multiples of 2**-32

TinyVGG is the network of CNN Explainer (Z. J. Wang et al., 2020): two blocks of two 3x3 convolutions without padding,
ReLU after each, a 2x2 max-pool after each block, ten channels throughout, and one dense layer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from training import descent, files, layers, textures

Array = npt.NDArray[Any]
Weights = Mapping[str, npt.NDArray[np.float32]]

WORKLOAD = files.run_workload("tinyvgg")
FOLDER = files.SMOKE / "tinyvgg"
SHAPES = {
    "conv1": (10, 3, 3, 3), "conv2": (10, 10, 3, 3), "conv3": (10, 10, 3, 3), "conv4": (10, 10, 3, 3),
    "dense": (len(textures.KINDS), 160),
}  # fmt: skip
SIDE = 28
UNSEEN, UNSEEN_SEED = 48, 2020
LESSONS, TRAINING_SEED = 8192, 1
STEPS, BATCH, RATE = 2000, 64, 0.005


def draw_inputs(count: int, random: np.random.RandomState) -> dict[str, Array]:
    """Draw textures, the arrays of `inputs.npz`."""
    return dict(zip(("patterns", "colours", "labels"), textures.draw_textures(count, SIDE, random), strict=True))


def expected_logits(weights: Weights, images: Array) -> layers.Array:
    """Compute the logits in float64 from the float32 weights, independently of the training's forward pass."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    x = images.astype(np.float64)
    for block in (("conv1", "conv2"), ("conv3", "conv4")):
        for name in block:
            x = layers.relu(layers.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"]))
        x = layers.max_pool2d(x, 2)
    return layers.on_grid(layers.dense(x.reshape(len(x), -1), w["dense.weight"], w["dense.bias"]))


def loss(w: descent.Tensors, images: Any, labels: Any) -> Any:  # noqa: ANN401 - JAX's arrays
    """Return the mean cross-entropy of a batch."""
    x = images
    for block in (("conv1", "conv2"), ("conv3", "conv4")):
        for name in block:
            x = jax.nn.relu(descent.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=0))
        x = descent.max_pool2d(x, 2)
    logits = x.reshape(len(x), -1) @ w["dense.weight"].T + w["dense.bias"]
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, jnp.newaxis], axis=1).mean()


def train() -> dict[str, npt.NDArray[np.float32]]:
    """Train on other textures and return the weights."""
    random = np.random.RandomState(TRAINING_SEED)
    lessons = draw_inputs(LESSONS, random)
    images, labels = WORKLOAD["prepare"](lessons)["images"].astype(np.float64), lessons["labels"]

    def batches() -> Iterator[tuple[Array, Array]]:
        for step in range(STEPS):
            if step % (LESSONS // BATCH) == 0:
                order = random.permutation(LESSONS)
            chosen = np.roll(order, -step * BATCH)[:BATCH]
            yield images[chosen], labels[chosen]

    trained = descent.train_weights(descent.draw_weights(SHAPES, random), loss, batches(), RATE, STEPS)
    return {name: array.astype(np.float32) for name, array in trained.items()}


def expected_file(weights: Weights, inputs: Mapping[str, Array]) -> bytes:
    """Return the bytes of `expected.npz`, and print how many textures are recognised."""
    logits = expected_logits(weights, WORKLOAD["prepare"](inputs)["images"])
    right = int((logits.argmax(axis=1) == inputs["labels"]).sum())
    print(f"{right} of {len(logits)} unseen textures recognised ({right / len(logits):.4f})")
    return files.pack_npz({"logits": logits})


def make_files() -> Iterator[tuple[str, bytes]]:
    """Draw the data, train, and yield the name and bytes of each file."""
    inputs, weights = draw_inputs(UNSEEN, np.random.RandomState(UNSEEN_SEED)), train()
    yield "weights.npz", files.pack_npz(weights)
    yield "inputs.npz", files.pack_npz(inputs)
    yield "expected.npz", expected_file(weights, inputs)


def make_expected() -> Iterator[tuple[str, bytes]]:
    """Yield `expected.npz`, computed from the committed weights and inputs."""
    yield "expected.npz", expected_file(files.load_npz(FOLDER / "weights.npz"), files.load_npz(FOLDER / "inputs.npz"))


if __name__ == "__main__":
    description = "Train the smoke workload's TinyVGG and write its files."
    sys.exit(files.main("tinyvgg", description, make_files, make_expected))
