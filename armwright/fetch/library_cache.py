"""Writes /etc/ld.so.cache, the index of a root's shared libraries, as `ldconfig` does where packages are installed.

No program of the image runs during a build, and another architecture's `ldconfig` refuses its libraries. Without the
index `ldconfig -p` fails, and with it Python's `ctypes.util.find_library`. Format: glibc, `sysdeps/generic/dl-cache.h`
(cache_file_new, which has had this form since 2.2) and the order of `_dl_cache_libcmp` in `elf/dl-cache.c`.
"""

from __future__ import annotations

import re
import struct
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from armwright.system.files import has_seal, seal, write_whole

FOLDERS = ("usr/lib/aarch64-linux-gnu", "usr/lib")  # where the loader looks by default, in its order
_LIBRARY = re.compile(r"(lib|ld-)[^/]*\.so(\.[^/]*)?")
_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER, _ENTRY = struct.Struct("<20sIIB3xI12x"), struct.Struct("<iIIIQ")
_LITTLE_ENDIAN = 2  # cache_file_new_flags_endian_little
_AARCH64 = 0x0A03  # FLAG_AARCH64_LIB64 | FLAG_ELF_LIBC6


def ensure_library_cache(root: Path) -> Path:
    """Return the index of a root's libraries, a file beside its tar; write it if it is not there.

    Args:
        root: the tar of a root file system.
    """
    destination = root.with_suffix(".libraries")
    if not has_seal(destination):
        with tarfile.open(root) as archive:
            links = {member.name.removeprefix("./"): member.linkname for member in archive if not member.isdir()}
        write_whole(destination, format_library_cache(find_libraries(links)))
        seal(destination)
    return destination


def find_libraries(links: dict[str, str]) -> dict[str, str]:
    """Return the libraries that programs ask for, name to path.

    A package has a library under the name in its header, or a link of that name to it.

    Args:
        links: the files of a root by path; for links where they lead, for other files an empty text.
    """
    found: dict[str, str] = {}
    for folder in reversed(FOLDERS):
        here = {PurePosixPath(path).name: to for path, to in links.items() if str(PurePosixPath(path).parent) == folder}
        behind = {to for to in here.values() if to in here}
        found |= {name: f"/{folder}/{name}" for name in here if _LIBRARY.fullmatch(name) and name not in behind}
    return found


def format_library_cache(libraries: dict[str, str]) -> bytes:
    """Return the index in glibc's format.

    Args:
        libraries: name to path.
    """
    names = sorted(libraries, key=_order, reverse=True)
    start = _HEADER.size + _ENTRY.size * len(names)
    strings, entries = b"", b""
    for name in names:
        key = start + len(strings)
        strings += name.encode() + b"\0"
        entries += _ENTRY.pack(_AARCH64, key, start + len(strings), 0, 0)
        strings += libraries[name].encode() + b"\0"
    return _HEADER.pack(_MAGIC, len(names), len(strings), _LITTLE_ENDIAN, 0) + entries + strings


def _order(name: str) -> list[tuple[int, int]]:
    """Return a key that sorts as glibc does: digits as numbers, after every other character."""
    parts: Iterable[str] = re.findall(r"[0-9]+|[^0-9]", name)
    return [(1, int(part)) if part.isdigit() else (0, ord(part)) for part in parts]
