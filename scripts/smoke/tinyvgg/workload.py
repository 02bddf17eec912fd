"""Prepares the stored textures, bit for bit the same for every framework, and scores the accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[np.generic]


def prepare(inputs: Mapping[str, Array]) -> dict[str, npt.NDArray[np.float32]]:
    """Mix each texture's two colours by its pattern, and scale the bytes to -2..2.

    The mix uses integers, and the result is in steps of 1/64, which is exact in every data type.

    Args:
        inputs: `patterns` (N, 28, 28) and `colours` (N, 2, 3), bytes.

    Returns:
        `images` (N, 3, 28, 28), contiguous NCHW.
    """
    share = inputs["patterns"].astype(np.int32)[:, np.newaxis]
    first, second = (inputs["colours"].astype(np.int32)[:, which, :, np.newaxis, np.newaxis] for which in (0, 1))
    mixed = (first * (255 - share) + second * share) // 255
    return {"images": (mixed.astype(np.float32) - np.float32(128)) / np.float32(64)}


def score(answers: Mapping[str, Array], inputs: Mapping[str, Array]) -> float:
    """Return the accuracy: the share of textures whose largest logit is at their kind."""
    return float(np.mean(np.argmax(answers["logits"], axis=1) == inputs["labels"]))
