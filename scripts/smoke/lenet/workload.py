"""From the digits as they are stored to what the network reads, the same bits for every framework; and the accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[np.generic]


def prepare(inputs: Mapping[str, Array]) -> dict[str, npt.NDArray[np.float32]]:
    """Enlarge the digits to 32x32 and scale them to 0..1.

    A stored pixel counts the ink (0..16) in a 4x4 block of the original 32x32 scan, so each is spread over its block
    again, as the share of ink in it. Sixteenths are exact in binary: no framework starts from a rounded input.

    Args:
        inputs: `images` (N, 8, 8), values 0..16.

    Returns:
        `images` (N, 1, 32, 32), that is NCHW, contiguous.
    """
    ink = inputs["images"].astype(np.float32) / np.float32(16)
    return {"images": ink.repeat(4, axis=1).repeat(4, axis=2)[:, np.newaxis]}


def score(answers: Mapping[str, Array], inputs: Mapping[str, Array]) -> float:
    """Return the accuracy: the share of digits whose largest logit is that of their label."""
    return float(np.mean(np.argmax(answers["logits"], axis=1) == inputs["labels"]))
