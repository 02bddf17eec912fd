"""Draws scenes, trains the single-shot detector of the smoke workload on them, and writes its files.

    pip install --require-hashes -r requirements/train.lock
    python -m training.detector                  # draw the data, train, write the three files
    python -m training.detector --check          # compare with the committed files instead, bit for bit
    python -m training.detector --expected-only  # only the expected answers, from the committed weights

Files, in `scripts/smoke/detector/`:

    weights.npz   float32, NETWORK's layers: .weight (outputs, inputs, 3, 3) and .bias (outputs,), multiples of 2**-14
    inputs.npz    scenes uint8 (24, 3, 48, 48), values 1..14; objects int64 (24, 4, 5): class 1..3, left, top, right,
                  bottom, zeros for no object; the training uses other scenes
    expected.npz  logits and offsets float64 (24, 90, 4), multiples of 2**-18

The network is that of SSD (W. Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016) in small: convolutions to
two maps, 6x6 and 3x3, and on each a head that says for every cell and default box how sure each class is and where the
box lies. Matching, loss and hard negative mining are those of its section 2.2.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from training import descent, files, layers

Array = npt.NDArray[Any]
Weights = Mapping[str, npt.NDArray[np.float32]]

WORKLOAD = files.run_workload("detector")
SIDE, CLASSES = WORKLOAD["SIDE"], len(WORKLOAD["CLASSES"])
BOXES, SEATS = len(WORKLOAD["default_boxes"]()), 2  # the number of default boxes, and those of a cell
NETWORK = {  # outputs, inputs
    "conv1": (12, 3), "conv2": (16, 12), "conv3": (24, 16), "conv4": (32, 24), "conv5": (24, 32),
    "head1": (SEATS * 8, 32), "head2": (SEATS * 8, 24),
}  # fmt: skip
SCENES, SCENES_SEED = 24, 1966
MOST, CONTRAST = 4, 10  # objects in a scene; sum of an object's colour differences from the ground, of 33
LESSONS, TRAINING_SEED = 6144, 7
STEPS, BATCH, RATE = 2400, 32, 0.003
MATCH = 0.5  # a default box that overlaps an object by more than this answers for it


# The scenes.


def scene(random: np.random.RandomState) -> tuple[Array, list[tuple[int, ...]]]:
    """Draw a scene: a plain ground, up to four objects that do not touch, and noise.

    Returns:
        the picture, uint8 (3, 48, 48), and each object's class, left, top, right, bottom.
    """
    picture = np.zeros((3, SIDE, SIDE), dtype=np.int64) + random.randint(2, 14, (3, 1, 1))
    ground = picture[:, 0, 0].copy()
    taken = np.zeros((SIDE, SIDE), dtype=bool)
    objects: list[tuple[int, ...]] = []
    wanted = random.randint(1, MOST + 1)
    for _ in range(12):  # attempts
        width = random.randint(10, 29)
        height = random.randint(max(10, width * 2 // 3), min(28, width * 3 // 2) + 1)
        left, top = random.randint(0, SIDE - width + 1), random.randint(0, SIDE - height + 1)
        kind, upright = random.randint(1, CLASSES + 1), random.randint(0, 2)
        colour = random.randint(2, 14, 3)
        place = np.s_[top : top + height, left : left + width]
        if len(objects) == wanted or taken[place].any() or np.abs(colour - ground).sum() < CONTRAST:
            continue
        taken[place] = True
        mask = shape(kind, height, width, flipped=not upright)
        picture[(slice(None), *place)] += mask * (colour - ground)[:, np.newaxis, np.newaxis]
        objects.append((kind, left, top, left + width, top + height))
    noise = random.randint(-1, 2, picture.shape)
    return np.clip(picture + noise, 0, 15).astype(np.uint8), objects


def shape(kind: int, height: int, width: int, *, flipped: bool) -> Array:
    """Return the pixels of its box that an object covers, by their centres: int64 (height, width)."""
    y, x = ((np.arange(size) + 0.5) / size for size in (height, width))
    y, x = y[:, np.newaxis], x[np.newaxis]
    ellipse = (2 * x - 1) ** 2 + (2 * y - 1) ** 2 <= 1
    triangle = np.abs(2 * x - 1) <= (1 - y if flipped else y)
    masks = (np.ones((height, width), dtype=bool), ellipse, triangle)
    return masks[kind - 1].astype(np.int64)


def scenes(count: int, random: np.random.RandomState) -> dict[str, Array]:
    """Draw the arrays of `inputs.npz`: scenes with at least one object each."""
    drawn: list[tuple[Array, list[tuple[int, ...]]]] = []
    while len(drawn) < count:
        picture, placed = scene(random)
        drawn += [(picture, placed)] if placed else []
    objects = np.zeros((count, MOST, 5), dtype=np.int64)
    for number, (_, placed) in enumerate(drawn):
        objects[number, : len(placed)] = placed
    return {"scenes": np.stack([picture for picture, _ in drawn]), "objects": objects}


# The expected answers, from the definition of the network.


def expected(weights: Weights, images: Array) -> dict[str, Array]:
    """Compute the answers in float64 from the float32 weights, independently of the training's forward pass."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}

    def conv(x: Array, name: str, stride: int = 1) -> Array:
        return layers.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=stride, padding=1)

    x = layers.relu(conv(images.astype(np.float64), "conv1", 2))
    x = layers.relu(conv(x, "conv2", 2))
    x = layers.max_pool2d(layers.relu(conv(x, "conv3")), 2)
    fine = layers.relu(conv(x, "conv4"))
    coarse = layers.relu(conv(fine, "conv5", 2))
    heads = [conv(fine, "head1"), conv(coarse, "head2")]
    answers = np.concatenate([head.transpose(0, 2, 3, 1).reshape(len(x), -1, 8) for head in heads], axis=1)
    return {"logits": layers.on_grid(answers[..., :4], 18), "offsets": layers.on_grid(answers[..., 4:], 18)}


