"""The host's own package index: the files of a distribution, and what a wheel's METADATA says.

Where it is, pip's configuration says; no address stands in a message, since one may hold a password.
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
from armwright.system import http, process
from armwright.system.errors import FailedError, InputError, MachineError
from armwright.system.http import ResponseHead

CALLED = "the package index"
WHICH = "`pip config list` shows which index is asked"
PAGE = 64_000_000  # bytes of a page; TensorFlow's has 660,000
TEXT = 4_000_000  # bytes of a METADATA; PyTorch's has 36,000
_MISSING = (404, 410)
_DEFAULT = re.compile(r"--index-url <url>.*?\(default (https?://\S+)\)")
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")


@dataclass(frozen=True)
class WheelMetadata:
    """What a wheel says of itself.

    Attributes:
        requires: the distributions it needs, each with its marker.
        requires_python: the versions of Python it is for, as written.
    """

    requires: tuple[Requirement, ...]
    requires_python: str


@dataclass(frozen=True)
class PackageIndex:
    """One or more package indexes; the first that has a distribution is asked about it, as the resolver does.

    Attributes:
        addresses: where they are, in the order in which they are asked.
        bundle: the file of certificates they are trusted with; None for the machine's.
    """

    addresses: tuple[str, ...] = field(repr=False)
    bundle: str | None = None

    def files(self, distribution: str) -> list[IndexFile]:
        """Return the wheels and source distributions of a distribution.

        Raises:
            InputError: no index has it.
            MachineError: the index cannot be reached.
            FailedError: its answer makes no sense.
        """
        for address in self.addresses:
            page = io.BytesIO()
            where = f"{address.rstrip('/')}/{canonicalize_name(distribution)}/"
            head = self._get(where, page, PAGE, {"Accept": index_pages.ACCEPT}, accept=_MISSING)
            if head.status not in _MISSING:
                return index_pages.parse_page(
                    page.getvalue(), head.headers.get("Content-Type", ""), head.url, distribution
                )
        raise InputError(f"{CALLED} has no distribution {distribution}", WHICH)

    def metadata(self, file: IndexFile) -> WheelMetadata:
        """Return what a wheel says of itself: from its METADATA beside it, else from inside the wheel.

        Raises:
            MachineError: the index cannot be reached.
            FailedError: what it sends is not what it names, or not the METADATA of this wheel.
        """
        content = self._beside(file) if file.metadata_sha256 else None
        return _read(self._inside(file) if content is None else content, file)

    def _beside(self, file: IndexFile) -> bytes | None:
        sink = io.BytesIO()
        parts = urlsplit(file.url)
        url = parts._replace(path=f"{parts.path}.metadata").geturl()
        if self._get(url, sink, TEXT, accept=_MISSING).status in _MISSING:
            return None
        if hashlib.sha256(sink.getvalue()).hexdigest() != file.metadata_sha256:
            raise FailedError("its METADATA is not the one whose hash the index names")
        return sink.getvalue()

    def _inside(self, file: IndexFile) -> bytes:
        def get(wanted: str, sink: IO[bytes], limit: int) -> ResponseHead:
            return self._get(file.url, sink, limit, {"Range": wanted, "Accept-Encoding": "identity"})

        def check(whole: IO[bytes]) -> None:
            if file.sha256 and hashlib.file_digest(whole, "sha256").hexdigest() != file.sha256:  # type: ignore[arg-type]
                raise FailedError("its wheel is not the one whose hash the index names")

        with partial_download.open_remote(get, check) as wheel:
            try:
                return _member(wheel)
            except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
                raise FailedError("its wheel cannot be read") from error

    def _get(
        self, url: str, sink: IO[bytes], limit: int, headers: Mapping[str, str] | None = None,
        accept: tuple[int, ...] = (),
    ) -> ResponseHead:  # fmt: skip
        return http.fetch(url, sink, limit=limit, called=CALLED, headers=headers, accept=accept, bundle=self.bundle)


def find_package_index() -> PackageIndex:
    """Return the index that this host's pip, and with it the resolver of the locks, is configured for.

    Raises:
        InputError: it is a folder and no address.
        MachineError: pip does not say where its own index is.
    """
    configured = resolve.read_index_environment()
    settings = {**os.environ, **configured}
    first = [re.sub(r"^[\w-]+=(?=https?:)", "", one) for one in settings.get("UV_INDEX", "").split()]  # name=address
    addresses = (*first, settings.get("UV_DEFAULT_INDEX") or _default())
    if not all(re.match(r"https?://", one) for one in addresses):
        raise InputError(f"{CALLED} is no address of a server", WHICH)
    return PackageIndex(addresses, configured.get("SSL_CERT_FILE"))


def _default() -> str:
    """Ask pip where it looks when nobody told it: no address of an index stands in this project."""
    words = process.capture(["pip", "download", "--help"], env={"COLUMNS": "1000"})
    found = _DEFAULT.search(words)
    if found is None:
        raise MachineError("pip does not say which index it uses", "pip config set global.index-url ADDRESS")
    return found[1]


def _member(wheel: IO[bytes]) -> bytes:
    """Return the METADATA of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        found = [one for one in archive.infolist() if _METADATA.fullmatch(one.filename)]
        if len(found) != 1 or found[0].compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise FailedError("its wheel has no METADATA, or more than one, or one that is packed in no usual way")
        with archive.open(found[0]) as member:
            content = member.read(TEXT + 1)
    if len(content) > TEXT:
        raise FailedError(f"its METADATA has more than {TEXT} bytes")
    return content


def _read(content: bytes, file: IndexFile) -> WheelMetadata:
    raw, _ = parse_email(content)
    try:
        said = canonicalize_name(raw.get("name", "")), Version(raw.get("version", ""))
        requires = tuple(Requirement(one) for one in raw.get("requires_dist", []))
    except (InvalidVersion, InvalidRequirement) as error:
        raise FailedError("its METADATA makes no sense") from error
    if said != (canonicalize_name(file.name.partition("-")[0]), file.version):
        raise FailedError("its METADATA is that of another distribution or version")
    return WheelMetadata(requires, raw.get("requires_python", ""))
