"""The words of the decoder, the same bits for every framework; and the share of right letters."""

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
    """Return the weights as numbers: the bytes in the file are multiples of 2**-7, exact in every floating type."""
    with np.load(folder / "weights.npz", allow_pickle=False) as archive:
        stored = dict(archive)
    return {
        name: array.astype(np.float32) * np.float32(STEP if array.dtype == np.int8 else 1)
        for name, array in stored.items()
    }


def prepare(inputs: Mapping[str, Array]) -> dict[str, npt.NDArray[np.int64]]:
    """Number the characters of the prompts.

    Args:
        inputs: `prompts` (N, 8), ASCII: a word of seven different letters, and an equals sign.

    Returns:
        `tokens` (N, 8), places in the alphabet.
    """
    return {"tokens": numbered(inputs["prompts"])}


def numbered(characters: Array) -> npt.NDArray[np.int64]:
    """Return each ASCII character's place in the alphabet."""
    places = np.zeros(128, dtype=np.int64)
    places[np.frombuffer(ALPHABET.encode(), dtype=np.uint8)] = np.arange(len(ALPHABET))
    numbers: npt.NDArray[np.int64] = places[characters]
    return numbers


def answered(tokens: Array) -> npt.NDArray[np.int64]:
    """Return what must follow: the letters in the alphabet's order, `;`, the word backwards, and a full stop."""
    letters = np.asarray(tokens)[:, :-1]
    ends = np.tile(numbered(np.frombuffer(b";.", dtype=np.uint8)), (len(letters), 1))
    right: npt.NDArray[np.int64] = np.hstack([np.sort(letters, axis=1), ends[:, :1], letters[:, ::-1], ends[:, 1:]])
    return right


def score(answers: Mapping[str, Array], inputs: Mapping[str, Array]) -> float:
    """Return the share of characters that are right, which anybody can check by hand."""
    return float(np.mean(answers["tokens"] == answered(prepare(inputs)["tokens"])))
