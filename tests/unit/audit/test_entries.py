"""Code that a section table calls constants: what enters it, what leaves it, and where a run ends."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armwright.audit import decoder, entries
from armwright.audit.encodings import load_instructions
from armwright.audit.entries import Mapped
from tests.elf import ALLOC, NOP, RET, elf
from tests.support import ROOT

DECODER = decoder.Decoder(load_instructions(ROOT))
SVE, JUMP, RETURN_BY_BR = 0x04A00000, 0x14000000, 0xD61F03C0  # add z0.s, z0.s, z0.s; b .; br x30
TEXT = 0x66666666  # "ffff": no instruction
SKIP = JUMP + 2  # b .+8
START = 64 + 56  # of the first section in an ELF file of the tests
BRANCHES = {"b": JUMP, "bl": 0x94000000, "b.eq": 0x54000000, "cbz": 0x34000000, "tbz": 0x36000000}


def find_features(data: bytes) -> dict[str, int]:
    return {use.feature: use.count for use in decoder.scan_file(data, DECODER)}


def branch(kind: str, distance: int) -> int:
    """Return a branch over a number of words."""
    return BRANCHES[kind] + (distance << (0 if kind in {"b", "bl"} else 5))


@pytest.mark.parametrize("kind", BRANCHES)
def test_constants_that_a_branch_enters_are_code(kind: str) -> None:
    assert find_features(elf([NOP, branch(kind, 3), RET], data=[TEXT, SVE, JUMP])) == {"sve": 1}
    assert find_features(elf([NOP, branch(kind, 1), RET], data=[TEXT, SVE, JUMP])) == {}


def test_constants_that_an_indirect_branch_leaves_are_code() -> None:
    assert find_features(elf([NOP, RET], data=[SVE, TEXT, SVE, NOP, RETURN_BY_BR, TEXT, SVE])) == {"sve": 1}


def test_constants_at_the_entry_point_are_code() -> None:
    data = bytearray(elf([NOP, RET], data=[TEXT, SVE, JUMP]))
    assert find_features(bytes(data)) == {}
    struct.pack_into("<Q", data, 24, START + 12)
    assert find_features(bytes(data)) == {"sve": 1}


def test_branches_inside_constants_are_followed() -> None:
    assert find_features(elf([JUMP + 2, RET], data=[SKIP, TEXT, NOP, SKIP, TEXT, SVE, JUMP])) == {"sve": 1}


def test_a_run_ends_at_a_word_that_is_no_instruction() -> None:
    assert find_features(elf([JUMP + 2, RET], data=[NOP, TEXT, SVE, JUMP])) == {}


def test_a_run_ends_behind_a_jump() -> None:
    assert find_features(elf([JUMP + 2, RET], data=[NOP, JUMP, SVE])) == {}


def test_a_chain_of_branches_without_end_is_code(monkeypatch: pytest.MonkeyPatch) -> None:
    data = elf([JUMP + 2, RET], data=[*[SKIP, TEXT] * 20, SVE, JUMP, TEXT, SVE])
    assert find_features(data) == {"sve": 1}
    monkeypatch.setattr(entries, "ROUNDS", 9)
    assert find_features(data) == {"sve": 2}  # the whole section


def test_a_segment_without_executable_sections_is_code() -> None:
    data = bytearray(elf([NOP, SVE, JUMP]))
    (table,) = struct.unpack_from("<Q", data, 0x28)
    struct.pack_into("<Q", data, table + 64 + 8, ALLOC)
    assert find_features(bytes(data)) == {"sve": 1}


def test_code_between_the_entries_of_a_table_is_read() -> None:
    data = elf([branch("b", 5 + 64 * 3 // 4 + 1), RET])
    (table,) = struct.unpack_from("<Q", data, 0x28)
    rows = [data[table + 64 * number : table + 64 * (number + 1)] for number in range(3)]
    wide = data[:table] + b"".join(row + struct.pack("<2I", SVE, RETURN_BY_BR) for row in rows)
    assert find_features(wide[:0x3A] + struct.pack("<H", 72) + wide[0x3C:]) == {"sve": 3}


SHIFT = 0x10000  # address minus offset
SYMBOLS, RELOCATIONS, ARRAY = 0x200, 0x300, 0x400


def make_loaded() -> bytes:
    """Return a file with a dynamic section at its start, two symbols, three relocations and an array."""
    tags = {6: SYMBOLS, 5: SYMBOLS + 72, 7: RELOCATIONS, 12: 0x11, 13: 0x12, 25: ARRAY}
    pairs = [(tag, value + SHIFT) for tag, value in tags.items()]
    data = bytearray(0x500)
    for number, pair in enumerate([*pairs, (8, 72), (27, 8), (0, 0)]):
        struct.pack_into("<QQ", data, 16 * number, *pair)
    for number, (info, place, value) in enumerate([(0x12, 9, 0x21), (0x11, 9, 0x22), (0x12, 0, 0x23)]):
        struct.pack_into("<IBBHQQ", data, SYMBOLS + 24 * number, 0, info, 0, place, value, 8)
    rows = [(ARRAY + SHIFT, 1027, 0x31), (0x9999, 1027, 0x32), (0x9999, 1032, 0x33)]
    for number, row in enumerate(rows):
        struct.pack_into("<QQQ", data, RELOCATIONS + 24 * number, *row)
    struct.pack_into("<Q", data, ARRAY, 0x41)
    return bytes(data)


def test_the_loader_s_tables_give_the_addresses_of_code() -> None:
    data = make_loaded()
    found = entries.list_addresses(data, [Mapped(0, len(data), SHIFT)], [(0, 0x100)], 0x51)
    functions, initializers = {0x21, 0x33, 0x51}, {0x11 + SHIFT, 0x12 + SHIFT, 0x31, 0x41}
    assert {*found.tolist()} == functions | initializers  # no object, no undefined symbol, no pointer to data


@given(st.lists(st.tuples(st.sampled_from([5, 6, 7, 8, 12, 25, 27]), st.integers(0, 2**64 - 1))), st.binary(max_size=9))
def test_a_damaged_dynamic_section_is_no_error(pairs: list[tuple[int, int]], rest: bytes) -> None:
    data = b"".join(struct.pack("<QQ", *pair) for pair in pairs) + rest
    loaded = [Mapped.at_address(0, len(data), 2**64 - 16), Mapped.at_address(2**63, 2**64 - 1, 1)]
    addresses = entries.list_addresses(data, loaded, [(0, len(data)), (2**63, 2**64 - 1)], 2**64 - 1)
    part = Mapped(0, len(data), loaded[0].shift)
    assert all(0 <= start < end <= len(data) for start, end in entries.find_runs(data, [part], [part], addresses))


def test_no_addresses_and_no_code_give_no_runs() -> None:
    assert entries.find_runs(bytes(16), [], [Mapped(0, 16, 0)], np.array([], np.int64)) == []
