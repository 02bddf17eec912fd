"""Parses a package index's page of a distribution, as JSON (PEP 691) or HTML (PEP 503). The page is untrusted."""

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
from armwright.system.http import INDEX_COMMAND

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_JSON = ("application/vnd.pypi.simple.v1+json", "application/json")
_HTML = ("application/vnd.pypi.simple.v1+html", "text/html")
_NAME = re.compile(r"[A-Za-z0-9_.+!-]{1,255}\.(whl|tar\.gz|zip)")
_ARCHIVE = re.compile(r"\.(whl|zip|egg|exe|msi|rpm|tgz|tar(\.\w+)?)$", re.IGNORECASE)  # that an index ever had
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class IndexFile:
    """A file on the index.

    Attributes:
        name: its name, a valid name of a wheel or a source distribution.
        url: its address.
        version: the distribution's version.
        tags: the platforms that a wheel runs on; none for a source distribution.
        build: the build tag, which orders wheels of the same version and tags.
        sha256: its hash; empty if the index names none.
        requires_python: the supported versions of Python, as written.
        yanked: the reason of its withdrawal, possibly empty; None if it was not withdrawn.
        metadata_sha256: the hash of its METADATA, if the index offers that as a file (PEP 658); else empty.
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
    """A file as the page describes it."""

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
    """Parse the page of a distribution; skip files that are neither its wheels nor its source distributions.

    Args:
        content: the page.
        kind: its Content-Type.
        url: its address, because addresses in it may be relative.
        distribution: the distribution's name.

    Raises:
        FailedError: it is not a page of version 1 of the simple API, but for example a login page.
    """
    media = kind.partition(";")[0].strip().lower()
    if media in _JSON:
        try:
            page = _Page.model_validate_json(content)
        except ValidationError as error:
            raise FailedError(f"the package index's page of {distribution} does not conform to PEP 691") from error
        version, entries = page.meta.api, page.files
    elif media in _HTML:
        links = _Links(url)
        links.feed(content.decode(errors="replace"))
        if not links.is_index_page:
            raise FailedError(
                f"{urlsplit(url).hostname} answered for the package index, and not with an index page: its page of "
                f"{distribution} has no link to a file",
                INDEX_COMMAND,
                hint="it may be a login page: check the index that pip is configured for, and its user and password",
            )
        version, url, entries = links.api, links.base, links.entries
    else:
        raise FailedError(f"the package index's page of {distribution} is neither JSON nor HTML")
    if version.partition(".")[0] != "1":
        raise FailedError("the package index uses a version of the simple API other than 1")
    return list(_select_files(entries, url, canonicalize_name(distribution)))


class _Links(HTMLParser):
    """Collects the links of an HTML page."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.base = url
        self.api = "1.0"
        self.is_index_page = False
        self.entries: list[_Entry] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "base" and "href" in attributes:
            self.base = urljoin(self.base, attributes["href"])
        elif tag == "meta" and attributes.get("name") == "pypi:repository-version":
            self.api = attributes.get("content", "")
            self.is_index_page = True
        elif tag == "a" and "href" in attributes:
            self.entries.append(_parse_link(attributes))
            self.is_index_page |= _ARCHIVE.search(self.entries[-1].filename) is not None


def _parse_link(attributes: dict[str, str]) -> _Entry:
    url, fragment = urldefrag(attributes["href"])
    metadata = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata", ""))
    return _Entry.model_validate(
        {
            "filename": unquote(url.partition("?")[0].rpartition("/")[2]),
            "url": url,
            "hashes": _parse_hash(fragment),
            "requires-python": attributes.get("data-requires-python"),
            "yanked": "data-yanked" in attributes and (attributes["data-yanked"] or True),
            "core-metadata": _parse_hash(metadata),
        }
    )


def _parse_hash(text: str) -> dict[str, str]:
    """Parse `sha256=…`."""
    name, _, value = text.partition("=")
    return {name: value}


def _select_files(entries: Iterable[_Entry], url: str, distribution: str) -> Iterable[IndexFile]:
    for entry in entries:
        address = _resolve_address(url, entry.url)
        if address is None or not _NAME.fullmatch(entry.filename):
            continue
        try:
            if entry.filename.endswith(".whl"):
                name, version, build, tags = parse_wheel_filename(entry.filename)
            else:
                name, version = parse_sdist_filename(entry.filename)
                build, tags = (), frozenset()
        except (InvalidWheelFilename, InvalidSdistFilename):
            continue
        if name == distribution:
            yield IndexFile(
                entry.filename, address, version, tags, build, _get_sha256(entry.hashes), entry.requires_python or "",
                _get_yanked(entry.yanked), _get_sha256(entry.metadata if isinstance(entry.metadata, dict) else {}),
            )  # fmt: skip


def _get_sha256(hashes: dict[str, str]) -> str:
    digest = hashes.get("sha256", "")
    return digest if _SHA256.fullmatch(digest) else ""


def _get_yanked(value: bool | str | None) -> str | None:  # noqa: FBT001 - PEP 691: a boolean, or the reason
    if not value:
        return None
    return value if isinstance(value, str) else ""


def _resolve_address(page: str, written: str) -> str | None:
    """Return a file's absolute address, with the page's user if both are on one host; None if it is invalid."""
    try:
        url = urldefrag(urljoin(page, written)).url
        page_parts, parts = urlsplit(page), urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or (parts.port or 1) < 1:
            return None
    except ValueError:  # http://[, port 99999
        return None
    user, at, host = page_parts.netloc.rpartition("@")
    if at and parts.netloc == host and parts.scheme == page_parts.scheme:
        return parts._replace(netloc=f"{user}@{host}").geturl()
    return url
