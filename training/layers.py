"""The layers of the smoke workloads' networks, from their definitions, in NumPy float64.

They compute the expected answers without a framework and without BLAS. Sums are added term by term in a fixed order, so
every machine gets the same bits. The last bit of `np.exp`, similar functions and the long sums of `np.mean` may still
depend on the CPU; arrays are therefore rounded by `on_grid` before they are written to a file.

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
    """Round to multiples of 2**-bits, far coarser than the last bits that depend on the CPU."""
    return np.round(np.asarray(array, dtype=np.float64) * 2.0**bits) * 2.0**-bits


def pad(x: Array, padding: Sides, value: float = 0.0) -> Array:
    """Add a margin around each plane.

    Args:
        x: (N, C, H, W).
        padding: a number for all sides, (rows, columns), or (top, bottom, left, right).
        value: the value of the margin.
    """
    sides = padding if isinstance(padding, tuple) else (padding, padding)
    top, bottom, left, right = sides if len(sides) == 4 else (sides[0], sides[0], sides[1], sides[1])  # noqa: PLR2004
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's SAME padding (before, after) for an output of ceil(size / stride); `after` may be 1 more."""
    whole = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return whole // 2, whole - whole // 2


def windows(x: Array, kernel: tuple[int, int], stride: tuple[int, int]) -> list[list[Array]]:
    """Return the plane that each kernel element reads: [row][column] of (N, C, H', W')."""
    high, wide = ((x.shape[2 + axis] - kernel[axis]) // stride[axis] + 1 for axis in (0, 1))
    rows = [slice(i, i + (high - 1) * stride[0] + 1, stride[0]) for i in range(kernel[0])]
    columns = [slice(j, j + (wide - 1) * stride[1] + 1, stride[1]) for j in range(kernel[1])]
    return [[x[:, :, row, column] for column in columns] for row in rows]


def conv2d(  # noqa: PLR0913 - the parameters of a convolution
    x: Array, weight: Array, bias: Array | None = None, *, stride: int = 1, padding: Sides = 0, groups: int = 1
) -> Array:
    """Cross-correlate; the bias is the first term of each sum, then one term for each kernel element.

    Args:
        x: (N, C, H, W).
        weight: (O, C / groups, rows, columns).
        bias: (O,), or None.
        stride: of rows and columns.
        padding: see `pad`; the margin is zero.
        groups: the number of equal parts of the channels; output part g reads input part g only.

    Returns:
        (N, O, H', W').
    """
    outputs, inputs, rows, columns = weight.shape
    if x.shape[1] != inputs * groups or outputs % groups:
        raise ValueError(f"{x.shape[1]} channels in {groups} groups do not fit the weight {weight.shape}")
    places = windows(pad(x, padding), (rows, columns), (stride, stride))
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
    """Transposed convolution; the bias is the first term of each sum, then one term for each kernel element.

    Args:
        x: (N, C, H, W).
        weight: (C, O, rows, columns).
        bias: (O,).
        stride: the distance between the windows of neighbouring pixels.
        padding: the number of pixels that are cut off all sides of the result.

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
    """Return the maximum of each window; the margin is minus infinity."""
    step = stride or kernel
    places = windows(pad(x, padding, -np.inf), (kernel, kernel), (step, step))
    largest: Array = np.maximum.reduce([plane for row in places for plane in row])
    return largest


def avg_pool2d(x: Array, kernel: int, *, stride: int | None = None) -> Array:
    """Return the mean of each window."""
    step = stride or kernel
    places = windows(x, (kernel, kernel), (step, step))
    out = np.zeros(places[0][0].shape)
    for plane in (plane for row in places for plane in row):
        out += plane
    return out / kernel**2


def global_avg_pool(x: Array) -> Array:
    """Return the mean of each plane: (N, C, H, W) to (N, C)."""
    out = np.zeros(x.shape[:2])
    for row, column in product(range(x.shape[2]), range(x.shape[3])):
        out += x[:, :, row, column]
    mean: Array = out / (x.shape[2] * x.shape[3])
    return mean


def dense(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Map (..., inputs) to (..., outputs); the bias is the first term of each sum."""
    if x.shape[-1] != weight.shape[1]:
        raise ValueError(f"{x.shape[-1]} inputs do not fit the weight {weight.shape}")
    out = np.zeros((*x.shape[:-1], len(weight)))
    if bias is not None:
        out += bias
    for unit in range(x.shape[-1]):
        out += x[..., unit, np.newaxis] * weight[:, unit]
    return out


def matmul(a: Array, b: Array) -> Array:
    """Multiply (..., M, K) by (..., K, N), term by term."""
    out = np.zeros((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]))
    for k in range(a.shape[-1]):
        out += a[..., :, k, np.newaxis] * b[..., np.newaxis, k, :]
    return out


def affine(x: Array, scale: Array, shift: Array) -> Array:
    """Scale and shift each channel of (N, C, H, W): batch normalisation during inference."""
    return x * scale.reshape(-1, 1, 1) + shift.reshape(-1, 1, 1)


def batch_norm(x: Array, *, mean: Array, variance: Array, gamma: Array, beta: Array, epsilon: float) -> Array:  # noqa: PLR0913 - the definition has six
    """Normalise each channel of (N, C, H, W) by stored statistics."""
    scale = gamma / np.sqrt(variance + epsilon)
    return affine(x, scale, beta - mean * scale)


def layer_norm(x: Array, gamma: Array, beta: Array, epsilon: float = 1e-5) -> Array:
    """Normalise the last axis by its mean and variance."""
    centred = x - x.mean(axis=-1, keepdims=True)
    normal: Array = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
    return normal * gamma + beta


def relu(x: Array) -> Array:
    """Replace negative values by zero."""
    return np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), computed without overflow."""
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
