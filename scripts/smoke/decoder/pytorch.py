"""A decoder-only transformer in PyTorch, which generates token by token with a key-value cache."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import embedding, layer_norm, linear, relu, scaled_dot_product_attention

Array = npt.NDArray[np.float32]

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.float32}  # between the layers
HEADS = 4
STEP = 2.0**-7  # between two weights, see workload.py


def forward(weights: Mapping[str, Array], inputs: Mapping[str, npt.NDArray[np.int64]], dtype: str) -> dict[str, Array]:
    """Decode greedily: read all prompts at once, then append the best token of each until the last position.

    Args:
        weights: from `workload.weights`.
        inputs: `tokens` (N, 8), from `prepare`.
        dtype: fp32, bf16 or int8.

    Returns:
        `tokens` (N, 16) and the `logits` (N, 16, 29) of each token.
    """
    with torch.inference_mode():
        decoder = Decoder({name: torch.from_numpy(array) for name, array in weights.items()}, dtype)
        logits = [decoder.read(torch.from_numpy(inputs["tokens"]))]
        tokens = [logits[0].argmax(1, keepdim=True)]
        while decoder.place < decoder.places:
            logits.append(decoder.read(tokens[-1]))
            tokens.append(logits[-1].argmax(1, keepdim=True))
        return {"tokens": torch.cat(tokens, 1).numpy(), "logits": torch.stack(logits, 1).float().numpy()}


class Decoder:
    """The network and its cache of keys and values."""

    def __init__(self, weights: Mapping[str, torch.Tensor], dtype: str) -> None:
        self.w = {name: tensor.to(TYPES[dtype]) for name, tensor in weights.items()}
        self.packed = {}
        if dtype == "int8":
            torch.backends.quantized.engine = "qnnpack"  # in every wheel, and with the same results on every CPU
            for name in (name[: -len(".bias")] for name in weights if name.endswith(".bias") and "norm" not in name):
                quantized = torch.quantize_per_tensor(self.w[f"{name}.weight"], STEP, 0, torch.qint8)
                self.packed[name] = torch.ops.quantized.linear_prepack(quantized, self.w[f"{name}.bias"])
        self.layers = sum(name.endswith("attention.weight") for name in weights)
        self.places, self.width = self.w["place"].shape
        self.place = 0
        self.cache: list[torch.Tensor] = []

    def read(self, tokens: torch.Tensor) -> torch.Tensor:
        """Read (N, T) more tokens and return the logits (N, 29) of the next token."""
        count, length = tokens.shape
        start, self.place = self.place, self.place + length
        if not self.cache:
            shape = (2, count, HEADS, self.places, self.width // HEADS)
            self.cache = [self.w["token"].new_empty(shape) for _ in range(self.layers)]
        x = embedding(tokens, self.w["token"]) + self.w["place"][start : self.place]
        for number, cache in enumerate(self.cache):
            layer = f"layer{number}"
            projected = self.dense(self.norm(x, f"{layer}.norm1"), f"{layer}.attention")
            queries, keys, values = projected.view(count, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
            cache[0, :, :, start : self.place], cache[1, :, :, start : self.place] = keys, values
            keys, values = cache[:, :, :, : self.place]
            mixed = scaled_dot_product_attention(queries, keys, values, is_causal=length > 1)
            x = x + self.dense(mixed.transpose(1, 2).reshape(count, length, -1), f"{layer}.project")
            inner = relu(self.dense(self.norm(x, f"{layer}.norm2"), f"{layer}.expand"))
            x = x + self.dense(inner, f"{layer}.shrink")
        return self.dense(self.norm(x[:, -1], "norm"), "head")

    def norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """Apply a layer normalisation to each token."""
        return layer_norm(x, (self.width,), self.w[f"{name}.weight"], self.w[f"{name}.bias"])

    def dense(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """Apply a dense layer; an int8 layer quantizes its input with one scale per batch."""
        if name in self.packed:
            return torch.ops.quantized.linear_dynamic(x, self.packed[name])
        return linear(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"])
