"""What AArch64 code asks of a CPU: every word of a file's executable sections, by the feature that has it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from armwright.audit.encodings import BASE, BitPattern, Instructions

NEAR = 64  # bytes between two instructions of a feature, up to which they are told as one span
ELF = b"\x7fELF"
_SIZE = 64  # bytes of the header of a 64-bit ELF file
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_AARCH64, _64_BIT, _LITTLE, _PROGBITS, _EXECINSTR, _LOAD, _EXECUTABLE = 183, 2, 1, 1, 4, 1, 1
_CHUNK = 1 << 22  # words that are looked at at once

Words = NDArray[np.uint32]
Positions = NDArray[np.int64]


class DamagedError(ValueError):
    """An ELF file whose headers lead out of it."""


@dataclass(frozen=True)
class FeatureUse:
    """Instructions of one feature in a file.

    Attributes:
        feature: as /proc/cpuinfo names it.
        count: how many words.
        guarded: how many of them show by the words around them that they are chosen at run time.
        guard: what those words are.
        spans: where in the file the others are: offset of the first and of the last, and how many, of each span.
    """

    feature: str
    count: int
    guarded: int
    guard: str
    spans: tuple[tuple[int, int, int], ...]


class Decoder:
    """Sorts words by the feature that has them, many at once.

    A table over the upper 16 bits says which patterns may match; most words of a program have none. The rest is sorted
    by these sets, so that each word is compared with the few patterns of its set only.
    """

    def __init__(self, facts: Instructions) -> None:
        self._guards = facts.guards
        self.names = [BASE, *facts.names]
        codes = {name: code for code, name in enumerate(self.names)}
        patterns = [(one, codes[group.feature]) for group in facts.features for one in group.words]
        halves = np.arange(1 << 16, dtype=np.uint32)
        may = np.array([halves & (one.mask >> 16) == one.value >> 16 for one, _ in patterns])
        packed = np.ascontiguousarray(np.packbits(may, axis=0).T)
        _, first, inverse = np.unique(packed.view(f"S{packed.shape[1]}"), return_index=True, return_inverse=True)
        self._bucket = inverse.reshape(-1).astype(np.uint16)
        self._sets = [[patterns[index] for index in np.flatnonzero(may[:, half])] for half in first]
        self._empty = next((number for number, members in enumerate(self._sets) if not members), -1)

    def kinds(self, words: Words) -> NDArray[np.int16]:
        """Return for each word the index of its feature in `names`; -1 for a word of no pattern."""
        found = np.full(len(words), -1, np.int16)
        for start in range(0, len(words), _CHUNK):
            positions, codes = self._sort(words[start : start + _CHUNK])
            found[start + positions] = codes
        return found

    def scan(self, words: Words) -> dict[str, Positions]:
        """Return for each feature where its words are, in order; nothing for what every CPU has."""
        found: dict[str, list[Positions]] = {}
        for start in range(0, len(words), _CHUNK):
            positions, codes = self._sort(words[start : start + _CHUNK])
            for code in np.unique(codes[codes > 0]):
                found.setdefault(self.names[code], []).append(start + positions[codes == code])
        return {feature: np.sort(np.concatenate(parts)) for feature, parts in found.items()}

    def guarded(self, words: Words, feature: str, positions: Positions) -> NDArray[np.bool_]:
        """Say of each position whether the words around it show that it is chosen at run time."""
        shown = np.zeros(len(positions), np.bool_)
        for guard in self._guards:
            if guard.feature == feature:
                places = [*zip(range(-len(guard.before), 0), guard.before, strict=True), *enumerate(guard.after, 1)]
                matches = [_at(words, positions + distance, pattern) for distance, pattern in places]
                shown |= np.logical_and.reduce(matches)
        return shown

    def guards(self, feature: str) -> str:
        """Name what may guard a feature's instructions; empty where nothing is known that does."""
        return ", ".join(guard.name for guard in self._guards if guard.feature == feature)

    def _sort(self, words: Words) -> tuple[Positions, NDArray[np.int16]]:
        """Return the words that a pattern matches: where they are, in no order, and the index of their feature."""
        buckets = self._bucket[words >> 16]
        candidates = np.flatnonzero(buckets != self._empty)
        order = candidates[np.argsort(buckets[candidates], kind="stable")]
        chosen = words[order]
        codes = np.full(len(order), -1, np.int16)
        numbers, starts = np.unique(buckets[order], return_index=True)
        for number, part, own in zip(numbers, np.split(chosen, starts[1:]), np.split(codes, starts[1:]), strict=False):
            for pattern, code in reversed(self._sets[number]):  # the first one has the last word
                own[part & pattern.mask == pattern.value] = code
        return order[codes >= 0], codes[codes >= 0]


