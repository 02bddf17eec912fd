"""Trains the LeNet-5 of the smoke workload on real handwritten digits, in plain NumPy, and writes its files.

    pip install --require-hashes -r requirements/train.lock
    python -m training.lenet                  # train, write the three files (half a minute)
    python -m training.lenet --check          # train and compare with the committed files instead, bit for bit
    python -m training.lenet --expected-only  # only the expected logits, from the committed weights

Files, in `scripts/smoke/lenet/`:

    weights.npz   float32: conv1.weight (6, 1, 5, 5), conv2.weight (16, 6, 5, 5), fc1.weight (120, 400),
                  fc2.weight (84, 120), fc3.weight (10, 84), and for each layer its .bias (outputs,)
    inputs.npz    images uint8 (360, 8, 8), values 0..16; labels int64 (360,): digits that the training does not use
    expected.npz  logits float64 (360, 10)

Images are NCHW, kernels OIHW, dense weights (outputs, inputs); fc1 reads the pooled maps in (channel, row, column)
order. The network is conv1, ReLU, 2x2 max-pool, conv2, ReLU, 2x2 max-pool, fc1, ReLU, fc2, ReLU, fc3.

Every machine gets the same bits. The last bits of matrix products depend on the BLAS, and training would amplify the
difference. After every step, the weights are therefore rounded to multiples of 2**-16, which is far coarser. The
expected logits are summed term by term in a fixed order, without BLAS.

The held-out digits serve to prove a computation, not to measure LeNet-5: the settings were compared on the training
digits, but three earlier networks were scored on the held-out ones too (0.975, 0.994, 0.981).
"""

import argparse
import io
import runpy
import sys
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

Array = npt.NDArray[np.float64]
Arrays = dict[str, Array]
Digits = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Weights = Mapping[str, npt.NDArray[np.float32]]

FOLDER = Path(__file__).resolve().parents[1] / "scripts" / "smoke" / "lenet"
SHAPES = {"conv1": (6, 1, 5, 5), "conv2": (16, 6, 5, 5), "fc1": (120, 400), "fc2": (84, 120), "fc3": (10, 84)}
KERNEL = 5
HELD_OUT = 360
SPLIT_SEED = 1998  # the year of both the digits and LeNet-5
TRAINING_SEED = 1  # of 1 to 6, the first with the fewest units that are silent on every training digit (6 of 204)
# The four below were compared on four folds of the training digits (0.9916 on average).
EPOCHS = 40
RATE = 0.02
SHIFT = 3
DECAY = 0.005
BATCH = 32
MOMENTUM = 0.9
GRID = 2.0**-16

_workload = runpy.run_path(str(FOLDER / "workload.py"))


def prepare(images: Digits) -> npt.NDArray[np.float32]:
    """Convert digits to the input of the network, as the workload does."""
    prepared: npt.NDArray[np.float32] = _workload["prepare"]({"images": images})["images"]
    return prepared


# The expected logits, from the definition of the network.


