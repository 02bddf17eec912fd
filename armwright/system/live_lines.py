"""What goes on right now: on a terminal one changing line for each work, below everything that is printed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
RATE = 10  # frames a second


class Line:
    """One work: what it is, where it is, and for how long already."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = time.monotonic()
        self.text = ""

    @property
    def seconds(self) -> float:
        """Seconds since the work began."""
        return time.monotonic() - self._started

    def __rich__(self) -> Text:
        """Draw it; a line that is too long is cut, so that it stays one line."""
        frame = FRAMES[int(self.seconds * RATE) % len(FRAMES)]
        where = f": {self.text}" if self.text else ""
        return Text(f"{frame} {self._title} ({self.seconds:.0f} s){where}", no_wrap=True, overflow="ellipsis")


class Board:
    """The lines of all works of this process, whatever threads they run in.

    Attributes:
        turn: whoever prints to the terminal holds it, so that nothing is torn apart.
    """

    def __init__(self, terminal: Console) -> None:
        self._terminal = terminal
        self._lines: tuple[Line, ...] = ()  # replaced as a whole: drawing reads it without the turn
        self._live: Live | None = None
        self.turn = threading.RLock()

    def add(self, line: Line) -> None:
        """Show a line."""
        with self.turn:
            self._lines = (*self._lines, line)
            if self._live is None:
                self._start()

    def remove(self, line: Line) -> None:
        """Take a line away; nothing happens when it is not there."""
        with self.turn:
            self._lines = tuple(one for one in self._lines if one is not line)
            if not self._lines:
                self._stop()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the lines off the terminal while something else, which knows nothing of them, is printed there."""
        with self.turn:
            shown = self._live is not None
            self._stop()
            try:
                yield
            finally:
                if shown:
                    self._start()

    def _start(self) -> None:
        if self._terminal.is_terminal:
            # its words go where they were sent: standard output may be a file, or hold a JSON document
            self._live = Live(
                console=self._terminal, get_renderable=lambda: Group(*self._lines), transient=True,
                refresh_per_second=RATE, redirect_stdout=False, redirect_stderr=False,
            )  # fmt: skip
            self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
