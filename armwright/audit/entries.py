"""Finds code in bytes that a file's section table calls constants, by what leads into it and out of it.

The processor enters code by a branch, or by an address that the loader knows: the entry point, a function's symbol, an
initializer, a resolver. It leaves code by a branch. A run is what it executes in a row, up to a word that is no
instruction. All of this is read where the loader reads it, never from the section table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORD = 4  # bytes of an instruction
ROUNDS = 100  # of following branches inside constants; no library of the matrix needs more than a few
# Direct branches (Arm ARM, C4.1): mask and value, then the place and the width of the distance.
_BRANCHES = (
    (0x7C000000, 0x14000000, 0, 26),  # b, bl
    (0xFF000000, 0x54000000, 5, 19),  # b.cond
    (0x7E000000, 0x34000000, 5, 19),  # cbz, cbnz
    (0x7E000000, 0x36000000, 5, 14),  # tbz, tbnz
)
_JUMP = (0xFC000000, 0x14000000)  # b: the word after it is not executed
_INDIRECT = (0xFFDFFC1F, 0xD61F0000)  # br, blr
_ADDRESSES = 1 << 64
_DYNAMIC = np.dtype([("tag", "<u8"), ("value", "<u8")])
_SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("place", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
_RELOCATION = np.dtype([("place", "<u8"), ("info", "<u8"), ("value", "<u8")])
_INITIALIZERS = (12, 13)  # DT_INIT, DT_FINI
_ARRAYS = ((25, 27), (26, 28), (32, 33))  # DT_INIT_ARRAY, DT_FINI_ARRAY, DT_PREINIT_ARRAY, and their sizes
_SYMBOLS, _RELOCATIONS, _RELOCATIONS_SIZE = 6, 7, 8  # DT_SYMTAB, DT_RELA, DT_RELASZ
_FUNCTIONS = (2, 10)  # STT_FUNC, STT_GNU_IFUNC
_RELATIVE, _RESOLVER = 1027, 1032  # R_AARCH64_RELATIVE, R_AARCH64_IRELATIVE

Range = tuple[int, int]  # the file offsets of the first byte, and of the first byte after it
AlignedWords = NDArray[np.uint32]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Mapped:
    """Bytes of the file that the loader maps.

    Attributes:
        start: the file offset of the first byte.
        end: that of the first byte after them.
        shift: the address of a byte minus its file offset, as a signed number of 64 bits.
    """

    start: int
    end: int
    shift: int

    @classmethod
    def at_address(cls, offset: int, size: int, address: int) -> Mapped:
        """Return the bytes of a segment's header; the numbers of a damaged one can be anything."""
        return cls(offset, offset + size, (address - offset + (1 << 63)) % _ADDRESSES - (1 << 63))


def find_runs(data: bytes, code: Sequence[Mapped], tables: Sequence[Mapped], addresses: Numbers) -> list[Range]:
    """List the runs in tables that something enters, or that an indirect branch leaves.

    Args:
        data: the whole file.
        code: what counts as code.
        tables: what is called constants, in executable segments.
        addresses: where the loader enters.

    Returns:
        the runs, sorted; the whole tables if branches lead on and on.
    """
    entered = [addresses, *(_find_targets(data, part) for part in code)]
    runs: dict[Range, Mapped] = {}
    for table in tables:
        words = read_aligned(data, table.start, table.end)
        indirect = np.flatnonzero(words & _INDIRECT[0] == _INDIRECT[1])
        runs |= _find_runs_at(words, table, _find_starts(words, indirect))
    waiting = [*runs.values()]
    for _ in range(ROUNDS):
        entered += [_find_targets(data, run) for run in waiting]
        targets = np.unique(np.concatenate(entered))
        found: dict[Range, Mapped] = {}
        for table in tables:
            offsets = targets - table.shift
            inside = offsets[(offsets >= table.start) & (offsets < table.end) & (offsets % WORD == 0)]
            if len(inside):
                start = align(table.start)
                positions = (inside[inside >= start] - start) // WORD
                found |= _find_runs_at(read_aligned(data, table.start, table.end), table, positions)
        entered, waiting = [], [run for place, run in found.items() if place not in runs]
        runs |= found
        if not waiting:
            return _unite(sorted(runs))
    return _unite(sorted((table.start, table.end) for table in tables))


def list_addresses(data: bytes, loaded: Sequence[Mapped], dynamic: Sequence[Range], entry: int) -> Numbers:
    """List the addresses of code that the loader knows.

    Args:
        data: the whole file.
        loaded: its segments.
        dynamic: the ranges of its dynamic segments.
        entry: its entry point; 0 if it has none.
    """
    found = [np.array([entry] if entry else [], np.uint64).astype(np.int64)]
    for start, end in dynamic:
        rows = _read_rows(data, start, end - start, _DYNAMIC)
        known = {int(row["tag"]): int(row["value"]) for row in rows}
        values = [known[tag] for tag in _INITIALIZERS if tag in known]
        found += [np.array(values, np.uint64).astype(np.int64), *_read_loader_tables(data, loaded, known)]
    return np.concatenate(found)


