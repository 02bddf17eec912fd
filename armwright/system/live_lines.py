"""The steps that run now: on a terminal one changing line each, below everything that is printed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
RATE = 10  # frames per second


class Line:
    """One running step: its title, what it does now, and how long it has run."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = time.monotonic()
        self.text = ""

    @property
    def seconds(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._started

    def __rich__(self) -> Text:
        """Draw the line; a text that is too long is cut, so that it stays one line."""
        frame = FRAMES[int(self.seconds * RATE) % len(FRAMES)]
        where = f": {self.text}" if self.text else ""
        return Text(f"{frame} {self._title} ({self.seconds:.0f} s){where}", no_wrap=True, overflow="ellipsis")


class Board:
    """The lines of all running steps of this process, in any thread.

    Attributes:
        lock: held by the thread that prints, so that no other thread prints into its lines.
    """

    def __init__(self, terminal: Console) -> None:
        self._terminal = terminal
        self._lines: tuple[Line, ...] = ()  # replaced as a whole: drawing reads it without the lock
        self._live: Live | None = None
        self.lock = threading.RLock()

    def add(self, line: Line) -> None:
        """Show a line."""
        with self.lock:
            self._lines = (*self._lines, line)
            if self._live is None:
                self._start()

    def remove(self, line: Line) -> None:
        """Remove a line; a line that is not shown is ignored."""
        with self.lock:
            self._lines = tuple(shown for shown in self._lines if shown is not line)
            if not self._lines:
                self._stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Clear the lines while the caller prints to the same terminal without rich's help, then draw them again."""
        with self.lock:
            shown = self._live is not None
            self._stop()
            try:
                yield
            finally:
                if shown:
                    self._start()

    def _start(self) -> None:
        if self._terminal.is_terminal:
            # Live must not redirect the streams: standard output may be a file or hold a JSON document.
            self._live = Live(
                console=self._terminal, get_renderable=lambda: Group(*self._lines), transient=True,
                refresh_per_second=RATE, redirect_stdout=False, redirect_stderr=False,
            )  # fmt: skip
            self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
