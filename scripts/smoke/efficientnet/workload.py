"""Draws random weights for EfficientNet-B0 and prepares its images, bit for bit the same for every framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[np.generic]

SEED = 3
CLASSES = 1000
# M. Tan and Q. V. Le, "EfficientNet", ICML 2019, table 1: kernel, expansion, channels, blocks. Strides need no weights.
STAGES = ((3, 1, 16, 1), (3, 6, 24, 2), (5, 6, 40, 2), (3, 6, 80, 3), (5, 6, 112, 3), (5, 6, 192, 4), (3, 6, 320, 1))
STEM, HEAD = 32, 1280
SQUEEZE = 4  # input channels of a block per squeezed channel
# Variances of the uniform weights, in units of 1 / inputs. He et al. (2015) use 2. A projection that replaces its input
# has four times that, because the gates halve its input; a projection that is added to its input has half of it, or the
# sums would grow. The variance of the gates keeps them away from 0 and 1.
HE, REPLACING, ADDED, GATING = 2.0, 8.0, 1.0, 0.5
BIAS = 0.3


def layers() -> Iterator[tuple[str, tuple[int, int, int, int], float]]:
    """Yield each layer's name, its weight's shape (OIHW), and its variance in units of 1 / inputs."""
    yield "stem", (STEM, 3, 3, 3), HE
    inputs, number = STEM, 0
    for kernel, expansion, outputs, count in STAGES:
        for _ in range(count):
            name, hidden, squeezed = f"blocks.{number}", inputs * expansion, inputs // SQUEEZE
            if expansion > 1:
                yield f"{name}.expand", (hidden, inputs, 1, 1), HE
            yield f"{name}.depthwise", (hidden, 1, kernel, kernel), HE
            yield f"{name}.reduce", (squeezed, hidden, 1, 1), HE
            yield f"{name}.excite", (hidden, squeezed, 1, 1), GATING
            yield f"{name}.project", (outputs, hidden, 1, 1), ADDED if inputs == outputs else REPLACING
            inputs, number = outputs, number + 1
    yield "head", (HEAD, inputs, 1, 1), HE
    yield "classifier", (CLASSES, HEAD, 1, 1), HE


def weights(_: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Draw the weights: 5.3 million, too many for a file.

    NumPy guarantees RandomState's numbers, and only products turn them into weights, so they do not depend on the
    machine's mathematical library. On an emulated CPU, 16-bit integers take a quarter of the time of `uniform`.

    Returns:
        `<layer>.weight`, OIHW, the classifier's (outputs, inputs), and `<layer>.bias`; both include the batch
        normalisation.
    """
    random = np.random.RandomState(SEED)

    def uniform(shape: tuple[int, ...], limit: float) -> npt.NDArray[np.float32]:
        steps = random.randint(-(2**15), 2**15, shape, dtype=np.int16)
        return steps * np.float32(limit / 2**15)

    drawn = {}
    for name, shape, variance in layers():
        inputs = shape[1] * shape[2] * shape[3]
        drawn[f"{name}.weight"] = uniform(shape, (3 * variance / inputs) ** 0.5)
        drawn[f"{name}.bias"] = uniform(shape[:1], BIAS)
    drawn["classifier.weight"] = drawn["classifier.weight"].reshape(CLASSES, HEAD)
    return drawn


def prepare(inputs: Mapping[str, Array]) -> dict[str, npt.NDArray[np.float32]]:
    """Scale bytes to -2..2 in steps of 1/64, exact in every data type.

    Args:
        inputs: `images` (N, 3, 48, 48), bytes.

    Returns:
        `images` (N, 3, 48, 48), contiguous NCHW.
    """
    return {"images": (inputs["images"].astype(np.float32) - np.float32(128)) / np.float32(64)}


def score(answers: Mapping[str, Array], inputs: Mapping[str, Array]) -> float:
    """Return the share of images whose largest logit is at the reference's class."""
    return float(np.mean(np.argmax(answers["logits"], axis=1) == inputs["labels"]))
