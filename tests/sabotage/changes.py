"""Makes the files that sabotages put over a good image, from the good image's own."""

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
# An AArch64 function that returns arm_compute::Status{RUNTIME_ERROR, ""} through x8:
# add x9,x8,#24; str x9,[x8,#8]; str xzr,[x8,#16]; strb wzr,[x8,#24]; mov w9,#1; str w9,[x8]; ret
RETURN_ERROR = b"".join(
    word.to_bytes(4, "little")
    for word in (0x91006109, 0xF9000509, 0xF900091F, 0x3900611F, 0x52800029, 0xB9000109, 0xD65F03C0)
)
VALIDATORS = re.compile(r"^_ZN11arm_compute.*Conv.*(8validateE|12has_opt_implE)")


@dataclass(frozen=True)
class GoodImage:
    """The good image: its plan, its name, the engine's facts, Python's site directory, and its proof as a document."""

    root: Path
    plan: Plan
    reference: str
    image: Image
    site: str
    proof: Callable[[], dict[str, Any]]

    def own(self, name: str) -> bytes:
        """Return one of Armwright's own files in the image."""
        return self.plan.files[f"image/{HOME}/{name}"]

    def take(self, path: str) -> tuple[str, bytes]:
        """Copy a file out of the image; it may be as large as a framework's library.

        Args:
            path: relative to the site directory; its last part is a glob, because wheels put hashes into file names.

        Returns:
            the absolute path and the content.
        """
        docker = process.require_program("docker")
        place = PurePosixPath(self.site) / path
        source = place.parent if "*" in place.name else place
        container = process.capture([docker, "create", "--platform", PLATFORM, self.reference]).strip()
        try:
            with subprocess.Popen([docker, "cp", f"{container}:{source}", "-"], stdout=subprocess.PIPE) as child:
                match = _first(child.stdout, place.name)
        finally:
            process.capture([docker, "rm", container])
        assert match is not None, f"the image has no {place}"
        return str(place.with_name(match[0])), match[1]


def _first(stream: Any, pattern: str) -> tuple[str, bytes] | None:  # noqa: ANN401 - a pipe
    """Return the first file of a tar stream whose name matches; the rest is read, so that the sender does not fail."""
    match = None
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            name = PurePosixPath(member.name).name
            if match is None and member.isreg() and fnmatchcase(name, pattern):
                content = archive.extractfile(member)
                match = (name, content.read()) if content else None
    return match


def script(name: str, text: str) -> Callable[[GoodImage], Files]:
    """Replace one of Armwright's own files."""
    return lambda _: {f"{OURS}/{name}": text.encode()}


def appended(name: str, text: str) -> Callable[[GoodImage], Files]:
    """Append to one of Armwright's own files."""
    return lambda good: {f"{OURS}/{name}": good.own(name) + text.encode()}


def at_site(name: str, text: str = "") -> Callable[[GoodImage], Files]:
    """Add a file to the site directory."""
    return lambda good: {f"{good.site}/{name}": text.encode()}


def overlay(name: str) -> Callable[[GoodImage], Files]:
    """Add the files that switch another backend on."""

    def make(good: GoodImage) -> Files:
        folder = good.root / "scripts" / "overlays" / name
        paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        return {f"{good.site}/{path.relative_to(folder)}": path.read_bytes() for path in paths}

    return make


def facts(change: Callable[[Any], object]) -> Callable[[GoodImage], Files]:
    """Change image.json, the image's facts and the requirements of its smoke run."""

    def make(good: GoodImage) -> Files:
        document = json.loads(good.own("image.json"))
        change(document)
        return {f"{OURS}/image.json": json.dumps(document).encode()}

    return make


def arrays(*changes: tuple[str, Callable[[Arrays], object]], hashes: bool) -> Callable[[GoodImage], Files]:
    """Change arrays of LeNet.

    Args:
        changes: pairs of a file and a change.
        hashes: update the hashes in image.json too, so that the smoke run accepts the files.
    """

    def make(good: GoodImage) -> Files:
        files: Files = {}
        for name, change in changes:
            with np.load(io.BytesIO(good.own(f"{LENET}/{name}"))) as archive:
                values = dict(archive)
            change(values)
            buffer = io.BytesIO()
            np.savez(buffer, **values)
            files[f"{OURS}/{LENET}/{name}"] = buffer.getvalue()
        return files | (_hashes(files)(good) if hashes else {})

    return make


