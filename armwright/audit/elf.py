"""Which bytes of an AArch64 ELF file the loader maps as executable, and which of those are code.

The loader reads segments, never sections: a wrong flag in the section table, or a missing table, changes nothing at run
time. So every byte in the pages of an executable segment is code here, with one exception. Linkers put constants and
tables into the same segment as code. A section that is not executable is left out if it lies before or after all
executable sections and contains no return instruction. Of such a section, entries.py finds what is code nevertheless.
In a segment without any executable section nothing is left out. pyelftools parses the headers.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
from elftools.common.exceptions import ELFError
from elftools.common.utils import struct_parse
from elftools.construct import Container, Struct
from elftools.elf.constants import P_FLAGS, SH_FLAGS
from elftools.elf.elffile import ELFFile

from armwright.audit import entries
from armwright.audit.entries import WORD, Mapped, Range

MAGIC = b"\x7fELF"
_PAGE = 1 << 16  # bytes; AArch64 kernels use pages of 4, 16 or 64 KiB, and map whole ones
# ret, retaa, retab (Arm ARM, C6.2). In none of the 137 libraries of pytorch-2.10.0-n1-acl, a section of constants that
# shares a segment with code has one of these words.
_RETURNS = (0xD65F03C0, 0xD65F0BFF, 0xD65F0FFF)


class DamagedError(ValueError):
    """The headers of an ELF file point outside the file."""


def executable_ranges(data: bytes) -> list[tuple[int, int]]:
    """List the code that the loader maps as executable; in an object file, which has no segments, its sections.

    Args:
        data: the whole file.

    Returns:
        offset and size of each piece of code, in bytes; empty for a file that is not a little-endian 64-bit AArch64
        ELF file.

    Raises:
        DamagedError: a header, or what a header describes, lies outside the file.
    """
    try:
        file = ELFFile(io.BytesIO(data))
    except ELFError:
        return []
    if file.elfclass != 64 or not file.little_endian or file["e_machine"] != "EM_AARCH64":  # noqa: PLR2004 - bits
        return []
    try:
        loaded, sections = list(_read_segments(file, "PT_LOAD")), list(_read_sections(file))
        dynamic = [(part.start, part.end) for part, _ in _read_segments(file, "PT_DYNAMIC")]
    except ELFError as error:
        raise DamagedError(f"a header cannot be read: {error}") from error
    segments = [part for part, executable in loaded if executable]
    code = [section for section, executable in sections if executable]
    if any(end > len(data) for end in (*(part.end for part in segments), *(end for _, end in code))):
        raise DamagedError("an executable segment or section lies outside the file")
    if not file["e_phnum"]:
        return [(start, end - start) for start, end in code]
    headers = [(0, file["e_ehsize"]), _table_range(file, "ph"), _table_range(file, "sh")]
    tables = [section for section, executable in sections if not executable]
    counted: list[Mapped] = []
    left_out: list[Mapped] = []
    for part in segments:
        pages = (part.start // _PAGE * _PAGE, min(len(data), -(-part.end // _PAGE) * _PAGE))
        holes = [hole for hole in (*headers, *_find_tables(data, pages, code, tables)) if _overlap(hole, pages)]
        counted += (Mapped(*rest, part.shift) for rest in _subtract(pages, holes))
        left_out += (Mapped(max(hole[0], pages[0]), min(hole[1], pages[1]), part.shift) for hole in holes)
    known = entries.list_addresses(data, [part for part, _ in loaded], dynamic, file["e_entry"])
    ranges = [*((part.start, part.end) for part in counted), *entries.find_runs(data, counted, left_out, known)]
    return [(start, end - start) for start, end in ranges]


def _overlap(first: Range, second: Range) -> bool:
    return first[0] < second[1] and first[1] > second[0]


def _find_tables(data: bytes, pages: Range, code: Sequence[Range], tables: Sequence[Range]) -> Iterator[Range]:
    """Yield the sections in the pages of an executable segment that are really no code."""
    inside = [section for section in code if _overlap(section, pages)]
    if not inside:
        return
    first, last = min(start for start, _ in inside), max(end for _, end in inside)
    for table in tables:
        beside = table[1] <= first or table[0] >= last
        if beside and _overlap(table, pages) and not np.isin(entries.read_aligned(data, *table), _RETURNS).any():
            yield table


def _subtract(whole: Range, holes: Sequence[Range]) -> Iterator[Range]:
    """Yield what is left of a range without the holes, aligned to instructions."""
    position = whole[0]
    for start, end in [*sorted(holes), (whole[1], whole[1])]:
        stop = min(start, whole[1]) // WORD * WORD
        if stop > position:
            yield position, stop
        position = max(position, -(-end // WORD) * WORD)


def _read_segments(file: ELFFile, kind: str) -> Iterator[tuple[Mapped, bool]]:
    """Yield the bytes of each segment of a kind in the file, and whether it is executable."""
    for header in _read_table(file, file.structs.Elf_Phdr, "ph", file["e_phnum"]):
        if header["p_type"] == kind:
            part = Mapped.at_address(header["p_offset"], header["p_filesz"], header["p_vaddr"])
            yield part, bool(header["p_flags"] & P_FLAGS.PF_X)


def _read_sections(file: ELFFile) -> Iterator[tuple[Range, bool]]:
    """Yield the bytes of each section in the file, and whether it is executable. Names are not read."""
    if not file["e_shoff"]:
        return
    count = max(file.num_sections(), 1)  # a table holds at least the null section
    for header in _read_table(file, file.structs.Elf_Shdr, "sh", count):
        if header["sh_type"] not in {"SHT_NULL", "SHT_NOBITS"}:
            executable = header["sh_type"] == "SHT_PROGBITS" and header["sh_flags"] & SH_FLAGS.SHF_EXECINSTR
            yield (header["sh_offset"], header["sh_offset"] + header["sh_size"]), bool(executable)


def _table_range(file: ELFFile, kind: str) -> Range:
    """Return the bytes of the table of segments (`ph`) or sections (`sh`)."""
    count = file["e_phnum"] if kind == "ph" else file.num_sections()
    start = file[f"e_{kind}off"]
    return (start, start + file[f"e_{kind}entsize"] * count) if start else (0, 0)


def _read_table(file: ELFFile, entry: Struct, kind: str, count: int) -> Iterator[Container]:
    """Read a table of headers, after checking that all of it is in the file: a damaged count can be 2^60."""
    start, size = file[f"e_{kind}off"], file[f"e_{kind}entsize"]
    if count and (size < entry.sizeof() or start + size * count > file.stream_len):
        raise DamagedError("the table of sections or segments lies outside the file")
    return (struct_parse(entry, file.stream, start + size * index) for index in range(count))
