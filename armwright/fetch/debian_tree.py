"""Writes a root file system as a tar, from packages alone: no script of them runs, nothing of this machine enters.

Paths, modes, owners and links are those in the packages. Only what the recipe names and the package database are added.
Times are one constant. So the tar depends on the packages and the recipe: not on the mirror, the umask, the user, the
clock, or the programs that a bootstrap would start.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from armwright.plan.plan import FILE_TIME
from armwright.recipes.bases import Archive
from armwright.system import interrupt, process
from armwright.system.errors import FailedError

STATUS = "var/lib/dpkg/status"  # scanners read the installed packages there
_FIRST = "base-files"  # has the modes of the top folders; a folder keeps the mode of the first package that has it


class TreeWriter:
    """Writes entries of packages into one tar, below the links that folders of the root can be.

    Args:
        tar: the tar to write.
    """

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._folders: set[PurePosixPath] = {PurePosixPath()}
        self._links: dict[PurePosixPath, PurePosixPath] = {}

    def add(self, entry: tarfile.TarInfo, content: IO[bytes] | None = None) -> None:
        """Write an entry where it would be unpacked: below the target of a link, and with its folders."""
        path = self._resolve(PurePosixPath(entry.name))
        if path in self._folders or (entry.isdir() and path in self._links):
            return
        self._add_folders(path.parent)
        if entry.isdir():
            self._folders.add(path)
        elif entry.issym():
            self._links[path] = _join(path.parent, entry.linkname)
        new = tarfile.TarInfo(str(path))
        new.type, new.mode, new.uid, new.gid, new.size = entry.type, entry.mode, entry.uid, entry.gid, entry.size
        new.devmajor, new.devminor, new.mtime = entry.devmajor, entry.devminor, FILE_TIME
        new.linkname = str(self._resolve(PurePosixPath(entry.linkname))) if entry.islnk() else entry.linkname
        self._tar.addfile(new, content)

    def add_link(self, path: str, target: str) -> None:
        """Write a symbolic link."""
        link = tarfile.TarInfo(path)
        link.type, link.linkname, link.mode = tarfile.SYMTYPE, target, 0o777
        self.add(link)

    def add_file(self, path: str, data: bytes) -> None:
        """Write a file of root that everybody can read."""
        file = tarfile.TarInfo(path)
        file.size, file.mode = len(data), 0o644
        self.add(file, io.BytesIO(data))

    def _add_folders(self, path: PurePosixPath) -> None:
        """Write the folders of a path that no package has written yet."""
        for folder in reversed([path, *path.parents]):
            if folder not in self._folders:
                entry = tarfile.TarInfo(str(folder))
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                self.add(entry)

    def _resolve(self, path: PurePosixPath) -> PurePosixPath:
        """Return where a path is, with every link among its folders followed."""
        parent = PurePosixPath()
        for part in path.parts[:-1]:
            parent = self._follow(parent / part)
        return parent / path.name if path.name else parent

    def _follow(self, path: PurePosixPath) -> PurePosixPath:
        for _ in range(len(self._links)):
            if path not in self._links:
                break
            path = self._resolve(self._links[path])
        return path


def write_tree(destination: Path, archive: Archive, packages: Mapping[Path, str]) -> None:
    """Write the root file system of some packages.

    Args:
        destination: the tar.
        archive: the recipe: its links are there before any package is unpacked.
        packages: the packages' files with their control fields, as `dpkg-deb --field` prints them.

    Raises:
        FailedError: a package is damaged.
    """
    with tarfile.open(destination, "w", format=tarfile.GNU_FORMAT) as tar:
        tree = TreeWriter(tar)
        for folder in archive.merged.folders if archive.merged else ():
            tree.add_link(folder, f"usr/{folder}")
        for link in archive.early:
            tree.add_link(link.path, link.target)
        for path in sorted(packages, key=lambda path: (not path.name.startswith(f"{_FIRST}_"), path.name)):
            interrupt.check_interrupted()
            try:
                with (
                    process.piped(["dpkg-deb", "--fsys-tarfile", str(path)]) as data,
                    tarfile.open(fileobj=data, mode="r|", bufsize=1 << 15) as package,
                ):
                    for entry in package:
                        tree.add(entry, package.extractfile(entry) if entry.isreg() else None)
            except tarfile.TarError as error:
                raise FailedError(f"the package {path.name} is damaged: {error}", "apt-get update") from error
        tree.add_file(STATUS, render_status(packages.values()).encode())
    destination.chmod(0o644)


def render_status(controls: Iterable[str]) -> str:
    """Return dpkg's database of packages that were unpacked and not configured.

    Args:
        controls: the control fields of each package.
    """
    marked = (control.rstrip("\n").replace("\n", "\nStatus: install ok unpacked\n", 1) for control in sorted(controls))
    return "".join(f"{control}\n\n" for control in marked)


def _join(folder: PurePosixPath, target: str) -> PurePosixPath:
    """Return the path in the root that a link's target names; it never leaves the root."""
    parts: list[str] = [] if target.startswith("/") else list(folder.parts)
    for part in PurePosixPath(target).parts:
        if part == "..":
            parts = parts[:-1]
        elif part != "/":
            parts.append(part)
    return PurePosixPath(*parts)
