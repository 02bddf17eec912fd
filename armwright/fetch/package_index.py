"""This host's package index: the files of a distribution, and the METADATA of a wheel.

pip's configuration names the index. Its address never appears in a message, because it may hold a password.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO
from urllib.parse import urlsplit

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from armwright.fetch import index_pages, partial_download, resolve
from armwright.fetch.index_pages import IndexFile
from armwright.system import http, pip_tool, process
from armwright.system.errors import FailedError, InputError, MachineError
from armwright.system.http import ResponseHead

INDEX = "the package index"  # its name in messages
PAGE = 64_000_000  # the most bytes of a page; TensorFlow's has 660,000
TEXT = 4_000_000  # the most bytes of a METADATA file; PyTorch's has 36,000
_MISSING = (404, 410)
_DEFAULT = re.compile(r"--index-url <url>.*?\(default (https?://\S+)\)")
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")


@dataclass(frozen=True)
class WheelMetadata:
    """The parts of a wheel's METADATA that Armwright uses.

    Attributes:
        requires: the required distributions, each with its marker.
        requires_python: the supported versions of Python, as written.
    """

    requires: tuple[Requirement, ...]
    requires_python: str


@dataclass(frozen=True)
class PackageIndex:
    """One or more package indexes. The first one that has a distribution is used, as the resolver does.

    Attributes:
        addresses: their addresses, in the order in which they are searched.
        bundle: the file of trusted certificates; None for the machine's.
    """

    addresses: tuple[str, ...] = field(repr=False)
    bundle: str | None = None

    def files(self, distribution: str) -> list[IndexFile]:
        """Return the wheels and source distributions of a distribution.

        Raises:
            InputError: no index has it.
            MachineError: the index cannot be reached.
            FailedError: the index sent an invalid page.
        """
        for address in self.addresses:
            page = io.BytesIO()
            url = f"{address.rstrip('/')}/{canonicalize_name(distribution)}/"
            head = self._get(url, page, PAGE, {"Accept": index_pages.ACCEPT}, accept=_MISSING)
            if head.status not in _MISSING:
                return index_pages.parse_page(
                    page.getvalue(), head.headers.get("Content-Type", ""), head.url, distribution
                )
        raise InputError(f"{INDEX} has no distribution {distribution}", http.INDEX_COMMAND)

    def metadata(self, file: IndexFile) -> WheelMetadata:
        """Return a wheel's METADATA: the copy next to the wheel, else the one inside it.

        Raises:
            MachineError: the index cannot be reached.
            FailedError: the content differs from its hash, or is not the METADATA of this wheel.
        """
        content = self._fetch_beside(file) if file.metadata_sha256 else None
        return _parse_metadata(self._fetch_inside(file) if content is None else content, file)

    def _fetch_beside(self, file: IndexFile) -> bytes | None:
        sink = io.BytesIO()
        parts = urlsplit(file.url)
        url = parts._replace(path=f"{parts.path}.metadata").geturl()
        if self._get(url, sink, TEXT, accept=_MISSING).status in _MISSING:
            return None
        if hashlib.sha256(sink.getvalue()).hexdigest() != file.metadata_sha256:
            raise FailedError("its METADATA does not match the hash on the index")
        return sink.getvalue()

    def _fetch_inside(self, file: IndexFile) -> bytes:
        def get(byte_range: str, sink: IO[bytes], limit: int) -> ResponseHead:
            return self._get(file.url, sink, limit, {"Range": byte_range, "Accept-Encoding": "identity"})

        def check(whole: IO[bytes]) -> None:
            if file.sha256 and hashlib.file_digest(whole, "sha256").hexdigest() != file.sha256:  # type: ignore[arg-type]
                raise FailedError("its wheel does not match the hash on the index")

        with partial_download.open_remote(get, check) as wheel:
            try:
                return _read_member(wheel)
            except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
                raise FailedError("its wheel cannot be read") from error

    def _get(
        self, url: str, sink: IO[bytes], limit: int, headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (),
    ) -> ResponseHead:  # fmt: skip
        return http.fetch(url, sink, limit=limit, host=INDEX, headers=headers, accept=accept, bundle=self.bundle)


def find_package_index() -> PackageIndex:
    """Return the index that this host's pip, and so the resolver of the locks, is configured for.

    Raises:
        InputError: it is a folder instead of a server.
        MachineError: pip does not print its default index.
    """
    configured = resolve.read_index_environment()
    settings = {**os.environ, **configured}
    extra = [re.sub(r"^[\w-]+=(?=https?:)", "", entry) for entry in settings.get("UV_INDEX", "").split()]  # name=url
    addresses = (*extra, settings.get("UV_DEFAULT_INDEX") or _read_default())
    if not all(re.match(r"https?://", address) for address in addresses):
        raise InputError(f"{INDEX} is not the address of a server", http.INDEX_COMMAND)
    return PackageIndex(addresses, configured.get("SSL_CERT_FILE"))


def _read_default() -> str:
    """Return pip's default index from its help, so that this project contains no address of an index."""
    environment = {**pip_tool.read_pip_environment("download"), "COLUMNS": "1000"}
    text = process.capture(["pip", "download", "--help"], env=environment)
    match = _DEFAULT.search(text)
    if match is None:
        raise MachineError(
            "pip does not print which index it uses",
            http.INDEX_COMMAND,
            hint="set it with: pip config set global.index-url ADDRESS",
        )
    return match[1]


def _read_member(wheel: IO[bytes]) -> bytes:
    """Return the METADATA file of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        members = [member for member in archive.infolist() if _METADATA.fullmatch(member.filename)]
        if len(members) != 1 or members[0].compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise FailedError("its wheel has no METADATA, or more than one, or an unusual compression")
        with archive.open(members[0]) as file:
            content = file.read(TEXT + 1)
    if len(content) > TEXT:
        raise FailedError(f"its METADATA has more than {TEXT} bytes")
    return content


def _parse_metadata(content: bytes, file: IndexFile) -> WheelMetadata:
    raw, _ = parse_email(content)
    try:
        identity = canonicalize_name(raw.get("name", "")), Version(raw.get("version", ""))
        requires = tuple(Requirement(line) for line in raw.get("requires_dist", []))
    except (InvalidVersion, InvalidRequirement) as error:
        raise FailedError("its METADATA is invalid") from error
    if identity != (canonicalize_name(file.name.partition("-")[0]), file.version):
        raise FailedError("its METADATA is that of another distribution or version")
    return WheelMetadata(requires, raw.get("requires_python", ""))
