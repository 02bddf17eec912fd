"""Sources and single wheels: taken once by the host itself, checked by their hash, kept in the cache."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from armwright.fetch import package_index
from armwright.recipes.source_builds import Download, PythonFile
from armwright.system import console, http, interrupt
from armwright.system.errors import FailedError, InputError, MachineError
from armwright.system.files import sha256

LIMIT = 1_000_000_000  # bytes; the largest is the distribution archive of a build tool, about 120 MB
SHOWN = 10_000_000  # bytes between two words about the progress


def cache_path(cache: Path, file: Download) -> Path:
    """Return where the cache keeps a file: by its hash too, since another file may have the same name."""
    return cache / "downloads" / f"{file.sha256[:12]}-{file.file}"


def ensure_download(cache: Path, file: Download, way_on: str) -> Path:
    """Return a file from the cache; take it from where it is first.

    Args:
        cache: the folder build/cache.
        file: which.
        way_on: what helps where its host cannot be reached.

    Raises:
        MachineError: the host cannot be reached.
        FailedError: it is not there, or it is not the file with that hash.
    """
    kept = cache_path(cache, file)
    if kept.exists():
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (
        console.progress(f"download {file.file} from {file.place}") as shown,
        tempfile.TemporaryDirectory(dir=kept.parent, prefix="download-") as scratch,
    ):
        new = Path(scratch, file.file)
        with _Shown(new, shown) as sink:
            try:
                _take(file, sink)
            except MachineError as error:
                raise MachineError(error.what, way_on) from error
        found = sha256(new)
        if found != file.sha256:
            raise FailedError(
                f"{file.place} sent another {file.file}: its sha256 is {found}, the recipe's {file.sha256}; "
                "nothing was kept",
                "find out who changed it",
            )
        new.rename(kept)
    return kept


def adopt_file(cache: Path, files: Iterable[PythonFile], given: Path) -> Path:
    """Keep a wheel that the user has, in place of its download.

    Args:
        cache: the folder build/cache.
        files: those that the chosen combos take.
        given: the user's file; its own name does not matter.

    Raises:
        InputError: it cannot be read, or it is none of them.
    """
    wheels = {file.sha256: file for file in files if file.wheel}
    if not wheels:
        raise InputError("--wheel: no wheel of these combos comes as a file", "invoke build --help")
    try:
        found = sha256(given)
    except OSError as error:
        raise InputError(f"--wheel {given} cannot be read: {error.strerror}", "name a file") from error
    if found not in wheels:
        wanted = " or ".join(f"{file.file} has {digest}" for digest, file in wheels.items())
        what = f"--wheel {given.name} is another file: its sha256 is {found}; {wanted}"
        raise InputError(what, "nothing was started")
    kept = cache_path(cache, wheels[found])
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix="adopt-") as scratch:
        copied = Path(scratch, kept.name)
        shutil.copyfile(given, copied)
        copied.rename(kept)
    return kept


def _take(file: Download, sink: io.FileIO) -> None:
    if file.url is not None:
        http.fetch(file.url, sink, limit=LIMIT, called=file.place)
        return
    assert isinstance(file, PythonFile)  # noqa: S101 - for the type checker: nothing else is without an address
    own = package_index.find_package_index()
    url = next((one.url for one in own.files(file.pinned[0]) if one.name == file.file), None)
    if url is None:
        raise FailedError(f"{file.place} has no {file.file}", package_index.WHICH)
    http.fetch(url, sink, limit=LIMIT, called=file.place, bundle=own.bundle)


class _Shown(io.FileIO):
    """A file that says how much of it is there."""

    def __init__(self, path: Path, shown: console.Progress) -> None:
        super().__init__(path, "wb")
        self._shown = shown
        self._said = 0

    def write(self, data: bytes) -> int:  # type: ignore[override] # any buffer would do, and only bytes come
        """Write a part, unless everything is being stopped."""
        interrupt.check_interrupted()
        written = super().write(data)
        if self.tell() // SHOWN != self._said:
            self._said = self.tell() // SHOWN
            self._shown.update(console.megabytes(self._said * SHOWN))
        return written
