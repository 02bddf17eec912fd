"""EfficientNet-B0 in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import conv2d, linear, pad, silu

Array = npt.NDArray[np.float32]

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)  # of the 16 blocks


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Classify the whole batch at once.

    Args:
        weights: from `workload.weights`.
        inputs: `images` (N, 3, 48, 48), from `prepare`.
        dtype: fp32 or bf16.

    Returns:
        `logits` (N, 1000).
    """
    with torch.inference_mode():
        w = {name: torch.from_numpy(array).to(TYPES[dtype]) for name, array in weights.items()}
        x = silu(conv(torch.from_numpy(inputs["images"]).to(TYPES[dtype]), w, "stem", stride=2))
        for number, stride in enumerate(STRIDES):
            x = block(x, w, f"blocks.{number}", stride)
        x = silu(conv(x, w, "head")).mean((2, 3))
        return {"logits": linear(x, w["classifier.weight"], w["classifier.bias"]).float().numpy()}


def block(x: torch.Tensor, w: Mapping[str, torch.Tensor], name: str, stride: int) -> torch.Tensor:
    """Apply an inverted residual block with squeeze and excitation; add the input if the shape is unchanged."""
    y = silu(conv(x, w, f"{name}.expand")) if f"{name}.expand.weight" in w else x
    y = silu(conv(y, w, f"{name}.depthwise", stride=stride, groups=y.shape[1]))
    squeezed = silu(conv(y.mean((2, 3), keepdim=True), w, f"{name}.reduce"))
    y = conv(y * torch.sigmoid(conv(squeezed, w, f"{name}.excite")), w, f"{name}.project")
    return x + y if x.shape == y.shape else y


def conv(x: torch.Tensor, w: Mapping[str, torch.Tensor], name: str, stride: int = 1, groups: int = 1) -> torch.Tensor:
    """Convolve with the authors' padding: output size = ceil(input size / stride); an odd pixel is padded at the end.

    PyTorch's `padding="same"` does not support strides.
    """
    weight, size = w[f"{name}.weight"], x.shape[-1]
    margin = max((-(-size // stride) - 1) * stride + weight.shape[-1] - size, 0)
    if margin % 2:
        x = pad(x, (margin // 2, margin - margin // 2) * 2)
        margin = 0
    return conv2d(x, weight, w[f"{name}.bias"], stride=stride, padding=margin // 2, groups=groups)
