"""Trains a network with Adam in float64, with gradients from JAX, and rounds the weights to a grid.

The rounding gives the same weights on every machine. The last bits of sums depend on the CPU and its number of cores,
and training would amplify the difference. After every step, the weights are therefore rounded to multiples of 2**-20,
which is far coarser. Adam's moments are not rounded: differences in them fade, and are divided by 1e-8 at most.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax

jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - the library's own signature

Arrays = dict[str, npt.NDArray[np.float64]]
Tensors = Mapping[str, Any]
Loss = Callable[..., Any]

GRID, WEIGHT_GRID = 20, 14  # bits after the binary point: during training, and in the file


def conv2d(x: Any, weight: Any, bias: Any, *, stride: int = 1, padding: int = 1) -> Any:  # noqa: ANN401 - JAX's arrays
    """Cross-correlate NCHW images with OIHW kernels."""
    out = jax.lax.conv_general_dilated(
        x, weight, (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NCHW", "OIHW", "NCHW")
    )
    return out + bias[:, jnp.newaxis, jnp.newaxis]


def conv_transpose2d(x: Any, weight: Any, bias: Any, *, stride: int, padding: int = 1) -> Any:  # noqa: ANN401 - JAX's arrays
    """Transposed convolution of NCHW images with IOHW kernels: a convolution of the dilated image."""
    margins = [(size - 1 - padding,) * 2 for size in weight.shape[2:]]
    out = jax.lax.conv_general_dilated(
        x, weight[:, :, ::-1, ::-1], (1, 1), margins, lhs_dilation=(stride, stride),
        dimension_numbers=("NCHW", "IOHW", "NCHW"),
    )  # fmt: skip
    return out + bias[:, jnp.newaxis, jnp.newaxis]


def max_pool2d(x: Any, kernel: int) -> Any:  # noqa: ANN401 - JAX's arrays
    """Return the maximum of each block."""
    blocks = x.reshape(*x.shape[:2], x.shape[2] // kernel, kernel, x.shape[3] // kernel, kernel)
    return blocks.max(axis=(3, 5))


def draw_weights(
    shapes: Mapping[str, tuple[int, ...]], random: np.random.RandomState, transposed: Collection[str] = ()
) -> Arrays:
    """Draw weights uniformly with He's variance (2 / inputs); biases start at zero.

    The weights of each unit are shifted to sum to zero. Its inputs are never negative, so a unit with a negative sum
    could be zero for every image and never learn.

    Args:
        shapes: the shape of each layer's weight: OIHW, or IOHW for transposed layers.
        random: the generator.
        transposed: the layers that double the image; only a quarter of a kernel contributes to each of their outputs.
    """
    w: Arrays = {}
    for name, shape in shapes.items():
        outputs, share = (1, 4) if name in transposed else (0, 1)
        inputs = tuple(axis for axis in range(len(shape)) if axis != outputs)
        limit = float(np.sqrt(6 * share / np.prod([shape[axis] for axis in inputs])))
        drawn = random.uniform(-limit, limit, shape)
        w[f"{name}.weight"] = np.round((drawn - drawn.mean(axis=inputs, keepdims=True)) * 2.0**GRID) / 2.0**GRID
        w[f"{name}.bias"] = np.zeros(shape[outputs])
    return w


def train_weights(w: Arrays, loss: Loss, batches: Iterable[tuple[Any, ...]], rate: float, steps: int) -> Arrays:
    """Train with a rate that falls to zero along half a cosine, and print the loss ten times.

    Args:
        w: the weights to start from.
        loss: the loss, a function of (weights, *batch).
        batches: one batch for each step.
        rate: the rate of the first step.
        steps: the number of steps.

    Returns:
        the weights for the file: float64, rounded to multiples of 2**-14.
    """
    rule = optax.adam(optax.cosine_decay_schedule(rate, steps))

    def step(w: Any, state: Any, *batch: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401 - JAX's trees
        value, gradients = jax.value_and_grad(loss)(w, *batch)
        moves, state = rule.update(gradients, state)
        moved = jax.tree.map(lambda weight, move: jnp.round((weight + move) * 2.0**GRID) / 2.0**GRID, w, moves)
        return moved, state, value

    compiled = jax.jit(step)
    tensors: Any = {name: jnp.asarray(array) for name, array in w.items()}
    state, losses = rule.init(tensors), []
    for number, batch in enumerate(batches, start=1):
        tensors, state, value = compiled(tensors, state, *batch)
        losses.append(float(value))
        if number % max(steps // 10, 1) == 0:
            print(f"step {number:5} of {steps}: loss {np.mean(losses):.5f}", flush=True)
            losses.clear()
    return {
        name: np.round(np.asarray(tensor) * 2.0**WEIGHT_GRID) / 2.0**WEIGHT_GRID for name, tensor in tensors.items()
    }