def expected_logits(weights: Weights, images: Digits) -> Array:
    """Compute the logits in float64 from the float32 weights, independently of the training's forward pass."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    x = prepare(images).astype(np.float64)
    x = pool(np.maximum(convolve(x, w["conv1.weight"], w["conv1.bias"]), 0))
    x = pool(np.maximum(convolve(x, w["conv2.weight"], w["conv2.bias"]), 0))
    x = x.reshape(len(x), -1)
    x = np.maximum(dense(x, w["fc1.weight"], w["fc1.bias"]), 0)
    x = np.maximum(dense(x, w["fc2.weight"], w["fc2.bias"]), 0)
    return dense(x, w["fc3.weight"], w["fc3.bias"])


def convolve(x: Array, weight: Array, bias: Array) -> Array:
    """Cross-correlate without padding; the bias is the first term of each sum."""
    height, width = x.shape[2] - KERNEL + 1, x.shape[3] - KERNEL + 1
    out = np.zeros((len(x), len(weight), height, width)) + bias[:, np.newaxis, np.newaxis]
    for channel, row, column in product(range(x.shape[1]), range(KERNEL), range(KERNEL)):
        plane = x[:, np.newaxis, channel, row : row + height, column : column + width]
        out += weight[:, channel, row, column, np.newaxis, np.newaxis] * plane
    return out


def pool(x: Array) -> Array:
    """Return the maximum of each 2x2 block."""
    return np.maximum(
        np.maximum(x[:, :, 0::2, 0::2], x[:, :, 0::2, 1::2]),
        np.maximum(x[:, :, 1::2, 0::2], x[:, :, 1::2, 1::2]),
    )


def dense(x: Array, weight: Array, bias: Array) -> Array:
    """Affine map; the bias is the first term of each sum."""
    out = np.zeros((len(x), len(weight))) + bias
    for unit in range(x.shape[1]):
        out += x[:, unit, np.newaxis] * weight[:, unit]
    return out


# The training: the same network for speed (im2col and matrix products), with its gradients.


def windows(x: Array) -> Array:
    """Return every 5x5 window as a row (im2col): (N * H' * W', C * 25)."""
    views = np.lib.stride_tricks.sliding_window_view(x, (KERNEL, KERNEL), axis=(2, 3))
    return views.transpose(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1] * KERNEL**2)


def from_windows(rows: Array, shape: tuple[int, ...]) -> Array:
    """Add every row to the place of its window: the transpose of `windows`."""
    count, channels, height, width = shape
    high, wide = height - KERNEL + 1, width - KERNEL + 1
    patches = rows.reshape(count, high, wide, channels, KERNEL, KERNEL).transpose(0, 3, 4, 5, 1, 2)
    out = np.zeros(shape)
    for row, column in product(range(KERNEL), range(KERNEL)):
        out[:, :, row : row + high, column : column + wide] += patches[:, :, row, column]
    return out


class Convolution:
    """A convolution, ReLU and 2x2 max-pool that keeps the values for its gradient."""

    def __init__(self, x: Array, weight: Array, bias: Array) -> None:
        self.input_shape = x.shape
        self.weight = weight
        self.rows = windows(x)
        size = x.shape[2] - KERNEL + 1
        self.map_shape = (len(x), size // 2, 2, size // 2, 2, len(weight))
        maps = (self.rows @ weight.reshape(len(weight), -1).T + bias).reshape(self.map_shape)
        blocks = maps.transpose(0, 5, 1, 3, 2, 4).reshape(len(x), len(weight), size // 2, size // 2, 4)
        self.winner = blocks.argmax(axis=-1)[..., np.newaxis]
        self.out = np.maximum(np.take_along_axis(blocks, self.winner, axis=-1)[..., 0], 0)

    def gradients(self, upstream: Array, *, to_input: bool) -> tuple[Array, Array, Array]:
        """Return the gradients of the weight, the bias and, with `to_input`, the input; else the last is empty."""
        blocks = np.zeros((*self.out.shape, 4))
        np.put_along_axis(blocks, self.winner, (upstream * (self.out > 0))[..., np.newaxis], axis=-1)
        count, half, channels = self.map_shape[0], self.map_shape[1], self.map_shape[5]
        maps = blocks.reshape(count, channels, half, half, 2, 2).transpose(0, 2, 4, 3, 5, 1).reshape(-1, channels)
        kernels = self.weight.reshape(channels, -1)
        below = from_windows(maps @ kernels, self.input_shape) if to_input else np.empty(0)
        return (maps.T @ self.rows).reshape(self.weight.shape), maps.sum(axis=0), below


def loss_and_gradients(w: Arrays, x: Array, labels: Labels) -> tuple[float, Arrays]:
    """Return the mean cross-entropy of a batch and its gradient for every weight."""
    first = Convolution(x, w["conv1.weight"], w["conv1.bias"])
    second = Convolution(first.out, w["conv2.weight"], w["conv2.bias"])
    flat = second.out.reshape(len(x), -1)
    hidden1 = np.maximum(flat @ w["fc1.weight"].T + w["fc1.bias"], 0)
    hidden2 = np.maximum(hidden1 @ w["fc2.weight"].T + w["fc2.bias"], 0)
    logits = hidden2 @ w["fc3.weight"].T + w["fc3.bias"]

    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    each = np.arange(len(x))
    loss = float(-np.log(probabilities[each, labels]).mean())

    gradients: Arrays = {}
    upstream = probabilities
    upstream[each, labels] -= 1
    upstream /= len(x)
    for layer, below in (("fc3", hidden2), ("fc2", hidden1), ("fc1", flat)):
        gradients[f"{layer}.weight"], gradients[f"{layer}.bias"] = upstream.T @ below, upstream.sum(axis=0)
        upstream = (upstream @ w[f"{layer}.weight"]) * (below > 0)
    conv2 = second.gradients(upstream.reshape(second.out.shape), to_input=True)
    conv1 = first.gradients(conv2[2], to_input=False)
    gradients |= {"conv2.weight": conv2[0], "conv2.bias": conv2[1], "conv1.weight": conv1[0], "conv1.bias": conv1[1]}
    return loss, gradients


def on_grid(array: Array) -> Array:
    """Round to multiples of 2**-16; such a weight below 256 is exact in float32 as well."""
    return np.round(array / GRID) * GRID


def draw_weights(random: np.random.Generator) -> Arrays:
    """Draw the weights uniformly with He's variance (2 / inputs); the biases start at zero.

    The weights of each unit are shifted to sum to zero. Its inputs are never negative, so a unit with a negative sum
    could be zero for every image and never learn.
    """
    w: Arrays = {}
    for layer, shape in SHAPES.items():
        inputs = tuple(range(1, len(shape)))
        limit = float(np.sqrt(6 / np.prod(shape[1:])))
        drawn = random.uniform(-limit, limit, shape)
        w[f"{layer}.weight"] = on_grid(drawn - drawn.mean(axis=inputs, keepdims=True))
        w[f"{layer}.bias"] = np.zeros(shape[0])
    return w


def shift_images(x: Array, random: np.random.Generator) -> Array:
    """Move each image by up to three pixels in both directions; new pixels are 0, the background."""
    size = x.shape[2]
    padded = np.pad(x, ((0, 0), (0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))
    rows, columns = random.integers(0, 2 * SHIFT + 1, (2, len(x)))
    return views[np.arange(len(x)), :, rows, columns]


def train(images: Digits, labels: Labels, random: np.random.Generator) -> Arrays:
    """Train by stochastic gradient descent with momentum and weight decay; the rate falls linearly to zero."""
    x = prepare(images).astype(np.float64)
    w = draw_weights(random)
    velocity = {name: np.zeros_like(array) for name, array in w.items()}
    for epoch in range(EPOCHS):
        order = random.permutation(len(x))
        losses = []
        for start in range(0, len(x), BATCH):
            batch = order[start : start + BATCH]
            rate = RATE * (1 - (epoch + start / len(x)) / EPOCHS)
            loss, gradients = loss_and_gradients(w, shift_images(x[batch], random), labels[batch])
            losses.append(loss)
            for name, gradient in gradients.items():
                pull = DECAY * w[name] if name.endswith(".weight") else 0
                velocity[name] = MOMENTUM * velocity[name] - rate * (gradient + pull)
                w[name] = on_grid(w[name] + velocity[name])
        print(f"epoch {epoch + 1:2} of {EPOCHS}: loss {np.mean(losses):.5f}", flush=True)
    return w


# The files.


def pack_npz(**arrays: npt.NDArray[Any]) -> bytes:
    """Return the bytes of an .npz. NumPy dates its members 1980-01-01, so the same arrays give the same bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def load_npz(name: str) -> dict[str, npt.NDArray[Any]]:
    """Read a committed file."""
    with np.load(FOLDER / name, allow_pickle=False) as archive:
        return dict(archive)


