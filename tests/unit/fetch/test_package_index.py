"""What the package index says is data: pages in both forms, METADATA beside a wheel or inside it, and every lie."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import IO, Any

import pytest
from packaging.version import Version

from armwright.fetch import index_pages, package_index, partial_download, resolve
from armwright.fetch.index_pages import IndexFile
from armwright.fetch.package_index import PackageIndex
from armwright.system import process
from armwright.system.errors import FailedError, InputError, MachineError
from armwright.system.http import ResponseHead
from tests.wheelhouse import AARCH64, Wheel, html, packed, page

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html; charset=utf-8"
HERE = "https://index.example/simple/lamp/"
FILES = "https://index.example/files/"
GOOD = Wheel("lamp", "1.1.0", requires_python=">=3.10,<3.15", beside=True)


@dataclass
class Server:
    """Answers as an index does, out of memory, and notes what it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def put(self, *wheels: Wheel) -> None:
        for one in wheels:
            self.files[FILES + one.file] = one.content
            if one.beside:
                self.files[f"{FILES}{one.file}.metadata"] = one.metadata

    def fetch(  # noqa: PLR0913 - as the real one
        self, url: str, sink: IO[bytes], *, limit: int, called: str, headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (), bundle: str | None = None,
    ) -> ResponseHead:  # fmt: skip
        assert (called, bundle) == ("the package index", None)
        self.asked.append((url, headers or {}))
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
def asked() -> PackageIndex:
    return PackageIndex(("https://index.example/simple",))


def read(kind: str, wheels: Iterable[Wheel], url: str = HERE) -> list[IndexFile]:
    content = html(wheels) if kind == HTML else json.dumps(page(wheels))
    return index_pages.parse_page(content.encode(), kind, url, "lamp")


def one(**changes: Any) -> list[IndexFile]:  # noqa: ANN401 - any JSON value
    entry = {**GOOD.entry(), **changes}
    return index_pages.parse_page(json.dumps({"files": [entry]}).encode(), JSON, HERE, "lamp")


def anchor(link: str) -> list[IndexFile]:
    return index_pages.parse_page(link.encode(), HTML, HERE, "lamp")


@pytest.mark.parametrize("kind", [JSON, HTML])
def test_a_page_says_the_same_in_both_forms(kind: str) -> None:
    bare = Wheel("lamp", "1.2.0", hashed=False, yanked="")
    why = Wheel("lamp", "1.3.0", yanked='it "burns" <fast>')
    good, other, withdrawn = read(kind, [GOOD, bare, why])
    assert (good.name, good.url) == (GOOD.file, FILES + GOOD.file)
    assert (good.version, {str(tag) for tag in good.tags}) == (Version("1.1.0"), {AARCH64})
    assert (good.sha256, good.requires_python, good.yanked) == (GOOD.sha256, ">=3.10,<3.15", None)
    assert len(good.metadata_sha256) == 64
    assert (other.sha256, other.yanked, other.metadata_sha256, other.requires_python) == ("", "", "", "")
    assert withdrawn.yanked == 'it "burns" <fast>'


def test_a_source_distribution_is_a_file_without_tags() -> None:
    (found,) = one(filename="lamp-1.5.tar.gz", url="lamp-1.5.tar.gz")
    assert (found.version, found.tags) == (Version("1.5"), frozenset())


@pytest.mark.parametrize(
    "name",
    [
        "../lamp-1.0-py3-none-any.whl", "lamp-1.0-py3-none-any.whl\n", "lamp-1.0-py3-none-any.whl/..", "lamp-1.0.exe",
        "la mp-1.0-py3-none-any.whl", "lamp-one-py3-none-any.whl", "lamp-1.0-any.whl", "lamp.whl", "lamp.tar.gz", "",
        "lantern-1.0-py3-none-any.whl", f"lamp-{'1' * 260}-py3-none-any.whl", "lamp-1.0\x1b[2J-py3-none-any.whl",
    ],
)  # fmt: skip
def test_a_file_with_a_name_that_no_wheel_of_the_distribution_has_is_left_out(name: str) -> None:
    assert one(filename=name) == []
    assert len(one()) == 1


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://a.example/x.whl", "http://[", "http://a.example:99999/x.whl", "https://:80/x.whl"],
)
def test_a_file_that_is_nowhere_to_be_fetched_from_is_left_out(url: str) -> None:
    assert one(url=url) == []


