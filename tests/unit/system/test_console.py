"""Several voices on one terminal: whose line it is, what stays together, and that results go where they were sent."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator

import pytest
from rich.console import Console

from armwright.system import console
from armwright.system.errors import FailedError
from armwright.system.live_lines import Board

PATIENCE = 20  # seconds for what happens at once


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """A terminal on standard error."""
    seen = io.StringIO()
    screen = Console(file=seen, force_terminal=True, width=60, color_system=None)
    board = Board(screen)
    monkeypatch.setattr(console, "_err", screen)
    monkeypatch.setattr(console, "_board", board)
    yield seen
    assert board._live is None, "something still goes on"


def test_a_line_says_whose_it_is_where_several_speak(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("alone")
    with console.voice("one"):
        console.step("build it")
        console.step("prove one")
        console.detail("detail")
        console.error(FailedError("broken", "mend it"))
    console.say("alone again")
    assert capsys.readouterr().err.splitlines() == [
        "alone",
        "==> one: build it",
        "==> prove one",
        "    one: detail",
        "error: one: broken",
        "next:  mend it",
        "alone again",
    ]


def test_each_thread_has_its_own_voice(capsys: pytest.CaptureFixture[str]) -> None:
    def speak(name: str) -> None:
        with console.voice(name):
            both.wait()
            console.say(f"I am {name[-1]}")

    both = threading.Barrier(2, timeout=PATIENCE)
    threads = [threading.Thread(target=speak, args=(f"combo-{number}",)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(capsys.readouterr().err.splitlines()) == ["combo-1: I am 1", "combo-2: I am 2"]


def test_without_a_terminal_progress_is_plain_lines_and_brief_leaves_them_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for brief in (False, True):
        with console.voice("one", brief=brief), console.progress("build it") as shown:
            shown.update("a step")
            shown.update("a step")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["==> one: build it", "    one: a step (0 s)", "==> one: build it"]


def test_a_block_is_not_torn_apart(capsys: pytest.CaptureFixture[str]) -> None:
    inside = threading.Event()

    def disturb() -> None:
        inside.wait(PATIENCE)
        console.say("disturbance")
        console.result("result of another")

    thread = threading.Thread(target=disturb)
    thread.start()
    with console.block():
        console.say("first")
        inside.set()
        thread.join(0.1)
        console.result("a result")
        console.say("second")
        assert thread.is_alive()
    thread.join()
    said = capsys.readouterr()
    assert said.err.splitlines() == ["first", "second", "disturbance"]
    assert said.out.splitlines() == ["a result", "result of another"]


def test_on_a_terminal_each_work_has_a_line_and_they_go_away(terminal: io.StringIO) -> None:
    with console.progress("build one") as one, console.progress("prove two") as two:
        one.update("a step")
        two.update("x" * 100)
        board = console._board
        assert board._live is not None
        terminal.truncate(0)
        board._live.refresh()
        drawn = terminal.getvalue()
        assert "build one (0 s): a step" in drawn
        assert "prove two (0 s): xxxx" in drawn
        assert "…" in drawn  # cut, so that it stays one line
        assert "x" * 50 not in drawn
    assert terminal.getvalue().rstrip().endswith("\x1b[?25h")  # the cursor is back


def test_what_is_printed_meanwhile_goes_where_it_was_sent(
    terminal: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    sent_to = sys.stdout
    with console.progress("build one"):
        assert sys.stdout is sent_to
        console.table("", ["a table"], [["a cell"]])
        console.document({"a": "document"})
        console.result("a result")
        console.say("a line")
        assert console._board._live is not None  # it goes on below
    out = capsys.readouterr().out
    assert all(text in out for text in ("a cell", '"a": "document"', "a result"))
    assert "\x1b" not in out
    seen = terminal.getvalue()
    assert "a line" in seen
    assert "a cell" not in seen
    assert seen.count("\x1b[?25h") == 4  # the lines were off the terminal each time, and are at the end


def test_many_threads_can_draw_and_print_at_once(terminal: io.StringIO) -> None:
    def work(number: int) -> None:
        for turn in range(20):
            with console.voice(f"combo-{number}"), console.progress(f"step {turn}") as shown:
                shown.update("somewhere")
                console.say(f"turn {turn}")

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "they wait for each other"
    assert terminal.getvalue().count("combo-3: turn ") == 20
