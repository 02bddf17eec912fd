"""Where the code of an AArch64 ELF file is; pyelftools parses the headers."""

from __future__ import annotations

import io
from collections.abc import Iterator

from elftools.common.exceptions import ELFError
from elftools.common.utils import struct_parse
from elftools.construct import Container, Struct
from elftools.elf.constants import P_FLAGS, SH_FLAGS
from elftools.elf.elffile import ELFFile

MAGIC = b"\x7fELF"


class DamagedError(ValueError):
    """The headers of an ELF file point outside the file."""


def executable_ranges(data: bytes) -> list[tuple[int, int]]:
    """List the executable sections of an AArch64 file; its executable segments if it has no section table.

    Section names are not read: a stripped file may have none, and they do not matter here.

    Args:
        data: the whole file.

    Returns:
        offset and size of each, in bytes; empty for any file that is not a little-endian 64-bit AArch64 ELF file.

    Raises:
        DamagedError: a header or a section lies outside the file.
    """
    try:
        file = ELFFile(io.BytesIO(data))
    except ELFError:
        return []
    if file.elfclass != 64 or not file.little_endian or file["e_machine"] != "EM_AARCH64":  # noqa: PLR2004 - bits
        return []
    try:
        ranges = _section_ranges(file) if file["e_shoff"] else _segment_ranges(file)
    except ELFError as error:
        raise DamagedError(f"a header cannot be read: {error}") from error
    if any(offset + size > len(data) for offset, size in ranges):
        raise DamagedError("an executable section lies outside the file")
    return ranges


def _section_ranges(file: ELFFile) -> list[tuple[int, int]]:
    count = max(file.num_sections(), 1)  # a table holds at least the null section
    headers = _read_table(file, file.structs.Elf_Shdr, file["e_shoff"], file["e_shentsize"], count)
    return [
        (header["sh_offset"], header["sh_size"])
        for header in headers
        if header["sh_type"] == "SHT_PROGBITS" and header["sh_flags"] & SH_FLAGS.SHF_EXECINSTR
    ]


def _segment_ranges(file: ELFFile) -> list[tuple[int, int]]:
    headers = _read_table(file, file.structs.Elf_Phdr, file["e_phoff"], file["e_phentsize"], file["e_phnum"])
    return [
        (header["p_offset"], header["p_filesz"])
        for header in headers
        if header["p_type"] == "PT_LOAD" and header["p_flags"] & P_FLAGS.PF_X
    ]


def _read_table(file: ELFFile, entry: Struct, start: int, size: int, count: int) -> Iterator[Container]:
    """Read a table of headers, after checking that all of it is in the file: a damaged count can be 2^60."""
    if count and (size < entry.sizeof() or start + size * count > file.stream_len):
        raise DamagedError("the table of sections or segments lies outside the file")
    return (struct_parse(entry, file.stream, start + size * index) for index in range(count))
