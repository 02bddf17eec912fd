"""Prepares the scenes, bit for bit the same for every framework, and scores the boxes; NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[Any]
    Detection = tuple[float, int, Array]  # confidence, scene, box

SIDE = 48  # pixels
CLASSES = ("rectangle", "ellipse", "triangle")  # class 0 is the background
MAPS = ((6, (12.0, 18.0)), (3, (24.0, 32.0)))  # cells per side, sides of each cell's default boxes in pixels
UNITS = np.array([0.1, 0.1, 0.2, 0.2])  # of offsets, as in the authors' code ("variances")
MIN_CONFIDENCE, MAX_OVERLAP, HIT_OVERLAP = 0.01, 0.45, 0.5  # the first two from Liu et al. (2016, section 2.2)
MAX_GROWTH = 4.0  # exp(4) is 55 times a default box, more than a scene


def prepare(inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Scale the stored scenes from 1..14 to -1..1: eighths, exact in every data type.

    Returns:
        images: float32 (N, 3, 48, 48), contiguous NCHW.
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


def decode(offsets: Array) -> Array:
    """Convert offsets from the default boxes to corners: the inverse of equation 2 of Liu et al. (2016), in `UNITS`.

    Args:
        offsets: (..., boxes, 4): of the centre, in sizes of the default box, and the logarithm of the growth.

    Returns:
        (..., boxes, 4): left, top, right, bottom.
    """
    defaults, offsets = default_boxes(), offsets * UNITS
    centre = defaults[:, :2] + offsets[..., :2] * defaults[:, 2:]
    size = defaults[:, 2:] * np.exp(np.clip(offsets[..., 2:], -MAX_GROWTH, MAX_GROWTH))
    return np.concatenate([centre - size / 2, centre + size / 2], axis=-1)


def compute_overlaps(box: Array, others: Array) -> Array:
    """Return the intersection over union of a box (4,) with each of the others (M, 4)."""
    overlap = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    intersection = np.prod(np.maximum(overlap, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    return np.asarray(intersection / (np.prod(box[2:] - box[:2]) + areas - intersection))


def suppress(boxes: Array, confidences: Array) -> list[int]:
    """Non-maximum suppression: return the indices of the boxes to keep, most confident first."""
    order = np.argsort(-confidences, kind="stable")
    kept = []
    while len(order):
        first, order = order[0], order[1:]
        kept.append(int(first))
        order = order[compute_overlaps(boxes[first], boxes[order]) <= MAX_OVERLAP]
    return kept


def average_precision(claims: list[Detection], truth: list[Array]) -> float:
    """Return the area under the precision-recall curve, computed at every recall that occurs.

    The PASCAL VOC challenge has used this definition since 2010 (M. Everingham and J. Winn, "The PASCAL Visual Object
    Classes Challenge 2010 (VOC2010) Development Kit", sections 3.4.1 and 4.4): precision at a recall is the largest at
    that recall or above. Detections count from the most confident on; a detection is a hit if the object with the
    largest overlap shares more than half with it and was not hit before.

    Args:
        claims: all detections of one class.
        truth: each scene's objects of that class, (M, 4).
    """
    hit_objects: set[tuple[int, int]] = set()
    hits = []
    for _, scene, box in sorted(claims, key=lambda claim: -claim[0]):
        overlaps = np.append(compute_overlaps(box, truth[scene]), 0.0)  # 0 for scenes without an object of the class
        best = int(overlaps.argmax())
        hit = bool(overlaps[best] > HIT_OVERLAP) and (scene, best) not in hit_objects
        hits.append(hit)
        hit_objects |= {(scene, best)} if hit else set()
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[np.array(hits, dtype=bool)].sum()) / max(sum(map(len, truth)), 1)


def make_finite(answer: Array) -> Array:
    """Replace NaN and infinity with finite numbers, so that a wrong answer gets a score instead of an error."""
    return np.asarray(np.clip(np.nan_to_num(np.asarray(answer, dtype=np.float64)), -1e4, 1e4))


def find_detections(answers: Mapping[str, Array], kind: int) -> list[Detection]:
    """Return all detections of a class in all scenes, after suppression."""
    logits = make_finite(answers["logits"])
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    confidences = (powers / powers.sum(axis=-1, keepdims=True))[..., kind]
    boxes = decode(make_finite(answers["offsets"]))
    detections = []
    for scene, (scores, candidates) in enumerate(zip(confidences, boxes)):
        likely = np.flatnonzero(scores >= MIN_CONFIDENCE)
        kept = likely[suppress(candidates[likely], scores[likely])]
        detections += [(float(scores[index]), scene, candidates[index]) for index in kept]
    return detections


def score(answers: Mapping[str, Array], inputs: Mapping[str, Array]) -> float:
    """Return the mean of `average_precision` over the classes.

    Args:
        answers: logits (N, boxes, 4) of background and classes; offsets (N, boxes, 4), see `decode`.
        inputs: objects (N, most, 5): class, left, top, right, bottom; class 0 marks an unused row.
    """
    precisions = []
    for kind in range(1, len(CLASSES) + 1):
        truth = [scene[scene[:, 0] == kind, 1:].astype(np.float64) for scene in inputs["objects"]]
        precisions.append(average_precision(find_detections(answers, kind), truth))
    return float(np.mean(precisions))
