"""Parser of oneDNN's trace: the library writes a line for each primitive it executes; all formats since 0.x are read.

The beginning of a line, by version, and the columns that follow:

    0.x       mkldnn_verbose,exec,               primitive,implementation,prop,memory,auxiliary,problem,time
    1.0       mkldnn_verbose,exec,               engine, then as 0.x
    1.1-2.4   dnnl_verbose,exec,                 engine,primitive,implementation,prop,memory,attributes,auxiliary,...
    2.5-3.2   onednn_verbose,exec,               as 1.1
    3.3-3.5   onednn_verbose,primitive,exec,     as 1.1
    from 3.6  onednn_verbose,v1,primitive,exec,  as 1.1

A time stamp (ONEDNN_VERBOSE_TIMESTAMP=1, from 2.1) comes before `primitive` or `exec`. Tensors are written as
`src_f32::blocked:ab:f0` up to 3.5 and as `src:f32::blocked:ab::f0` from 3.6; 0.x gives types only for reorders and
similar primitives (`in:f32_nchw out:f32_nChw8c`).

Sources: src/common/verbose.cpp and verbose.hpp at v0.20, v1.0 to v1.7, v2.4, v2.7, v3.2.1, v3.3, v3.5.3, v3.6 and
v3.7.1; primitive_iface.cpp and gemm.cpp beside them; for 0.x src/cpu/cpu_engine.cpp. `v0` is only in the manual of 3.7.
Matrix products through the BLAS interface (`gemm_api`) name no implementation and have no auxiliary column in 2.7.
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
_COLUMNS, _ATTRIBUTES = 9, 5  # the number of columns from 1.1 on, and the index of the column that 1.1 added
_NOISE = "attr-scratchpad:"  # the owner of the temporary memory
_GROUPED = re.compile(r"(?:mb\d+_)?g(?P<groups>\d+)(?:mb\d+_)?ic(?P<inputs>\d+)oc")  # 0.x writes the images first


class Event(NamedTuple):
    """One primitive that was executed.

    Attributes:
        operation: the primitive's kind: convolution, matmul, reorder, rnn; deconvolution for every transposed
            convolution, depthwise for a convolution with one channel per group.
        implementation: its name; `unnamed` if the line omits it; `unreadable` if the line begins like an executed
            primitive but cannot be parsed. Such a line proves nothing.
        types: of the source and the weights, "u8:s8"; without weights, of the source and the destination; "f32" if
            both are the same. Empty in 0.x, except for reorders.
        shape: the problem as the library writes it; for an unreadable line, the beginning of the line.
        attributes: as the library writes them, without the ownership of the temporary memory.
    """

    operation: str
    implementation: str
    types: str
    shape: str
    attributes: str


def read(line: str) -> Event | None:
    """Parse one line; None for a line without an executed primitive.

    Text from another writer before the entry on the same line is skipped. Reports about external kernels
    (`exec:external`), graphs (`graph,exec`) and checks (`exec:check`) are not primitives.
    """
    start = _EXECUTED.search(line)
    if start is None:
        return None
    fields = line[start.end() :].rstrip("\r\n").split(",")
    is_mkldnn = start["library"] == "mkldnn"
    if is_mkldnn and not _ENGINE.fullmatch(fields[0]):
        fields.insert(0, "cpu")  # 0.x has only this engine
    operation = fields[1] if len(fields) > 1 and _KIND.fullmatch(fields[1]) else "unknown"
    unreadable = Event(operation, UNREADABLE, "", line[start.start() :].rstrip()[:SHOWN], "")
    if len(fields) == _COLUMNS - 1 and is_mkldnn:
        fields.insert(_ATTRIBUTES, "")
    elif len(fields) == _COLUMNS - 1 and operation == "gemm_api":
        fields.insert(_ATTRIBUTES + 1, "")
    if start["format"] not in _FORMATS or len(fields) != _COLUMNS:
        return unreadable
    engine, kind, implementation, prop, memory, attributes, _, shape, duration = fields
    types = _types(memory)
    if not (_ENGINE.fullmatch(engine) and kind == operation and _is_number(duration) and (types or is_mkldnn)):
        return unreadable
    kept = " ".join(attribute for attribute in attributes.split() if not attribute.startswith(_NOISE))
    return Event(_refine_operation(operation, prop, shape), implementation or UNNAMED, types, shape, kept)


def _refine_operation(operation: str, prop: str, shape: str) -> str:
    """Name depthwise and transposed convolutions, which have separate kernels but share oneDNN's primitive kind."""
    if operation == "convolution":
        grouped = _GROUPED.match(shape)
        if grouped and grouped["groups"] == grouped["inputs"] != "1":
            return "depthwise"
        if prop == "backward_data":  # TensorFlow's transposed convolution; the smoke run trains nothing
            return "deconvolution"
    return operation


def info(line: str) -> tuple[str, str] | None:
    """Parse one line of the header.

    Returns:
        ("version", "3.7.1"), ("isa", "AArch64 SVE (256 bits)") or ("runtime", "OpenMP,nthr:2"); None for other lines.
    """
    header = _HEADER.search(line)
    if header is None:
        return None
    for name, pattern in _FACTS:
        match = pattern.match(header["fact"])
        if match:
            return name, match[1].strip()
    return None


def _types(memory: str) -> str:
    """Return the types of the first tensor and of the weights or, without weights, of the destination."""
    tensors = [(match["name"], match["type"]) for match in map(_TENSOR.match, memory.split()) if match]
    if not tensors:
        return ""
    source = tensors[0][1]
    for partners in (("wei", "src_b"), ("dst", "out")):
        for name, dtype in tensors[1:]:
            if name.startswith(partners):
                return source if dtype == source else f"{source}:{dtype}"
    return source


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
