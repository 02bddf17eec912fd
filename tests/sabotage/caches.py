"""Tamperings with what lies in build/cache: roots, indexes of libraries, downloads and wheels."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from armwright.fetch import debian_roots, downloads, installer, library_cache, wheels
from armwright.recipes.bases import Base
from armwright.recipes.source_builds import Download, PythonFile
from armwright.system.errors import ArmwrightError, InputError, MachineError
from armwright.system.files import seal
from tests.sabotage.ledger import Outcome
from tests.sabotage.tampering import Tampering, Workplace, expect_error, expect_true
from tests.small_project import CONTENT, WHEEL
from tests.wheelhouse import packed

NOWHERE = "https://127.0.0.1:9/file.tar.gz"  # the discard port: nothing listens there
GOOD, OTHER = b"the library that was packed", b"another one of this length."
Change = Callable[[Path], object]


def write_tar(path: Path, content: bytes) -> None:
    """Write a root of one library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = path.with_name("content")
    source.write_bytes(content)
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(source, "usr/lib/libone.so.1")
    source.unlink()


def unreachable(base: Base) -> Base:
    """Return a base for which no machine has a mirror, so that a root which is not cached is an error."""
    suites = {"nowhere": "debian", "elsewhere": "debian"}
    return base.model_copy(update={"archive": base.archive.model_copy(update={"suites": suites, "snapshots": []})})


def changed_root(change: Change) -> Callable[[Workplace], Outcome]:
    """Change the cached root of an image, or what lies beside it."""

    def attempt(place: Workplace) -> Outcome:
        base, lock = unreachable(place.plan.base), place.plan.lock
        root = debian_roots.root_path(place.folder, base, lock, "root", debian_roots.TARGET_ARCHITECTURE)
        write_tar(root, GOOD)
        seal(root)

        def ensure() -> Path:
            return debian_roots.ensure_root(place.folder, base, lock, "root", place.folder / "log")

        assert ensure() == root
        change(root)
        return expect_error("seal", MachineError, ensure)

    return attempt


def flip(path: Path) -> None:
    """Change one bit, and keep size and time."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[data.index(GOOD)] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    """Put another valid tar of the same size and time in its place."""
    before = path.stat()
    write_tar(path, OTHER)
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def append_member(path: Path) -> None:
    """Add a file to a tar, as `tar --append` does."""
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo("etc/ld.so.preload"))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-512])


def link_elsewhere(path: Path) -> None:
    """Put a link to another tar in its place."""
    other = path.with_name("other.tar")
    write_tar(other, OTHER)
    path.unlink()
    path.symlink_to(other)


def seal_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def drop_seal(path: Path) -> None:
    seal_path(path).unlink()


def empty_seal(path: Path) -> None:
    seal_path(path).write_text("")


def both(first: Change, second: Change) -> Change:
    """Make two changes."""

    def change(path: Path) -> None:
        first(path)
        second(path)

    return change


def take_pair(path: Path) -> None:
    """Put another root there with the seal that was written for that root."""
    other = path.with_name("other.tar")
    write_tar(other, OTHER)
    seal(other)
    other.rename(path)
    seal_path(other).rename(seal_path(path))


def changed_index(change: Change) -> Callable[[Workplace], Outcome]:
    """Change the index of libraries beside a root; it must be written again."""

    def attempt(place: Workplace) -> Outcome:
        root = place.folder / "root.tar"
        write_tar(root, GOOD)
        index = library_cache.ensure_library_cache(root)
        good = index.read_bytes()
        change(index)
        now = library_cache.ensure_library_cache(root).read_bytes()
        return expect_true("seal", "the index is written again", noticed=now == good)

    return attempt


def point_elsewhere(index: Path) -> None:
    """Let the index name another file, of a path of the same length."""
    data = index.read_bytes()
    assert b"/usr/lib/libone.so.1" in data
    index.write_bytes(data.replace(b"/usr/lib/libone.so.1", b"/tmp/lib/libone.so.1"))


def changed_download(change: Change) -> Callable[[Workplace], Outcome]:
    """Change a source archive that was downloaded before; its host does not answer."""

    def attempt(place: Workplace) -> Outcome:
        file = Download(
            file="file.tar.gz", sha256=hashlib.sha256(GOOD).hexdigest(), url=NOWHERE, found="a sabotage has it"
        )
        kept = downloads.cache_path(place.folder, file)
        kept.parent.mkdir(parents=True)
        kept.write_bytes(GOOD)
        assert downloads.ensure_download(place.folder, file, "invoke build") == kept
        change(kept)
        return expect_error(
            "sha256", ArmwrightError, lambda: downloads.ensure_download(place.folder, file, "invoke build")
        )

    return attempt


def adopt_another(place: Workplace) -> Outcome:
    """Give a wheel of a user's own that has the right name and another content."""
    given = place.folder / WHEEL
    given.write_bytes(OTHER)
    file = PythonFile(file=WHEEL, sha256=hashlib.sha256(GOOD).hexdigest(), found="a sabotage has it")
    return expect_error("sha256", InputError, lambda: downloads.adopt_file(place.folder, [file], given))


