"""The only module that prints: messages for people go to stderr, results and JSON documents to stdout."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from rich.console import Console
from rich.text import Text

from armwright.system import table_layout
from armwright.system.errors import ArmwrightError
from armwright.system.live_lines import Board, Line
from armwright.system.table_layout import Cell

WIDE = 200  # columns of a table that goes to a file or a pipe
FACTS_WIDE = 120  # columns of `facts` at most: they are read as text, and quoted in documents
REMINDER = 30.0  # seconds: without a terminal, a step that runs longer says so; again after 60, 120, 240 …
GOOD, DOUBTFUL, BAD, QUIET = "green", "yellow", "bold red", "dim"  # the styles of lines and cells

CLOSED = 141  # the exit code of a program that SIGPIPE ended: 128 + 13


class OutputClosedError(KeyboardInterrupt):
    """The reader of the output closed it, as `head -1` does: the work stops as after Ctrl-C, and nothing is printed."""


class _Terminal(Console):
    """A stream that may be closed by its reader."""

    def on_broken_pipe(self) -> None:
        """Raise OutputClosedError."""
        _discard_output()
        raise OutputClosedError


_out = _Terminal(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else WIDE)
_err = _Terminal(stderr=True, soft_wrap=True, highlight=False)
_board = Board(_err)
_prefix = ContextVar("_prefix", default="")
_verbose = ContextVar("_verbose", default=False)


@contextmanager
def prefix(name: str, *, verbose: bool = False) -> Iterator[None]:
    """Begin each stderr line of this thread with a name, unless the line contains it already.

    Args:
        name: for example a combo's id; empty for no prefix.
        verbose: print each step when it begins and everything it reports, instead of one line when it ends.
    """
    tokens = _prefix.set(name), _verbose.set(verbose)
    try:
        yield
    finally:
        _prefix.reset(tokens[0])
        _verbose.reset(tokens[1])


@contextmanager
def closable() -> Iterator[None]:
    """Write everything that was printed inside, by any means.

    Raises:
        OutputClosedError: the reader of the output closed it.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        raise OutputClosedError from None


@contextmanager
def block() -> Iterator[None]:
    """Keep what is printed inside together: other threads wait before they print."""
    with _board.lock:
        yield


def say(text: str, style: str = "") -> None:
    """Print one line on stderr. The text is literal: no markup in it is interpreted."""
    _print(Text(_prefixed(text), style=style))


def step(text: str) -> None:
    """Print a line that begins with an arrow: the start or the end of a step."""
    _print(_step(_prefixed(text)))


def detail(text: str) -> None:
    """Print an indented, dimmed line that belongs to the line above it."""
    _print(_detail(_prefixed(text)))


def result(text: str) -> None:
    """Print one line of a command's result on stdout."""
    with _board.paused():
        _out.print(Text(text))


def document(data: Any) -> None:  # noqa: ANN401 - any JSON document
    """Print one JSON document on stdout and nothing else."""
    _write([json.dumps(data, indent=2, sort_keys=True)])


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str | Cell]]) -> None:
    """Print a table on stdout; cells that are too wide are folded, those of the widest column first.

    Args:
        title: the line above it; empty for none.
        columns: the headings.
        rows: one cell per column: a text, or a `Cell` that has a style.
    """
    heading = [Cell(column, "bold") for column in columns]
    above = table_layout.table_lines([[title]] if title else [], _out.width, _codes)
    _write([*above, *table_layout.table_lines([heading, *rows], _out.width, _codes)])


