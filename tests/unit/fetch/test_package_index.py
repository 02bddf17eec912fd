"""The package index: which one is used, METADATA beside or inside a wheel, and responses that do not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import IO

import pytest

from armwright.fetch import index_pages, package_index, partial_download, resolve
from armwright.fetch.index_pages import IndexFile
from armwright.fetch.package_index import PackageIndex
from armwright.system import process
from armwright.system.errors import FailedError, InputError, MachineError
from armwright.system.http import ResponseHead
from tests.wheelhouse import Wheel, packed, page

JSON = "application/vnd.pypi.simple.v1+json"
HERE = "https://index.example/simple/lamp/"
FILES = "https://index.example/files/"
GOOD = Wheel("lamp", "1.1.0", requires_python=">=3.10,<3.15", beside=True)


@dataclass
class Server:
    """Answers like an index, from memory, and records the requests."""

    files: dict[str, bytes] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def put(self, *wheels: Wheel) -> None:
        for wheel in wheels:
            self.files[FILES + wheel.file] = wheel.content
            if wheel.beside:
                self.files[f"{FILES}{wheel.file}.metadata"] = wheel.metadata

    def fetch(  # noqa: PLR0913 - as the real one
        self, url: str, sink: IO[bytes], *, limit: int, host: str, headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (), bundle: str | None = None,
    ) -> ResponseHead:  # fmt: skip
        assert (host, bundle) == ("the package index", None)
        self.requests.append((url, headers or {}))
        content = self.files.get(url)
        if content is None:
            if 404 not in accept:
                raise FailedError("the package index answered with 404")
            return ResponseHead(404, {}, url)
        status, more = 200, {"Content-Type": self.kinds.get(url, "")}
        wanted = (headers or {}).get("Range", "")
        if wanted and self.ranges:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = (int(first), int(last) + 1) if first else (max(0, len(content) - int(last)), len(content))
            status, more = 206, {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}
            content = content[start:end]
        if len(content) > limit:
            raise FailedError("too much")
        sink.write(content)
        return ResponseHead(status, more, url)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr("armwright.system.http.fetch", made.fetch)
    return made


@pytest.fixture
def index() -> PackageIndex:
    return PackageIndex(("https://index.example/simple",))


def read(wheel: Wheel) -> IndexFile:
    """Return a wheel as the index describes it."""
    (file,) = index_pages.parse_page(json.dumps(page([wheel])).encode(), JSON, HERE, "lamp")
    return file


def test_first_index_that_has_a_distribution_is_used(server: Server) -> None:
    where = "https://second.example/simple/la-mp/"
    server.files[where] = json.dumps({"files": []}).encode()
    server.kinds[where] = JSON
    index = PackageIndex(("https://first.example/", "https://second.example/simple/", "https://third.example/"))
    assert index.files("La_Mp") == []
    assert [url for url, _ in server.requests] == ["https://first.example/la-mp/", where]
    assert server.requests[0][1] == {"Accept": index_pages.ACCEPT}


def test_unknown_distribution_is_reported(server: Server, index: PackageIndex) -> None:
    with pytest.raises(InputError, match="the package index has no distribution lamp") as refused:
        index.files("lamp")
    assert "example" not in str(refused.value)
    assert len(server.requests) == 1


REQUIRES = ("numpy>=2", 'triton==3.6.0; platform_system == "Linux"')


@pytest.mark.parametrize("size", [100, 300_000])  # one request, and several
@pytest.mark.parametrize(("beside", "knows_ranges"), [(True, True), (False, True), (False, False)])
def test_metadata_is_found_beside_or_inside_a_wheel(
    server: Server, index: PackageIndex, size: int, beside: bool, knows_ranges: bool  # noqa: FBT001 - a case
) -> None:  # fmt: skip
    wheel = Wheel("lamp", "1.1.0", requires=REQUIRES, requires_python=">=3.12", beside=beside, size=size)
    server.put(wheel)
    server.ranges = knows_ranges
    metadata = index.metadata(read(wheel))
    assert [str(requirement) for requirement in metadata.requires] == list(REQUIRES)
    assert metadata.requires_python == ">=3.12"
    assert all(url.endswith(".metadata") == beside for url, _ in server.requests)


def test_only_parts_of_a_large_wheel_are_transferred(server: Server, index: PackageIndex) -> None:
    wheel = Wheel("lamp", "1.1.0", size=3_000_000)
    server.put(wheel)
    index.metadata(read(wheel))
    wanted = [headers["Range"].removeprefix("bytes=").split("-") for _, headers in server.requests]
    assert wanted[0] == ["", str(partial_download.PIECE)]
    assert len(wanted) <= 3  # the end with the table of contents, and the METADATA
    assert all(headers["Accept-Encoding"] == "identity" for _, headers in server.requests)  # uncompressed transfer
    assert sum(int(last) + 1 - int(first or 0) for first, last in wanted) < 5 * partial_download.PIECE


def test_missing_metadata_file_is_read_from_the_wheel(server: Server, index: PackageIndex) -> None:
    server.put(GOOD)
    del server.files[f"{FILES}{GOOD.file}.metadata"]
    assert index.metadata(read(GOOD)).requires_python == ">=3.10,<3.15"


def failure(index: PackageIndex, wheel: Wheel, sha256: str | None = None) -> str:
    file = read(wheel)
    with pytest.raises(FailedError) as failed:
        index.metadata(file if sha256 is None else replace(file, sha256=sha256))
    return failed.value.what


def test_metadata_with_another_hash_is_refused(server: Server, index: PackageIndex) -> None:
    server.put(GOOD)
    server.files[f"{FILES}{GOOD.file}.metadata"] += b"more"
    assert failure(index, GOOD) == "its METADATA does not match the hash on the index"


def test_whole_wheel_with_another_hash_is_refused(server: Server, index: PackageIndex) -> None:
    wheel = Wheel("lamp", "1.1.0")
    server.put(wheel)
    server.ranges = False
    assert failure(index, wheel, sha256="0" * 64) == "its wheel does not match the hash on the index"


def test_missing_wheel_is_reported(server: Server, index: PackageIndex) -> None:
    assert failure(index, Wheel("lamp", "1.1.0")) == "the package index answered with 404"
    assert server.requests


INFO = "lamp-1.1.0.dist-info/METADATA"
HEAD = b"Metadata-Version: 2.1\nName: %s\nVersion: %s\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x", "its wheel cannot be read"),
        (b"PK\x05\x06" + b"\xff" * 18, "its wheel cannot be read"),
        (b"<html>not a wheel</html>" * 9000, "its wheel cannot be read"),
        (packed({"a": b"b"}), "its wheel has no METADATA"),
        (packed({f"a/{INFO}": b""}), "its wheel has no METADATA"),
        (packed({INFO: b"", "x-1.dist-info/METADATA": b""}), "more than one"),
        (packed({INFO: b" " * (package_index.TEXT + 1)}), "its METADATA has more than"),
        (packed({INFO: b""}), "its METADATA is invalid"),
        (packed({INFO: HEAD % (b"lamp", b"one")}), "its METADATA is invalid"),
        (packed({INFO: HEAD % (b"lamp", b"1.1.0") + b"Requires-Dist: >=2 numpy\n"}), "its METADATA is invalid"),
        (packed({INFO: HEAD % (b"lantern", b"1.1.0")}), "that of another distribution"),
        (packed({INFO: HEAD % (b"lamp", b"1.2.0")}), "that of another distribution or version"),
    ],
)
@pytest.mark.parametrize("knows_ranges", [True, False])
def test_invalid_wheel_is_refused(
    server: Server, index: PackageIndex, content: bytes, message: str, knows_ranges: bool  # noqa: FBT001 - a case
) -> None:  # fmt: skip
    wheel = Wheel("lamp", "1.1.0")
    server.files[FILES + wheel.file] = content
    server.ranges = knows_ranges
    assert message in failure(index, wheel, sha256="")


def test_damaged_wheel_is_refused(server: Server, index: PackageIndex) -> None:
    wheel = Wheel("lamp", "1.1.0", requires=("numpy",) * 500)
    damaged = wheel.content.replace(wheel.content[70:80], b"\xff" * 10, 1)
    server.files[FILES + wheel.file] = damaged
    assert failure(index, wheel) == "its wheel cannot be read"


def configure(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], help_: str = "") -> PackageIndex:
    monkeypatch.setattr(resolve, "read_index_environment", lambda: variables)
    monkeypatch.setattr(process, "capture", lambda *_, **__: help_)
    return package_index.find_package_index()


def test_index_is_the_one_of_pips_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_INDEX", raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://not.example/simple")
    variables = {"UV_DEFAULT_INDEX": "https://a.example/simple", "SSL_CERT_FILE": "/etc/ca.pem"}
    assert configure(monkeypatch, variables) == PackageIndex(("https://a.example/simple",), "/etc/ca.pem")
    variables["UV_INDEX"] = "https://b.example/x http://c.example/y"
    assert configure(monkeypatch, variables).addresses == (
        "https://b.example/x", "http://c.example/y", "https://a.example/simple"
    )  # fmt: skip


def test_resolvers_variables_come_before_pips_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine.example/simple")
    monkeypatch.setenv("UV_INDEX", "own=https://first.example/simple")
    assert configure(monkeypatch, {}).addresses == ("https://first.example/simple", "https://mine.example/simple")
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.delenv("UV_INDEX")
    text = "  -i, --index-url <url>  Base URL (default https://usual.example/simple). This\n"
    assert configure(monkeypatch, {}, text).addresses == ("https://usual.example/simple",)
    with pytest.raises(MachineError, match="pip does not print which index it uses"):
        configure(monkeypatch, {}, "usage: pip\n")


def test_index_that_is_a_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="is not the address of a server") as refused:
        configure(monkeypatch, {"UV_DEFAULT_INDEX": "file:///srv/secret/simple"})
    assert "secret" not in str(refused.value)


def test_pips_help_names_its_default_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "https://usual.example/simple")  # pip's help names what it would use
    assert package_index._read_default() == "https://usual.example/simple"
