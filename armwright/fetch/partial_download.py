"""Reads parts of a file on a server with range requests: a member of a 400 MB wheel costs about 1 MB of transfer."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, cast

from armwright.system.errors import FailedError
from armwright.system.http import ResponseHead

PIECE = 1 << 16  # bytes of the smallest request
MOST = 32_000_000  # bytes to read of one file; the table of contents of the largest known wheel has 1.3 MB
WHOLE = 1_000_000_000  # bytes of a file whose server does not support ranges
_RANGE = re.compile(r"bytes (?P<start>\d{1,15})-(?P<end>\d{1,15})/(?P<size>\d{1,15})")
_PARTIAL_CONTENT = 206
_WRONG_RANGE = "the server sent a different part of the file than requested"

# Requests a byte range, as the Range header writes it, and writes the response, up to a limit, into a file.
Get = Callable[[str, IO[bytes], int], ResponseHead]


class RangeFile(io.RawIOBase):
    """A file on a server of which only the parts that are read are transferred.

    Args:
        get: see `Get`.
        size: the file's size.
        tail: the file's end, which was transferred before.
    """

    def __init__(self, get: Get, size: int, tail: bytes) -> None:
        self._get = get
        self._size = size
        self._at = 0
        self._left = MOST
        self._known = (size - len(tail), tail)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position of the next read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Change the position; return it."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """Read exactly `size` bytes, fewer only at the file's end.

        Raises:
            FailedError: the server sent another part than requested, or more than `MOST` bytes would be read.
        """
        wanted = max(0, min(size if size >= 0 else self._size, self._size - self._at))
        start, known = self._known
        if not start <= self._at <= self._at + wanted <= start + len(known):
            start, known = self._known = self._at, self._fetch(self._at, max(wanted, PIECE))
        data = known[self._at - start : self._at - start + wanted]
        self._at += wanted
        return data

    def _fetch(self, start: int, length: int) -> bytes:
        end = min(start + length, self._size)
        self._left -= end - start
        if self._left < 0:
            raise FailedError(f"more than {MOST} bytes of a file would have to be read")
        sink = io.BytesIO()
        head = self._get(f"bytes={start}-{end - 1}", sink, end - start)
        if _parse_range(head) != (start, end, self._size) or len(sink.getvalue()) != end - start:
            raise FailedError(_WRONG_RANGE)
        return sink.getvalue()


@contextmanager
def open_remote(get: Get, check: Callable[[IO[bytes]], None]) -> Iterator[IO[bytes]]:
    """Open a file on a server.

    Args:
        get: see `Get`.
        check: checks the whole file, if the server does not support ranges and sends all of it.

    Yields:
        the file, which is closed afterwards.

    Raises:
        FailedError: the response is invalid, or the file is too large to be read as a whole.
    """
    with tempfile.SpooledTemporaryFile(max_size=2 * PIECE) as sink:
        head = get(f"bytes=-{PIECE}", sink, WHOLE)
        size = sink.tell()
        sink.seek(0)
        if head.status != _PARTIAL_CONTENT:
            check(sink)
            sink.seek(0)
            yield sink
            return
        sent = _parse_range(head)
        if sent is None or sent[1] != sent[2] or sent[1] - sent[0] != size or size > PIECE:
            raise FailedError(_WRONG_RANGE)
        yield cast("IO[bytes]", RangeFile(get, sent[2], sink.read()))


def _parse_range(head: ResponseHead) -> tuple[int, int, int] | None:
    """Parse which bytes a response holds: the first, one after the last, and the file's size; None if invalid."""
    match = _RANGE.fullmatch(head.headers.get("Content-Range", ""))
    if match is None or head.status != _PARTIAL_CONTENT:
        return None
    return int(match["start"]), int(match["end"]) + 1, int(match["size"])
