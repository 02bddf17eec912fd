"""Pages of a package index are untrusted: both formats give the same files, and invalid parts are skipped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from packaging.version import Version

from armwright.fetch import index_pages
from armwright.fetch.index_pages import IndexFile
from armwright.fetch.package_index import PackageIndex
from armwright.system.errors import FailedError
from tests.wheelhouse import AARCH64, Wheel, html, page

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html; charset=utf-8"
HERE = "https://index.example/simple/lamp/"
FILES = "https://index.example/files/"
GOOD = Wheel("lamp", "1.1.0", requires_python=">=3.10,<3.15", beside=True)


def read(kind: str, wheels: Iterable[Wheel], url: str = HERE) -> list[IndexFile]:
    content = html(wheels) if kind == HTML else json.dumps(page(wheels))
    return index_pages.parse_page(content.encode(), kind, url, "lamp")


def parse_entry(**changes: Any) -> list[IndexFile]:  # noqa: ANN401 - any JSON value
    entry = {**GOOD.entry(), **changes}
    return index_pages.parse_page(json.dumps({"files": [entry]}).encode(), JSON, HERE, "lamp")


def parse_anchor(link: str) -> list[IndexFile]:
    return index_pages.parse_page(link.encode(), HTML, HERE, "lamp")


@pytest.mark.parametrize("kind", [JSON, HTML])
def test_both_formats_of_a_page_give_the_same(kind: str) -> None:
    bare = Wheel("lamp", "1.2.0", hashed=False, yanked="")
    why = Wheel("lamp", "1.3.0", yanked='it "burns" <fast>')
    good, other, withdrawn = read(kind, [GOOD, bare, why])
    assert (good.name, good.url) == (GOOD.file, FILES + GOOD.file)
    assert (good.version, {str(tag) for tag in good.tags}) == (Version("1.1.0"), {AARCH64})
    assert (good.sha256, good.requires_python, good.yanked) == (GOOD.sha256, ">=3.10,<3.15", None)
    assert len(good.metadata_sha256) == 64
    assert (other.sha256, other.yanked, other.metadata_sha256, other.requires_python) == ("", "", "", "")
    assert withdrawn.yanked == 'it "burns" <fast>'


def test_source_distribution_has_no_tags() -> None:
    (file,) = parse_entry(filename="lamp-1.5.tar.gz", url="lamp-1.5.tar.gz")
    assert (file.version, file.tags) == (Version("1.5"), frozenset())


@pytest.mark.parametrize(
    "name",
    [
        "../lamp-1.0-py3-none-any.whl", "lamp-1.0-py3-none-any.whl\n", "lamp-1.0-py3-none-any.whl/..", "lamp-1.0.exe",
        "la mp-1.0-py3-none-any.whl", "lamp-one-py3-none-any.whl", "lamp-1.0-any.whl", "lamp.whl", "lamp.tar.gz", "",
        "lantern-1.0-py3-none-any.whl", f"lamp-{'1' * 260}-py3-none-any.whl", "lamp-1.0\x1b[2J-py3-none-any.whl",
    ],
)  # fmt: skip
def test_file_with_an_invalid_name_is_skipped(name: str) -> None:
    assert parse_entry(filename=name) == []
    assert len(parse_entry()) == 1


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://a.example/x.whl", "http://[", "http://a.example:99999/x.whl", "https://:80/x.whl"],
)
def test_file_with_an_invalid_address_is_skipped(url: str) -> None:
    assert parse_entry(url=url) == []


@pytest.mark.parametrize("value", ["0" * 63, "G" * 64, "A" * 64, "0" * 64 + "\n", "", "../x"])
def test_hash_is_64_digits_or_empty(value: str) -> None:
    (file,) = parse_entry(hashes={"sha256": value}, **{"core-metadata": {"sha256": value}})
    assert (file.sha256, file.metadata_sha256) == ("", "")
    assert parse_entry(hashes={"md5": "0" * 64})[0].sha256 == ""


def test_older_name_of_core_metadata_is_accepted() -> None:
    entry = GOOD.entry()
    entry["dist-info-metadata"] = entry.pop("core-metadata")
    (file,) = index_pages.parse_page(json.dumps({"files": [entry]}).encode(), JSON, HERE, "lamp")
    (linked,) = parse_anchor(GOOD.link().replace("data-core-metadata", "data-dist-info-metadata"))
    assert file.metadata_sha256 == linked.metadata_sha256 != ""
    assert parse_anchor(f'<a href="{GOOD.file}" data-core-metadata="true">x</a>')[0].metadata_sha256 == ""


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        ("/files/x", "https://a:secret@index.example/files/x"),
        ("https://index.example/files/x", "https://a:secret@index.example/files/x"),
        ("https://b:other@index.example/x", "https://b:other@index.example/x"),
        ("https://files.example/x", "https://files.example/x"),
        ("http://index.example/x", "http://index.example/x"),
        ("https://index.example:444/x", "https://index.example:444/x"),
    ],
)
def test_password_is_sent_to_the_indexs_own_host_only(href: str, expected: str) -> None:
    assert index_pages._resolve_address("https://a:secret@index.example/simple/lamp/", href) == expected


def test_links_are_relative_to_the_pages_base() -> None:
    (file,) = parse_anchor(f'<base href="/other/"><a href="{GOOD.file}">x</a>')
    assert file.url == f"https://index.example/other/{GOOD.file}"


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        (JSON, b"<html>", "does not conform to PEP 691"),
        (JSON, b'{"files": {}}', "does not conform to PEP 691"),
        (JSON, b'{"files": [{"filename": 1, "url": "x"}]}', "does not conform to PEP 691"),
        (JSON, b'{"meta": {"api-version": "2.0"}, "files": []}', "a version of the simple API other than 1"),
        (HTML, b'<meta name="pypi:repository-version" content="2.0">', "a version of the simple API other than 1"),
        (HTML, b"<form action=/login>Please log in</form>", r"\Aindex\.example answered .* no link to a file"),
        (HTML, b"<a href=/password/forgotten>Forgotten?</a>", r"\Aindex\.example answered .* no link to a file"),
        (HTML, b"", r"\Aindex\.example answered .* no link to a file"),
        ("application/octet-stream", b"", "neither JSON nor HTML"),
        ("", b"", "neither JSON nor HTML"),
    ],
)
def test_invalid_page_is_refused(kind: str, content: bytes, message: str) -> None:
    with pytest.raises(FailedError, match=message):
        index_pages.parse_page(content, kind, HERE, "lamp")


def test_login_page_has_a_next_command_and_no_password() -> None:
    with pytest.raises(FailedError) as refused:
        index_pages.parse_page(b"<form>", HTML, "https://user:secret@sso.example:444/x?token=1", "lamp")
    assert refused.value.what.startswith("sso.example answered")
    assert refused.value.next_step == "pip config list"
    assert "secret" not in str(refused.value)
    assert "token" not in str(refused.value)


@pytest.mark.parametrize(
    "page",
    [
        b'<meta name="pypi:repository-version" content="1.0"><h1>Links for lamp</h1>',  # it has no release
        b"<a href=lamp-1.0-py2.7.egg>lamp</a>",
        b"<a href=lamp-1.0.win32.exe>lamp</a>",
        b"<a href=lamp-1.0.tar.bz2#md5=0>lamp</a>",
    ],
)
def test_index_page_without_usable_files_is_empty(page: bytes) -> None:
    assert index_pages.parse_page(page, HTML, HERE, "lamp") == []


def test_repr_of_an_index_or_a_file_has_no_address() -> None:
    (file,) = read(JSON, [GOOD], "https://a:secret@index.example/simple/lamp/")
    assert "secret" in file.url
    assert "example" not in repr(file)
    assert "example" not in repr(PackageIndex(("https://a:secret@index.example/simple",)))
