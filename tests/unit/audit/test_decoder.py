"""The decoder of instructions: the assembler's own words, their neighbours, and files of every shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armwright.audit import decoder
from armwright.audit.encodings import BASE, Instructions, dispatch, instructions
from armwright.system.errors import InputError
from tests.elf import NOP, RET, elf
from tests.support import ROOT, Tree

FACTS = instructions(ROOT)
DECODER = decoder.Decoder(FACTS)
WORDS = [
    (int(line[:8], 16), line[9:20].strip(), line[20:])
    for line in (Path(__file__).parent / "instructions.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
LDADD, SVE, FADD_HALF = 0xB8200020, 0x04A00000, 0x1EE22820  # ldadd w0, w0, [x1]; add z0.s, z0.s, z0.s; fadd h0, h1, h2
GUARDED = (0x39426610, 0x34000070, LDADD, RET)  # ldrb w16, [x16, #153]; cbz w16, .+12; ldadd; ret: as libgcc has it


def kind(word: int) -> str:
    """Return the feature of one word; "base" for what every CPU has."""
    names: list[str] = [DECODER.names[max(code, 0)] for code in DECODER.kinds(np.array([word], np.uint32))]
    return names[0]


@pytest.mark.parametrize("feature", [*FACTS.names, BASE])
def test_the_assembler_s_words_have_the_feature_they_were_assembled_for(feature: str) -> None:
    words = [(word, text) for word, of, text in WORDS if of == feature]
    assert words
    assert [(hex(word), text, kind(word)) for word, text in words if kind(word) != feature] == []


def test_the_assembler_s_words_are_of_no_other_feature_and_of_many_neighbours_without_one() -> None:
    seen = [feature for _, feature, _ in WORDS]
    assert set(seen) == {*FACTS.names, BASE}
    assert seen.count(BASE) > 250


def first_match(facts: Instructions, word: int) -> str:
    return next(
        (group.feature for group in facts.features for one in group.words if word & one.mask == one.value), BASE
    )


@given(st.lists(st.integers(0, 2**32 - 1), max_size=40))
def test_any_words_have_one_feature_each_the_first_whose_pattern_matches(words: list[int]) -> None:
    found = DECODER.kinds(np.array(words, np.uint32))
    assert [DECODER.names[max(code, 0)] for code in found] == [first_match(FACTS, word) for word in words]


@given(st.data())
def test_words_of_a_pattern_have_its_feature_or_that_of_an_earlier_one(data: st.DataObject) -> None:
    groups = [(group, one) for group in FACTS.features for one in group.words]
    group, pattern = data.draw(st.sampled_from(groups))
    word = data.draw(st.integers(0, 2**32 - 1)) & ~pattern.mask | pattern.value
    names = [one.feature for one in FACTS.features]
    assert kind(word) == first_match(FACTS, word)
    assert names.index(first_match(FACTS, word)) <= names.index(group.feature)


def test_no_pattern_is_hidden_by_earlier_ones() -> None:
    """A pattern that never has the first word is a mistake in the data."""
    earlier: list[tuple[int, int]] = []
    for group in FACTS.features:
        for one in group.words:
            hidden = [value for mask, value in earlier if one.mask & mask == mask and one.value & mask == value]
            assert not hidden, f"{group.feature}: {one.name}"
            earlier.append((one.mask, one.value))


def test_words_are_sorted_alike_whatever_stands_around_them(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.random.default_rng(1).integers(0, 2**32, 1000, dtype=np.uint32)
    whole = DECODER.kinds(words)
    monkeypatch.setattr(decoder, "_CHUNK", 7)
    assert (DECODER.kinds(words) == whole).all()
    found = DECODER.scan(words)
    assert {name: list(places) for name, places in found.items()} == {
        name: list(np.flatnonzero(whole == DECODER.names.index(name)))
        for name in FACTS.names
        if (whole == DECODER.names.index(name)).any()
    }


def test_only_executable_sections_are_looked_at_and_offsets_are_the_file_s() -> None:
    data = elf([NOP, FADD_HALF], [SVE], data=[LDADD, LDADD])
    found = decoder.scan_file(data, DECODER)
    assert [(one.feature, one.count, one.guarded) for one in found] == [("fphp", 1, 0), ("sve", 1, 0)]
    for one, word in zip(found, (FADD_HALF, SVE), strict=True):
        ((first, last, count),) = one.spans
        assert (first, count) == (last, 1)
        assert data[first : first + 4] == word.to_bytes(4, "little")


def test_the_same_feature_in_several_sections_is_counted_together() -> None:
    (found,) = decoder.scan_file(elf([SVE] * 4, [NOP, SVE, SVE]), DECODER)
    assert (found.count, [count for _, _, count in found.spans]) == (6, [4, 2])


def test_instructions_near_one_another_are_one_span_and_others_are_not() -> None:
    near = decoder.NEAR // 4
    data = elf([SVE, *[NOP] * (near - 1), SVE, *[NOP] * near, SVE])
    (found,) = decoder.scan_file(data, DECODER)
    start = data.index(SVE.to_bytes(4, "little"))
    assert found.spans == (
        (start, start + decoder.NEAR, 2),
        (start + 2 * decoder.NEAR + 4, start + 2 * decoder.NEAR + 4, 1),
    )


def test_a_file_without_a_section_table_is_looked_at_by_its_segments() -> None:
    assert [one.feature for one in decoder.scan_file(elf([NOP, SVE], sections=False), DECODER)] == ["sve"]


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"#!/bin/sh\n", elf([SVE], machine=62)], ids=str)
def test_what_is_no_aarch64_file_has_no_code(data: bytes) -> None:
    assert decoder.scan_file(data, DECODER) == []


def test_a_section_that_lies_outside_of_its_file_is_damage() -> None:
    with pytest.raises(decoder.DamagedError, match="outside"):
        decoder.scan_file(elf([SVE], beyond=4096), DECODER)


@given(st.binary(max_size=300))
def test_any_bytes_behind_an_elf_header_are_code_or_damage(noise: bytes) -> None:
    data = bytearray(elf([SVE, NOP]))
    data[24 : 24 + len(noise)] = noise
    try:
        found = decoder.scan_file(bytes(data), DECODER)
    except decoder.DamagedError:
        return
    assert all(one.count > 0 for one in found)


def test_outline_atomics_are_guarded_by_the_words_around_them() -> None:
    (found,) = decoder.scan_file(elf([NOP, *GUARDED]), DECODER)
    assert (found.count, found.guarded, found.guard) == (1, 1, "outline atomics")


@pytest.mark.parametrize(
    "words",
    [
        (LDADD, RET),
        (NOP, NOP, LDADD, RET),
        (GUARDED[0], 0x35000070, LDADD, RET),  # cbnz: the other way round
        (GUARDED[0], 0x34000090, LDADD, RET),  # cbz to somewhere else
        (GUARDED[0], GUARDED[1], LDADD, NOP),
        (GUARDED[0], GUARDED[1], LDADD),
        (NOP, GUARDED[1], LDADD, RET),
    ],
)
def test_an_atomic_instruction_without_all_of_these_words_is_bare(words: tuple[int, ...]) -> None:
    (found,) = decoder.scan_file(elf(words), DECODER)
    assert (found.count, found.guarded, found.guard) == (1, 0, "")


def test_the_spans_are_of_bare_instructions_only() -> None:
    words = [*GUARDED, NOP, LDADD]
    data = elf(words)
    (found,) = decoder.scan_file(data, DECODER)
    assert (found.count, found.guarded) == (2, 1)
    bare = len(words) * 4 - 4 + data.index(GUARDED[0].to_bytes(4, "little"))
    assert found.spans == ((bare, bare, 1),)
    (whole,) = decoder.scan_file(elf([*GUARDED]), DECODER)
    assert whole.spans == ()


def test_what_a_floor_implies_is_within_it() -> None:
    assert "svebf16" in FACTS.within(["sve", "bf16"])
    assert "svebf16" not in FACTS.within(["sve"])
    assert FACTS.within(["fp", "asimd"]) == {"fp", "asimd"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('bits: "00011110 11100010 x10000xx', 'bits: "00011110 11100010 x1000xx', "'bits'"),
        ("feature: sme", "feature: SME", "'feature'"),
        ("  svebf16: {by:", "  sve3: {by:", "no pattern is of the feature 'sve3'"),
    ],
)
def test_a_mistake_in_the_patterns_is_named_with_its_place(tree: Tree, old: str, new: str, words: str) -> None:
    tree.edit("recipes/isa.yaml", old, new)
    with pytest.raises(InputError, match=r"recipes/isa\.yaml:\d+:\d+") as refused:
        instructions(tree.root)
    assert words in refused.value.what


def test_a_declaration_of_a_feature_that_no_pattern_has_is_refused(tree: Tree) -> None:
    tree.edit("recipes/dispatch.yaml", "features: [", "features: [lse, ")
    with pytest.raises(InputError, match="is of the feature 'lse'"):
        dispatch(tree.root, FACTS)
