"""Files on a server, read in pieces: what stands inside a wheel of 400 MB costs the 1 MB that holds its table."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, cast

from armwright.system.errors import FailedError
from armwright.system.http import ResponseHead

PIECE = 1 << 16
MOST = 32_000_000  # bytes read of one file; the table of the largest wheels that were seen has 1.3 MB
WHOLE = 1_000_000_000  # bytes of a file that the server only gives as a whole
_RANGE = re.compile(r"bytes (?P<start>\d{1,15})-(?P<end>\d{1,15})/(?P<size>\d{1,15})")
_PART = 206

# Asks for a range of bytes, as the header says it, and writes the answer, up to a limit, into a file.
Get = Callable[[str, IO[bytes], int], ResponseHead]


class RangeFile(io.RawIOBase):
    """A file of a known size, of which only the pieces that are read travel.

    Args:
        get: see `Get`.
        size: the file's size.
        tail: its end, which is known already.
    """

    def __init__(self, get: Get, size: int, tail: bytes) -> None:
        self._get = get
        self._size = size
        self._at = 0
        self._left = MOST
        self._known = (size - len(tail), tail)

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return the place that is read next."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """Read exactly that many bytes, fewer only at the file's end.

        Raises:
            FailedError: the server sent something else than it was asked for, or more was read than makes sense.
        """
        wanted = max(0, min(size if size >= 0 else self._size, self._size - self._at))
        start, known = self._known
        if not start <= self._at <= self._at + wanted <= start + len(known):
            start, known = self._known = self._at, self._piece(self._at, max(wanted, PIECE))
        found = known[self._at - start : self._at - start + wanted]
        self._at += wanted
        return found

    def _piece(self, start: int, length: int) -> bytes:
        end = min(start + length, self._size)
        self._left -= end - start
        if self._left < 0:
            raise FailedError(f"more than {MOST} bytes of a file would have to be read")
        sink = io.BytesIO()
        head = self._get(f"bytes={start}-{end - 1}", sink, end - start)
        if _range(head) != (start, end, self._size) or len(sink.getvalue()) != end - start:
            raise FailedError("the server sent another piece of a file than it was asked for")
        return sink.getvalue()


@contextmanager
def open_remote(get: Get, check: Callable[[IO[bytes]], None]) -> Iterator[IO[bytes]]:
    """Open a file on a server.

    Args:
        get: see `Get`.
        check: looks at the whole file first, where the server knows no ranges and so sent the whole.

    Yields:
        the file; it is gone again afterwards.

    Raises:
        FailedError: the server's answer makes no sense, or the file is too large to be read as a whole.
    """
    with tempfile.SpooledTemporaryFile(max_size=2 * PIECE) as sink:
        head = get(f"bytes=-{PIECE}", sink, WHOLE)
        size = sink.tell()
        sink.seek(0)
        if head.status != _PART:
            check(sink)
            sink.seek(0)
            yield sink
            return
        found = _range(head)
        if found is None or found[1] != found[2] or found[1] - found[0] != size or size > PIECE:
            raise FailedError("the server sent another piece of a file than it was asked for")
        yield cast("IO[bytes]", RangeFile(get, found[2], sink.read()))


def _range(head: ResponseHead) -> tuple[int, int, int] | None:
    """Read which bytes of how many an answer holds: first, last and one more, all."""
    found = _RANGE.fullmatch(head.headers.get("Content-Range", ""))
    return (int(found["start"]), int(found["end"]) + 1, int(found["size"])) if found and head.status == _PART else None
