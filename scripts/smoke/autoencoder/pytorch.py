"""A convolutional auto-encoder in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import conv2d, conv_transpose2d, relu

Array = npt.NDArray[np.float32]

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Encode and decode the whole batch at once.

    Args:
        weights: the arrays of `weights.npz`.
        inputs: images (N, 1, 32, 32), from `prepare`.
        dtype: the type of weights and activations; differences and their sum are float32.

    Returns:
        codes (N, 8, 4, 4), reconstructions (8, 1, 32, 32) of the first eight images, errors (N,).
    """
    w = {name: torch.from_numpy(array).to(TYPES[dtype]) for name, array in weights.items()}
    images = torch.from_numpy(inputs["images"])

    def encode(x: torch.Tensor, name: str) -> torch.Tensor:
        return conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=2, padding=1)

    def decode(x: torch.Tensor, name: str) -> torch.Tensor:
        return conv_transpose2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=2, padding=1)

    with torch.inference_mode():
        x = relu(encode(images.to(TYPES[dtype]), "encode1"))
        x = relu(encode(x, "encode2"))
        codes = encode(x, "encode3")
        x = relu(decode(codes, "decode1"))
        x = relu(decode(x, "decode2"))
        decoded = torch.sigmoid(decode(x, "decode3")).float()
        errors = ((decoded - images) ** 2).sum(dim=(1, 2, 3))
        return {"codes": codes.float().numpy(), "reconstructions": decoded[:8].numpy(), "errors": errors.numpy()}
