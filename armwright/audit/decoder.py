"""Which CPU features AArch64 code needs: every instruction word of a file's code, sorted by feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from armwright.audit import elf
from armwright.audit.encodings import BASE, BitPattern, Instructions

NEAR = 64  # bytes; instructions of one feature at most this far apart are reported as one span
_CHUNK = 1 << 22  # instruction words sorted in one numpy operation

Words = NDArray[np.uint32]
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class FeatureUse:
    """The instructions of one feature in a file.

    Attributes:
        feature: its name in /proc/cpuinfo.
        count: the number of instructions.
        guarded: how many of them follow a run-time check that the instructions around them show.
        guard: the name of that check; empty when none is guarded.
        spans: the unguarded ones, as (file offset of the first, of the last, count) per span.
    """

    feature: str
    count: int
    guarded: int
    guard: str
    spans: tuple[tuple[int, int, int], ...]


class Decoder:
    """Sorts instruction words by feature, many at once.

    A table over the upper 16 bits gives the patterns that can match a word; for most words of a program it has none.
    The other words are grouped by that set of patterns, so each is compared only with the few patterns of its set.
    """

    def __init__(self, facts: Instructions) -> None:
        self._guards = facts.guards
        self.names = [BASE, *facts.names]
        codes = {name: code for code, name in enumerate(self.names)}
        patterns = [(pattern, codes[encoding.feature]) for encoding in facts.features for pattern in encoding.patterns]
        halves = np.arange(1 << 16, dtype=np.uint32)
        possible = np.array([halves & (pattern.mask >> 16) == pattern.value >> 16 for pattern, _ in patterns])
        packed = np.ascontiguousarray(np.packbits(possible, axis=0).T)
        _, first, inverse = np.unique(packed.view(f"S{packed.shape[1]}"), return_index=True, return_inverse=True)
        self._bucket = inverse.reshape(-1).astype(np.uint16)
        self._sets = [[patterns[index] for index in np.flatnonzero(possible[:, half])] for half in first]
        self._empty = next((number for number, members in enumerate(self._sets) if not members), -1)

    def feature_codes(self, words: Words) -> NDArray[np.int16]:
        """Return for each word the index of its feature in `names`; -1 where no pattern matches."""
        result = np.full(len(words), -1, np.int16)
        for start in range(0, len(words), _CHUNK):
            positions, codes = self._sort(words[start : start + _CHUNK])
            result[start + positions] = codes
        return result

    def find_features(self, words: Words) -> dict[str, Positions]:
        """Return for each feature the positions of its words, in order; the base instruction set is left out."""
        positions_of: dict[str, list[Positions]] = {}
        for start in range(0, len(words), _CHUNK):
            positions, codes = self._sort(words[start : start + _CHUNK])
            for code in np.unique(codes[codes > 0]):
                positions_of.setdefault(self.names[code], []).append(start + positions[codes == code])
        return {feature: np.sort(np.concatenate(parts)) for feature, parts in positions_of.items()}

    def are_guarded(self, words: Words, feature: str, positions: Positions) -> NDArray[np.bool_]:
        """Return for each position whether the words around it are a known run-time check of the feature."""
        guarded = np.zeros(len(positions), np.bool_)
        for guard in self._guards:
            if guard.feature == feature:
                places = [*zip(range(-len(guard.before), 0), guard.before, strict=True), *enumerate(guard.after, 1)]
                matches = [_matches_at(words, positions + distance, pattern) for distance, pattern in places]
                guarded |= np.logical_and.reduce(matches)
        return guarded

    def guard_names(self, feature: str) -> str:
        """Name the known run-time checks of a feature; empty if there are none."""
        return ", ".join(guard.name for guard in self._guards if guard.feature == feature)

    def _sort(self, words: Words) -> tuple[Positions, NDArray[np.int16]]:
        """Return the words that some pattern matches: their positions, in no order, and the index of their feature."""
        buckets = self._bucket[words >> 16]
        candidates = np.flatnonzero(buckets != self._empty)
        order = candidates[np.argsort(buckets[candidates], kind="stable")]
        sorted_words = words[order]
        codes = np.full(len(order), -1, np.int16)
        numbers, starts = np.unique(buckets[order], return_index=True)
        groups = zip(numbers, np.split(sorted_words, starts[1:]), np.split(codes, starts[1:]), strict=False)
        for number, group, group_codes in groups:
            for pattern, code in reversed(self._sets[number]):  # the first pattern in the file wins: write it last
                group_codes[group & pattern.mask == pattern.value] = code
        return order[codes >= 0], codes[codes >= 0]


def scan_file(data: bytes, decoder: Decoder) -> list[FeatureUse]:
    """Find the instructions beyond Armv8.0 in a file's code.

    Args:
        data: the whole file.
        decoder: the patterns to look for.

    Returns:
        one entry per feature, sorted by name; empty for a file without AArch64 code.

    Raises:
        DamagedError: it is an ELF file whose headers point outside the file.
    """
    uses: dict[str, list[FeatureUse]] = {}
    for offset, size in elf.executable_ranges(data):
        words = np.frombuffer(data, "<u4", size // 4, offset)
        for feature, positions in decoder.find_features(words).items():
            guarded = decoder.are_guarded(words, feature, positions)
            guard = decoder.guard_names(feature) if guarded.any() else ""
            spans = _make_spans(offset + 4 * positions[~guarded])
            use = FeatureUse(feature, len(positions), int(guarded.sum()), guard, spans)
            uses.setdefault(feature, []).append(use)
    return [_join(uses[feature]) for feature in sorted(uses)]


def _make_spans(offsets: Positions) -> tuple[tuple[int, int, int], ...]:
    """Group offsets at most `NEAR` bytes apart: (first, last, count) of each group."""
    if not len(offsets):
        return ()
    starts = np.flatnonzero(np.diff(offsets, prepend=-NEAR - 1) > NEAR)
    ends = np.append(starts[1:], len(offsets))
    spans = np.stack([offsets[starts], offsets[ends - 1], ends - starts], axis=1).tolist()
    return tuple((first, last, count) for first, last, count in spans)


def _join(parts: Sequence[FeatureUse]) -> FeatureUse:
    """Join the uses of one feature in several sections."""
    return FeatureUse(
        parts[0].feature,
        sum(part.count for part in parts),
        sum(part.guarded for part in parts),
        next((part.guard for part in parts if part.guard), ""),
        tuple(span for part in parts for span in part.spans),
    )


def _matches_at(words: Words, positions: Positions, pattern: BitPattern) -> NDArray[np.bool_]:
    """Return for each position whether the pattern matches there; a position outside the words does not match."""
    inside = (positions >= 0) & (positions < len(words))
    taken = words[np.where(inside, positions, 0)]
    matches: NDArray[np.bool_] = inside & (taken & pattern.mask == pattern.value)
    return matches
