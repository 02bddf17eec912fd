"""A small single-shot detector in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import conv2d, max_pool2d, relu

Array = npt.NDArray[np.float32]

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Detect objects in the whole batch at once.

    Args:
        weights: the arrays of `weights.npz`.
        inputs: images (N, 3, 48, 48), from `prepare`.
        dtype: the type of weights and activations.

    Returns:
        logits (N, 90, 4) of background and classes; offsets (N, 90, 4) from the default boxes.
    """
    w = {name: torch.from_numpy(array).to(TYPES[dtype]) for name, array in weights.items()}

    def conv(x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        return conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=stride, padding=1)

    with torch.inference_mode():
        x = torch.from_numpy(inputs["images"]).to(TYPES[dtype])
        x = relu(conv(x, "conv1", stride=2))
        x = relu(conv(x, "conv2", stride=2))
        x = max_pool2d(relu(conv(x, "conv3")), 2)
        fine = relu(conv(x, "conv4"))
        coarse = relu(conv(fine, "conv5", stride=2))
        heads = [conv(fine, "head1"), conv(coarse, "head2")]
        boxes = torch.cat([head.permute(0, 2, 3, 1).reshape(len(x), -1, 8) for head in heads], dim=1).float()
        return {"logits": boxes[..., :4].numpy(), "offsets": boxes[..., 4:].numpy()}
