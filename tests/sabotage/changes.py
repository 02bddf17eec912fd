"""The files that sabotages put over a good image, made from the good one's own."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from elftools.elf.elffile import ELFFile

from armwright.engine.client import Image
from armwright.engine.containers import PLATFORM
from armwright.plan.image_facts import HOME
from armwright.plan.plan import Plan
from armwright.system import process

Files = dict[str, bytes]
Arrays = dict[str, npt.NDArray[Any]]
OURS = f"/{HOME}"
LENET = "smoke/lenet"
# What an AArch64 function does that returns arm_compute::Status{RUNTIME_ERROR, ""} through x8:
# add x9,x8,#24; str x9,[x8,#8]; str xzr,[x8,#16]; strb wzr,[x8,#24]; mov w9,#1; str w9,[x8]; ret
REFUSE = b"".join(
    word.to_bytes(4, "little")
    for word in (0x91006109, 0xF9000509, 0xF900091F, 0x3900611F, 0x52800029, 0xB9000109, 0xD65F03C0)
)
ASKED = re.compile(r"^_ZN11arm_compute.*Conv.*(8validateE|12has_opt_implE)")


@dataclass(frozen=True)
class Good:
    """The good image: its plan, its name and what the engine knows, a proof's document, the site directory."""

    root: Path
    plan: Plan
    reference: str
    image: Image
    site: str
    proof: Callable[[], dict[str, Any]]

    def own(self, name: str) -> bytes:
        """Return one of our own files in the image."""
        return self.plan.files[f"image/{HOME}/{name}"]

    def take(self, path: str) -> tuple[str, bytes]:
        """Take a file out of the image, as large as a framework's library.

        Args:
            path: from the site directory on; its last part may have wildcards, as wheels put hashes into names.

        Returns:
            its absolute path, and its content.
        """
        docker = process.require("docker")
        place = PurePosixPath(self.site) / path
        source = place.parent if "*" in place.name else place
        container = process.capture([docker, "create", "--platform", PLATFORM, self.reference]).strip()
        try:
            with subprocess.Popen([docker, "cp", f"{container}:{source}", "-"], stdout=subprocess.PIPE) as child:
                found = _first(child.stdout, place.name)
        finally:
            process.capture([docker, "rm", container])
        assert found is not None, f"the image has no {place}"
        return str(place.with_name(found[0])), found[1]


def _first(stream: Any, pattern: str) -> tuple[str, bytes] | None:  # noqa: ANN401 - a pipe
    """Return the first file of a streamed tar with a name; the rest is read, or the sender would be cut off."""
    found = None
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            name = PurePosixPath(member.name).name
            if found is None and member.isreg() and fnmatchcase(name, pattern):
                content = archive.extractfile(member)
                found = (name, content.read()) if content else None
    return found


def script(name: str, text: str) -> Callable[[Good], Files]:
    """Put a text in the place of one of our own files."""
    return lambda _: {f"{OURS}/{name}": text.encode()}


def appended(name: str, text: str) -> Callable[[Good], Files]:
    """Add lines to one of our own files."""
    return lambda good: {f"{OURS}/{name}": good.own(name) + text.encode()}


def at_site(name: str, text: str = "") -> Callable[[Good], Files]:
    """Put a text into the site directory."""
    return lambda good: {f"{good.site}/{name}": text.encode()}


def overlay(name: str) -> Callable[[Good], Files]:
    """Take what switches another backend on."""

    def make(good: Good) -> Files:
        folder = good.root / "scripts" / "overlays" / name
        paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        return {f"{good.site}/{path.relative_to(folder)}": path.read_bytes() for path in paths}

    return make


def facts(change: Callable[[Any], object]) -> Callable[[Good], Files]:
    """Change image.json, which says what the image is and what its proof asks."""

    def make(good: Good) -> Files:
        document = json.loads(good.own("image.json"))
        change(document)
        return {f"{OURS}/image.json": json.dumps(document).encode()}

    return make


def arrays(*changes: tuple[str, Callable[[Arrays], object]], hashes: bool) -> Callable[[Good], Files]:
    """Change arrays of the LeNet.

    Args:
        changes: file and change.
        hashes: change what image.json says of them too, so that the image believes its files.
    """

    def make(good: Good) -> Files:
        files: Files = {}
        for name, change in changes:
            with np.load(io.BytesIO(good.own(f"{LENET}/{name}"))) as archive:
                found = dict(archive)
            change(found)
            buffer = io.BytesIO()
            np.savez(buffer, **found)
            files[f"{OURS}/{LENET}/{name}"] = buffer.getvalue()
        return files | (_hashes(files)(good) if hashes else {})

    return make


