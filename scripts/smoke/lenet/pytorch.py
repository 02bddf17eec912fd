"""LeNet-5 in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import conv2d, linear, max_pool2d, relu

Array = npt.NDArray[np.float32]

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# For int8: the largest value of the images and of each layer's output on the 1437 training digits (training/lenet.py).
LARGEST = {"images": 1.0, "conv1": 4.81, "conv2": 11.03}


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Classify the whole batch at once.

    Args:
        weights: the arrays of `weights.npz`.
        inputs: `images` (N, 1, 32, 32), from `prepare`.
        dtype: fp32, bf16, fp16 or int8.

    Returns:
        `logits` (N, 10).
    """
    with torch.inference_mode():
        images = torch.from_numpy(inputs["images"])
        w = {name: torch.from_numpy(array) for name, array in weights.items()}
        logits = compute_int8(w, images) if dtype == "int8" else lenet(w, images, TYPES[dtype])
        return {"logits": logits.float().numpy()}


def lenet(weights: Mapping[str, torch.Tensor], x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Compute everything in one floating-point type."""
    w = {name: tensor.to(dtype) for name, tensor in weights.items()}
    x = x.to(dtype)
    x = max_pool2d(relu(conv2d(x, w["conv1.weight"], w["conv1.bias"])), 2)
    x = max_pool2d(relu(conv2d(x, w["conv2.weight"], w["conv2.bias"])), 2)
    x = x.flatten(1)
    x = relu(linear(x, w["fc1.weight"], w["fc1.bias"]))
    x = relu(linear(x, w["fc2.weight"], w["fc2.bias"]))
    return linear(x, w["fc3.weight"], w["fc3.bias"])


def compute_int8(w: Mapping[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Compute convolutions with fixed scales, and dense layers with one scale per batch.

    The engine is qnnpack: on Arm, oneDNN's engine computes 8-bit convolutions with a reference kernel.
    """
    torch.backends.quantized.engine = "qnnpack"
    q = torch.ops.quantized
    x = torch.quantize_per_tensor(x, LARGEST["images"] / 255, 0, torch.quint8)
    for name in ("conv1", "conv2"):
        packed = q.conv2d_prepack(quantize(w[f"{name}.weight"]), w[f"{name}.bias"], [1, 1], [0, 0], [1, 1], 1)
        x = q.conv2d_relu(x, packed, LARGEST[name] / 255, 0)
        x = max_pool2d(x, 2)
    x = x.dequantize().flatten(1)
    for name in ("fc1", "fc2", "fc3"):
        x = q.linear_dynamic(x, q.linear_prepack(quantize(w[f"{name}.weight"]), w[f"{name}.bias"]))
        x = relu(x) if name != "fc3" else x
    return x


def quantize(weight: torch.Tensor) -> torch.Tensor:
    """Quantize weights symmetrically to -127..127."""
    return torch.quantize_per_tensor(weight, float(weight.abs().max()) / 127, 0, torch.qint8)
