"""The traces as they are stored and what the networks read, the same bits for every framework; and the accuracy."""

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
COUNTS = 32  # to the g
FRAME = 4  # samples that a network reads at a time
TURNS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], dtype=np.float32)  # cosine and sine of quarter turns


def weights(folder: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Return the weights in float32; the file has them in float16, which holds them exactly."""
    with np.load(folder / "weights.npz", allow_pickle=False) as archive:
        return {name: array.astype(np.float32) for name, array in dict(archive).items()}


def prepare(inputs: Mapping[str, Array]) -> dict[str, npt.NDArray[np.float32]]:
    """Turn counts into g, and labels into what starts a trace.

    Args:
        inputs: `traces` (N, 64, 3), counts of an accelerometer; `labels` (M,), places in `ACTIVITIES`; `phases` (M,),
            in quarter turns.

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
    told = [np.argmax(answers[f"{cell}.labels"], axis=2) for cell in CELLS]
    return float(np.mean([one == inputs["activities"] for one in told]))
