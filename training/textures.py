"""Draws the textures of the image classifiers' smoke workloads: eight kinds, with random scales, angles and colours.

A texture is stored as a pattern of one byte per pixel and the two colours that it mixes, a third of the size of its
pixels. `mix_textures` computes the image in integers, as does `prepare` of a workload that stores patterns.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

PERIODS = (5.0, 12.0)  # pixels
CONTRAST = 160  # minimum sum of the three colour differences; the maximum is 765
NOISE = 0.06  # as a part of the pattern's range


def stripes(x: Array, y: Array, period: float, random: np.random.RandomState) -> Array:  # noqa: ARG001 - all kinds have the same parameters
    """Straight bands."""
    return hard(np.sin(turn(x / period)))


def waves(x: Array, y: Array, period: float, random: np.random.RandomState) -> Array:
    """Wavy bands."""
    swing = 0.5 * np.sin(turn(y / (period * random.uniform(1.3, 1.8))))
    return hard(np.sin(turn(x / period + swing)))


def checks(x: Array, y: Array, period: float, random: np.random.RandomState) -> Array:  # noqa: ARG001 - all kinds have the same parameters
    """A chessboard."""
    return hard(np.sin(turn(x / period)) * np.sin(turn(y / period)) * 4)


def dots(x: Array, y: Array, period: float, random: np.random.RandomState) -> Array:
    """Discs on a square lattice."""
    away = np.hypot((x / period) % 1 - 0.5, (y / period) % 1 - 0.5)
    return hard((random.uniform(0.25, 0.32) - away) * 12)


def grid(x: Array, y: Array, period: float, random: np.random.RandomState) -> Array:
    """Thin crossing lines."""
    away = np.minimum(np.abs((x / period) % 1 - 0.5), np.abs((y / period) % 1 - 0.5))
    return hard((random.uniform(0.09, 0.13) - away) * 20)


def rings(x: Array, y: Array, period: float, random: np.random.RandomState) -> Array:
    """Circles around a point of the image."""
    reach = 0.3 * np.ptp(x)
    away = np.hypot(x - x.mean() - random.uniform(-reach, reach), y - y.mean() - random.uniform(-reach, reach))
    return hard(np.sin(turn(away / period)))


def blobs(x: Array, y: Array, period: float, random: np.random.RandomState) -> Array:
    """Soft irregular spots: waves in many directions with the same amplitude."""
    total = np.zeros(x.shape)
    for _ in range(12):
        angle, phase, stretch = random.uniform(0, 1, 3)
        along = x * np.cos(turn(angle)) + y * np.sin(turn(angle))
        total += np.sin(turn(along / (period * (1 + stretch)) + phase))
    return total / 2


def ramp(x: Array, y: Array, period: float, random: np.random.RandomState) -> Array:  # noqa: ARG001 - all kinds have the same parameters
    """A gradient from one colour to the other."""
    share: Array = (x - x.min()) / np.ptp(x)
    return 2 * share - 1


KINDS: dict[str, Callable[[Array, Array, float, np.random.RandomState], Array]] = {
    draw.__name__: draw for draw in (stripes, waves, checks, dots, grid, rings, blobs, ramp)
}


def turn(cycles: npt.ArrayLike) -> Array:
    """Convert cycles to radians."""
    return 2 * np.pi * np.asarray(cycles)


def hard(values: Array) -> Array:
    """Sharpen the edges and clip to -1 and 1."""
    return np.clip(values * 2, -1, 1)


def draw_texture(kind: str, side: int, random: np.random.RandomState) -> tuple[Bytes, Bytes]:
    """Draw one texture: its pattern (side, side) and its two colours (2, 3)."""
    angle, period = turn(random.uniform(0, 1)), random.uniform(*PERIODS)
    rows, columns = np.mgrid[:side, :side] + random.uniform(0, 100, (2, 1, 1))
    x, y = columns * np.cos(angle) + rows * np.sin(angle), rows * np.cos(angle) - columns * np.sin(angle)
    pattern = KINDS[kind](x, y, period, random) / 2 + 0.5 + NOISE * random.uniform(-1, 1, (side, side))
    while True:
        colours = random.randint(0, 256, (2, 3))
        if np.abs(colours[0] - colours[1]).sum() >= CONTRAST:
            return np.round(np.clip(pattern, 0, 1) * 255).astype(np.uint8), colours.astype(np.uint8)


def draw_textures(count: int, side: int, random: np.random.RandomState) -> tuple[Bytes, Bytes, Labels]:
    """Draw textures in random order, the same number of each kind.

    Returns:
        patterns (N, side, side), colours (N, 2, 3), labels (N,), indexes into `KINDS`.
    """
    labels = random.permutation(np.arange(count, dtype=np.int64) % len(KINDS))
    drawn = [draw_texture(list(KINDS)[label], side, random) for label in labels]
    return np.stack([pattern for pattern, _ in drawn]), np.stack([colours for _, colours in drawn]), labels


def mix_textures(patterns: Bytes, colours: Bytes) -> Bytes:
    """Mix the colours of each texture by its pattern: (N, 3, side, side)."""
    share = patterns[:, np.newaxis].astype(np.int32)
    first, second = (colours[:, which, :, np.newaxis, np.newaxis].astype(np.int32) for which in (0, 1))
    return ((first * (255 - share) + second * share) // 255).astype(np.uint8)
