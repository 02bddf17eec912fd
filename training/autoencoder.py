"""Draws woven cloth, trains the auto-encoder of the smoke workload on sound pieces, and writes its files.

    pip install --require-hashes -r requirements/train.lock
    python -m training.autoencoder                  # draw the data, train, write the three files
    python -m training.autoencoder --check          # compare with the committed files instead, bit for bit
    python -m training.autoencoder --expected-only  # only the expected answers, from the committed weights

Files, in `scripts/smoke/autoencoder/`:

    weights.npz   float32: encode1..3.weight (outputs, inputs, 4, 4), decode1..3.weight (inputs, outputs, 4, 4), and for
                  each its .bias (outputs,); multiples of 2**-14
    inputs.npz    images uint8 (64, 32, 32), values 0..15; faults int64 (64,): 0 sound, 1 a thread is missing, 2 a
                  scratch, 3 a spot; the training uses other pieces, none of them faulty
    expected.npz  float64, multiples of 2**-20: codes (64, 8, 4, 4); reconstructions (8, 1, 32, 32), those of the first
                  eight; errors (64,), the sum of each image's squared differences

The network halves the image three times to a code of 128 numbers and doubles it three times, all with 4x4 kernels. It
has learned sound cloth only, so what it draws of a faulty piece lacks the fault, and the difference is larger.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import jax
import numpy as np
import numpy.typing as npt

from training import descent, files, layers

Array = npt.NDArray[Any]
Weights = Mapping[str, npt.NDArray[np.float32]]

WORKLOAD = files.run_workload("autoencoder")
SIDE, THREAD = 32, 4  # pixels
MAPS = (1, 8, 16, 8)  # channels before the first halving, and after each
SHOWN = 8
IMAGES, IMAGES_SEED = 64, 1982
LESSONS, TRAINING_SEED = 4096, 3
STEPS, BATCH, RATE = 1500, 32, 0.005


# The cloth.


def cloth(random: np.random.RandomState, fault: int) -> Array:
    """Draw a piece, uint8 (32, 32): plain weave of two brightnesses, shifted by up to a thread's width, with noise.

    Args:
        random: the generator.
        fault: 0 none, 1 a thread is missing, 2 a scratch, 3 a spot.
    """
    phases = random.randint(0, THREAD, 2)
    warp, weft = random.randint(7, 13), random.randint(7, 13)
    round_ = np.array([-3, 0, 0, -3])  # a thread is darker at its edges
    y, x = np.mgrid[:SIDE, :SIDE] + phases[:, np.newaxis, np.newaxis]
    row, column = y // THREAD, x // THREAD
    over = (row + column) % 2 == 0
    lost = np.full(2, -1)
    if fault == 1:
        lost[random.randint(0, 2)] = random.randint(1, SIDE // THREAD)  # whole, whatever the phase
    picture = np.where(over, warp + round_[x % THREAD], weft + round_[y % THREAD])
    picture[over & (column == lost[0])] = 2
    picture[~over & (row == lost[1])] = 2
    if fault > 1:
        away = np.abs(scratch(random) if fault == 2 else spot(random))  # noqa: PLR2004 - the docstring numbers them
        picture[away <= 1] = random.choice([1, 15])
    noisy: Array = np.clip(picture + random.randint(-1, 2, picture.shape), 0, 15)
    return noisy.astype(np.uint8)


def scratch(random: np.random.RandomState) -> Array:
    """Return the distance from a slanted stroke, in units of its half width."""
    y, x = np.mgrid[:SIDE, :SIDE] - random.randint(10, 22, (2, 1, 1))
    rise, run = random.randint(-4, 5), random.randint(1, 5)
    length = np.sqrt(float(rise**2 + run**2))
    across, along = np.abs(y * run - x * rise) / length, np.abs(y * rise + x * run) / length
    distance: Array = np.maximum(across / 0.8, along / random.randint(7, 11))
    return distance


def spot(random: np.random.RandomState) -> Array:
    """Return the distance from the centre of an ellipse, in units of its radii."""
    y, x = np.mgrid[:SIDE, :SIDE] - random.randint(8, 24, (2, 1, 1))
    high, wide = random.randint(5, 9, 2) / 2
    distance: Array = (y / high) ** 2 + (x / wide) ** 2
    return distance


def pieces(random: np.random.RandomState) -> dict[str, Array]:
    """Draw the arrays of `inputs.npz`: half of the pieces sound, the others with each fault in turn, shuffled."""
    faults = np.array([0] * (IMAGES // 2) + [1 + number % 3 for number in range(IMAGES // 2)])
    faults = random.permutation(faults).astype(np.int64)
    return {"images": np.stack([cloth(random, fault) for fault in faults]), "faults": faults}


# The expected answers, from the definition of the network.


def expected(weights: Weights, images: Array) -> dict[str, Array]:
    """Compute the answers in float64 from the float32 weights, independently of the training's forward pass."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    x = images = images.astype(np.float64)
    for name in ("encode1", "encode2", "encode3"):
        x = layers.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=2, padding=1)
        x = x if name == "encode3" else layers.relu(x)
    codes = x
    for name in ("decode1", "decode2", "decode3"):
        x = layers.conv_transpose2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=2, padding=1)
        x = layers.sigmoid(x) if name == "decode3" else layers.relu(x)
    return {
        "codes": layers.on_grid(codes, 20),
        "reconstructions": layers.on_grid(x[:SHOWN], 20),
        "errors": layers.on_grid(((x - images) ** 2).sum(axis=(1, 2, 3)), 20),
    }


