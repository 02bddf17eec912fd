"""Prepares the decoder's prompts, the same for every framework, and scores the share of correct characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt  # from NumPy 1.20 on

    Array = npt.NDArray[np.generic]

ALPHABET = "abcdefghijklmnopqrstuvwxyz=;."
STEP = 2.0**-7


def weights(folder: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Return the weights in float32: the file's bytes count steps of 2**-7, exact in every floating-point type."""
    with np.load(folder / "weights.npz", allow_pickle=False) as archive:
        stored = dict(archive)
    return {
        name: array.astype(np.float32) * np.float32(STEP if array.dtype == np.int8 else 1)
        for name, array in stored.items()
    }


def prepare(inputs: Mapping[str, Array]) -> dict[str, npt.NDArray[np.int64]]:
    """Convert the prompts to tokens.

    Args:
        inputs: `prompts` (N, 8), ASCII: a word of seven different letters and an equals sign.

    Returns:
        `tokens` (N, 8), indices into the alphabet.
    """
    return {"tokens": tokenize(inputs["prompts"])}


def tokenize(characters: Array) -> npt.NDArray[np.int64]:
    """Return each ASCII character's index in the alphabet."""
    indices = np.zeros(128, dtype=np.int64)
    indices[np.frombuffer(ALPHABET.encode(), dtype=np.uint8)] = np.arange(len(ALPHABET))
    tokens: npt.NDArray[np.int64] = indices[characters]
    return tokens


def make_answers(tokens: Array) -> npt.NDArray[np.int64]:
    """Return the correct answers: the letters in alphabetical order, `;`, the word backwards, and a full stop."""
    letters = np.asarray(tokens)[:, :-1]
    ends = np.tile(tokenize(np.frombuffer(b";.", dtype=np.uint8)), (len(letters), 1))
    correct: npt.NDArray[np.int64] = np.hstack([np.sort(letters, axis=1), ends[:, :1], letters[:, ::-1], ends[:, 1:]])
    return correct


def score(answers: Mapping[str, Array], inputs: Mapping[str, Array]) -> float:
    """Return the share of correct characters, which can be checked by hand."""
    return float(np.mean(answers["tokens"] == make_answers(prepare(inputs)["tokens"])))