@pytest.mark.parametrize("value", ["0" * 63, "G" * 64, "A" * 64, "0" * 64 + "\n", "", "../x"])
def test_a_hash_is_64_digits_or_none(value: str) -> None:
    assert one(hashes={"sha256": value}, **{"core-metadata": {"sha256": value}})[0].sha256 == ""
    assert one(hashes={"sha256": value}, **{"core-metadata": {"sha256": value}})[0].metadata_sha256 == ""
    assert one(hashes={"md5": "0" * 64})[0].sha256 == ""


def test_the_older_name_of_core_metadata_is_understood_too() -> None:
    entry = GOOD.entry()
    entry["dist-info-metadata"] = entry.pop("core-metadata")
    (found,) = index_pages.parse_page(json.dumps({"files": [entry]}).encode(), JSON, HERE, "lamp")
    (linked,) = anchor(GOOD.link().replace("data-core-metadata", "data-dist-info-metadata"))
    assert found.metadata_sha256 == linked.metadata_sha256 != ""
    assert anchor(f'<a href="{GOOD.file}" data-core-metadata="true">x</a>')[0].metadata_sha256 == ""


@pytest.mark.parametrize(
    ("href", "found"),
    [
        ("/files/x", "https://a:secret@index.example/files/x"),
        ("https://index.example/files/x", "https://a:secret@index.example/files/x"),
        ("https://b:other@index.example/x", "https://b:other@index.example/x"),
        ("https://files.example/x", "https://files.example/x"),
        ("http://index.example/x", "http://index.example/x"),
        ("https://index.example:444/x", "https://index.example:444/x"),
    ],
)
def test_the_user_of_an_index_is_given_to_files_on_the_same_host_and_to_no_other(href: str, found: str) -> None:
    assert index_pages._address("https://a:secret@index.example/simple/lamp/", href) == found


def test_links_are_relative_to_the_page_s_base() -> None:
    (found,) = anchor(f'<base href="/other/"><a href="{GOOD.file}">x</a>')
    assert found.url == f"https://index.example/other/{GOOD.file}"


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        (JSON, b"<html>", "is not what PEP 691 says"),
        (JSON, b'{"files": {}}', "is not what PEP 691 says"),
        (JSON, b'{"files": [{"filename": 1, "url": "x"}]}', "is not what PEP 691 says"),
        (JSON, b'{"meta": {"api-version": "2.0"}, "files": []}', "another version of the simple API"),
        (HTML, b'<meta name="pypi:repository-version" content="2.0">', "another version of the simple API"),
        ("application/octet-stream", b"", "neither JSON nor HTML"),
        ("", b"", "neither JSON nor HTML"),
    ],
)
def test_a_page_that_is_none_is_told(kind: str, content: bytes, words: str) -> None:
    with pytest.raises(FailedError, match=words):
        index_pages.parse_page(content, kind, HERE, "lamp")


def test_no_address_stands_in_what_is_printed_of_an_index_or_a_file() -> None:
    (found,) = read(JSON, [GOOD], "https://a:secret@index.example/simple/lamp/")
    assert "secret" in found.url
    assert "example" not in repr(found)
    assert "example" not in repr(PackageIndex(("https://a:secret@index.example/simple",)))


def test_the_first_index_that_has_a_distribution_is_asked_about_it(server: Server) -> None:
    where = "https://second.example/simple/la-mp/"
    server.files[where] = json.dumps({"files": []}).encode()
    server.kinds[where] = JSON
    asked = PackageIndex(("https://first.example/", "https://second.example/simple/", "https://third.example/"))
    assert asked.files("La_Mp") == []
    assert [url for url, _ in server.asked] == ["https://first.example/la-mp/", where]
    assert server.asked[0][1] == {"Accept": index_pages.ACCEPT}


def test_a_distribution_that_no_index_has_is_told(server: Server, asked: PackageIndex) -> None:
    with pytest.raises(InputError, match="the package index has no distribution lamp") as refused:
        asked.files("lamp")
    assert "example" not in str(refused.value)
    assert len(server.asked) == 1


REQUIRES = ("numpy>=2", 'triton==3.6.0; platform_system == "Linux"')


