"""The layers of the smoke workloads' networks, in plain NumPy float64 and from their definitions.

They make the expected answers, so they use no framework and no BLAS: sums run term by term in a fixed order, so every
machine gets the same bits. Two things can still differ in the last bit from one CPU to the next: `np.exp` and its like,
and the long sums of `np.mean`. What is written to a file therefore goes through `on_grid` first.

Images are NCHW, kernels OIHW, dense weights (outputs, inputs): the order of PyTorch.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Sides = int | tuple[int, int] | tuple[int, int, int, int]


def on_grid(array: npt.NDArray[Any], bits: int = 32) -> Array:
    """Round to multiples of 2**-bits: far coarser than the last bits that differ from one CPU to the next."""
    return np.round(np.asarray(array, dtype=np.float64) * 2.0**bits) * 2.0**-bits


def padded(x: Array, padding: Sides, value: float = 0.0) -> Array:
    """Put a margin around each plane.

    Args:
        x: (N, C, H, W).
        padding: one number for all sides, (rows, columns), or (top, bottom, left, right).
        value: what the margin holds.
    """
    sides = padding if isinstance(padding, tuple) else (padding, padding)
    top, bottom, left, right = sides if len(sides) == 4 else (sides[0], sides[0], sides[1], sides[1])  # noqa: PLR2004
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return (before, after) as TensorFlow's SAME has it: the output is ceil(size / stride), the odd one goes after."""
    whole = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return whole // 2, whole - whole // 2