def manifest(change: Callable[[Any], object]) -> Callable[[GoodImage], Files]:
    """Change the manifest of LeNet, and its hash in image.json."""

    def make(good: GoodImage) -> Files:
        document = json.loads(good.own(f"{LENET}/manifest.json"))
        change(document)
        files = {f"{OURS}/{LENET}/manifest.json": json.dumps(document).encode()}
        return files | _hashes(files)(good)

    return make


def _hashes(files: Files) -> Callable[[GoodImage], Files]:
    digests = {path.removeprefix(f"{OURS}/"): hashlib.sha256(data).hexdigest() for path, data in files.items()}
    return facts(lambda document: document["smoke"]["files"].update(digests))


def add(name: str, amount: float, *at: int) -> Callable[[Arrays], object]:
    """Add to one value."""

    def change(values: Arrays) -> None:
        values[name][at] += np.float32(amount)

    return change


def zero(name: str) -> Callable[[Arrays], object]:
    """Set all values of an array to zero."""
    return lambda values: values[name].fill(0)


def reverse(name: str) -> Callable[[Arrays], object]:
    """Reverse the first axis: every value stays, at another place."""

    def change(values: Arrays) -> None:
        values[name] = values[name][::-1].copy()

    return change


def patched(path: str, old: bytes, new: bytes) -> Callable[[GoodImage], Files]:
    """Replace bytes of a library by others of the same number, everywhere."""
    assert len(old) == len(new)

    def make(good: GoodImage) -> Files:
        place, data = good.take(path)
        assert old in data, f"{place} does not hold {old!r}"
        return {place: data.replace(old, new)}

    return make


def swapped(path: str, other: str) -> Callable[[GoodImage], Files]:
    """Replace a library by another library of the image."""
    return lambda good: {good.take(path)[0]: good.take(other)[1]}


def emptied(path: str) -> Callable[[GoodImage], Files]:
    """Empty a library."""
    return lambda good: {good.take(path)[0]: b""}


def rewritten(path: str, old: str, new: str) -> Callable[[GoodImage], Files]:
    """Replace text in a file."""

    def make(good: GoodImage) -> Files:
        place, data = good.take(path)
        assert old in data.decode(), f"{place} does not hold {old!r}"
        return {place: data.decode().replace(old, new).encode()}

    return make


def module(path: str, old: str, new: str) -> Callable[[GoodImage], Files]:
    """Replace text in a module, and empty its byte code, so that Python reads the module."""

    def make(good: GoodImage) -> Files:
        files = rewritten(path, old, new)(good)
        (place,) = map(PurePosixPath, files)
        tag = f"cpython-{good.plan.base.python.replace('.', '')}"
        return files | {str(place.parent / "__pycache__" / f"{place.stem}.{tag}.pyc"): b""}

    return make


def metadata(package: str, old: str, new: str) -> Callable[[GoodImage], Files]:
    """Replace text in the metadata of a package."""

    def make(good: GoodImage) -> Files:
        version = json.loads(good.own("image.json"))["packages"][package]
        return rewritten(f"{package}-{version}.dist-info/METADATA", old, new)(good)

    return make


def without_acl_convolutions(path: str) -> Callable[[GoodImage], Files]:
    """Make the Arm Compute Library reject every convolution, so that oneDNN falls back to its reference code."""

    def make(good: GoodImage) -> Files:
        place, data = good.take(path)
        library = bytearray(data)
        elf: Any = ELFFile(io.BytesIO(data))
        patches = 0
        for symbol in elf.get_section_by_name(".dynsym").iter_symbols():
            defined = symbol["st_shndx"] != "SHN_UNDEF" and symbol["st_size"] >= len(RETURN_ERROR)
            if defined and VALIDATORS.match(symbol.name):
                start = next(iter(elf.address_offsets(symbol["st_value"])))
                library[start : start + len(RETURN_ERROR)] = RETURN_ERROR
                patches += 1
        assert patches > 10
        return {place: bytes(library)}

    return make


def replayed(path: str, program: str = "REPORT", combo: str = "") -> Callable[[GoodImage], Files]:
    """Write the report of the good image into a file.

    Args:
        path: the file; SITE stands for the site directory.
        program: the content of the file; REPORT stands for the report.
        combo: the combo to name in the report; empty for the good image's own.
    """

    def make(good: GoodImage) -> Files:
        report = {**good.proof()["report"], **({"combo": combo} if combo else {})}
        place = path.replace("SITE", good.site)
        return {place: program.replace("REPORT", json.dumps(report)).encode()}

    return make


def combined(*parts: Callable[[GoodImage], Files]) -> Callable[[GoodImage], Files]:
    """Apply several changes to one image."""

    def make(good: GoodImage) -> Files:
        files: Files = {}
        for part in parts:
            files |= part(good)
        return files

    return make
