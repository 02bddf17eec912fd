"""Reads image.json, the description of the image, and checks its structure.

armwright/plan/image_facts.py writes the file. Standard library only.
"""

from __future__ import annotations

TYPE_CHECKING = False  # the constant of `typing`, which type checkers take for true
if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from typing import Any, TypedDict
else:
    TypedDict = dict  # here it only holds the annotations

SCHEMA = 1


class Target(TypedDict):
    """The CPU the image is for."""

    name: str
    title: str
    floor: list[str]
    parts: list[str]
    emulator: str


class Backend(TypedDict):
    """The compute library."""

    name: str
    title: str
    versions: dict[str, str]


class Fallback(TypedDict):
    """An image that requires fewer CPU features."""

    target: str
    floor: list[str]
    image: str


class Variable(TypedDict):
    """An environment variable of the image; `{cpus}` in its value is the number of usable CPUs, at most `most`."""

    name: str
    value: str
    reason: str
    fixed: bool
    most: int | None


class Dtype(TypedDict):
    """A data type: its state on the target CPU (fast, slow or not run), and a note that explains it."""

    name: str
    state: str
    note: str


class FastMath(TypedDict):
    """The variable that allows reduced precision, and the CPU feature that it needs."""

    name: str
    value: str
    feature: str
    reason: str


class Image(TypedDict):
    """The fields of image.json that the entrypoint reads."""

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
    """image.json is missing or invalid; the text is a sentence."""


class _Plain:
    """What `json.loads` passes to the scanner by default."""

    strict, object_hook, object_pairs_hook, array_hook = True, None, None, None
    parse_float, parse_int, parse_constant = float, int, float
    memo: dict[str, str] = {}  # noqa: RUF012  (the scanner clears it)


def parse_json(text: str) -> Any:  # noqa: ANN401  (a JSON value)
    """Do what `json.loads` does, by Python's own scanner: importing `json` takes longer than the start of a program.

    Raises:
        ValueError: the text is not one JSON value.
    """
    settings: Any = _Plain
    try:
        from _json import make_scanner  # noqa: PLC0415  (another Python may lack it)

        value, end = make_scanner(settings)(text, 0)
    except (ImportError, StopIteration, SystemError):  # without `json` the scanner cannot say what is wrong
        end = -1
    if end == len(text.rstrip(" \t\r\n")):
        return value
    import json  # noqa: PLC0415  (slow)

    return json.loads(text)


def read_image(file: str | os.PathLike[str]) -> Image:
    """Read image.json.

    Raises:
        DamagedError: the file cannot be read, is not JSON, or a field is missing or has another type.
    """
    try:
        with open(file, encoding="utf-8") as stream:  # noqa: PTH123  (pathlib is not loaded)
            document = parse_json(stream.read())
    except OSError as error:
        raise DamagedError(f"{file} cannot be read ({error.strerror}); the image is incomplete.") from None
    except ValueError:
        raise DamagedError(f"{file} is not JSON; the image is damaged.") from None
    fault = next(_faults(document, "Image"), None)
    if fault is None and document["schema"] != SCHEMA:
        fault = "schema"
    if fault is not None:
        raise DamagedError(f"{file} has an invalid or missing value for '{fault}'; the image is damaged.")
    image: Image = document
    return image


_SHAPES = {shape.__name__: shape for shape in (Target, Backend, Fallback, Variable, Dtype, FastMath, Image)}
_KINDS = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}
_OR_NONE, _LIST, _DICT = " | None", "list[", "dict[str, "


def _faults(value: object, kind: str, where: str = "") -> Iterator[str]:
    """Yield the path of each part of a JSON value that does not match a type annotation, given as its source text."""
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