def _read_loader_tables(data: bytes, loaded: Sequence[Mapped], known: dict[int, int]) -> Iterator[Numbers]:
    """Yield the addresses of functions in the symbols, of initializers, and of resolvers."""
    arrays = [(known[tag], known.get(size, 0)) for tag, size in _ARRAYS if tag in known]
    for address, size in arrays:
        yield _read_rows(data, _find_offset(loaded, address), size, np.dtype("<u8")).astype(np.int64)
    start = known.get(_SYMBOLS, 0)
    if start:
        end = min((value for value in known.values() if value > start), default=start)
        symbols = _read_rows(data, _find_offset(loaded, start), end - start, _SYMBOL)
        yield symbols["value"][np.isin(symbols["info"] & 15, _FUNCTIONS) & (symbols["place"] != 0)].astype(np.int64)
    place, size = known.get(_RELOCATIONS, 0), known.get(_RELOCATIONS_SIZE, 0)
    relocations = _read_rows(data, _find_offset(loaded, place), size, _RELOCATION)
    kinds = relocations["info"] & 0xFFFFFFFF
    yield relocations["value"][kinds == _RESOLVER].astype(np.int64)
    for address, size in arrays:
        inside = (relocations["place"] >= address) & (relocations["place"] < min(address + size, _ADDRESSES - 1))
        yield relocations["value"][inside & (kinds == _RELATIVE)].astype(np.int64)


def read_aligned(data: bytes, start: int, end: int) -> AlignedWords:
    """Return the whole aligned words between two file offsets."""
    start, end = min(align(start), len(data)), min(end, len(data))
    return np.frombuffer(data, "<u4", max(0, end - start) // WORD, start)


def align(offset: int) -> int:
    """Return the offset of the first word that begins at an offset or after it."""
    return -(-offset // WORD) * WORD


def _find_targets(data: bytes, part: Mapped) -> Numbers:
    """Return the addresses that the direct branches in a part lead to."""
    words = read_aligned(data, part.start, part.end)
    found = []
    for mask, value, place, width in _BRANCHES:
        at = np.flatnonzero(words & mask == value)
        distance = (words[at].astype(np.int64) >> place) & ((1 << width) - 1)
        distance = (distance ^ (1 << (width - 1))) - (1 << (width - 1))
        found.append(align(part.start) + part.shift + WORD * (at + distance))
    return np.concatenate(found)


def _find_stops(words: AlignedWords) -> NDArray[np.bool_]:
    """Return which words are no instruction on any CPU: the groups reserved, and unallocated, of Arm ARM, C4.1."""
    group = words >> 25 & 15
    stops: NDArray[np.bool_] = np.isin(group, (1, 3)) | ((group == 0) & (words >> 31 == 0))
    return stops


def _find_starts(words: AlignedWords, positions: Numbers) -> Numbers:
    """Return for each position where its run begins: behind the last word that is no instruction."""
    stops = np.append(-1, np.flatnonzero(_find_stops(words)))
    return np.unique(stops[np.searchsorted(stops, positions) - 1] + 1)


def _find_runs_at(words: AlignedWords, table: Mapped, positions: Numbers) -> dict[Range, Mapped]:
    """Return the runs that begin at positions, up to a jump or a word that is no instruction."""
    jumps = words & _JUMP[0] == _JUMP[1]
    stops = np.append(np.flatnonzero(_find_stops(words) | jumps), len(words))
    ends = stops[np.searchsorted(stops, positions)]
    start, runs = align(table.start), {}
    for first, end in zip(positions.tolist(), ends.tolist(), strict=True):
        last = end + (end < len(words) and bool(jumps[end]))
        if last > first:
            place = start + WORD * first, start + WORD * last
            runs[place] = Mapped(*place, table.shift)
    return runs


def _unite(ranges: Sequence[Range]) -> list[Range]:
    """Unite sorted ranges that overlap."""
    united: list[Range] = []
    for start, end in ranges:
        if united and start < united[-1][1]:
            united[-1] = united[-1][0], max(end, united[-1][1])
        else:
            united.append((start, end))
    return united


def _find_offset(loaded: Sequence[Mapped], address: int) -> int:
    """Return the file offset of an address; -1 if it is in no segment."""
    places = ((address - part.shift) % _ADDRESSES for part in loaded)
    return next((place for part, place in zip(loaded, places, strict=True) if part.start <= place < part.end), -1)


def _read_rows(data: bytes, start: int, size: int, kind: np.dtype[np.void] | np.dtype[np.uint64]) -> NDArray[np.void]:
    """Read a table as far as it is in the file."""
    size = min(size, len(data) - start) if start >= 0 else 0
    return np.frombuffer(data, kind, max(0, size) // kind.itemsize, start if size > 0 else 0)
