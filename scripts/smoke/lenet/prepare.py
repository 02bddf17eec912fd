"""From the digits as they are stored to what the network reads: the same bits for every framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt  # from NumPy 1.20 on


def prepare(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Enlarge the digits to 32x32 and scale them to 0..1.

    A stored pixel counts the ink (0..16) in a 4x4 block of the original 32x32 scan, so each is spread over its block
    again, as the share of ink in it. Sixteenths are exact in binary: no framework starts from a rounded input.

    Args:
        images: (N, 8, 8), values 0..16.

    Returns:
        (N, 1, 32, 32), that is NCHW, contiguous.
    """
    ink = images.astype(np.float32) / np.float32(16)
    return ink.repeat(4, axis=1).repeat(4, axis=2)[:, np.newaxis]