# The training.


def forward(w: descent.Tensors, images: Any) -> Any:  # noqa: ANN401 - JAX's arrays
    """Return the reconstructions, for the gradients."""
    x = images
    for name in ("encode1", "encode2", "encode3"):
        x = descent.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=2)
        x = x if name == "encode3" else jax.nn.relu(x)
    for name in ("decode1", "decode2", "decode3"):
        x = descent.conv_transpose2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=2)
        x = jax.nn.sigmoid(x) if name == "decode3" else jax.nn.relu(x)
    return x


def loss(w: descent.Tensors, images: Any) -> Any:  # noqa: ANN401 - JAX's arrays
    """Return the mean squared error per image."""
    return ((forward(w, images) - images) ** 2).sum(axis=(1, 2, 3)).mean()


def train() -> dict[str, npt.NDArray[np.float32]]:
    """Train on other, sound pieces and return the weights."""
    random = np.random.RandomState(TRAINING_SEED)
    drawn = {"images": np.stack([cloth(random, 0) for _ in range(LESSONS)])}
    images = WORKLOAD["prepare"](drawn)["images"].astype(np.float64)
    batches = ((images[random.choice(LESSONS, BATCH, replace=False)],) for _ in range(STEPS))

    shapes = {f"encode{number}": (after, before, 4, 4) for number, (before, after) in enumerate(pairwise(MAPS), 1)}
    doubling = {f"decode{number}": (*maps, 4, 4) for number, maps in enumerate(pairwise(MAPS[::-1]), 1)}
    trained = descent.train_weights(
        descent.draw_weights(shapes | doubling, random, doubling), loss, batches, RATE, STEPS
    )
    return {name: array.astype(np.float32) for name, array in trained.items()}


# The files.


def expected_file(weights: Weights, inputs: Mapping[str, Array]) -> bytes:
    """Return the bytes of `expected.npz`, and print how well faulty pieces are detected."""
    answers = expected(weights, WORKLOAD["prepare"](inputs)["images"])
    errors = [answers["errors"][inputs["faults"] == fault] for fault in range(4)]
    for name, values in zip(("sound", "missing thread", "scratch", "spot"), errors, strict=True):
        print(f"{name}: {len(values)} pieces, squared error {values.min():.2f} to {values.max():.2f}")
    print(f"area under the ROC curve {WORKLOAD['score'](answers, inputs):.4f}")
    return files.pack_npz(answers, compressed=True)


def make_files() -> Iterator[tuple[str, bytes]]:
    """Draw the data, train, and yield the name and bytes of each file."""
    inputs, weights = pieces(np.random.RandomState(IMAGES_SEED)), train()
    yield "weights.npz", files.pack_npz(weights, compressed=True)
    yield "inputs.npz", files.pack_npz(inputs, compressed=True)
    yield "expected.npz", expected_file(weights, inputs)


def make_expected() -> Iterator[tuple[str, bytes]]:
    """Yield `expected.npz`, computed from the committed weights and inputs."""
    folder = files.SMOKE / "autoencoder"
    yield "expected.npz", expected_file(files.load_npz(folder / "weights.npz"), files.load_npz(folder / "inputs.npz"))


if __name__ == "__main__":
    description = "Train the smoke workload's auto-encoder and write its files."
    sys.exit(files.main("autoencoder", description, make_files, make_expected))
