"""Downloads source archives and single wheels once, checks their sha256, and keeps them in the cache."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable
from pathlib import Path

from armwright.fetch import package_index
from armwright.recipes.source_builds import Download, PythonFile
from armwright.system import console, http, interrupt
from armwright.system.errors import FailedError, InputError, MachineError
from armwright.system.files import sha256
from armwright.system.scratch import scratch_folder

LIMIT = 1_000_000_000  # bytes; the largest file is the distribution archive of a build tool, about 120 MB
REPORTED = 10_000_000  # bytes between two reports of progress


def cache_path(cache: Path, file: Download) -> Path:
    """Return a file's path in the cache; its hash is part of the name, because two files may have the same name."""
    return cache / "downloads" / f"{file.sha256[:12]}-{file.file}"


def ensure_download(cache: Path, file: Download, next_step: str, hint: str = "") -> Path:
    """Return a file from the cache; download it if it is not cached.

    Args:
        cache: the folder build/cache.
        file: the file.
        next_step: the next command if its host cannot be reached.
        hint: the hint for that case.

    Raises:
        MachineError: the host cannot be reached.
        FailedError: the host does not have the file, or its hash differs from the recipe.
    """
    kept = cache_path(cache, file)
    if kept.exists() and sha256(kept) == file.sha256:
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (
        console.progress(f"download {file.file} from {file.place}") as progress,
        scratch_folder(kept.parent, "download-") as scratch,
    ):
        new = scratch.folder / file.file
        with _ReportingFile(new, progress) as sink:
            try:
                _download(file, sink)
            except MachineError as error:
                raise MachineError(error.what, next_step, hint=hint) from error
        digest = sha256(new)
        if digest != file.sha256:
            raise FailedError(
                f"{file.place} sent a different {file.file}: its sha256 is {digest}, "
                f"the recipe has {file.sha256}; nothing was kept",
                hint="find out who changed the file before you change the recipe",
            )
        new.rename(kept)
    return kept


def adopt_file(cache: Path, files: Iterable[PythonFile], given: Path) -> Path:
    """Put a user's own wheel into the cache in place of its download.

    Args:
        cache: the folder build/cache.
        files: the files that the selected combos use.
        given: the user's file; its name does not matter.

    Raises:
        InputError: it cannot be read, or it is none of the files.
    """
    wheels = {file.sha256: file for file in files if file.wheel}
    if not wheels:
        raise InputError("--wheel: no selected combo uses a wheel that a recipe names", "invoke build --help")
    try:
        digest = sha256(given)
    except OSError as error:
        raise InputError(f"--wheel {given} cannot be read: {error.strerror}", "invoke build --help") from error
    if digest not in wheels:
        wanted = " or ".join(f"{file.file} has {file.sha256}" for file in wheels.values())
        what = f"--wheel {given.name} is a different file: its sha256 is {digest}; {wanted}; nothing was started"
        raise InputError(what, f"sha256sum {given}")
    kept = cache_path(cache, wheels[digest])
    kept.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(kept.parent, "adopt-") as scratch:
        copied = scratch.folder / kept.name
        shutil.copyfile(given, copied)
        copied.rename(kept)
    return kept


def _download(file: Download, sink: io.FileIO) -> None:
    if file.url is not None:
        http.fetch(file.url, sink, limit=LIMIT, host=file.place)
        return
    assert isinstance(file, PythonFile)  # noqa: S101 - for the type checker: only these have no address
    index = package_index.find_package_index()
    url = next((entry.url for entry in index.files(file.pinned[0]) if entry.name == file.file), None)
    if url is None:
        raise FailedError(f"{file.place} has no {file.file}", http.INDEX_COMMAND)
    http.fetch(url, sink, limit=LIMIT, host=file.place, bundle=index.bundle)


class _ReportingFile(io.FileIO):
    """A file that reports its size as it is written."""

    def __init__(self, path: Path, progress: console.Progress) -> None:
        super().__init__(path, "wb")
        self._progress = progress
        self._reports = 0

    def write(self, data: bytes) -> int:  # type: ignore[override] # any buffer is allowed, but only bytes arrive
        """Write data; raise KeyboardInterrupt if everything is being stopped."""
        interrupt.check_interrupted()
        written = super().write(data)
        if self.tell() // REPORTED != self._reports:
            self._reports = self.tell() // REPORTED
            self._progress.update(console.megabytes(self._reports * REPORTED))
        return written
