"""oneDNN's trace: the line that the library writes for each primitive it executes, in every format it has had.

What a line begins with, by version, and the columns that follow:

    0.x       mkldnn_verbose,exec,               primitive,implementation,prop,memory,auxiliary,problem,time
    1.0       mkldnn_verbose,exec,               engine, then as 0.x
    1.1-2.4   dnnl_verbose,exec,                 engine,primitive,implementation,prop,memory,attributes,auxiliary,...
    2.5-3.2   onednn_verbose,exec,               as 1.1
    3.3-3.5   onednn_verbose,primitive,exec,     as 1.1
    from 3.6  onednn_verbose,v1,primitive,exec,  as 1.1

A time stamp (ONEDNN_VERBOSE_TIMESTAMP=1, from 2.1) stands before `primitive` or `exec`. Tensors are written as
`src_f32::blocked:ab:f0` up to 3.5 and as `src:f32::blocked:ab::f0` from 3.6; 0.x names types only for reorders and
their like (`in:f32_nchw out:f32_nChw8c`).

Sources: src/common/verbose.cpp and verbose.hpp at v0.20, v1.0 to v1.7, v2.4, v2.7, v3.2.1, v3.3, v3.5.3, v3.6 and
v3.7.1; primitive_iface.cpp and gemm.cpp beside them; for 0.x src/cpu/cpu_engine.cpp. `v0` is in the manual of 3.7 only.
Products through the BLAS interface (`gemm_api`) have no implementation's name, and in 2.7 no auxiliary column.
"""

from __future__ import annotations

import re
from typing import NamedTuple

UNREADABLE, UNNAMED = "unreadable", "unnamed"
SHOWN = 200  # characters of an unreadable line

_EXECUTED = re.compile(
    r"(?P<library>mkldnn|dnnl|onednn)_verbose,(?:(?P<format>v\d{1,9}),)?(?:\d{1,20}(?:\.\d{1,20})?,)?(?:primitive,)?exec,"
)
_HEADER = re.compile(r"(?:mkldnn|dnnl|onednn)_verbose,(?:v\d{1,9},)?info,(?P<fact>.*)")
_FACTS = (
    ("version", re.compile(r"(?:oneDNN|DNNL|Intel\(R\) MKL-DNN) v(\d[^\s,]*)")),
    ("isa", re.compile(r"(?:cpu,isa:|Detected ISA is )(.+)")),
    ("runtime", re.compile(r"cpu,runtime:(.+)")),
)
_FORMATS = (None, "v0", "v1")
_ENGINE = re.compile(r"(?:cpu|gpu)(?::\d{1,9})?(?:2(?:cpu|gpu))?")
_KIND = re.compile(r"[a-z][a-z0-9_]*")
_TENSOR = re.compile(
    r"(?P<name>[a-z]+(?:_[a-z]+)?)[:_](?P<type>(?:bf|[fsu])\d{1,3}(?:_e\d{1,2}m\d{1,2})?|e\d{1,2}m\d{1,2}|boolean)(?=[:_]|$)"
)
_COLUMNS, _ATTRIBUTES = 9, 5  # how many from 1.1 on, and the place of the one that was new then
_NOISE = "attr-scratchpad:"  # who owns the temporary memory
_GROUPED = re.compile(r"(?:mb\d+_)?g(?P<groups>\d+)(?:mb\d+_)?ic(?P<inputs>\d+)oc")  # 0.x has the images first


class Event(NamedTuple):
    """One primitive that was executed.

    Attributes:
        operation: the primitive's kind: convolution, matmul, reorder, rnn; deconvolution for every transposed
            convolution, whatever it is called, and depthwise for a convolution of each channel by itself.
        implementation: its name; `unnamed` where the line leaves it out; `unreadable` where the line began as an
            executed primitive and could not be read. Nothing is proven by such a line.
        types: of the source and the weights, "u8:s8"; where there are no weights, of the source and the destination;
            "f32" where both are the same. Empty in 0.x, but for reorders.
        shape: the problem, as it is written; of an unreadable line, the line's beginning.
        attributes: as they are written, without the ownership of the temporary memory.
    """

    operation: str
    implementation: str
    types: str
    shape: str
    attributes: str


def read(line: str) -> Event | None:
    """Read one line; None for every line without an executed primitive.

    What another writer left unfinished before it on the same line is skipped. What the library reports of others
    (`exec:external`), of graphs (`graph,exec`) and of checks (`exec:check`) is no primitive.
    """
    start = _EXECUTED.search(line)
    if start is None:
        return None
    fields = line[start.end() :].rstrip("\r\n").split(",")
    first = start["library"] == "mkldnn"
    if first and not _ENGINE.fullmatch(fields[0]):
        fields.insert(0, "cpu")  # 0.x has no other engine
    operation = fields[1] if len(fields) > 1 and _KIND.fullmatch(fields[1]) else "unknown"
    unreadable = Event(operation, UNREADABLE, "", line[start.start() :].rstrip()[:SHOWN], "")
    if len(fields) == _COLUMNS - 1 and first:
        fields.insert(_ATTRIBUTES, "")
    elif len(fields) == _COLUMNS - 1 and operation == "gemm_api":
        fields.insert(_ATTRIBUTES + 1, "")
    if start["format"] not in _FORMATS or len(fields) != _COLUMNS:
        return unreadable
    engine, kind, implementation, prop, memory, attributes, _, shape, duration = fields
    types = _types(memory)
    if not (_ENGINE.fullmatch(engine) and kind == operation and _is_number(duration) and (types or first)):
        return unreadable
    kept = " ".join(word for word in attributes.split() if not word.startswith(_NOISE))
    return Event(_finer(operation, prop, shape), implementation or UNNAMED, types, shape, kept)


def _finer(operation: str, prop: str, shape: str) -> str:
    """Tell apart what is one kind to the library and has kernels of its own."""
    if operation == "convolution":
        grouped = _GROUPED.match(shape)
        if grouped and grouped["groups"] == grouped["inputs"] != "1":
            return "depthwise"
        if prop == "backward_data":  # how TensorFlow computes a transposed convolution: nobody trains here
            return "deconvolution"
    return operation


def info(line: str) -> tuple[str, str] | None:
    """Read one line of the header.

    Returns:
        ("version", "3.7.1"), ("isa", "AArch64 SVE (256 bits)") or ("runtime", "OpenMP,nthr:2"); None for other lines.
    """
    header = _HEADER.search(line)
    if header is None:
        return None
    for name, pattern in _FACTS:
        found = pattern.match(header["fact"])
        if found:
            return name, found[1].strip()
    return None


def _types(memory: str) -> str:
    """Name the types of the first tensor and of its partner: the weights, or else the destination."""
    tensors = [(found["name"], found["type"]) for found in map(_TENSOR.match, memory.split()) if found]
    if not tensors:
        return ""
    source = tensors[0][1]
    for partners in (("wei", "src_b"), ("dst", "out")):
        for name, kind in tensors[1:]:
            if name.startswith(partners):
                return source if kind == source else f"{source}:{kind}"
    return source


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
