"""Makes small AArch64 ELF files from given instruction words, for the tests of the audit."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

PROGBITS, NOBITS = 1, 8
ALLOC, EXECINSTR = 2, 4
NOP, RET = 0xD503201F, 0xD65F03C0


def elf(
    *code: Sequence[int], data: Iterable[int] = (), machine: int = 183, sections: bool = True, beyond: int = 0
) -> bytes:
    """Make an ELF file.

    Args:
        code: instruction words, one sequence per executable section.
        data: words of a section that is not executable.
        machine: the value of e_machine; 183 is AArch64.
        sections: False leaves out the section table, as in a stripped file; one segment then holds everything.
        beyond: bytes that the last executable section claims beyond its real end.
    """
    blocks = [(struct.pack(f"<{len(section)}I", *section), ALLOC | EXECINSTR) for section in code]
    words = list(data)
    blocks.append((struct.pack(f"<{len(words)}I", *words), ALLOC))
    start = 64 + 56
    body = b"".join(block for block, _ in blocks)
    table = b"\0" * 64
    offset = start
    for number, (block, flags) in enumerate(blocks):
        size = len(block) + (beyond if number == len(code) - 1 else 0)
        table += struct.pack("<IIQQQQIIQQ", 0, PROGBITS, flags, offset, offset, size, 0, 0, 4, 0)
        offset += len(block)
    segment = struct.pack("<IIQQQQQQ", 1, 5, start, start, start, len(body), len(body), 4)
    number = len(blocks) + 1 if sections else 0
    identity = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        identity, 3, machine, 1, 0, 64, start + len(body) if sections else 0, 0, 64, 56, 1, 64, number, 0,
    )  # fmt: skip
    return header + segment + body + (table if sections else b"")
