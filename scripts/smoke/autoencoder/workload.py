"""Prepares the weave images, bit for bit the same for every framework, and scores how well faults are detected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[Any]


def prepare(inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Scale the stored images from 0..15 to below 1: sixteenths, exact in every data type.

    Returns:
        images: float32 (N, 1, 32, 32), contiguous NCHW.
    """
    return {"images": inputs["images"][:, np.newaxis].astype(np.float32) / np.float32(16)}


def score(answers: Mapping[str, Array], inputs: Mapping[str, Array]) -> float:
    """Return the area under the ROC curve of the reconstruction error.

    It is the share of pairs in which the faulty image has a larger error than the sound one, a tie counting half: the
    statistic of Mann and Whitney (J. A. Hanley and B. J. McNeil, "The meaning and use of the area under a receiver
    operating characteristic (ROC) curve", Radiology 143, 1982). A NaN never counts as larger.

    Args:
        answers: errors (N,).
        inputs: faults (N,): 0 for a sound image.
    """
    errors, faulty = np.asarray(answers["errors"], dtype=np.float64), inputs["faults"] > 0
    pairs = errors[faulty][:, np.newaxis], errors[~faulty]
    return float(np.mean((pairs[0] > pairs[1]) + 0.5 * (pairs[0] == pairs[1])))