def manifest(change: Callable[[Any], object]) -> Callable[[Good], Files]:
    """Change what is tolerated of the LeNet, and the file's hash with it."""

    def make(good: Good) -> Files:
        document = json.loads(good.own(f"{LENET}/manifest.json"))
        change(document)
        files = {f"{OURS}/{LENET}/manifest.json": json.dumps(document).encode()}
        return files | _hashes(files)(good)

    return make


def _hashes(files: Files) -> Callable[[Good], Files]:
    digests = {path.removeprefix(f"{OURS}/"): hashlib.sha256(data).hexdigest() for path, data in files.items()}
    return facts(lambda document: document["smoke"]["files"].update(digests))


def add(name: str, amount: float, *at: int) -> Callable[[Arrays], object]:
    """Add to one value."""

    def change(found: Arrays) -> None:
        found[name][at] += np.float32(amount)

    return change


def zero(name: str) -> Callable[[Arrays], object]:
    """Make all values of an array zero."""
    return lambda found: found[name].fill(0)


def turn(name: str) -> Callable[[Arrays], object]:
    """Turn the first axis round, so that every value is there, at another place."""

    def change(found: Arrays) -> None:
        found[name] = found[name][::-1].copy()

    return change


def patched(path: str, old: bytes, new: bytes) -> Callable[[Good], Files]:
    """Replace bytes of a library by as many others, wherever they are."""
    assert len(old) == len(new)

    def make(good: Good) -> Files:
        place, data = good.take(path)
        assert old in data, f"{place} does not hold {old!r}"
        return {place: data.replace(old, new)}

    return make


def swapped(path: str, other: str) -> Callable[[Good], Files]:
    """Put another library of the image into a library's place."""
    return lambda good: {good.take(path)[0]: good.take(other)[1]}


def emptied(path: str) -> Callable[[Good], Files]:
    """Leave a library's name, with nothing in it."""
    return lambda good: {good.take(path)[0]: b""}


def rewritten(path: str, old: str, new: str) -> Callable[[Good], Files]:
    """Change a text."""

    def make(good: Good) -> Files:
        place, data = good.take(path)
        assert old in data.decode(), f"{place} does not hold {old!r}"
        return {place: data.decode().replace(old, new).encode()}

    return make


def module(path: str, old: str, new: str) -> Callable[[Good], Files]:
    """Change a module of a package; its byte-code is emptied, or Python would never look at the change."""

    def make(good: Good) -> Files:
        files = rewritten(path, old, new)(good)
        (place,) = map(PurePosixPath, files)
        tag = f"cpython-{good.plan.base.python.replace('.', '')}"
        return files | {str(place.parent / "__pycache__" / f"{place.stem}.{tag}.pyc"): b""}

    return make


def metadata(package: str, old: str, new: str) -> Callable[[Good], Files]:
    """Change what a package says of itself."""

    def make(good: Good) -> Files:
        version = json.loads(good.own("image.json"))["packages"][package]
        return rewritten(f"{package}-{version}.dist-info/METADATA", old, new)(good)

    return make


def refused(path: str) -> Callable[[Good], Files]:
    """Make the Arm Compute Library refuse every convolution, so that oneDNN falls back to its own reference code."""

    def make(good: Good) -> Files:
        place, data = good.take(path)
        library = bytearray(data)
        elf: Any = ELFFile(io.BytesIO(data))
        patches = 0
        for symbol in elf.get_section_by_name(".dynsym").iter_symbols():
            if ASKED.match(symbol.name) and symbol["st_shndx"] != "SHN_UNDEF" and symbol["st_size"] >= len(REFUSE):
                start = next(iter(elf.address_offsets(symbol["st_value"])))
                library[start : start + len(REFUSE)] = REFUSE
                patches += 1
        assert patches > 10
        return {place: bytes(library)}

    return make


def replayed(path: str, program: str = "REPORT", combo: str = "") -> Callable[[Good], Files]:
    """Put the report of the good image into a file.

    Args:
        path: where; SITE in it stands for the site directory.
        program: what is in the file; REPORT in it stands for the report.
        combo: let the report be of another combo.
    """

    def make(good: Good) -> Files:
        report = {**good.proof()["report"], **({"combo": combo} if combo else {})}
        place = path.replace("SITE", good.site)
        return {place: program.replace("REPORT", json.dumps(report)).encode()}

    return make


def both(*parts: Callable[[Good], Files]) -> Callable[[Good], Files]:
    """Do several things to one image."""

    def make(good: Good) -> Files:
        files: Files = {}
        for part in parts:
            files |= part(good)
        return files

    return make
