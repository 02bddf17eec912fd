"""Scratch folders beside their destination. What a killed process left behind, the next one removes.

Each folder is locked as long as the process that made it lives, and so long as a program that it started holds the
lock. A folder that nobody locks belongs to nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Scratch:
    """A scratch folder, and the file descriptor of its lock for programs that may outlive this process."""

    folder: Path
    lock: int


@contextlib.contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Scratch]:
    """Yield a new folder that only its user can read, and remove it afterwards.

    Folders of the same prefix whose processes were killed are removed first.

    Args:
        parent: where to make it; it exists.
        prefix: how its name begins, e.g. "unpack-".
    """
    turn = _lock(parent)  # no other process sees a folder that is not locked yet
    try:
        abandoned = [folder for folder in parent.glob(f"{prefix}*") if folder.is_dir() and not _is_locked(folder)]
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = _lock(folder)
    finally:
        os.close(turn)
    try:
        for left in abandoned:
            shutil.rmtree(left, ignore_errors=True)
        yield Scratch(folder, lock)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _lock(folder: Path) -> int:
    """Wait for a folder's lock and return its file descriptor; closing it gives the lock back."""
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _is_locked(folder: Path) -> bool:
    """Return whether a process owns a folder; one that another process removed just now counts as owned."""
    try:
        attempt = os.open(folder, os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(attempt, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(attempt)
    return False
