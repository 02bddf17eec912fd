"""Which bytes of an AArch64 ELF file the loader maps as executable, and which of those are code.

The loader reads segments, never sections: a wrong flag in the section table, or a missing table, changes nothing at run
time. So every byte in the pages of an executable segment is code here, with one exception. Linkers put constants and
tables into the same segment as code. A section that is not executable is left out if it lies before or after all
executable sections and contains no return instruction. pyelftools parses the headers.
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

MAGIC = b"\x7fELF"
_PAGE = 1 << 16  # bytes; AArch64 kernels use pages of 4, 16 or 64 KiB, and map whole ones
_WORD = 4  # bytes of an instruction
# ret, retaa, retab (Arm ARM, C6.2). In none of the 137 libraries of pytorch-2.10.0-n1-acl, a section of constants that
# shares a segment with code has one of these words.
_RETURNS = (0xD65F03C0, 0xD65F0BFF, 0xD65F0FFF)
Range = tuple[int, int]  # the file offsets of the first byte, and of the first byte after it


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
        segments, sections = list(_read_segments(file)), list(_read_sections(file))
    except ELFError as error:
        raise DamagedError(f"a header cannot be read: {error}") from error
    code = [section for section, executable in sections if executable]
    if any(end > len(data) for _, end in (*segments, *code)):
        raise DamagedError("an executable segment or section lies outside the file")
    if not file["e_phnum"]:
        return [(start, end - start) for start, end in code]
    headers = [(0, file["e_ehsize"]), _table_range(file, "ph"), _table_range(file, "sh")]
    tables = [section for section, executable in sections if not executable]
    ranges: list[Range] = []
    for segment in segments:
        pages = (segment[0] // _PAGE * _PAGE, min(len(data), -(-segment[1] // _PAGE) * _PAGE))
        ranges += _subtract(pages, [*headers, *_find_tables(data, pages, code, tables)])
    return [(start, end - start) for start, end in ranges]


def _find_tables(data: bytes, pages: Range, code: Sequence[Range], tables: Sequence[Range]) -> Iterator[Range]:
    """Yield the sections in the pages of an executable segment that are really no code."""
    inside = [section for section in code if section[0] < pages[1] and section[1] > pages[0]]
    first = min((start for start, _ in inside), default=pages[1])
    last = max((end for _, end in inside), default=first)
    for start, end in tables:
        beside = end <= first or start >= last
        if beside and start < pages[1] and end > pages[0] and not _has_return(data, start, min(end, len(data))):
            yield start, end


def _has_return(data: bytes, start: int, end: int) -> bool:
    start = -(-start // _WORD) * _WORD
    words = np.frombuffer(data, "<u4", max(0, end - start) // _WORD, start)
    return bool(np.isin(words, _RETURNS).any())


def _subtract(whole: Range, holes: Sequence[Range]) -> Iterator[Range]:
    """Yield what is left of a range without the holes, aligned to instructions."""
    position = whole[0]
    for start, end in [*sorted(holes), (whole[1], whole[1])]:
        stop = min(start, whole[1]) // _WORD * _WORD
        if stop > position:
            yield position, stop
        position = max(position, -(-end // _WORD) * _WORD)


def _read_segments(file: ELFFile) -> Iterator[Range]:
    """Yield the bytes of each executable segment in the file."""
    for header in _read_table(file, file.structs.Elf_Phdr, "ph", file["e_phnum"]):
        if header["p_type"] == "PT_LOAD" and header["p_flags"] & P_FLAGS.PF_X:
            yield header["p_offset"], header["p_offset"] + header["p_filesz"]


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
