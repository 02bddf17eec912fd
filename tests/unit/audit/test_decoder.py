"""The decoder: the assembler's instructions, words that differ in one bit, and ELF files of every shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armwright.audit import decoder
from armwright.audit.elf import DamagedError, executable_ranges
from armwright.audit.encodings import BASE, Instructions, load_dispatch, load_instructions
from armwright.system.errors import InputError
from tests.elf import ALLOC, NOP, RET, elf
from tests.support import ROOT, Tree

FACTS = load_instructions(ROOT)
DECODER = decoder.Decoder(FACTS)
WORDS = [
    (int(line[:8], 16), line[9:20].strip(), line[20:])
    for line in (Path(__file__).parent / "instructions.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
LDADD, SVE, FADD_HALF = 0xB8200020, 0x04A00000, 0x1EE22820  # ldadd w0, w0, [x1]; add z0.s, z0.s, z0.s; fadd h0, h1, h2
GUARDED = (0x39426610, 0x34000070, LDADD, RET)  # ldrb w16, [x16, #153]; cbz w16, .+12; ldadd; ret: as libgcc has it


def kind(word: int) -> str:
    """Return the feature that one word needs; "base" if every CPU has it."""
    names: list[str] = [DECODER.names[max(code, 0)] for code in DECODER.feature_codes(np.array([word], np.uint32))]
    return names[0]


@pytest.mark.parametrize("feature", [*FACTS.names, BASE])
def test_assembled_words_need_the_feature_they_were_built_for(feature: str) -> None:
    words = [(word, text) for word, of, text in WORDS if of == feature]
    assert words
    assert [(hex(word), text, kind(word)) for word, text in words if kind(word) != feature] == []


def test_assembled_words_cover_every_feature_and_the_base() -> None:
    seen = [feature for _, feature, _ in WORDS]
    assert set(seen) == {*FACTS.names, BASE}
    assert seen.count(BASE) > 250


def first_match(facts: Instructions, word: int) -> str:
    return next(
        (
            encoding.feature
            for encoding in facts.features
            for pattern in encoding.patterns
            if word & pattern.mask == pattern.value
        ),
        BASE,
    )


@given(st.lists(st.integers(0, 2**32 - 1), max_size=40))
def test_the_first_matching_pattern_gives_the_feature(words: list[int]) -> None:
    codes = DECODER.feature_codes(np.array(words, np.uint32))
    assert [DECODER.names[max(code, 0)] for code in codes] == [first_match(FACTS, word) for word in words]


@given(st.data())
def test_a_pattern_s_words_have_its_feature_or_an_earlier_one(data: st.DataObject) -> None:
    pairs = [(at, pattern) for at, encoding in enumerate(FACTS.features) for pattern in encoding.patterns]
    at, pattern = data.draw(st.sampled_from(pairs))
    word = data.draw(st.integers(0, 2**32 - 1)) & ~pattern.mask | pattern.value
    assert kind(word) == first_match(FACTS, word)
    assert kind(word) in {encoding.feature for encoding in FACTS.features[: at + 1]}  # `sve` is there twice


def test_no_pattern_is_hidden_by_earlier_ones() -> None:
    """A pattern that can never match first is a mistake in the data."""
    earlier: list[tuple[int, int]] = []
    for encoding in FACTS.features:
        for pattern in encoding.patterns:
            hidden = [value for mask, value in earlier if pattern.mask & mask == mask and pattern.value & mask == value]
            assert not hidden, f"{encoding.feature}: {pattern.name}"
            earlier.append((pattern.mask, pattern.value))


def test_the_size_of_a_chunk_does_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.random.default_rng(1).integers(0, 2**32, 1000, dtype=np.uint32)
    whole = DECODER.feature_codes(words)
    monkeypatch.setattr(decoder, "_CHUNK", 7)
    assert (DECODER.feature_codes(words) == whole).all()
    features = DECODER.find_features(words)
    assert {name: list(places) for name, places in features.items()} == {
        name: list(np.flatnonzero(whole == DECODER.names.index(name)))
        for name in FACTS.names
        if (whole == DECODER.names.index(name)).any()
    }


def test_only_executable_sections_are_read_with_file_offsets() -> None:
    data = elf([NOP, FADD_HALF], [SVE], data=[LDADD, LDADD])
    uses = decoder.scan_file(data, DECODER)
    assert [(use.feature, use.count, use.guarded) for use in uses] == [("fphp", 1, 0), ("sve", 1, 0)]
    for use, word in zip(uses, (FADD_HALF, SVE), strict=True):
        ((first, last, count),) = use.spans
        assert (first, count) == (last, 1)
        assert data[first : first + 4] == word.to_bytes(4, "little")


def test_one_feature_in_several_sections_is_summed() -> None:
    (use,) = decoder.scan_file(elf([SVE] * 4, [NOP] * decoder.NEAR, [SVE, SVE]), DECODER)
    assert (use.count, [count for _, _, count in use.spans]) == (6, [4, 2])


def edit_section(data: bytes, number: int, field: int, value: int) -> bytes:
    """Return an ELF file with another value in a section header; 8 is the place of the flags, 24 offset, 32 size."""
    at = int.from_bytes(data[0x28:0x30], "little") + 64 * number + field
    return data[:at] + value.to_bytes(8, "little") + data[at + 8 :]


def test_code_in_a_section_without_its_flag_is_read() -> None:
    hidden = edit_section(elf([NOP, SVE, RET], [NOP]), 1, 8, ALLOC)
    assert [use.feature for use in decoder.scan_file(hidden, DECODER)] == ["sve"]


def test_code_below_a_section_of_constants_is_read() -> None:
    data = elf([NOP] * 8, [SVE] * 8, [NOP] * 8, data=[LDADD])
    start = data.index(SVE.to_bytes(4, "little"))
    hidden = edit_section(edit_section(data, 4, 24, start), 4, 32, 32)  # the section of constants, moved over the code
    assert {use.feature: use.count for use in decoder.scan_file(hidden, DECODER)} == {"sve": 8, "atomics": 1}


def test_code_that_no_section_covers_is_read() -> None:
    data = edit_section(elf([NOP, SVE]), 1, 32, 4)
    assert [use.feature for use in decoder.scan_file(data, DECODER)] == ["sve"]


def test_the_rest_of_the_last_page_is_read() -> None:
    data = elf([NOP], [SVE], sections=False)
    size = int.from_bytes(data[64 + 32 : 64 + 40], "little")
    shorter = data[: 64 + 32] + (size - 4).to_bytes(8, "little") + data[64 + 40 :]  # p_filesz
    assert [use.feature for use in decoder.scan_file(shorter, DECODER)] == ["sve"]


def test_nearby_instructions_form_one_span() -> None:
    near = decoder.NEAR // 4
    data = elf([SVE, *[NOP] * (near - 1), SVE, *[NOP] * near, SVE])
    (use,) = decoder.scan_file(data, DECODER)
    start = data.index(SVE.to_bytes(4, "little"))
    assert use.spans == (
        (start, start + decoder.NEAR, 2),
        (start + 2 * decoder.NEAR + 4, start + 2 * decoder.NEAR + 4, 1),
    )


def test_a_file_without_section_table_is_read_by_segments() -> None:
    assert [use.feature for use in decoder.scan_file(elf([NOP, SVE], sections=False), DECODER)] == ["sve"]


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"#!/bin/sh\n", elf([SVE], machine=62)], ids=str)
def test_other_files_have_no_aarch64_code(data: bytes) -> None:
    assert decoder.scan_file(data, DECODER) == []


def test_a_section_outside_the_file_is_damage() -> None:
    with pytest.raises(DamagedError, match="outside"):
        decoder.scan_file(elf([SVE], beyond=4096), DECODER)


@pytest.mark.parametrize(
    ("offset", "value"),
    [(0x28, 1 << 62), (0x3A, 63), (0x3C, 0xFFFF), (0x28, 1 << 20)],
    ids=["table beyond 2^62", "entries too small", "too many entries", "table beyond the end"],
)
def test_a_section_table_outside_the_file_is_damage(offset: int, value: int) -> None:
    data = bytearray(elf([SVE]))
    size = 8 if offset == 0x28 else 2
    data[offset : offset + size] = value.to_bytes(size, "little")
    with pytest.raises(DamagedError):
        executable_ranges(bytes(data))


def test_a_section_count_above_16_bits_is_read_from_section_0() -> None:
    data = bytearray(elf([SVE]))
    table = int.from_bytes(data[0x28:0x30], "little")
    ranges = executable_ranges(bytes(data))
    data[table + 32 : table + 40] = data[0x3C:0x3E].ljust(8, b"\0")  # sh_size of section 0
    data[0x3C:0x3E] = b"\0\0"
    assert executable_ranges(bytes(data)) == ranges != []


@given(st.binary(max_size=300))
def test_noise_in_elf_headers_is_code_or_damage(noise: bytes) -> None:
    data = bytearray(elf([SVE, NOP]))
    data[24 : 24 + len(noise)] = noise
    try:
        uses = decoder.scan_file(bytes(data), DECODER)
    except DamagedError:
        return
    assert all(use.count > 0 for use in uses)


def test_outline_atomics_are_guarded() -> None:
    (use,) = decoder.scan_file(elf([NOP, *GUARDED]), DECODER)
    assert (use.count, use.guarded, use.guard) == (1, 1, "outline atomics")


@pytest.mark.parametrize(
    "words",
    [
        (LDADD, RET),
        (NOP, NOP, LDADD, RET),
        (GUARDED[0], 0x35000070, LDADD, RET),  # cbnz: the condition reversed
        (GUARDED[0], 0x34000090, LDADD, RET),  # cbz to another place
        (GUARDED[0], GUARDED[1], LDADD, NOP),
        (GUARDED[0], GUARDED[1], LDADD),
        (NOP, GUARDED[1], LDADD, RET),
    ],
)
def test_an_atomic_without_the_whole_check_is_unguarded(words: tuple[int, ...]) -> None:
    (use,) = decoder.scan_file(elf(words), DECODER)
    assert (use.count, use.guarded, use.guard) == (1, 0, "")


def test_spans_hold_unguarded_instructions_only() -> None:
    words = [*GUARDED, NOP, LDADD]
    data = elf(words)
    (use,) = decoder.scan_file(data, DECODER)
    assert (use.count, use.guarded) == (2, 1)
    bare = len(words) * 4 - 4 + data.index(GUARDED[0].to_bytes(4, "little"))
    assert use.spans == ((bare, bare, 1),)
    (whole,) = decoder.scan_file(elf([*GUARDED]), DECODER)
    assert whole.spans == ()


def test_a_floor_includes_the_features_it_implies() -> None:
    assert "svebf16" in FACTS.expand_floor(["sve", "bf16"])
    assert "svebf16" not in FACTS.expand_floor(["sve"])
    assert FACTS.expand_floor(["fp", "asimd"]) == {"fp", "asimd"}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('bits: "00011110 11100010 x10000xx', 'bits: "00011110 11100010 x1000xx', "'bits'"),
        ("feature: sme", "feature: SME", "'feature'"),
        ("  svebf16: {by:", "  sve3: {by:", "no pattern needs the feature 'sve3'"),
    ],
)
def test_a_mistake_in_isa_yaml_is_reported_with_its_place(tree: Tree, old: str, new: str, expected: str) -> None:
    tree.edit("recipes/isa.yaml", old, new)
    with pytest.raises(InputError, match=r"recipes/isa\.yaml:\d+:\d+") as refused:
        load_instructions(tree.root)
    assert expected in refused.value.what


def test_a_declared_feature_without_pattern_is_refused(tree: Tree) -> None:
    tree.edit("recipes/dispatch.yaml", "features: [", "features: [lse, ")
    with pytest.raises(InputError, match="needs the feature 'lse'"):
        load_dispatch(tree.root, FACTS)