@pytest.mark.parametrize("size", [100, 300_000])  # one request, and several
@pytest.mark.parametrize(("beside", "knows_ranges"), [(True, True), (False, True), (False, False)])
def test_the_metadata_of_a_wheel_is_found_beside_it_or_inside_it(
    server: Server, asked: PackageIndex, size: int, beside: bool, knows_ranges: bool  # noqa: FBT001 - a case
) -> None:  # fmt: skip
    wheel = Wheel("lamp", "1.1.0", requires=REQUIRES, requires_python=">=3.12", beside=beside, size=size)
    server.put(wheel)
    server.ranges = knows_ranges
    said = asked.metadata(read(HTML, [wheel])[0])
    assert [str(one) for one in said.requires] == list(REQUIRES)
    assert said.requires_python == ">=3.12"
    assert all(url.endswith(".metadata") == beside for url, _ in server.asked)


def test_of_a_large_wheel_only_pieces_travel(server: Server, asked: PackageIndex) -> None:
    wheel = Wheel("lamp", "1.1.0", size=3_000_000)
    server.put(wheel)
    asked.metadata(read(JSON, [wheel])[0])
    wanted = [headers["Range"].removeprefix("bytes=").split("-") for _, headers in server.asked]
    assert wanted[0] == ["", str(partial_download.PIECE)]
    assert len(wanted) <= 3  # its end with the table, and the METADATA with what follows it
    assert all(headers["Accept-Encoding"] == "identity" for _, headers in server.asked)  # bytes of the file itself
    assert sum(int(last) + 1 - int(first or 0) for first, last in wanted) < 5 * partial_download.PIECE


def test_metadata_that_is_offered_and_not_there_is_read_from_the_wheel(server: Server, asked: PackageIndex) -> None:
    server.put(GOOD)
    del server.files[f"{FILES}{GOOD.file}.metadata"]
    assert asked.metadata(read(JSON, [GOOD])[0]).requires_python == ">=3.10,<3.15"


def failure(asked: PackageIndex, wheel: Wheel, sha256: str | None = None) -> str:
    (file,) = read(JSON, [wheel])
    with pytest.raises(FailedError) as failed:
        asked.metadata(file if sha256 is None else replace(file, sha256=sha256))
    return failed.value.what


def test_metadata_with_another_hash_than_the_index_names_is_refused(server: Server, asked: PackageIndex) -> None:
    server.put(GOOD)
    server.files[f"{FILES}{GOOD.file}.metadata"] += b"more"
    assert failure(asked, GOOD) == "its METADATA is not the one whose hash the index names"


def test_a_whole_wheel_with_another_hash_than_the_index_names_is_refused(server: Server, asked: PackageIndex) -> None:
    wheel = Wheel("lamp", "1.1.0")
    server.put(wheel)
    server.ranges = False
    assert failure(asked, wheel, sha256="0" * 64) == "its wheel is not the one whose hash the index names"


def test_a_wheel_that_is_not_there_is_told(server: Server, asked: PackageIndex) -> None:
    assert failure(asked, Wheel("lamp", "1.1.0")) == "the package index answered with 404"
    assert server.asked


INFO = "lamp-1.1.0.dist-info/METADATA"
HEAD = b"Metadata-Version: 2.1\nName: %s\nVersion: %s\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x", "its wheel cannot be read"),
        (b"PK\x05\x06" + b"\xff" * 18, "its wheel cannot be read"),
        (b"<html>not a wheel</html>" * 9000, "its wheel cannot be read"),
        (packed({"a": b"b"}), "its wheel has no METADATA"),
        (packed({f"a/{INFO}": b""}), "its wheel has no METADATA"),
        (packed({INFO: b"", "x-1.dist-info/METADATA": b""}), "more than one"),
        (packed({INFO: b" " * (package_index.TEXT + 1)}), "its METADATA has more than"),
        (packed({INFO: b""}), "its METADATA makes no sense"),
        (packed({INFO: HEAD % (b"lamp", b"one")}), "its METADATA makes no sense"),
        (packed({INFO: HEAD % (b"lamp", b"1.1.0") + b"Requires-Dist: >=2 numpy\n"}), "its METADATA makes no sense"),
        (packed({INFO: HEAD % (b"lantern", b"1.1.0")}), "that of another distribution"),
        (packed({INFO: HEAD % (b"lamp", b"1.2.0")}), "that of another distribution or version"),
    ],
)
@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_wheel_that_is_not_what_it_should_be_is_told(
    server: Server, asked: PackageIndex, content: bytes, words: str, knows_ranges: bool  # noqa: FBT001 - a case
) -> None:  # fmt: skip
    wheel = Wheel("lamp", "1.1.0")
    server.files[FILES + wheel.file] = content
    server.ranges = knows_ranges
    assert words in failure(asked, wheel, sha256="")


