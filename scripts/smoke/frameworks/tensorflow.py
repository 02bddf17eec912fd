"""TensorFlow for the smoke run: its versions and its operators."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

_DISTRIBUTIONS = {"tensorflow": "tensorflow", "tensorflow-cpu-aws": "tensorflow_cpu_aws"}  # the second until 2.15
_PACKAGE = Path(tf.__file__).parent
_LIBRARY = _PACKAGE / "libtensorflow_cc.so.2"  # contains all compute code, oneDNN and ACL included
_ACL = re.compile(rb"arm_compute_version=v([0-9.]+) ")
_COMMIT = re.compile(rb"(?:N/A|[0-9a-f]{40})\0")
# Operators that identify an implementation: _Mkl... is oneDNN's, without the prefix it is Eigen's.
_OPERATORS = {
    "convolution": re.compile(r"(_Mkl\w*?)?(_?Fused)?(Conv2D|DepthwiseConv2dNative)(BackpropInput)?(V2)?"),
    "matmul": re.compile(r"(_Mkl\w*?)?(_?Fused)?(Batch)?MatMul(V2|V3)?"),
}
PROFILED = frozenset(_OPERATORS)  # the operations whose operators `profiled` reports

_BLOCK = 1 << 24  # bytes per read
_RUNTIMES = (1, 2, 4, 8)  # DNNL_RUNTIME_SEQ, OMP, TBB, THREADPOOL; no GPU runtime


def versions() -> dict[str, str]:
    """Return the versions of the framework and of its compute libraries, read from the libraries themselves."""
    site = _PACKAGE.parent
    installed = {
        name: tf.__version__ for name, folder in _DISTRIBUTIONS.items() if any(site.glob(f"{folder}-*.dist-info"))
    }
    if not _LIBRARY.exists():  # 1.x: neither library contains its version
        return installed
    with _LIBRARY.open("rb") as library:
        libraries = {"Arm Compute Library": find_acl_versions(library), "oneDNN": find_onednn_versions(library)}
    return {
        **installed,
        **{name: " or ".join(sorted(candidates)) for name, candidates in libraries.items() if candidates},
    }


def find_acl_versions(library: BinaryIO) -> set[str]:
    """Find the Arm Compute Library's version, which a library's file contains as text; empty if it is absent."""
    library.seek(0)
    end = b""
    for block in iter(lambda: library.read(_BLOCK), b""):
        match = _ACL.search(end + block)
        if match:
            return {match[1].decode()}
        end = block[-80:]
    return set()


class _Section(NamedTuple):
    """A row of the library's section table (ELF64, Elf64_Shdr)."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int


_DATA, _RELOCATIONS, _WRITTEN = 1, 4, 3  # SHT_PROGBITS, SHT_RELA, SHF_WRITE | SHF_ALLOC


def find_onednn_versions(library: BinaryIO) -> set[str]:
    """Find oneDNN's version in a library's file: no text contains it, and the function that returns it is not exported.

    It is a dnnl_version_t of dnnl_common_types.h: three numbers, the address of the commit's name, which the loader
    relocates, and the runtimes of CPU and GPU.

    Returns:
        the version; several if other data has the same form, empty if there is none.
    """
    sections = list(_read_sections(library))
    candidates: dict[int, str] = {}  # by the address of the pointer to the commit's name
    for section in sections:
        if section.kind == _DATA and section.flags & _WRITTEN == _WRITTEN:
            values = np.frombuffer(_read_part(library, section.offset, section.size // 8 * 8), dtype="<u8")
            first, second, runtimes = values[:-3], values[1:-2], values[3:]
            major, minor = first & 0xFFFFFFFF, first >> 32
            matches = (major > 0) & (major < 16) & (minor < 100) & (second < 100) & np.isin(runtimes, _RUNTIMES)  # noqa: PLR2004 - bounds of plausible version numbers
            for index in np.flatnonzero(matches):
                candidates[section.address + 8 * int(index) + 16] = f"{major[index]}.{minor[index]}.{second[index]}"
    versions = set()
    for section in sections:
        if section.kind == _RELOCATIONS:
            table = np.frombuffer(_read_part(library, section.offset, section.size), dtype="<u8").reshape(-1, 3)
            for pointer, _, address in table[np.isin(table[:, 0], list(candidates))].tolist():
                if _COMMIT.match(_read_text(library, sections, address)):
                    versions.add(candidates[pointer])
    return versions


def _read_sections(library: BinaryIO) -> Iterator[_Section]:
    header = _read_part(library, 0, 64)
    (start,), (size, number) = struct.unpack_from("<Q", header, 40), struct.unpack_from("<2H", header, 58)
    table = _read_part(library, start, size * number)
    for row in range(number):
        yield _Section(*struct.unpack_from("<2I4Q", table, row * size))


def _read_text(library: BinaryIO, sections: list[_Section], address: int) -> bytes:
    """Return up to 41 bytes at an address; empty if no section of the file contains it."""
    for section in sections:
        if section.kind == _DATA and section.address <= address < section.address + section.size:
            return _read_part(library, section.offset + address - section.address, 41)
    return b""


def _read_part(library: BinaryIO, offset: int, size: int) -> bytes:
    library.seek(offset)
    return library.read(size)


def profiled(call: Callable[[], Any]) -> tuple[Any, dict[str, dict[str, int]]]:
    """Run a call, and count the operators of the graphs that ran, after the framework's optimizer.

    The framework's profiler does not fit: it writes its results to files.

    Returns:
        the call's result, and the operators that identify an implementation: operation to operator to count.
    """
    context.enable_run_metadata()
    try:
        result = call()
        metadata = context.export_run_metadata()
    finally:
        context.disable_run_metadata()
    return result, count_operators(metadata.partition_graphs)


def count_operators(graphs: Iterable[Any]) -> dict[str, dict[str, int]]:
    """Count the operators that identify an implementation: operation to operator to count."""
    names = Counter(node.op for graph in graphs for node in graph.node)
    return {
        operation: {name: count for name, count in names.items() if pattern.fullmatch(name)}
        for operation, pattern in _OPERATORS.items()
    }