def facts(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print a title and below it, indented, one labelled text per row on stdout; long texts are folded.

    Args:
        title: the line above, in bold.
        rows: label and text; rows without a text are left out.
    """
    cells = [["", label, text] for label, text in rows if text]
    width = min(_out.width, FACTS_WIDE)
    above = table_layout.table_lines([[Cell(title, "bold")]], width, _codes)
    _write([*above, *table_layout.table_lines(cells, width, _codes)])


def error(problem: ArmwrightError) -> None:
    """Print an error: what happened and why, then the next command and the hint."""
    with block():
        _print(Text.assemble(("error: ", BAD), _prefixed(problem.what)))
        if problem.next_step:
            _print(Text.assemble(("next:  ", "bold"), problem.next_step))
        if problem.hint:
            _print(Text.assemble(("hint:  ", "bold"), problem.hint))


def megabytes(size: int) -> str:
    """Return bytes as decimal megabytes, the unit that registries show: 104333210 -> "104.3 MB"."""
    return f"{size / 1e6:.1f} MB"


class Progress:
    """One step of long work, shown while it runs; see `progress`.

    On a terminal it is a live line that disappears when the step ends. Elsewhere it is one line with its seconds when
    the step ends; a step of more than `REMINDER` seconds also says that it still runs.
    """

    def __init__(self, title: str) -> None:
        self._title = _prefixed(title)  # here: a reminder is printed by another thread, which has no prefix
        self._line = Line(self._title)
        self._verbose = _verbose.get()
        self._reminder: threading.Timer | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the step began."""
        return self._line.seconds

    def update(self, text: str) -> None:
        """Report what the step does now; a text that was reported last is ignored."""
        if text != self._line.text:
            self._line.text = text
            if self._verbose and not _err.is_terminal:
                detail(f"{text} ({self.seconds:.0f} s)")

    def start(self) -> None:
        """Show the step."""
        if self._verbose:
            _print(_step(self._title))
        _board.add(self._line)
        if not (self._verbose or _err.is_terminal):
            self._start_reminder(REMINDER)

    def stop(self, outcome: str = "") -> None:
        """Stop showing the step; the line that ends it has the outcome, if there is one, for example "failed"."""
        with block():
            _board.remove(self._line)
            if self._reminder is not None:
                self._reminder.cancel()
                self._reminder = None
                _print(_step(f"{self._title}: {outcome}" if outcome else self._title, self.seconds))

    def _start_reminder(self, delay: float) -> None:
        self._reminder = threading.Timer(delay, self._remind)
        self._reminder.daemon = True
        self._reminder.start()

    def _remind(self) -> None:
        """Print that the step still runs, and set the next reminder for when it has run twice as long."""
        with block():
            if self._reminder is not None:  # else the step ended while this thread waited for its turn to print
                where = f": {self._line.text}" if self._line.text else ""
                _print(_detail(f"{self._title}: still running after {self.seconds:.0f} s{where}"))
                self._start_reminder(self.seconds)


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Show a long step from its first second to its last.

    Args:
        title: what is done, for example "build pytorch-2.10.0-n1-acl".

    Yields:
        a Progress whose `update` reports what the step does now.
    """
    shown = Progress(title)
    shown.start()
    try:
        yield shown
    except BaseException as error:
        shown.stop("failed" if isinstance(error, Exception) else "interrupted")
        raise
    shown.stop()


def _print(text: Text) -> None:
    with _board.lock:
        _err.print(text)


def _prefixed(text: str) -> str:
    return text if _prefix.get() in text else f"{_prefix.get()}: {text}"


def _step(text: str, seconds: float | None = None) -> Text:
    duration = "" if seconds is None else f" ({seconds:.0f} s)"
    return Text.assemble(("==> ", "bold cyan"), text, duration)


def _detail(text: str) -> Text:
    return Text(f"    {text}", style=QUIET)


def _write(lines: Iterable[str]) -> None:
    """Write finished lines to stdout; rich would take 3.4 s for a table of 10,000 rows, this takes 0.1 s."""
    with _board.paused(), closable():
        sys.stdout.write("".join(f"{line}\n" for line in lines))


def _discard_output() -> None:
    """Send what a closed stream still gets to /dev/null, its buffer included: each further write would fail too."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _codes(style: str) -> tuple[str, str]:
    """Return what stdout's terminal takes before and after a styled text; two empty texts without a terminal."""
    with _out.capture() as captured:
        _out.print(Text("|", style=style), end="")
    before, _, after = captured.get().partition("|")
    return before, after
