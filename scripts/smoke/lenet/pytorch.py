"""LeNet-5 in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import conv2d, linear, max_pool2d, relu


def forward(weights: Mapping[str, npt.NDArray[np.float32]], images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Classify the whole batch at once.

    Args:
        weights: the arrays of `weights.npz`.
        images: (N, 1, 32, 32), from `prepare`.

    Returns:
        The logits, (N, 10).
    """
    w = {name: torch.from_numpy(array) for name, array in weights.items()}
    with torch.inference_mode():
        x = torch.from_numpy(images)
        x = max_pool2d(relu(conv2d(x, w["conv1.weight"], w["conv1.bias"])), 2)
        x = max_pool2d(relu(conv2d(x, w["conv2.weight"], w["conv2.bias"])), 2)
        x = x.flatten(1)
        x = relu(linear(x, w["fc1.weight"], w["fc1.bias"]))
        x = relu(linear(x, w["fc2.weight"], w["fc2.bias"]))
        logits: npt.NDArray[np.float32] = linear(x, w["fc3.weight"], w["fc3.bias"]).numpy()
    return logits