def test_a_damaged_wheel_is_told(server: Server, asked: PackageIndex) -> None:
    wheel = Wheel("lamp", "1.1.0", requires=("numpy",) * 500)
    damaged = wheel.content.replace(wheel.content[70:80], b"\xff" * 10, 1)
    server.files[FILES + wheel.file] = damaged
    assert failure(asked, wheel) == "its wheel cannot be read"


@pytest.mark.parametrize(
    "said", ["", "bytes 0-9/10", "bytes 5-4/10", "bytes 0-99/*", "bytes */100", f"bytes 0-9/{'9' * 20}", "items 0-4/5"]
)
def test_a_server_that_sends_another_piece_than_it_says_is_not_believed(said: str) -> None:
    def get(_: str, sink: IO[bytes], __: int) -> ResponseHead:
        sink.write(b"12345")
        return ResponseHead(206, {"Content-Range": said}, "")

    with pytest.raises(FailedError, match="another piece"), partial_download.open_remote(get, lambda _: None):
        pass


@pytest.mark.parametrize(
    "later", [(100, "bytes 10-109/110"), (100, "bytes 0-99/101"), (99, "bytes 0-99/100"), (10, "bytes 0-9/100")]
)
def test_a_server_that_sends_another_piece_later_is_not_believed(later: tuple[int, str]) -> None:
    answers = iter([(10, "bytes 90-99/100"), later])

    def get(_: str, sink: IO[bytes], __: int) -> ResponseHead:
        size, said = next(answers)
        sink.write(b"x" * size)
        return ResponseHead(206, {"Content-Range": said}, "")

    with partial_download.open_remote(get, lambda _: None) as file:
        file.seek(-5, io.SEEK_END)
        assert file.read() == b"xxxxx"
        file.seek(0)
        with pytest.raises(FailedError, match="another piece"):
            file.read(10)


def test_no_more_of_a_file_is_read_than_makes_sense() -> None:
    size = 10 * partial_download.MOST

    def get(_: str, sink: IO[bytes], __: int) -> ResponseHead:
        sink.write(b"x")
        return ResponseHead(206, {"Content-Range": f"bytes {size - 1}-{size - 1}/{size}"}, "")

    with (
        partial_download.open_remote(get, lambda _: None) as file,
        pytest.raises(FailedError, match=f"more than {partial_download.MOST} bytes"),
    ):
        file.read(partial_download.MOST + 1)


def configured(monkeypatch: pytest.MonkeyPatch, said: Mapping[str, str], help_: str = "") -> PackageIndex:
    monkeypatch.setattr(resolve, "read_index_environment", lambda: said)
    monkeypatch.setattr(process, "capture", lambda *_, **__: help_)
    return package_index.find_package_index()


def test_the_index_is_the_one_that_pip_is_configured_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_INDEX", raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://not.example/simple")
    said = {"UV_DEFAULT_INDEX": "https://a.example/simple", "SSL_CERT_FILE": "/etc/ca.pem"}
    assert configured(monkeypatch, said) == PackageIndex(("https://a.example/simple",), "/etc/ca.pem")
    said["UV_INDEX"] = "https://b.example/x http://c.example/y"
    assert configured(monkeypatch, said).addresses == (
        "https://b.example/x", "http://c.example/y", "https://a.example/simple"
    )  # fmt: skip


def test_where_pip_is_not_configured_the_resolver_s_own_variables_count_and_then_what_pip_says_it_uses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine.example/simple")
    monkeypatch.setenv("UV_INDEX", "own=https://first.example/simple")
    assert configured(monkeypatch, {}).addresses == ("https://first.example/simple", "https://mine.example/simple")
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.delenv("UV_INDEX")
    words = "  -i, --index-url <url>  Base URL (default https://usual.example/simple). This\n"
    assert configured(monkeypatch, {}, words).addresses == ("https://usual.example/simple",)
    with pytest.raises(MachineError, match="pip does not say which index it uses"):
        configured(monkeypatch, {}, "usage: pip\n")


def test_an_index_that_is_a_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="is no address of a server") as refused:
        configured(monkeypatch, {"UV_DEFAULT_INDEX": "file:///srv/secret/simple"})
    assert "secret" not in str(refused.value)


def test_pip_says_which_index_it_uses_when_nobody_told_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "https://usual.example/simple")  # pip's help names what it would use
    assert package_index._default() == "https://usual.example/simple"
