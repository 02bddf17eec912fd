"""What every framework reads of the scenes, and how its boxes are judged: NumPy only, the same bits everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[Any]
    Detection = tuple[float, int, Array]  # its confidence, its scene, its box

SIDE = 48  # pixels
CLASSES = ("rectangle", "ellipse", "triangle")  # class 0 is the background
MAPS = ((6, (12.0, 18.0)), (3, (24.0, 32.0)))  # cells to a side, sides of each cell's default boxes in pixels
UNITS = np.array([0.1, 0.1, 0.2, 0.2])  # of offsets, as the authors' code has them (its "variances")
LEAST_CONFIDENCE, LARGEST_SHARED, FOUND = 0.01, 0.45, 0.5  # the first two as Liu et al. have them (2016, section 2.2)
LARGEST_GROWTH = 4.0  # exp(4) is 55 times a default box, and larger than a scene


def prepare(inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Scale the stored scenes, whose values are 1..14, to -1..1: eighths, exact in every data type.

    Returns:
        images: float32 (N, 3, 48, 48), that is NCHW, contiguous.
    """
    return {"images": (inputs["scenes"].astype(np.float32) - np.float32(8)) / np.float32(8)}


def default_boxes() -> Array:
    """Return (centre x, centre y, width, height) of each default box: map by map, row by row, cell by cell."""
    boxes = []
    for cells, sizes in MAPS:
        step = SIDE / cells
        for row in range(cells):
            for column in range(cells):
                boxes += [((column + 0.5) * step, (row + 0.5) * step, size, size) for size in sizes]
    return np.array(boxes)


def decoded(offsets: Array) -> Array:
    """Turn offsets from the default boxes into corners: the inverse of equation 2 of Liu et al. (2016), in `UNITS`.

    Args:
        offsets: (..., boxes, 4): the centre's, in sizes of the default box, and the logarithm of the growth.

    Returns:
        (..., boxes, 4): left, top, right, bottom.
    """
    defaults, offsets = default_boxes(), offsets * UNITS
    centre = defaults[:, :2] + offsets[..., :2] * defaults[:, 2:]
    size = defaults[:, 2:] * np.exp(np.clip(offsets[..., 2:], -LARGEST_GROWTH, LARGEST_GROWTH))
    return np.concatenate([centre - size / 2, centre + size / 2], axis=-1)


def shared(one: Array, others: Array) -> Array:
    """Return intersection over union of a box (4,) with each of others (M, 4)."""
    overlap = np.minimum(one[2:], others[:, 2:]) - np.maximum(one[:2], others[:, :2])
    both = np.prod(np.maximum(overlap, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    return np.asarray(both / (np.prod(one[2:] - one[:2]) + areas - both))


def suppressed(boxes: Array, confidences: Array) -> list[int]:
    """Keep the most confident box, drop what shares too much with it, and go on: indices, most confident first."""
    order = np.argsort(-confidences, kind="stable")
    kept = []
    while len(order):
        first, order = order[0], order[1:]
        kept.append(int(first))
        order = order[shared(boxes[first], boxes[order]) <= LARGEST_SHARED]
    return kept


def average_precision(claims: list[Detection], truth: list[Array]) -> float:
    """Return the area under the curve of precision over recall, at every recall there is.

    As the PASCAL VOC challenge has defined it since 2010 (M. Everingham and J. Winn, "The PASCAL Visual Object Classes
    Challenge 2010 (VOC2010) Development Kit", sections 3.4.1 and 4.4): precision at a recall is the largest at that
    recall or above. The most confident detection comes first; it is right if the object it shares most with, by more
    than half, was not found before.

    Args:
        claims: all detections of one class.
        truth: each scene's objects of that class, (M, 4).
    """
    found: set[tuple[int, int]] = set()
    right = []
    for _, scene, box in sorted(claims, key=lambda one: -one[0]):
        overlaps = np.append(shared(box, truth[scene]), 0.0)  # where there is none of the class, it shares nothing
        best = int(overlaps.argmax())
        hit = bool(overlaps[best] > FOUND) and (scene, best) not in found
        right.append(hit)
        found |= {(scene, best)} if hit else set()
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[np.array(right, dtype=bool)].sum()) / max(sum(map(len, truth)), 1)


def numbers(answer: Array) -> Array:
    """Put finite numbers in place of what is none, so that a wrong answer is scored and no error."""
    return np.asarray(np.clip(np.nan_to_num(np.asarray(answer, dtype=np.float64)), -1e4, 1e4))


def detections(answers: Mapping[str, Array], kind: int) -> list[Detection]:
    """Return what was found of a class in all scenes, after suppression."""
    logits = numbers(answers["logits"])
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    confidences = (powers / powers.sum(axis=-1, keepdims=True))[..., kind]
    boxes = decoded(numbers(answers["offsets"]))
    found = []
    for scene, (sure, places) in enumerate(zip(confidences, boxes)):
        likely = np.flatnonzero(sure >= LEAST_CONFIDENCE)
        kept = likely[suppressed(places[likely], sure[likely])]
        found += [(float(sure[index]), scene, places[index]) for index in kept]
    return found


def score(answers: Mapping[str, Array], inputs: Mapping[str, Array]) -> float:
    """Return the mean over the classes of `average_precision`.

    Args:
        answers: logits (N, boxes, 4) of background and classes; offsets (N, boxes, 4), see `decoded`.
        inputs: objects (N, most, 5): class, left, top, right, bottom; class 0 where there is none.
    """
    precisions = []
    for kind in range(1, len(CLASSES) + 1):
        truth = [scene[scene[:, 0] == kind, 1:].astype(np.float64) for scene in inputs["objects"]]
        precisions.append(average_precision(detections(answers, kind), truth))
    return float(np.mean(precisions))
