"""Draws accelerometer traces of five activities, for the recurrent networks' smoke workload.

The traces are sums of waves that resemble recorded ones; none was recorded. Axes are forward, sideways and up, in g.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from training import files

Array = npt.NDArray[Any]

_WORKLOAD = files.run_workload("activity")
ACTIVITIES: tuple[str, ...] = _WORKLOAD["ACTIVITIES"]
FRAME: int = _WORKLOAD["FRAME"]
COUNTS: int = _WORKLOAD["COUNTS"]
AXES, STEPS = 3, 16
RATES = {"labels": 16, "traces": 8}  # samples per second

# The movements of each activity per second, and for each axis (forward, sideways, up) the amplitudes in g of the waves
# with the frequency of the movement, twice and half of it. Gravity is added.
PACE = {"rest": 0.3, "walk": 1.8, "run": 2.8, "stairs": 1.3, "jump": 0.9}
WAVES = {
    "rest": ((0.0, 0.0, 0.02), (0.0, 0.0, 0.02), (0.0, 0.0, 0.01)),
    "walk": ((0.2, 0.1, 0.0), (0.0, 0.05, 0.12), (0.35, 0.1, 0.0)),
    "run": ((0.5, 0.2, 0.0), (0.1, 0.1, 0.35), (1.1, 0.3, 0.0)),
    "stairs": ((0.1, 0.35, 0.1), (0.05, 0.0, 0.3), (0.3, 0.25, 0.1)),
    "jump": ((0.1, 0.1, 0.0), (0.05, 0.0, 0.0), (1.2, 0.9, 0.0)),
}


def movement(activity: Array, turns: Array) -> Array:
    """Return the acceleration (..., 3) in g.

    Args:
        activity: (...), indexes into `ACTIVITIES`.
        turns: (...), the number of movements so far.
    """
    waves = np.array([WAVES[name] for name in ACTIVITIES])[activity]
    angles = 2 * np.pi * turns[..., np.newaxis]
    once, twice, half = waves[..., 0], waves[..., 1], waves[..., 2]
    shift = np.array([0.6, 1.2, 0.0])
    moved: Array = once * np.sin(angles + shift) + twice * np.cos(2 * angles + shift) + half * np.sin(angles / 2)
    moved[..., 2] += 1
    return moved


def draw_traces(random: np.random.RandomState, count: int) -> dict[str, Array]:
    """Draw traces in an accelerometer's counts; the activity changes once or twice, after at least four frames."""
    activities = np.empty((count, STEPS), dtype=np.uint8)
    for row in activities:
        ends = [0, random.randint(4, 9), random.randint(12, 17), STEPS]
        kinds = [random.randint(0, len(ACTIVITIES))]
        kinds += [(kinds[0] + random.randint(1, len(ACTIVITIES))) % len(ACTIVITIES)]
        kinds += [(kinds[1] + random.randint(1, len(ACTIVITIES))) % len(ACTIVITIES)]
        for kind, start, end in zip(kinds, ends, ends[1:], strict=False):
            row[start:end] = kind
    each = activities.repeat(FRAME, axis=1)
    pace = np.array([PACE[name] for name in ACTIVITIES])[each] * random.uniform(0.9, 1.1, (count, 1))
    turns = random.uniform(0, 2, (count, 1)) + np.cumsum(pace / RATES["labels"], axis=1)
    traces = movement(each, turns) * random.uniform(0.85, 1.15, (count, 1, 1)) + random.normal(
        0, 0.03, (*each.shape, AXES)
    )
    return {"traces": np.clip(np.round(traces * COUNTS), -128, 127).astype(np.int8), "activities": activities}


def make_traces(labels: Array, phases: Array) -> Array:
    """Return the trace of each activity and phase (in turns) without noise: (M, 16, 3)."""
    pace = np.array([PACE[name] for name in ACTIVITIES])[labels]
    turns = phases[:, np.newaxis] + pace[:, np.newaxis] * np.arange(STEPS) / RATES["traces"]
    return movement(np.repeat(labels[:, np.newaxis], STEPS, axis=1), turns)
