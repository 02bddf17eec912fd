"""Results of earlier scans, under build/audit/: the images of all targets share libraries, and each is read once.

Every entry carries the sha256 of its name and content. An entry that was damaged, edited, or copied to another name is
not believed: its file is read again.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from pydantic import TypeAdapter, ValidationError

from armwright.audit import decoder, elf
from armwright.system.errors import FailedError
from armwright.system.files import write_whole
from armwright.system.strict_model import StrictModel

SCHEMA = 4  # of the files under build/audit/; raise it when decoder.py or elf.py finds something else in the same file


class CodeFile(StrictModel):
    """A file with AArch64 code in an image."""

    path: str
    sha256: str
    code_bytes: int


Content = TypeVar("Content")
_CODES = TypeAdapter(list[CodeFile])
_USES = TypeAdapter(list[decoder.FeatureUse])


@dataclass(frozen=True)
class ScanCache:
    """Results of earlier scans, by the digest of an image and of a file."""

    folder: Path

    def read_image(self, digest: str) -> list[CodeFile] | None:
        """Return the files of an image; None if they, or the result for one of them, are not cached."""
        codes = _read_entry(self._image_path(digest), _CODES)
        if not codes:
            return None
        return codes if all(self.read_file(code.sha256) is not None for code in codes) else None

    def read_file(self, sha256: str) -> list[decoder.FeatureUse] | None:
        """Return the features that a file needs; None if that is not cached."""
        return _read_entry(self.folder / f"{sha256}.json", _USES)

    def write_image(self, digest: str, codes: Sequence[CodeFile]) -> None:
        """Cache the files of an image."""
        _write_entry(self._image_path(digest), _CODES.dump_json(list(codes)))

    def write_file(self, sha256: str, uses: Sequence[decoder.FeatureUse]) -> None:
        """Cache the features that a file needs."""
        _write_entry(self.folder / f"{sha256}.json", _USES.dump_json(list(uses)))

    def _image_path(self, digest: str) -> Path:
        return self.folder / "images" / f"{digest.removeprefix('sha256:')}.json"


def _read_entry(path: Path, kind: TypeAdapter[Content]) -> Content | None:
    """Read an entry; None if there is none, or if its content is not the one that was written under this name."""
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
        return kind.validate_json(content) if _hash_entry(path, content).encode() == digest else None
    except (OSError, ValidationError):
        return None


def _write_entry(path: Path, content: bytes) -> None:
    write_whole(path, f"{_hash_entry(path, content)}\n{content.decode()}")


def _hash_entry(path: Path, content: bytes) -> str:
    """Return the sha256 of an entry's name, which is the digest of what was scanned, and of its content."""
    return hashlib.sha256(path.name.encode() + b"\n" + content).hexdigest()


def scan_archive(archive: IO[bytes], reference: str, patterns: decoder.Decoder, cache: ScanCache) -> list[CodeFile]:
    """Scan every AArch64 file of an image that is not cached yet.

    Args:
        archive: the image's file tree, as a tar stream.
        reference: the image's name, for errors.
        patterns: the patterns to look for.
        cache: receives the new results.

    Returns:
        the image's files with AArch64 code.

    Raises:
        FailedError: one of the files is damaged.
    """
    codes = []
    with tarfile.open(fileobj=archive, mode="r|", bufsize=1 << 20) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            start = file.read(len(elf.MAGIC)) if file else b""
            if file is None or start != elf.MAGIC:
                continue
            data = start + file.read()
            try:
                code_bytes = sum(size for _, size in elf.executable_ranges(data))
                if not code_bytes:
                    continue
                sha256 = hashlib.sha256(data).hexdigest()
                if cache.read_file(sha256) is None:
                    cache.write_file(sha256, decoder.scan_file(data, patterns))
            except elf.DamagedError as error:
                what = f"{member.name} in {reference} is damaged: {error}"
                hint = "build the image again afterwards, with invoke build"
                raise FailedError(what, f"docker image rm {reference}", hint=hint) from error
            codes.append(CodeFile(path=member.name.removeprefix("./"), sha256=sha256, code_bytes=code_bytes))
    return codes
