"""What was found in files before: the images of all targets hold the same libraries, and each is looked at once."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from armwright.audit import decoder
from armwright.system.errors import FailedError
from armwright.system.files import write_whole

SCHEMA = 2  # of what is kept under build/audit/; raised when isa.py finds something else in the same file


class Code(BaseModel):
    """A file with AArch64 code in an image."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    path: str
    sha256: str
    code_bytes: int


_CODES = TypeAdapter(list[Code])
_FOUND = TypeAdapter(list[decoder.FeatureUse])


@dataclass(frozen=True)
class Scans:
    """What was found before, by an image's and a file's digest."""

    folder: Path

    def codes(self, digest: str) -> list[Code] | None:
        """Return an image's files; None where they are not known, or what is known of one of them is gone."""
        try:
            codes = _CODES.validate_json(self._image(digest).read_bytes())
        except (OSError, ValidationError):
            return None
        return codes if all(self.found(one.sha256) is not None for one in codes) else None

    def found(self, sha256: str) -> list[decoder.FeatureUse] | None:
        """Return what a file asks for; None where it was not looked at."""
        try:
            return _FOUND.validate_json((self.folder / f"{sha256}.json").read_bytes())
        except (OSError, ValidationError):
            return None

    def keep_image(self, digest: str, codes: Sequence[Code]) -> None:
        """Keep an image's files."""
        write_whole(self._image(digest), json.dumps([one.model_dump() for one in codes], indent=0) + "\n")

    def keep(self, sha256: str, found: Sequence[decoder.FeatureUse]) -> None:
        """Keep what a file asks for."""
        write_whole(self.folder / f"{sha256}.json", _FOUND.dump_json(list(found)).decode() + "\n")

    def _image(self, digest: str) -> Path:
        return self.folder / "images" / f"{digest.removeprefix('sha256:')}.json"


def scan_archive(archive: IO[bytes], reference: str, patterns: decoder.Decoder, kept: Scans) -> list[Code]:
    """Look at every AArch64 file of an image that was not looked at before.

    Args:
        archive: the image's file tree, as a tar.
        reference: its name, for errors.
        patterns: the patterns.
        kept: knows what was looked at, and gets what is new.

    Returns:
        the image's files with AArch64 code.

    Raises:
        FailedError: one of them is damaged.
    """
    codes = []
    with tarfile.open(fileobj=archive, mode="r|", bufsize=1 << 20) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            start = file.read(len(decoder.ELF)) if file else b""
            if file is None or start != decoder.ELF:
                continue
            data = start + file.read()
            try:
                size = sum(size for _, size in decoder.executable(data))
                if not size:
                    continue
                sha256 = hashlib.sha256(data).hexdigest()
                if kept.found(sha256) is None:
                    kept.keep(sha256, decoder.scan_file(data, patterns))
            except decoder.DamagedError as error:
                raise FailedError(f"{member.name} in {reference} is damaged: {error}", "invoke build") from error
            codes.append(Code(path=member.name.removeprefix("./"), sha256=sha256, code_bytes=size))
    return codes
