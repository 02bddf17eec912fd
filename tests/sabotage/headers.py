"""Tamperings with the headers of ELF files, and with the results of earlier scans, that would hide code from the audit.

The loader reads segments. The code here is mapped as executable in every case, or nothing changed but a cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from armwright.audit import image_audit
from armwright.audit.encodings import load_dispatch, load_instructions
from armwright.engine.client import Image
from armwright.system.errors import FailedError
from tests.elf import NOP, RET, elf
from tests.sabotage.ledger import Outcome
from tests.sabotage.tampering import COMBO, Tampering, Workplace
from tests.support import Tree

SVE, BRANCH = 0x04A00000, 0x14000000  # an instruction above the floor of n1, and a jump in place of a return
LIBRARY, CLEAN = "usr/lib/planted/libone.so", "usr/lib/planted/libclean.so"
CODE, HARMLESS = elf([NOP, SVE, RET]), elf([NOP, NOP, RET])
SECTIONS, NUMBER, NAMES = 40, 60, 62  # of the section table in the ELF header: its offset, entries, entry of names
TYPE, FLAGS, OFFSET, SIZE = 4, 8, 24, 32  # offsets in a section's header
FILE_SIZE = 64 + 32  # the size in the file of the only segment
ENTRY = 64  # bytes of a section's header


class OneExport:
    """An engine that exports an image of the given files."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files

    @contextlib.contextmanager
    def export(self, _: str) -> Iterator[IO[bytes]]:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, data in self.files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        buffer.seek(0)
        yield buffer


def audit(place: Workplace, tree: Tree, files: Mapping[str, bytes], number: int = 1) -> Outcome:
    """Audit an image; the check fails if something above the floor was found."""
    engine: Any = OneExport(files)
    image = Image(f"sha256:{number:064x}", {"org.armwright.combo": COMBO}, 1, 2, "linux/arm64")
    try:
        audit = image_audit.audit_image(tree.root, engine, "any", image, place.matrix.recipes.targets["n1"])
    except FailedError as error:
        return Outcome({"audit": error.what})
    found = [f"{row.feature} in {row.path}" for row in audit.findings]
    return Outcome({"audit": "; ".join(found)}) if found else Outcome({}, ["audit"])


def packed(change: Callable[[bytearray], object], code: bytes = CODE) -> Callable[[Workplace], Outcome]:
    """Change an ELF file in an image."""

    def attempt(place: Workplace) -> Outcome:
        data = bytearray(code)
        change(data)
        return audit(place, Tree(place.folder / "project"), {LIBRARY: bytes(data), CLEAN: HARMLESS})

    return attempt


def set_section(field: int, value: int, size: str = "<Q") -> Callable[[bytearray], object]:
    """Set a field in the header of the section with the code."""

    def change(data: bytearray) -> None:
        (table,) = struct.unpack_from("<Q", data, SECTIONS)
        struct.pack_into(size, data, table + ENTRY + field, value)

    return change


def set_header(field: int, value: int, size: str = "<H") -> Callable[[bytearray], object]:
    """Set a field in the header of the file, or of its segment."""
    return lambda data: struct.pack_into(size, data, field, value)


def drop_table(data: bytearray) -> None:
    struct.pack_into("<Q", data, SECTIONS, 0)
    struct.pack_into("<H", data, NUMBER, 0)


def rescanned(change: Callable[[Path], object]) -> Callable[[Workplace], Outcome]:
    """Change the results of an audit, and audit the same image again.

    Args:
        change: gets the folder of the results.
    """

    def attempt(place: Workplace) -> Outcome:
        tree, files = Tree(place.folder / "project"), {LIBRARY: CODE, CLEAN: HARMLESS}
        assert audit(place, tree, files).failed
        assert not audit(place, tree, {CLEAN: HARMLESS}, 2).failed
        (folder,) = (tree.root / "build" / "audit").iterdir()
        change(folder)
        return audit(place, tree, files)

    return attempt


def result_path(folder: Path, data: bytes) -> Path:
    return folder / f"{hashlib.sha256(data).hexdigest()}.json"


def list_path(folder: Path, number: int = 1) -> Path:
    """Return the list of files of an image."""
    return folder / "images" / f"{number:064x}.json"


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    """Edit a result, and leave the digest above it."""
    digest, _, content = path.read_text().partition("\n")
    path.write_text(f"{digest}\n{json.dumps(change(json.loads(content)))}")


def copy(source: Path, destination: Path) -> None:
    destination.write_bytes(source.read_bytes())


def declared_elsewhere(place: Workplace) -> Outcome:
    """Put a library into another folder whose path ends as that of a declared one."""
    tree = Tree(place.folder / "project")
    declared = load_dispatch(tree.root, load_instructions(tree.root))
    globs = [glob for entry in declared if "sve" in entry.features and not entry.within for glob in entry.paths]
    path = f"home/armwright/planted/{globs[0].replace('*', 'x')}"
    return audit(place, tree, {path: CODE})


def _hidden(pattern: str, attempt: Callable[[Workplace], Outcome]) -> Tampering:
    return Tampering("code", "audit", pattern, attempt)


FOUND = f"sve in {LIBRARY}"
HEADERS: Mapping[str, Tampering] = {
    "code in a section that is not called executable": _hidden(FOUND, packed(set_section(FLAGS, 2))),
    "code in a section that is called empty": _hidden(FOUND, packed(set_section(TYPE, 8, "<I"))),
    "code in a section that is called a note": _hidden(FOUND, packed(set_section(TYPE, 7, "<I"))),
    "a section that ends before its code": _hidden(FOUND, packed(set_section(SIZE, 4))),
    "a section that begins behind its code": _hidden(FOUND, packed(set_section(OFFSET, 64 + 56 + 8))),
    "code in a file without sections": _hidden(FOUND, packed(drop_table)),
    "a segment that ends before its code": _hidden(FOUND, packed(set_header(FILE_SIZE, 4, "<Q"))),
    "more sections than the file has": _hidden("damaged", packed(set_header(NUMBER, 60_000))),
    "a table of sections outside of the file": _hidden("damaged", packed(set_header(SECTIONS, 1 << 40, "<Q"))),
    "names of sections that are nowhere": _hidden(FOUND, packed(set_header(NAMES, 9))),
    "code without a return in a section of constants": _hidden(
        FOUND, packed(set_section(FLAGS, 2), elf([NOP, SVE, BRANCH]))
    ),
    "a library in a folder that is named as a declared one": _hidden("sve", declared_elsewhere),
    "a scan without its instructions": _hidden(
        FOUND, rescanned(lambda folder: edit(result_path(folder, CODE), lambda _: []))
    ),
    "a scan of an image without one of its files": _hidden(
        FOUND, rescanned(lambda folder: edit(list_path(folder), lambda codes: codes[1:]))
    ),
    "a scan whose digest is gone": _hidden(
        FOUND, rescanned(lambda folder: result_path(folder, CODE).write_text("\n[]"))
    ),
    "a scan that is empty": _hidden(FOUND, rescanned(lambda folder: result_path(folder, CODE).write_text(""))),
    "the scan of another file": _hidden(
        FOUND, rescanned(lambda folder: copy(result_path(folder, HARMLESS), result_path(folder, CODE)))
    ),
    "the scan of another image": _hidden(
        FOUND, rescanned(lambda folder: copy(list_path(folder, 2), list_path(folder)))
    ),
}  # fmt: skip