def changed_wheel(change: Change) -> Callable[[Workplace], Outcome]:
    """Change a cached wheel, and install it as the Dockerfile does."""

    def attempt(place: Workplace) -> Outcome:
        content = packed(CONTENT)
        text = f"torch==2.10.0 \\\n    --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"
        key = hashlib.sha256(f"{place.plan.base.python} {place.plan.base.glibc} {text}".encode()).hexdigest()[:12]
        folder = place.folder / "wheels" / key
        folder.mkdir(parents=True)
        (folder / WHEEL).write_bytes(content)
        assert wheels.ensure_wheels(place.folder, place.plan.base, text, place.folder / "log") == folder
        (place.folder / "requirements.txt").write_text(text)
        done = _install(place, folder, "good")
        assert done.returncode == 0, done.stderr
        change(folder / WHEEL)
        done = _install(place, folder, "changed")
        return expect_true("installer", done.stderr, noticed=done.returncode != 0)

    return attempt


def _install(place: Workplace, folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Run the line of the plan's Dockerfile that installs wheels, outside of a container."""
    lines = place.plan.files["Dockerfile"].decode().replace("\\\n", " ").splitlines()
    words = shlex.split(next(line for line in lines if " uv pip install " in line))
    moved = {"/wheels": str(folder), "/requirements.txt": str(place.folder / "requirements.txt")}
    target = place.folder / name
    target.mkdir()
    arguments = [str(installer.find_installer(place.matrix.root)), *(moved.get(word, word) for word in words[2:])]
    return subprocess.run(arguments, cwd=target, capture_output=True, text=True, check=False)


def repack(path: Path) -> None:
    """Put another valid wheel under the same name."""
    path.write_bytes(packed({**CONTENT, "torch/__init__.py": b"VERSION = '2.10.1'\n"}))


def _cached(check: str, pattern: str, attempt: Callable[[Workplace], Outcome]) -> Tampering:
    return Tampering("cache", check, pattern, attempt)


ASKED = "no apt source of this machine"  # the archive is needed again
CACHES: Mapping[str, Tampering] = {
    "a cached root with a byte at its end": _cached("seal", ASKED, changed_root(append)),
    "a cached root with another file in it": _cached("seal", ASKED, changed_root(append_member)),
    "a cached root without its end": _cached("seal", ASKED, changed_root(truncate)),
    "a cached root with one bit changed": _cached("seal", ASKED, changed_root(flip)),
    "another root of the same size and time": _cached("seal", ASKED, changed_root(replace)),
    "a link in place of a cached root": _cached("seal", ASKED, changed_root(link_elsewhere)),
    "a cached root without its seal": _cached(
        "seal", ASKED, changed_root(both(replace, drop_seal)),
    ),
    "a cached root whose seal is empty": _cached(
        "seal", ASKED, changed_root(both(replace, empty_seal)),
    ),
    "another root with a seal of its own": _cached("seal", ASKED, changed_root(take_pair)),
    "an index of libraries that points elsewhere": _cached("seal", "again", changed_index(point_elsewhere)),
    "an index of libraries with a byte at its end": _cached("seal", "again", changed_index(append)),
    "an index of libraries without its seal": _cached(
        "seal", "again", changed_index(both(point_elsewhere, drop_seal)),
    ),
    "a changed source archive in the cache": _cached("sha256", "127.0.0.1", changed_download(flip)),
    "an empty source archive in the cache": _cached(
        "sha256", "127.0.0.1", changed_download(lambda path: path.write_bytes(b"")),
    ),
    "another wheel given by a user": _cached("sha256", "is a different file", adopt_another),
    "another wheel under the same name": _cached("installer", "[Hh]ash", changed_wheel(repack)),
    "a cached wheel with a byte at its end": _cached("installer", "[Hh]ash", changed_wheel(append)),
}  # fmt: skip
