"""What this image is: image.json, read and trusted only where it has the declared shape.

Written by the plan (armwright/plan.py); standard library only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypedDict
else:
    TypedDict = dict  # Python 3.7 has none, and here it only carries the declared shape

SCHEMA = 1


class Target(TypedDict):
    """The CPU the image is for."""

    name: str
    title: str
    floor: list[str]
    parts: list[str]
    emulator: str


class Backend(TypedDict):
    """The library that does the arithmetic."""

    name: str
    title: str
    versions: dict[str, str]


class Fallback(TypedDict):
    """An image that asks less of the CPU."""

    target: str
    floor: list[str]
    image: str


class Variable(TypedDict):
    """One environment variable the image wants; `{cpus}` in its value is the number of usable CPUs, `most` at most."""

    name: str
    value: str
    reason: str
    fixed: bool
    most: int | None


class Dtype(TypedDict):
    """A data type: whether its kernels are fast, slow, or not run at all on the CPU the image is for, and in words."""

    name: str
    state: str
    note: str


class FastMath(TypedDict):
    """The variable that allows reduced precision, and the CPU feature without which it is of no use."""

    name: str
    value: str
    feature: str
    reason: str


class Image(TypedDict):
    """The part of image.json that is read here."""

    schema: int
    combo: str
    title: str
    module: str
    version: str
    target: Target
    backend: Backend
    python: str
    base: str
    provider: str
    fallbacks: list[Fallback]
    environment: list[Variable]
    fast_math: FastMath | None
    dtypes: list[Dtype]
    packages: dict[str, str]


class DamagedError(Exception):
    """image.json is missing or is not what it should be; the text is a sentence."""


def read_image(file: Path) -> Image:
    """Read image.json.

    Raises:
        DamagedError: it cannot be read, is not JSON, or has another shape; what and where.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DamagedError(f"{file} cannot be read ({error.strerror}); the image is incomplete.") from None
    except ValueError:
        raise DamagedError(f"{file} is not JSON; the image is damaged.") from None
    fault = next(_faults(document, "Image"), None)
    if fault is None and document["schema"] != SCHEMA:
        fault = "schema"
    if fault is not None:
        raise DamagedError(f"{file} has no usable value for '{fault}'; the image is damaged.")
    return cast("Image", document)


_SHAPES = {one.__name__: one for one in (Target, Backend, Fallback, Variable, Dtype, FastMath, Image)}
_KINDS = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}
_OR_NONE, _LIST, _DICT = " | None", "list[", "dict[str, "


def _faults(value: object, kind: str, where: str = "") -> Iterator[str]:
    """Yield the path of everything in a JSON value that is not of the declared kind, which is read as it is written."""
    if kind in _SHAPES:
        fields = value if isinstance(value, dict) else {}
        for name, inner in _SHAPES[kind].__annotations__.items():
            yield from _faults(fields.get(name), inner, f"{where}.{name}".lstrip("."))
    elif kind.endswith(_OR_NONE):
        if value is not None:
            yield from _faults(value, kind[: -len(_OR_NONE)], where)
    elif not isinstance(value, _KINDS[kind.partition("[")[0]]):
        yield where
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _faults(item, kind[len(_LIST) : -1], f"{where}[{position}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _faults(item, kind[len(_DICT) : -1], f"{where}.{name}")
