"""Recurrent networks in PyTorch: its LSTM and GRU modules, and a minimal gated unit written here."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import linear, pad

Array = npt.NDArray[np.float32]
Weights = Mapping[str, torch.Tensor]

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
STEPS, HIDDEN = 16, 32


class MGUCell(torch.nn.Module):  # type: ignore[misc] # Any without PyTorch installed
    """One step of the minimal gated unit (Zhou et al., 2016)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.weight_ih = torch.nn.Parameter(torch.empty(2 * hidden, inputs))
        self.weight_hh = torch.nn.Parameter(torch.empty(2 * hidden, hidden))
        self.bias_ih = torch.nn.Parameter(torch.empty(2 * hidden))

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        """Return the next state."""
        forget, new = linear(x, self.weight_ih, self.bias_ih).chunk(2, 1)
        of_forget, of_new = self.weight_hh.chunk(2)
        f = torch.sigmoid(forget + linear(h, of_forget))
        return torch.lerp(h, torch.tanh(new + linear(f * h, of_new)), f)


SEQUENCES = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
CELLS = {"lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell, "mgu": MGUCell}


def forward(weights: Mapping[str, Array], inputs: Mapping[str, Array], dtype: str) -> dict[str, Array]:
    """Run the six networks.

    Args:
        weights: from `workload.weights`.
        inputs: `frames` (N, 16, 12) and `starts` (M, 7), from `prepare`.
        dtype: fp32, bf16 or fp16.

    Returns:
        for each cell, `<cell>.labels` (N, 16, 5), logits, and `<cell>.traces` (M, 16, 3), in g.
    """
    frames, starts = (torch.from_numpy(inputs[name]).to(TYPES[dtype]) for name in ("frames", "starts"))
    answers = {}
    with torch.inference_mode():
        for cell in CELLS:
            for arrangement, run in (("labels", compute_labels), ("traces", generate_traces)):
                prefix = f"{cell}.{arrangement}."
                names = [name for name in weights if name.startswith(prefix)]
                w = {name[len(prefix) :]: torch.from_numpy(weights[name]).to(TYPES[dtype]) for name in names}
                x = frames if run is compute_labels else starts
                answers[f"{cell}.{arrangement}"] = run(cell, w, x).float().numpy()
    return answers


def compute_labels(cell: str, w: Weights, frames: torch.Tensor) -> torch.Tensor:
    """Many to many: read whole sequences and return the logits of every step."""
    if cell in SEQUENCES:
        states, _ = load_module(SEQUENCES[cell], w, frames.shape[2], "_l0", batch_first=True)(frames)
    else:
        network, steps = load_module(CELLS[cell], w, frames.shape[2]), [frames.new_zeros(len(frames), HIDDEN)]
        for frame in frames.transpose(0, 1).contiguous():
            steps.append(network(frame, steps[-1]))
        states = torch.stack(steps[1:], 1)
    return linear(states, w["head.weight"], w["head.bias"])


def generate_traces(cell: str, w: Weights, starts: torch.Tensor) -> torch.Tensor:
    """One to many: read the start at the first step, then the output of the step before."""
    axes = len(w["head.weight"])
    network = load_module(CELLS[cell], w, starts.shape[1] + axes)
    zeros = starts.new_zeros(len(starts), HIDDEN)
    x, state, samples = pad(starts, (0, axes)), (zeros, zeros) if cell == "lstm" else zeros, []
    for _ in range(STEPS):
        state = network(x, state)
        samples.append(linear(state[0] if cell == "lstm" else state, w["head.weight"], w["head.bias"]))
        x = pad(samples[-1], (starts.shape[1], 0))
    return torch.stack(samples, 1)


def load_module(
    module_type: type[torch.nn.Module], w: Weights, inputs: int, suffix: str = "", **options: bool
) -> torch.nn.Module:
    """Build a recurrent module and load its weights."""
    module = module_type(inputs, HIDDEN, **options)
    module.load_state_dict({name + suffix: tensor for name, tensor in w.items() if not name.startswith("head.")})
    return module.to(w["weight_hh"].dtype).eval()
