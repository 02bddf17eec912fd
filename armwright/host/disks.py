"""The disks that a build fills: those of build/ and of the engine's data, which may differ from the checkout's."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

from armwright.engine.probe import EngineReading
from armwright.system.errors import MachineError

_FILLED = ("build", "build/cache", "build/contexts")  # folders that users put on other disks, by a link or a mount
_OTHER_STORE = Path("/var/lib/containerd")  # the image store, if the engine uses the system's containerd


def list_disks(root: Path, reading: EngineReading | None) -> list[Path]:
    """Return one folder on each disk that a build fills.

    Args:
        root: the project's root.
        reading: what the engine reports; None if it does not answer.

    Returns:
        folders that exist: of `build/` first, then of the engine's data if the engine is on this machine.
    """
    folders = [root / name for name in _FILLED]
    if reading and reading.is_here:
        folders += [reading.root, *_find_store(reading.root)]
    found: dict[int, Path] = {}
    for folder in folders:
        place = _find_existing(folder)
        found.setdefault(place.stat().st_dev, place)
    return list(found.values())


def require_writable(root: Path) -> None:
    """Check that this user can write build/, before anything else.

    Raises:
        MachineError: the checkout is read-only.
    """
    folder = root / "build"
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise MachineError(
            f"{folder} cannot be written: {error.strerror}; nothing was started",
            f"ls -ld {shlex.quote(str(root))}",
            hint="copy the checkout to a folder of your own, or make build/ a link to one",
        ) from error


def _find_store(engine_folder: Path) -> list[Path]:
    """Return the folder of the image store, if the engine keeps it outside its own folder."""
    try:
        inside = (engine_folder / "containerd" / "daemon").is_dir()
    except OSError:  # only root can look into the engine's folder
        return []
    return [] if inside or not _OTHER_STORE.is_dir() else [_OTHER_STORE]


def _find_existing(folder: Path) -> Path:
    """Return a folder, with its links resolved, or the nearest one above it that exists."""
    real = folder.resolve()
    return next(place for place in (real, *real.parents) if place.exists())
