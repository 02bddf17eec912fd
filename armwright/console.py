"""The one door for printing: people's words go to stderr, results and JSON documents to stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from armwright.errors import ArmwrightError

WIDE = 200  # columns of a table that goes to a file or a pipe

_out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else WIDE)
_err = Console(stderr=True, soft_wrap=True, highlight=False)


def say(text: str, style: str = "") -> None:
    """Print one line for a person, on stderr. The text is literal: no markup in it is interpreted."""
    _err.print(Text(text, style=style))


def step(text: str) -> None:
    """Announce a step before it is done."""
    _err.print(Text.assemble(("==> ", "bold cyan"), text))


def detail(text: str) -> None:
    """Print an indented, quieter line below a step."""
    _err.print(Text("    " + text, style="dim"))


def result(text: str) -> None:
    """Print one line of a command's result, on stdout."""
    _out.print(Text(text))


def document(data: Any) -> None:  # noqa: ANN401 - any JSON document
    """Print one JSON document on stdout and nothing else."""
    sys.stdout.write(json.dumps(data, indent=2, sort_keys=True) + "\n")


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout; a cell that starts with ok, warn, fail or a state's name is coloured."""
    drawn = Table(title=escape(title) or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(escape(column), overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell, style=_STYLES.get(cell.split(" ", 1)[0], "")) for cell in row))
    _out.print(drawn)


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
    """Print an error: what happened and why, then the next command."""
    _err.print(Text.assemble(("error: ", "bold red"), problem.what))
    if problem.next_step:
        _err.print(Text.assemble(("next:  ", "bold"), problem.next_step))


def megabytes(size: int) -> str:
    """Bytes as decimal megabytes, the unit registries show: 104333210 -> '104.3 MB'."""
    return f"{size / 1e6:.1f} MB"


class Progress:
    """Live progress of long work: one changing line on a terminal, plain lines elsewhere.

    Used through `progress()`; `update` may be called as often as one likes, it draws at most ten times a second.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._status = _err.status(Text(title)) if _err.is_terminal else None
        self._started = time.monotonic()
        self._last = 0.0
        self._shown = ""

    @property
    def seconds(self) -> float:
        """Seconds since the work began."""
        return time.monotonic() - self._started

    def update(self, text: str) -> None:
        """Say where the work is."""
        now = time.monotonic()
        if self._status is not None:
            if now - self._last > 0.1:  # noqa: PLR2004 - ten frames a second
                self._last = now
                self._status.update(Text(f"{self._title}: {text} ({self.seconds:.0f} s)"))
        elif text != self._shown:
            self._shown = text
            detail(f"{text} ({self.seconds:.0f} s)")

    def start(self) -> None:
        """Begin drawing."""
        if self._status is not None:
            self._status.start()

    def stop(self) -> None:
        """End drawing; the line disappears."""
        if self._status is not None:
            self._status.stop()


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