# The training.


def lessons(drawn: Mapping[str, Array]) -> tuple[Array, Array]:
    """Match the objects with the default boxes, as in section 2.2 of the paper.

    Returns:
        the class of each scene's default boxes (N, boxes), and the offsets they should answer with (N, boxes, 4).
    """
    defaults = WORKLOAD["default_boxes"]()
    corners = np.concatenate([defaults[:, :2] - defaults[:, 2:] / 2, defaults[:, :2] + defaults[:, 2:] / 2], axis=1)
    classes = np.zeros((len(drawn["scenes"]), BOXES), dtype=np.int64)
    offsets = np.zeros((len(drawn["scenes"]), BOXES, 4))
    most = np.zeros((len(drawn["scenes"]), BOXES))
    for number, seat in np.argwhere(drawn["objects"][..., 0]).tolist():
        kind, box = drawn["objects"][number, seat, 0], drawn["objects"][number, seat, 1:].astype(np.float64)
        overlap = WORKLOAD["compute_overlaps"](box, corners)
        overlap[overlap.argmax()] = 1  # its best default box always answers for it
        mine = (overlap > MATCH) & (overlap > most[number])
        most[number, mine] = overlap[mine]
        classes[number, mine] = kind
        size = box[2:] - box[:2]
        offsets[number, mine, :2] = ((box[:2] + box[2:]) / 2 - defaults[mine, :2]) / defaults[mine, 2:]
        offsets[number, mine, 2:] = np.log(size / defaults[mine, 2:])
        offsets[number, mine] /= WORKLOAD["UNITS"]
    return classes, offsets


