"""The one door for printing: people's words go to stderr, results and JSON documents to stdout."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import zip_longest
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from armwright.system.errors import ArmwrightError
from armwright.system.live_lines import Board, Line

WIDE = 200  # columns of a table that goes to a file or a pipe

_out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else WIDE)
_err = Console(stderr=True, soft_wrap=True, highlight=False)
_board = Board(_err)


_name = ContextVar("_name", default="")  # who speaks, where several speak at once
_brief = ContextVar("_brief", default=False)


@contextmanager
def voice(name: str, *, brief: bool = False) -> Iterator[None]:
    """Name who speaks inside, in this thread: its lines on stderr begin with the name or hold it.

    Args:
        name: e.g. a combo's id; empty where nobody else speaks.
        brief: where no terminal shows it, leave out where the work is.
    """
    before = _name.set(name), _brief.set(brief)
    try:
        yield
    finally:
        _name.reset(before[0])
        _brief.reset(before[1])


@contextmanager
def block() -> Iterator[None]:
    """Keep together what is printed inside: no other thread prints meanwhile."""
    with _board.turn:
        yield


def _told(text: Text) -> None:
    with _board.turn:
        _err.print(text)


def _named(text: str) -> str:
    """Put who speaks before a line that does not say so itself."""
    return text if _name.get() in text else f"{_name.get()}: {text}"


def say(text: str, style: str = "") -> None:
    """Print one line for a person, on stderr. The text is literal: no markup in it is interpreted."""
    _told(Text(_named(text), style=style))


def step(text: str) -> None:
    """Announce a step before it is done."""
    _told(Text.assemble(("==> ", "bold cyan"), _named(text)))


def detail(text: str) -> None:
    """Print an indented, quieter line below a step."""
    _told(Text(f"    {_named(text)}", style="dim"))


def result(text: str) -> None:
    """Print one line of a command's result, on stdout."""
    with _board.aside():
        _out.print(Text(text))


def document(data: Any) -> None:  # noqa: ANN401 - any JSON document
    """Print one JSON document on stdout and nothing else."""
    with _board.aside():
        sys.stdout.write(json.dumps(data, indent=2, sort_keys=True) + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout; a cell that starts with ok, warn, fail or a state's name is coloured.

    What is too wide is folded at words, the widest column first. Rich's own table takes 3.4 s for 10,000 rows of three
    cells, this one 0.1 s.
    """
    cells = [[_plain(cell) for cell in row] for row in rows]
    widths = _fitting([max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)])
    paint = {style: _codes(style) for style in {"", "bold", *_STYLES.values()}}
    lines = [*([_plain(title)] if title else []), *_lines(columns, widths, [paint["bold"]] * len(widths))]
    for row in cells:
        styles = [paint[_STYLES.get(cell.split(" ", 1)[0], "")] for cell in row]
        lines += _lines(row, widths, styles)
    with _board.aside():
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()


def _plain(text: str) -> str:
    """Leave out what moves the cursor or changes colours: some cells hold the words of a container."""
    return text if text.isprintable() else "".join(one for one in text if one.isprintable())


def _fitting(widths: list[int]) -> list[int]:
    """Make columns narrower until they fit beside each other, always the widest one."""
    room = max(_out.width - 2 * (len(widths) - 1), len(widths))
    while (excess := sum(widths) - room) > 0:
        widest = max(widths)
        following = max((one for one in widths if one < widest), default=1)
        step = 1 if widths.count(widest) > 1 else widest - following
        widths[widths.index(widest)] -= min(step, excess)
    return widths


def _lines(row: Sequence[str], widths: Sequence[int], styles: Sequence[tuple[str, str]]) -> list[str]:
    """Set one row: as many lines as its longest cell takes."""
    folded = [
        [cell] if cell_len(cell) <= width else textwrap.wrap(cell, width, break_on_hyphens=False)
        for cell, width in zip(row, widths, strict=True)
    ]
    lines = []
    for parts in zip_longest(*folded, fillvalue=""):
        set_cells = [
            f"{before}{part}{after}{' ' * (width - cell_len(part))}" if part else " " * width
            for part, width, (before, after) in zip(parts, widths, styles, strict=True)
        ]
        lines.append("  ".join(set_cells).rstrip())
    return lines


def _codes(style: str) -> tuple[str, str]:
    """Return what the terminal wants before and after text of a style; nothing where it is no terminal."""
    with _out.capture() as taken:
        _out.print(Text("|", style=style), end="")
    before, _, after = taken.get().partition("|")
    return before, after


_STYLES = {
    "ok": "green",
    "proven": "green",
    "warn": "yellow",
    "built": "yellow",
    "unverified": "yellow",
    "fail": "bold red",
    "refused": "dim",
}


def error(problem: ArmwrightError) -> None:
    """Print an error: what happened and why, then the next command and the hint."""
    with block():
        _told(Text.assemble(("error: ", "bold red"), _named(problem.what)))
        if problem.next_step:
            _told(Text.assemble(("next:  ", "bold"), problem.next_step))
        if problem.hint:
            _told(Text.assemble(("hint:  ", "bold"), problem.hint))


def megabytes(size: int) -> str:
    """Bytes as decimal megabytes, the unit registries show: 104333210 -> '104.3 MB'."""
    return f"{size / 1e6:.1f} MB"


class Progress:
    """Live progress of long work: one changing line on a terminal, plain lines elsewhere.

    Used through `progress()`; `update` may be called as often as one likes.
    """

    def __init__(self, title: str) -> None:
        self._line = Line(_named(title))
        self._silent = _err.is_terminal or _brief.get()

    @property
    def seconds(self) -> float:
        """Seconds since the work began."""
        return self._line.seconds

    def update(self, text: str) -> None:
        """Say where the work is."""
        if text != self._line.text:
            self._line.text = text
            if not self._silent:
                detail(f"{text} ({self.seconds:.0f} s)")

    def start(self) -> None:
        """Begin drawing."""
        _board.add(self._line)

    def stop(self) -> None:
        """End drawing; the line disappears."""
        _board.remove(self._line)


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Show that something long is going on, from the first second to the last.

    Args:
        title: what is being done, e.g. "build pytorch-2.10.0-n1-acl".

    Yields:
        a Progress whose `update` tells the step.
    """
    step(title)
    shown = Progress(title)
    shown.start()
    try:
        yield shown
    finally:
        shown.stop()
