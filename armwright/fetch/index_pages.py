"""What a package index says of a distribution: its page as JSON (PEP 691) or HTML (PEP 503), every word of it data."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from packaging.tags import Tag
from packaging.utils import (
    BuildTag,
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version
from pydantic import AliasChoices, BaseModel, Field, ValidationError

from armwright.system.errors import FailedError

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_JSON = ("application/vnd.pypi.simple.v1+json", "application/json")
_HTML = ("application/vnd.pypi.simple.v1+html", "text/html")
_NAME = re.compile(r"[A-Za-z0-9_.+!-]{1,255}\.(whl|tar\.gz|zip)")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class IndexFile:
    """A file on the index.

    Attributes:
        name: its name, one that a wheel or a source distribution can have.
        url: where it is.
        version: the distribution's version.
        tags: what a wheel runs on; none for a source distribution.
        build: which of two wheels of the same version and tags is newer.
        sha256: its hash; empty where the index names none.
        requires_python: the versions of Python it is for, as written.
        yanked: why it was withdrawn, perhaps empty; None where it was not.
        metadata_sha256: the hash of its METADATA, which is then offered beside it (PEP 658); else empty.
    """

    name: str
    url: str = field(repr=False)  # it may hold a password
    version: Version
    tags: frozenset[Tag] = frozenset()
    build: BuildTag = ()
    sha256: str = ""
    requires_python: str = ""
    yanked: str | None = None
    metadata_sha256: str = ""


class _Entry(BaseModel):
    """A file as the page has it."""

    filename: str
    url: str
    hashes: dict[str, str] = Field(default={})
    requires_python: str | None = Field(default=None, alias="requires-python")
    yanked: bool | str | None = None
    metadata: bool | dict[str, str] | None = Field(
        default=None, validation_alias=AliasChoices("core-metadata", "dist-info-metadata")
    )


class _Meta(BaseModel):
    api: str = Field(default="1.0", alias="api-version")


class _Page(BaseModel):
    meta: _Meta = Field(default=_Meta())
    files: list[_Entry]


def parse_page(content: bytes, kind: str, url: str, distribution: str) -> list[IndexFile]:
    """Read the page of a distribution; what is neither a wheel nor a source distribution of it is left out.

    Args:
        content: the page.
        kind: its Content-Type.
        url: where it came from: the addresses in it may be relative.
        distribution: the distribution's name.

    Raises:
        FailedError: it is not a page of version 1 of the simple API.
    """
    media = kind.partition(";")[0].strip().lower()
    if media in _JSON:
        try:
            page = _Page.model_validate_json(content)
        except ValidationError as error:
            raise FailedError(f"the package index's page of {distribution} is not what PEP 691 says") from error
        version, entries = page.meta.api, page.files
    elif media in _HTML:
        links = _Links(url)
        links.feed(content.decode(errors="replace"))
        version, url, entries = links.api, links.base, links.entries
    else:
        raise FailedError(f"the package index's page of {distribution} is neither JSON nor HTML")
    if version.partition(".")[0] != "1":
        raise FailedError("the package index speaks another version of the simple API than 1")
    return list(_files(entries, url, canonicalize_name(distribution)))


class _Links(HTMLParser):
    """Reads the links of an HTML page."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.base = url
        self.api = "1.0"
        self.entries: list[_Entry] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "base" and "href" in given:
            self.base = urljoin(self.base, given["href"])
        elif tag == "meta" and given.get("name") == "pypi:repository-version":
            self.api = given.get("content", "")
        elif tag == "a" and "href" in given:
            self.entries.append(_link(given))


def _link(given: dict[str, str]) -> _Entry:
    url, fragment = urldefrag(given["href"])
    metadata = given.get("data-core-metadata", given.get("data-dist-info-metadata", ""))
    return _Entry.model_validate(
        {
            "filename": unquote(url.partition("?")[0].rpartition("/")[2]),
            "url": url,
            "hashes": _hash(fragment),
            "requires-python": given.get("data-requires-python"),
            "yanked": "data-yanked" in given and (given["data-yanked"] or True),
            "core-metadata": _hash(metadata),
        }
    )


def _hash(text: str) -> dict[str, str]:
    """Read `sha256=…`."""
    name, _, value = text.partition("=")
    return {name: value}


def _files(entries: Iterable[_Entry], url: str, distribution: str) -> Iterable[IndexFile]:
    for one in entries:
        address = _address(url, one.url)
        if address is None or not _NAME.fullmatch(one.filename):
            continue
        try:
            if one.filename.endswith(".whl"):
                name, version, build, tags = parse_wheel_filename(one.filename)
            else:
                name, version = parse_sdist_filename(one.filename)
                build, tags = (), frozenset()
        except (InvalidWheelFilename, InvalidSdistFilename):
            continue
        if name == distribution:
            yield IndexFile(
                one.filename, address, version, tags, build, _sha256(one.hashes), one.requires_python or "",
                _yanked(one.yanked), _sha256(one.metadata if isinstance(one.metadata, dict) else {}),
            )  # fmt: skip


def _sha256(hashes: dict[str, str]) -> str:
    found = hashes.get("sha256", "")
    return found if _SHA256.fullmatch(found) else ""


def _yanked(value: bool | str | None) -> str | None:  # noqa: FBT001 - PEP 691: a truth, or the reason
    if not value:
        return None
    return value if isinstance(value, str) else ""


def _address(page: str, written: str) -> str | None:
    """Return the whole address of a file, with the page's user where it is on the same host; None if it is none."""
    try:
        url = urldefrag(urljoin(page, written)).url
        ours, its = urlsplit(page), urlsplit(url)
        if its.scheme not in {"http", "https"} or not its.hostname or (its.port or 1) < 1:
            return None
    except ValueError:  # http://[, port 99999
        return None
    user, at, host = ours.netloc.rpartition("@")
    if at and its.netloc == host and its.scheme == ours.scheme:
        return its._replace(netloc=f"{user}@{host}").geturl()
    return url