def forward(w: descent.Tensors, images: Any) -> Any:  # noqa: ANN401 - JAX's arrays
    """Return the answers (N, boxes, 8), for the gradients."""

    def conv(x: Any, name: str, stride: int = 1) -> Any:  # noqa: ANN401 - as above
        return descent.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=stride)

    x = jax.nn.relu(conv(jax.nn.relu(conv(images, "conv1", 2)), "conv2", 2))
    fine = jax.nn.relu(conv(descent.max_pool2d(jax.nn.relu(conv(x, "conv3")), 2), "conv4"))
    coarse = jax.nn.relu(conv(fine, "conv5", 2))
    heads = [conv(fine, "head1"), conv(coarse, "head2")]
    return jnp.concatenate([head.transpose(0, 2, 3, 1).reshape(len(images), -1, 8) for head in heads], axis=1)


def loss(w: descent.Tensors, images: Any, classes: Any, offsets: Any) -> Any:  # noqa: ANN401 - JAX's arrays
    """Return cross-entropy of the matched boxes and of three times as many of the worst others, and smooth L1."""
    answers = forward(w, images)
    each = -jnp.take_along_axis(jax.nn.log_softmax(answers[..., :4]), classes[..., jnp.newaxis], axis=-1)[..., 0]
    matched = classes > 0
    others = jnp.sort(jnp.where(matched, 0.0, each).ravel())[::-1]
    worst = jnp.where(jnp.arange(others.size) < 3 * matched.sum(), others, 0.0)
    away = jnp.abs(answers[..., 4:] - offsets)
    smooth = jnp.where(away < 1, away**2 / 2, away - 0.5).sum(axis=-1)
    total = (each * matched).sum() + worst.sum() + (smooth * matched).sum()
    return total / matched.sum()


def train() -> dict[str, npt.NDArray[np.float32]]:
    """Train on other scenes and return the weights."""
    random = np.random.RandomState(TRAINING_SEED)
    drawn = scenes(LESSONS, random)
    classes, offsets = lessons(drawn)
    images = WORKLOAD["prepare"](drawn)["images"].astype(np.float64)

    def batches() -> Iterator[tuple[Array, Array, Array]]:
        for step in range(STEPS):
            if step % (LESSONS // BATCH) == 0:
                order = random.permutation(LESSONS)
            chosen = np.roll(order, -step * BATCH)[:BATCH]
            yield images[chosen], classes[chosen], offsets[chosen]

    shapes = {name: (*size, 3, 3) for name, size in NETWORK.items()}
    trained = descent.train_weights(descent.draw_weights(shapes, random), loss, batches(), RATE, STEPS)
    return {name: array.astype(np.float32) for name, array in trained.items()}


# The files.


def expected_file(weights: Weights, inputs: Mapping[str, Array]) -> bytes:
    """Return the bytes of `expected.npz`, and print how well the objects are found."""
    answers = expected(weights, WORKLOAD["prepare"](inputs)["images"])
    number = np.count_nonzero(inputs["objects"][..., 0])
    print(f"mean average precision {WORKLOAD['score'](answers, inputs):.4f}, {number} objects")
    return files.pack_npz(answers, compressed=True)


def make_files() -> Iterator[tuple[str, bytes]]:
    """Draw the data, train, and yield the name and bytes of each file."""
    inputs, weights = scenes(SCENES, np.random.RandomState(SCENES_SEED)), train()
    yield "weights.npz", files.pack_npz(weights, compressed=True)
    yield "inputs.npz", files.pack_npz(inputs, compressed=True)
    yield "expected.npz", expected_file(weights, inputs)


def make_expected() -> Iterator[tuple[str, bytes]]:
    """Yield `expected.npz`, computed from the committed weights and inputs."""
    folder = files.SMOKE / "detector"
    yield "expected.npz", expected_file(files.load_npz(folder / "weights.npz"), files.load_npz(folder / "inputs.npz"))


if __name__ == "__main__":
    description = "Train the smoke workload's detector and write its files."
    sys.exit(files.main("detector", description, make_files, make_expected))
