"""TinyVGG in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import conv2d, linear, max_pool2d, relu

Array = npt.NDArray[np.float32]

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Classify the whole batch at once.

    Args:
        weights: the arrays of `weights.npz`.
        inputs: `images` (N, 3, 28, 28), from `prepare`.
        dtype: fp32, bf16 or fp16.

    Returns:
        `logits` (N, 8).
    """
    w = {name: torch.from_numpy(array).to(TYPES[dtype]) for name, array in weights.items()}
    with torch.inference_mode():
        x = torch.from_numpy(inputs["images"]).to(TYPES[dtype])
        for block in (("conv1", "conv2"), ("conv3", "conv4")):
            for name in block:
                x = relu(conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"]))
            x = max_pool2d(x, 2)
        logits = linear(x.flatten(1), w["dense.weight"], w["dense.bias"])
        return {"logits": logits.float().numpy()}