def windows(x: Array, kernel: tuple[int, int], stride: tuple[int, int]) -> list[list[Array]]:
    """Return for each place in the kernel the plane that it reads: [row][column] of (N, C, H', W')."""
    high, wide = ((x.shape[2 + axis] - kernel[axis]) // stride[axis] + 1 for axis in (0, 1))
    rows = [slice(i, i + (high - 1) * stride[0] + 1, stride[0]) for i in range(kernel[0])]
    columns = [slice(j, j + (wide - 1) * stride[1] + 1, stride[1]) for j in range(kernel[1])]
    return [[x[:, :, row, column] for column in columns] for row in rows]


def conv2d(  # noqa: PLR0913 - what a convolution is made of
    x: Array, weight: Array, bias: Array | None = None, *, stride: int = 1, padding: Sides = 0, groups: int = 1
) -> Array:
    """Cross-correlate: the bias, then one shifted plane after the other.

    Args:
        x: (N, C, H, W).
        weight: (O, C / groups, rows, columns).
        bias: (O,), or None.
        stride: of rows and columns.
        padding: see `padded`; the margin is zero.
        groups: how many equal parts the channels fall into; output part g reads input part g only.

    Returns:
        (N, O, H', W').
    """
    outputs, inputs, rows, columns = weight.shape
    if x.shape[1] != inputs * groups or outputs % groups:
        raise ValueError(f"{x.shape[1]} channels in {groups} groups do not fit the weight {weight.shape}")
    places = windows(padded(x, padding), (rows, columns), (stride, stride))
    size = places[0][0].shape
    w = weight.reshape(groups, outputs // groups, inputs, rows, columns, 1, 1)
    out = np.zeros((len(x), groups, outputs // groups, *size[2:]))
    if bias is not None:
        out += bias.reshape(groups, -1, 1, 1)
    for channel, row, column in product(range(inputs), range(rows), range(columns)):
        plane = places[row][column].reshape(len(x), groups, inputs, *size[2:])[:, :, channel, np.newaxis]
        out += w[:, :, channel, row, column] * plane
    return out.reshape(len(x), outputs, *size[2:])


def conv_transpose2d(x: Array, weight: Array, bias: Array, *, stride: int, padding: int) -> Array:
    """Spread each pixel over a window, `conv2d` transposed: the bias, then one place of the kernel after the other.

    Args:
        x: (N, C, H, W).
        weight: (C, O, rows, columns).
        bias: (O,).
        stride: how far apart the windows of neighbouring pixels begin.
        padding: how much is cut off all sides in the end.

    Returns:
        (N, O, H', W'), H' = (H - 1) * stride + rows - 2 * padding.
    """
    inputs, outputs, rows, columns = weight.shape
    high, wide = ((size - 1) * stride + 1 for size in x.shape[2:])
    out = np.zeros((len(x), outputs, high + rows - 1, wide + columns - 1)) + bias.reshape(-1, 1, 1)
    for channel, row, column in product(range(inputs), range(rows), range(columns)):
        place = np.s_[:, :, row : row + high : stride, column : column + wide : stride]
        out[place] += weight[channel, :, row, column, np.newaxis, np.newaxis] * x[:, channel, np.newaxis]
    return out[:, :, padding : out.shape[2] - padding, padding : out.shape[3] - padding]


def max_pool2d(x: Array, kernel: int, *, stride: int | None = None, padding: Sides = 0) -> Array:
    """Take the largest of each window; what lies outside the image never wins."""
    step = stride or kernel
    places = windows(padded(x, padding, -np.inf), (kernel, kernel), (step, step))
    largest: Array = np.maximum.reduce([plane for row in places for plane in row])
    return largest


def avg_pool2d(x: Array, kernel: int, *, stride: int | None = None) -> Array:
    """Take the mean of each window."""
    step = stride or kernel
    places = windows(x, (kernel, kernel), (step, step))
    out = np.zeros(places[0][0].shape)
    for plane in (plane for row in places for plane in row):
        out += plane
    return out / kernel**2


def global_avg_pool(x: Array) -> Array:
    """Take the mean of each plane: (N, C, H, W) to (N, C)."""
    out = np.zeros(x.shape[:2])
    for row, column in product(range(x.shape[2]), range(x.shape[3])):
        out += x[:, :, row, column]
    mean: Array = out / (x.shape[2] * x.shape[3])
    return mean


def dense(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Map (..., inputs) to (..., outputs): the bias, then one input after the other."""
    if x.shape[-1] != weight.shape[1]:
        raise ValueError(f"{x.shape[-1]} inputs do not fit the weight {weight.shape}")
    out = np.zeros((*x.shape[:-1], len(weight)))
    if bias is not None:
        out += bias
    for unit in range(x.shape[-1]):
        out += x[..., unit, np.newaxis] * weight[:, unit]
    return out


def matmul(a: Array, b: Array) -> Array:
    """Multiply (..., M, K) by (..., K, N), one term of the sum after the other."""
    out = np.zeros((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]))
    for k in range(a.shape[-1]):
        out += a[..., :, k, np.newaxis] * b[..., np.newaxis, k, :]
    return out


def affine(x: Array, scale: Array, shift: Array) -> Array:
    """Scale and shift each channel of (N, C, H, W): batch normalisation as inference has it."""
    return x * scale.reshape(-1, 1, 1) + shift.reshape(-1, 1, 1)


def batch_norm(x: Array, *, mean: Array, variance: Array, gamma: Array, beta: Array, epsilon: float) -> Array:  # noqa: PLR0913 - the definition has six
    """Normalise each channel of (N, C, H, W) by stored statistics."""
    scale = gamma / np.sqrt(variance + epsilon)
    return affine(x, scale, beta - mean * scale)


def layer_norm(x: Array, gamma: Array, beta: Array, epsilon: float = 1e-5) -> Array:
    """Normalise the last axis by its own mean and variance."""
    centred = x - x.mean(axis=-1, keepdims=True)
    normal: Array = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
    return normal * gamma + beta


def relu(x: Array) -> Array:
    """Cut off what is negative."""
    return np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), by the half of it that cannot overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def silu(x: Array) -> Array:
    """Return x * sigmoid(x), also called swish."""
    return x * sigmoid(x)


def softmax(x: Array, axis: int = -1) -> Array:
    """Return exp(x) over its sum along an axis."""
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    shares: Array = powers / powers.sum(axis=axis, keepdims=True)
    return shares


def log_softmax(x: Array, axis: int = -1) -> Array:
    """Return the logarithm of `softmax`."""
    shifted = x - x.max(axis=axis, keepdims=True)
    logarithms: Array = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return logarithms