def make_files() -> Iterator[tuple[str, bytes]]:
    """Train, and yield the name and bytes of each file."""
    digits = load_digits()
    images, labels = digits.images.astype(np.uint8), digits.target.astype(np.int64)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(images))
    unseen, seen = order[:HELD_OUT], order[HELD_OUT:]
    trained = train(images[seen], labels[seen], np.random.default_rng(TRAINING_SEED))
    weights = {name: array.astype(np.float32) for name, array in trained.items()}
    yield "weights.npz", pack_npz(**weights)
    yield "inputs.npz", pack_npz(images=images[unseen], labels=labels[unseen])
    yield "expected.npz", expected_file(weights, images[unseen], labels[unseen])


def expected_file(weights: Weights, images: Digits, labels: Labels) -> bytes:
    """Return the bytes of `expected.npz`, and print how many digits are recognised."""
    logits = expected_logits(weights, images)
    right = int((logits.argmax(axis=1) == labels).sum())
    print(f"{right} of {len(labels)} unseen digits recognised ({right / len(labels):.4f})")
    return pack_npz(logits=logits)


def make_expected() -> Iterator[tuple[str, bytes]]:
    """Yield `expected.npz`, computed from the committed weights and inputs."""
    inputs = load_npz("inputs.npz")
    yield "expected.npz", expected_file(load_npz("weights.npz"), inputs["images"], inputs["labels"])


def compare_files(files: Iterator[tuple[str, bytes]]) -> bool:
    """Compare files with the committed ones, print the result of each, and return whether all are the same."""
    results = []
    for name, content in files:
        path = FOLDER / name
        results.append(path.is_file() and path.read_bytes() == content)
        print(f"{name}: {'reproduced bit for bit' if results[-1] else 'differs from the committed file'}")
    return all(results)


def main() -> int:
    """Write the files, or compare them; return the exit code."""
    parser = argparse.ArgumentParser(description="Train the smoke workload's LeNet-5 and write its files.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="train and compare with the committed files")
    mode.add_argument("--expected-only", action="store_true", help="compare only the expected logits; no training")
    options = parser.parse_args()
    if options.check or options.expected_only:
        return 0 if compare_files(make_files() if options.check else make_expected()) else 1
    for name, content in list(make_files()):
        (FOLDER / name).write_bytes(content)
        print(f"{name}: {len(content)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
