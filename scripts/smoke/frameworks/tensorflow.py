"""TensorFlow, as the smoke run sees it: its versions and its operators."""

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
_LIBRARY = _PACKAGE / "libtensorflow_cc.so.2"  # holds all that computes, oneDNN and ACL included
_ACL = re.compile(rb"arm_compute_version=v([0-9.]+) ")
_COMMIT = re.compile(rb"(?:N/A|[0-9a-f]{40})\0")
# Operators that name an implementation: _Mkl... is oneDNN's, the plain ones are Eigen's.
_OPERATORS = {
    "convolution": re.compile(r"(_Mkl\w*?)?(_?Fused)?(Conv2D|DepthwiseConv2dNative)(BackpropInput)?(V2)?"),
    "matmul": re.compile(r"(_Mkl\w*?)?(_?Fused)?(Batch)?MatMul(V2|V3)?"),
}
PROFILED = frozenset(_OPERATORS)  # the operations that `profiled` says something about

_BLOCK = 1 << 24  # bytes that are read at a time
_RUNTIMES = (1, 2, 4, 8)  # DNNL_RUNTIME_SEQ, OMP, TBB, THREADPOOL; no GPU's beside it


def versions() -> dict[str, str]:
    """Return the versions of the framework and of the libraries that compute, read from the libraries themselves."""
    site = _PACKAGE.parent
    found = {name: tf.__version__ for name, folder in _DISTRIBUTIONS.items() if any(site.glob(f"{folder}-*.dist-info"))}
    if not _LIBRARY.exists():  # 1.x: neither library says its version
        return found
    with _LIBRARY.open("rb") as library:
        read = {"Arm Compute Library": acl_versions(library), "oneDNN": onednn_versions(library)}
    return {**found, **{name: " or ".join(sorted(versions)) for name, versions in read.items() if versions}}


def acl_versions(library: BinaryIO) -> set[str]:
    """Find the Arm Compute Library's version in a library's file, where it is a text; empty if it is not there."""
    library.seek(0)
    end = b""
    for block in iter(lambda: library.read(_BLOCK), b""):
        found = _ACL.search(end + block)
        if found:
            return {found[1].decode()}
        end = block[-80:]
    return set()


class _Section(NamedTuple):
    """A row of the library's table of sections (ELF64, Elf64_Shdr)."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int


_DATA, _RELOCATIONS, _WRITTEN = 1, 4, 3  # SHT_PROGBITS, SHT_RELA, SHF_WRITE | SHF_ALLOC


def onednn_versions(library: BinaryIO) -> set[str]:
    """Find oneDNN's version in a library's file: no text holds it, and the function that returns it is not exported.

    It is a dnnl_version_t of dnnl_common_types.h: three numbers, the address of the commit's name, which the loader
    relocates, and the runtimes of CPU and GPU.

    Returns:
        the version; more than one if other data looks the same, none if it is not there.
    """
    sections = list(_sections(library))
    candidates: dict[int, str] = {}  # by the place of the address
    for one in sections:
        if one.kind == _DATA and one.flags & _WRITTEN == _WRITTEN:
            words = np.frombuffer(_part(library, one.offset, one.size // 8 * 8), dtype="<u8")
            first, second, runtimes = words[:-3], words[1:-2], words[3:]
            major, minor = first & 0xFFFFFFFF, first >> 32
            alike = (major > 0) & (major < 16) & (minor < 100) & (second < 100) & np.isin(runtimes, _RUNTIMES)  # noqa: PLR2004 - small
            for at in np.flatnonzero(alike):
                candidates[one.address + 8 * int(at) + 16] = f"{major[at]}.{minor[at]}.{second[at]}"
    versions = set()
    for one in sections:
        if one.kind == _RELOCATIONS:
            table = np.frombuffer(_part(library, one.offset, one.size), dtype="<u8").reshape(-1, 3)
            for place, _, address in table[np.isin(table[:, 0], list(candidates))].tolist():
                if _COMMIT.match(_text(library, sections, address)):
                    versions.add(candidates[place])
    return versions


def _sections(library: BinaryIO) -> Iterator[_Section]:
    header = _part(library, 0, 64)
    (start,), (size, number) = struct.unpack_from("<Q", header, 40), struct.unpack_from("<2H", header, 58)
    table = _part(library, start, size * number)
    for row in range(number):
        yield _Section(*struct.unpack_from("<2I4Q", table, row * size))


def _text(library: BinaryIO, sections: list[_Section], address: int) -> bytes:
    """Return the first bytes of what lies at an address; none where that is not in the file."""
    for one in sections:
        if one.kind == _DATA and one.address <= address < one.address + one.size:
            return _part(library, one.offset + address - one.address, 41)
    return b""


def _part(library: BinaryIO, offset: int, size: int) -> bytes:
    library.seek(offset)
    return library.read(size)


def profiled(call: Callable[[], Any]) -> tuple[Any, dict[str, dict[str, int]]]:
    """Run something, and count the operators of the graphs that ran, as the framework's optimizer left them.

    The framework's profiler is of no use here: it hands out what it saw as files.

    Returns:
        what it returned, and the operators that name an implementation: operation to operator to number.
    """
    context.enable_run_metadata()
    try:
        result = call()
        ran = context.export_run_metadata()
    finally:
        context.disable_run_metadata()
    return result, operators(ran.partition_graphs)


def operators(graphs: Iterable[Any]) -> dict[str, dict[str, int]]:
    """Count the operators that name an implementation in the graphs that ran: operation to operator to number."""
    names = Counter(node.op for graph in graphs for node in graph.node)
    return {
        operation: {name: number for name, number in names.items() if pattern.fullmatch(name)}
        for operation, pattern in _OPERATORS.items()
    }
