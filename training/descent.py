"""Trains a network whose gradients JAX finds: Adam in float64, one grid for the weights.

The same weights from every machine: sums differ in their last bits from one CPU and one number of cores to the next,
and training would amplify that. So after every step the weights are rounded to multiples of 2**-20, far coarser than
those last bits, which removes the difference before it can grow. Adam's moments need no rounding: what differs in them
fades, and is divided by 1e-8 at most.
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

GRID, WEIGHT_GRID = 20, 14  # bits after the point: while training, and in the file


def conv2d(x: Any, weight: Any, bias: Any, *, stride: int = 1, padding: int = 1) -> Any:  # noqa: ANN401 - JAX's arrays
    """Cross-correlate NCHW images with OIHW kernels."""
    out = jax.lax.conv_general_dilated(
        x, weight, (stride, stride), [(padding, padding)] * 2, dimension_numbers=("NCHW", "OIHW", "NCHW")
    )
    return out + bias[:, jnp.newaxis, jnp.newaxis]


def conv_transpose2d(x: Any, weight: Any, bias: Any, *, stride: int, padding: int = 1) -> Any:  # noqa: ANN401 - JAX's arrays
    """Spread NCHW images by IOHW kernels: a convolution, the kernel turned, of the image with gaps."""
    margins = [(size - 1 - padding,) * 2 for size in weight.shape[2:]]
    out = jax.lax.conv_general_dilated(
        x, weight[:, :, ::-1, ::-1], (1, 1), margins, lhs_dilation=(stride, stride),
        dimension_numbers=("NCHW", "IOHW", "NCHW"),
    )  # fmt: skip
    return out + bias[:, jnp.newaxis, jnp.newaxis]


def max_pool2d(x: Any, kernel: int) -> Any:  # noqa: ANN401 - JAX's arrays
    """Take the largest of each block."""
    blocks = x.reshape(*x.shape[:2], x.shape[2] // kernel, kernel, x.shape[3] // kernel, kernel)
    return blocks.max(axis=(3, 5))


def untrained(
    shapes: Mapping[str, tuple[int, ...]], random: np.random.RandomState, transposed: Collection[str] = ()
) -> Arrays:
    """Draw weights uniformly with He's variance (2 / inputs); biases start at zero.

    Each unit's weights are moved to sum to zero: its inputs are never negative, so a unit that starts with a negative
    sum can be silent on every image and never learn.

    Args:
        shapes: each layer's weight: OIHW, or IOHW where it is transposed.
        random: the generator.
        transposed: the layers that double their image: only a quarter of a kernel meets a pixel of the larger one.
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


def trained(w: Arrays, loss: Loss, batches: Iterable[tuple[Any, ...]], rate: float, steps: int) -> Arrays:
    """Descend, the rate falling to nothing along half a cosine; say the loss ten times.

    Args:
        w: the weights to start from.
        loss: of (weights, *batch).
        batches: one a step.
        rate: the first step's.
        steps: how many there are.

    Returns:
        the weights as they go into a file: float64, rounded to multiples of 2**-14.
    """
    rule = optax.adam(optax.cosine_decay_schedule(rate, steps))

    def step(w: Any, state: Any, *batch: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401 - JAX's trees
        value, gradients = jax.value_and_grad(loss)(w, *batch)
        moves, state = rule.update(gradients, state)
        moved = jax.tree.map(lambda one, move: jnp.round((one + move) * 2.0**GRID) / 2.0**GRID, w, moves)
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
    return {name: np.round(np.asarray(one) * 2.0**WEIGHT_GRID) / 2.0**WEIGHT_GRID for name, one in tensors.items()}
