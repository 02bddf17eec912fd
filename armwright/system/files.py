"""Atomic writes: a reader, an interrupt or a full disk never leaves or sees half of a file."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import tempfile
from pathlib import Path

_UNFINISHED = ".armwright-new"  # apt ignores this suffix in its folders


def write_whole(path: Path, content: str | bytes, mode: int = 0o644) -> None:
    """Write a file next to its destination, then rename it; create the folder if it is absent.

    Args:
        path: the file.
        content: its content; text becomes UTF-8.
        mode: the permissions of a new file; an existing file keeps its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else content.encode()
    # A name that nobody can plant as a link, and a file that nobody else reads before it has its mode.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=_UNFINISHED)
    new = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            fcntl.flock(file, fcntl.LOCK_EX)  # until it has its name: see `remove_unfinished`
            file.write(data)
            file.flush()
            new.chmod(path.stat().st_mode & 0o777 if path.exists() else mode)
            new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove the files that killed processes did not finish, in a folder and two levels below it."""
    for pattern in ("*", "*/*", "*/*/*"):
        for path in folder.glob(f"{pattern}{_UNFINISHED}"):
            with contextlib.suppress(OSError), path.open("rb") as file:  # locked: it is being written
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def seal(path: Path) -> None:
    """Write the sha256 and the name of a file in a cache beside it, as `sha256sum` prints them."""
    write_whole(_seal_path(path), _format_seal(path))


def has_seal(path: Path) -> bool:
    """Return whether a file in a cache exists and still has the name and content that it was sealed with."""
    try:
        return _seal_path(path).read_bytes() == _format_seal(path).encode()
    except OSError:
        return False


def _format_seal(path: Path) -> str:
    return f"{sha256(path)}  {path.name}\n"


def _seal_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def sha256(path: Path) -> str:
    """Return the sha256 of a file's content as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
