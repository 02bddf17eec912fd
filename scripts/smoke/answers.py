"""The answers of a run as plain numbers, which are judged again outside the image (armwright/proof/answers.py).

NumPy is imported when it is used: after the framework, as in the user's code.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EXACT = ("f4", "f8", "i4", "i8")  # types that are kept; every other type fits into float32


def pack(answers: Mapping[str, Any], names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the named answers as JSON documents: `dtype` and `shape` as in NumPy, and `data`, the bytes in Base64."""
    import numpy as np  # noqa: PLC0415 - see above

    packed = {}
    for name in sorted(names):
        array = np.asarray(answers[name])
        kept = array if array.dtype.str[1:] in EXACT else array.astype(np.float32)
        numbers = np.ascontiguousarray(kept).astype(kept.dtype.newbyteorder("<"), copy=False)
        data = base64.b64encode(numbers.tobytes()).decode("ascii")
        packed[name] = {"dtype": numbers.dtype.str, "shape": list(array.shape), "data": data}
    return packed


def digest(packed: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the sha256 of packed answers: of each name, type, shape and bytes, in the order of the names."""
    total = hashlib.sha256()
    for name, array in sorted(packed.items()):
        total.update(f"{name} {array['dtype']} {array['shape']}\n".encode())
        total.update(base64.b64decode(array["data"]))
    return f"sha256:{total.hexdigest()}"
