"""Range requests: a server that sends a different part of a file than requested is refused."""

from __future__ import annotations

import io
from typing import IO

import pytest

from armwright.fetch import partial_download
from armwright.system.errors import FailedError
from armwright.system.http import ResponseHead


@pytest.mark.parametrize(
    "content_range",
    ["", "bytes 0-9/10", "bytes 5-4/10", "bytes 0-99/*", "bytes */100", f"bytes 0-9/{'9' * 20}", "items 0-4/5"],
)
def test_wrong_first_range_is_refused(content_range: str) -> None:
    def get(_: str, sink: IO[bytes], __: int) -> ResponseHead:
        sink.write(b"12345")
        return ResponseHead(206, {"Content-Range": content_range}, "")

    with pytest.raises(FailedError, match="a different part"), partial_download.open_remote(get, lambda _: None):
        pass


@pytest.mark.parametrize(
    "later", [(100, "bytes 10-109/110"), (100, "bytes 0-99/101"), (99, "bytes 0-99/100"), (10, "bytes 0-9/100")]
)
def test_wrong_later_range_is_refused(later: tuple[int, str]) -> None:
    answers = iter([(10, "bytes 90-99/100"), later])

    def get(_: str, sink: IO[bytes], __: int) -> ResponseHead:
        size, content_range = next(answers)
        sink.write(b"x" * size)
        return ResponseHead(206, {"Content-Range": content_range}, "")

    with partial_download.open_remote(get, lambda _: None) as file:
        file.seek(-5, io.SEEK_END)
        assert file.read() == b"xxxxx"
        file.seek(0)
        with pytest.raises(FailedError, match="a different part"):
            file.read(10)


def test_transfer_of_a_file_is_limited() -> None:
    size = 10 * partial_download.MOST

    def get(_: str, sink: IO[bytes], __: int) -> ResponseHead:
        sink.write(b"x")
        return ResponseHead(206, {"Content-Range": f"bytes {size - 1}-{size - 1}/{size}"}, "")

    with (
        partial_download.open_remote(get, lambda _: None) as file,
        pytest.raises(FailedError, match=f"more than {partial_download.MOST} bytes"),
    ):
        file.read(partial_download.MOST + 1)
