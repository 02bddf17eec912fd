"""Files that are there whole or not at all: a reader, an interrupt or a full disk never meets half of one."""

from __future__ import annotations

import hashlib
from pathlib import Path


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file beside its place, then move it there; the folder is made.

    Args:
        path: the file.
        text: its content.
        mode: its permissions, where it is not there yet; an existing file keeps its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.armwright-new")  # a suffix that apt ignores in its folders
    try:
        new.write_text(text, encoding="utf-8")
        new.chmod(path.stat().st_mode & 0o777 if path.exists() else mode)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Return the sha256 of a file's content, 64 hex digits."""
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
