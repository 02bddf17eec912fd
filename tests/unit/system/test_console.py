"""Messages of several threads on one terminal: prefixes, blocks, running steps, and results on their own stream."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from armwright.system import console
from armwright.system.errors import FailedError
from armwright.system.live_lines import Board

PATIENCE = 20  # seconds to wait for what happens at once


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """A terminal on standard error."""
    screen = io.StringIO()
    rich_console = Console(file=screen, force_terminal=True, width=60, color_system=None)
    board = Board(rich_console)
    monkeypatch.setattr(console, "_err", rich_console)
    monkeypatch.setattr(console, "_board", board)
    yield screen
    assert board._live is None, "a step still runs"


def test_a_line_begins_with_the_prefix_unless_it_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("alone")
    with console.prefix("one"):
        console.step("build it")
        console.step("prove one")
        console.detail("detail")
        console.error(FailedError("broken", "invoke doctor", hint="look at the log"))
    console.say("alone again")
    assert capsys.readouterr().err.splitlines() == [
        "alone",
        "==> one: build it",
        "==> prove one",
        "    one: detail",
        "error: one: broken",
        "next:  invoke doctor",
        "hint:  look at the log",
        "alone again",
    ]


def test_each_thread_has_its_own_prefix(capsys: pytest.CaptureFixture[str]) -> None:
    def speak(name: str) -> None:
        with console.prefix(name):
            both.wait()
            console.say(f"I am {name[-1]}")

    both = threading.Barrier(2, timeout=PATIENCE)
    threads = [threading.Thread(target=speak, args=(f"combo-{number}",)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(capsys.readouterr().err.splitlines()) == ["combo-1: I am 1", "combo-2: I am 2"]


def test_without_a_terminal_a_step_is_one_line_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with console.prefix("one"), console.progress("build it") as shown:
        shown.update("a part")
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err.splitlines() == ["==> one: build it (0 s)"]


@pytest.mark.parametrize(
    ("error", "outcome"), [(FailedError("broken"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_a_step_that_raises_is_reported_as_failed(
    capsys: pytest.CaptureFixture[str], error: BaseException, outcome: str
) -> None:
    with pytest.raises(type(error)), console.progress("build it"):
        raise error
    assert capsys.readouterr().err.splitlines() == [f"==> build it: {outcome} (0 s)"]


def test_verbose_steps_print_their_start_and_each_part_once(capsys: pytest.CaptureFixture[str]) -> None:
    with console.prefix("one", verbose=True), console.progress("build it") as shown:
        shown.update("a part")
        shown.update("a part")
    assert capsys.readouterr().err.splitlines() == ["==> one: build it", "    one: a part (0 s)"]


def test_a_long_step_reports_that_it_runs_ever_less_often(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "REMINDER", 0.05)
    with console.prefix("one"), console.progress("build it") as shown:
        shown.update("a part")
        time.sleep(0.5)  # reminders after 0.05, 0.1, 0.2 and 0.4 s
    time.sleep(0.1)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) - 1 <= 4
    assert set(lines[:-1]) <= {f"    one: build it: still running after {second} s: a part" for second in (0, 1)}
    assert lines[-1].startswith("==> one: build it (")


def test_a_block_is_not_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    inside = threading.Event()

    def disturb() -> None:
        inside.wait(PATIENCE)
        console.say("disturbance")
        console.result("result of another thread")

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
    captured = capsys.readouterr()
    assert captured.err.splitlines() == ["first", "second", "disturbance"]
    assert captured.out.splitlines() == ["a result", "result of another thread"]


def test_on_a_terminal_each_step_has_a_line_that_disappears(terminal: io.StringIO) -> None:
    with console.progress("build one") as build, console.progress("prove two") as proof:
        build.update("a part")
        proof.update("x" * 100)
        board = console._board
        assert board._live is not None
        terminal.truncate(0)
        board._live.refresh()
        drawn = terminal.getvalue()
        assert "build one (0 s): a part" in drawn
        assert "prove two (0 s): xxxx" in drawn
        assert "…" in drawn  # cut, so that it stays one line
        assert "x" * 50 not in drawn
    assert "==>" not in terminal.getvalue()  # nothing stays
    assert terminal.getvalue().rstrip().endswith("\x1b[?25h")  # the cursor is back


def test_results_reach_stdout_while_a_step_runs(terminal: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    stdout = sys.stdout
    with console.progress("build one"):
        assert sys.stdout is stdout
        console.table("", ["a table"], [["a cell"]])
        console.document({"a": "document"})
        console.result("a result")
        console.say("a line")
        assert console._board._live is not None  # it is drawn below
    out = capsys.readouterr().out
    assert all(text in out for text in ("a cell", '"a": "document"', "a result"))
    assert "\x1b" not in out
    seen = terminal.getvalue()
    assert "a line" in seen
    assert "a cell" not in seen
    assert seen.count("\x1b[?25h") == 4  # the live lines were cleared three times, and at the end


def test_many_threads_can_draw_and_print_at_once(terminal: io.StringIO) -> None:
    def work(number: int) -> None:
        for turn in range(20):
            with console.prefix(f"combo-{number}"), console.progress(f"step {turn}") as shown:
                shown.update("somewhere")
                console.say(f"turn {turn}")

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "deadlock"
    assert terminal.getvalue().count("combo-3: turn ") == 20
