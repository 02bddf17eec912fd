"""Tables and labelled texts: aligned columns, cells folded at words, styles on a terminal, harmless characters only."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from armwright.system import console
from armwright.system.table_layout import Cell


def draw(
    monkeypatch: pytest.MonkeyPatch, show: Callable[[], None], *, width: int = 60, terminal: bool = False
) -> list[str]:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    fake = Console(file=out, width=width, soft_wrap=True, highlight=False, force_terminal=terminal)
    monkeypatch.setattr(console, "_out", fake)
    show()
    return out.getvalue().splitlines()


def table(
    monkeypatch: pytest.MonkeyPatch, rows: list[list[str | Cell]], *, width: int = 60, terminal: bool = False
) -> list[str]:
    columns = ["one", "two", "three"][: len(rows[0]) if rows else 3]
    return draw(monkeypatch, lambda: console.table("", columns, rows), width=width, terminal=terminal)


def test_columns_are_aligned_and_lines_end_without_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert table(monkeypatch, [["pytorch-2.10.0-n1-acl", "proven", ""], ["b", "not built", "why"]]) == [
        "one                    two        three",
        "pytorch-2.10.0-n1-acl  proven",
        "b                      not built  why",
    ]


def test_the_widest_column_is_folded_at_words(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = table(monkeypatch, [["a", "its wheel dies at import " * 4, "end"]], width=40)
    assert lines[1].split("  ")[0] == "a"
    assert lines[1].endswith("end")
    assert all(len(line) <= 40 for line in lines)
    words = " ".join(line[5:33].strip() for line in lines[1:]).split()
    assert words == ("its wheel dies at import " * 4).split()


def test_a_word_longer_than_its_column_is_cut_without_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [len(line) for line in table(monkeypatch, [["x" * 95]], width=40)[1:]] == [40, 40, 15]


def test_a_cell_has_its_style_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[list[str | Cell]] = [[Cell("works", "green"), Cell("slow", "dim"), "proven"]]
    assert table(monkeypatch, rows)[1] == "works  slow  proven"
    styled = table(monkeypatch, rows, terminal=True)[1]
    assert styled.startswith("\x1b[32mworks\x1b[0m  \x1b[2mslow\x1b[0m  ")
    assert styled.endswith("  proven")  # a text without a style has none, whatever its words


@pytest.mark.parametrize("evil", ["\x1b[2Jgone", "a\x07b", "two\nlines", "back\rto the start"])
def test_output_of_a_container_moves_no_cursor(monkeypatch: pytest.MonkeyPatch, evil: str) -> None:
    lines = table(monkeypatch, [[evil, "x"]])
    assert len(lines) == 2
    assert lines[1].isprintable()


def test_facts_are_labelled_texts_below_a_title(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("CPU", "Arm Neoverse N1"), ("not run", ""), ("versions", "torch 2.10.0, " * 20)]
    lines = draw(monkeypatch, lambda: console.facts("a combo", rows), width=console.WIDE)
    assert lines[:2] == ["a combo", "  CPU       Arm Neoverse N1"]
    assert lines[2].startswith("  versions  torch 2.10.0, torch")
    assert lines[3].startswith("            2.10.0, torch")  # folded below the text; the empty row is left out
    assert all(len(line) <= console.FACTS_WIDE for line in lines)


TEXT = st.text(max_size=90)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=5), st.integers(1, 90))
@settings(max_examples=100, deadline=None)
def test_any_cells_fit_into_any_width(rows: list[tuple[str, str, str]], width: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        lines = table(monkeypatch, [list(row) for row in rows], width=width)
    characters = "".join("".join(row) for row in rows)
    narrow = all(cell_len(character) <= 1 for character in characters)  # textwrap does not know wide characters
    assert not narrow or all(cell_len(line) <= max(width, 7) for line in lines)
