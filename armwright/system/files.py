"""Atomic writes: a reader, an interrupt or a full disk never leaves or sees half of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path


def write_whole(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file next to its destination, then rename it; create the folder if it is absent.

    Args:
        path: the file.
        content: its content; text becomes UTF-8.
        mode: the permissions of a new file; an existing file keeps its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.armwright-new")  # apt ignores this suffix in its folders
    try:
        new.touch(mode=0o600)  # nobody else reads it before it has its mode
        new.write_bytes(content if isinstance(content, bytes) else content.encode())
        new.chmod(path.stat().st_mode & 0o777 if path.exists() else mode)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Return the sha256 of a file's content as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
