"""Tables: columns under each other, what is too wide folded at words, colours by the state, no cursor that moves."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from armwright.system import console


def drawn(
    monkeypatch: pytest.MonkeyPatch, rows: list[list[str]], columns: list[str], width: int = 60, **terminal: bool
) -> list[str]:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(console, "_out", Console(file=out, width=width, soft_wrap=True, highlight=False, **terminal))  # type: ignore[arg-type]
    console.table("", columns, rows)
    return out.getvalue().splitlines()


def test_columns_stand_under_each_other_and_no_line_ends_in_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["pytorch-2.10.0-n1-acl", "proven", ""], ["b", "not built", "why"]]
    assert drawn(monkeypatch, rows, ["combo", "state", "reason"]) == [
        "combo                  state      reason",
        "pytorch-2.10.0-n1-acl  proven",
        "b                      not built  why",
    ]


def test_the_widest_column_is_folded_at_words_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(monkeypatch, [["a", "its wheel dies at import " * 4, "end"]], ["one", "two", "three"], width=40)
    assert lines[1].split("  ")[0] == "a"
    assert lines[1].endswith("end")
    assert all(len(line) <= 40 for line in lines)
    assert " ".join(line[3:33].strip() for line in lines[1:]).split() == ("its wheel dies at import " * 4).split()


def test_a_word_longer_than_its_column_is_cut_and_nothing_of_it_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(monkeypatch, [["x" * 95]], ["one"], width=40)
    assert [len(line) for line in lines[1:]] == [40, 40, 15]


def test_a_state_is_coloured_on_a_terminal_and_only_there(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["proven", "refused", "fine"]]
    assert drawn(monkeypatch, rows, ["a", "b", "c"])[1] == "proven  refused  fine"
    green = drawn(monkeypatch, rows, ["a", "b", "c"], force_terminal=True)[1]
    assert green.startswith("\x1b[32mproven\x1b[0m  \x1b[")
    assert green.endswith("fine")


@pytest.mark.parametrize("evil", ["\x1b[2Jgone", "a\x07b", "two\nlines", "back\rto the start"])
def test_words_of_a_container_move_no_cursor(monkeypatch: pytest.MonkeyPatch, evil: str) -> None:
    lines = drawn(monkeypatch, [[evil, "x"]], ["one", "two"])
    assert len(lines) == 2
    assert lines[1].isprintable()


TEXT = st.text(max_size=90)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=5), st.integers(1, 90))
@settings(max_examples=100, deadline=None)
def test_any_cells_fit_into_any_width_that_has_room_for_a_sign_in_each_column(
    rows: list[tuple[str, str, str]], width: int
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        lines = drawn(monkeypatch, [list(row) for row in rows], ["one", "two", "three"], width=width)
    signs = "".join("".join(row) for row in rows)
    narrow = all(cell_len(sign) <= 1 for sign in signs)  # of a sign two columns wide textwrap knows nothing
    assert not narrow or all(cell_len(line) <= max(width, 7) for line in lines)
