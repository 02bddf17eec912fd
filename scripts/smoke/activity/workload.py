"""Prepares the stored traces for the networks, bit for bit the same for every framework, and scores the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[np.generic]

ACTIVITIES = ("rest", "walk", "run", "stairs", "jump")
CELLS = ("lstm", "gru", "mgu")
COUNTS = 32  # per g
FRAME = 4  # samples that a network reads per step
TURNS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], dtype=np.float32)  # cosine and sine of quarter turns


def weights(folder: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Return the weights in float32; the file stores them in float16, which is exact."""
    with np.load(folder / "weights.npz", allow_pickle=False) as archive:
        return {name: array.astype(np.float32) for name, array in dict(archive).items()}


def prepare(inputs: Mapping[str, Array]) -> dict[str, npt.NDArray[np.float32]]:
    """Convert counts to g, and labels to the first input of a trace.

    Args:
        inputs: `traces` (N, 64, 3), accelerometer counts; `labels` (M,), indices into `ACTIVITIES`; `phases` (M,), in
            quarter turns.

    Returns:
        `frames` (N, 16, 12), four samples of three axes each, in g; `starts` (M, 7), the activity one-hot, and the
        cosine and sine of the phase. All are exact in binary.
    """
    traces = inputs["traces"]
    frames = traces.reshape(len(traces), -1, FRAME * traces.shape[2]).astype(np.float32) / np.float32(COUNTS)
    activity = np.eye(len(ACTIVITIES), dtype=np.float32)[inputs["labels"]]
    return {"frames": frames, "starts": np.hstack([activity, TURNS[inputs["phases"]]])}


def score(answers: Mapping[str, Array], inputs: Mapping[str, Array]) -> float:
    """Return the accuracy over all time steps, on average over the cells."""
    predictions = [np.argmax(answers[f"{cell}.labels"], axis=2) for cell in CELLS]
    return float(np.mean([prediction == inputs["activities"] for prediction in predictions]))