def scan_file(data: bytes, decoder: Decoder) -> list[FeatureUse]:
    """Find what a file's code asks for beyond Armv8.0.

    Args:
        data: the file.
        decoder: the patterns.

    Returns:
        the features in order; none of what is no AArch64 code.

    Raises:
        DamagedError: it is an ELF file whose headers lead out of it.
    """
    total: dict[str, list[FeatureUse]] = {}
    for offset, size in executable(data):
        words = np.frombuffer(data, "<u4", size // 4, offset)
        for feature, positions in decoder.scan(words).items():
            shown = decoder.guarded(words, feature, positions)
            guard = decoder.guards(feature) if shown.any() else ""
            spans = _spans(offset + 4 * positions[~shown])
            total.setdefault(feature, []).append(FeatureUse(feature, len(positions), int(shown.sum()), guard, spans))
    return [_sum(total[feature]) for feature in sorted(total)]


def _spans(offsets: Positions) -> tuple[tuple[int, int, int], ...]:
    """Put offsets that are near one another together."""
    if not len(offsets):
        return ()
    starts = np.flatnonzero(np.diff(offsets, prepend=-NEAR - 1) > NEAR)
    ends = np.append(starts[1:], len(offsets))
    found = np.stack([offsets[starts], offsets[ends - 1], ends - starts], axis=1).tolist()
    return tuple((first, last, count) for first, last, count in found)


def _sum(parts: Sequence[FeatureUse]) -> FeatureUse:
    """Join what was found of a feature in several sections."""
    return FeatureUse(
        parts[0].feature,
        sum(part.count for part in parts),
        sum(part.guarded for part in parts),
        next((part.guard for part in parts if part.guard), ""),
        tuple(span for part in parts for span in part.spans),
    )


def executable(data: bytes) -> list[tuple[int, int]]:
    """Return offset and size of an AArch64 file's executable sections; of its segments where it has no sections.

    Raises:
        DamagedError: they lie outside of the file.
    """
    if len(data) < _SIZE or data[:4] != ELF or data[4:6] != bytes([_64_BIT, _LITTLE]):
        return []
    header = _HEADER.unpack_from(data)
    if header[2] != _AARCH64:
        return []
    programs, sections, (program_size, program_count, section_size, section_count) = *header[5:7], header[9:13]
    if sections:
        if section_count == 0:  # more than fit into 16 bits: the first section holds the number
            section_count = next(_entries(data, _SECTION, sections, section_size, 1))[5]
        found = [
            (one[4], one[5])
            for one in _entries(data, _SECTION, sections, section_size, section_count)
            if one[1] == _PROGBITS and one[2] & _EXECINSTR
        ]
    else:
        found = [
            (one[2], one[5])
            for one in _entries(data, _SEGMENT, programs, program_size, program_count)
            if one[0] == _LOAD and one[1] & _EXECUTABLE
        ]
    if any(offset + size > len(data) for offset, size in found):
        raise DamagedError("an executable section lies outside of the file")
    return found


def _entries(data: bytes, kind: struct.Struct, start: int, size: int, count: int) -> Iterator[tuple[int, ...]]:
    if count and (size < kind.size or start + size * count > len(data)):
        raise DamagedError("its table of sections or segments lies outside of the file")
    return (kind.unpack_from(data, start + size * index) for index in range(count))


def _at(words: Words, positions: Positions, pattern: BitPattern) -> NDArray[np.bool_]:
    """Say at which positions a pattern matches; outside of the words it matches nowhere."""
    inside = (positions >= 0) & (positions < len(words))
    taken = words[np.where(inside, positions, 0)]
    found: NDArray[np.bool_] = inside & (taken & pattern.mask == pattern.value)
    return found
