"""A filled-in form, as an issue's text, YAML or JSON: what was written into which field, and where it stands.

Every byte of it is somebody else's: its size is bounded before it is looked at, nothing nested is built, and a mistake
is told by its place without repeating what is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from armwright.request import fields
from armwright.request.fields import Field, FieldKind
from armwright.system.errors import InputError, nearest

_HEADING = re.compile(r"### (?P<name>.*)")
_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})(?P<info>.*)")
_NULLS = ("", "~", "null")
_DEEPEST = 2  # a mapping, and a list in it
_SHORT = 40  # characters of a key that are compared with the right ones
_TOLD = 20  # mistakes that a message tells
_TYPES = "a value is text, or a list of texts"


class MalformedError(InputError):
    """A request that cannot be understood.

    Attributes:
        mistakes: what is wrong, each with its place, and nothing of the request in it; of very many the first.
    """

    def __init__(self, *mistakes: str) -> None:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        more = [f"and {len(mistakes) - _TOLD} more"] if len(mistakes) > _TOLD else []
        self.mistakes = (*mistakes[:_TOLD], *more)
        what = f"{count} in the request:\n  " + "\n  ".join(self.mistakes)
        super().__init__(what, "mend the request; nothing was started")


class FieldValue(NamedTuple):
    """What was written into a field, and where it stands."""

    text: str
    place: str


class _Pair(NamedTuple):
    """A key of a file, its value or values, and where it stands."""

    key: str | None
    texts: Sequence[Any]
    place: str


FieldValues = Mapping[str, FieldValue]


def of_body(form: Sequence[Field], body: str) -> FieldValues:
    """Read an issue's text, as GitHub makes it of the form; below the free field, which is the last, nothing is read.

    Raises:
        MalformedError: it is too long, or not made of the form.
    """
    if len(body) > fields.MOST or len(body.encode(errors="surrogatepass")) > fields.MOST:
        raise _too_long()
    headings = {one.heading: one for one in form}
    found: dict[str, FieldValue] = {}
    mistakes: list[str] = []
    for number, name, text in _sections(body.replace("\r\n", "\n").replace("\r", "\n")):
        one = headings.get(name)
        if one is None:
            mistakes.append(f"line {number}: the form has no field of this name; it has: {', '.join(headings)}")
        elif one.kind is FieldKind.FREE:
            break
        elif one.key in found:
            mistakes.append(f"line {number}: '{one.heading}' is there twice")
        else:
            found[one.key] = FieldValue(text, f"line {number}, '{one.heading}'")
    if not found:
        mistakes.append(f"it is not made of the form: a heading such as '### {form[0].heading}', and below it a value")
    _refuse(mistakes)
    return found


def of_file(form: Sequence[Field], path: Path) -> FieldValues:
    """Read a file: the fields' keys as YAML or JSON by its suffix, else an issue's text.

    Raises:
        InputError: it cannot be read.
        MalformedError: it is too long, or not what it should be.
    """
    text = content(path)
    readers: dict[str, Callable[[str], list[_Pair]]] = {".json": _json, ".yaml": _yaml, ".yml": _yaml}
    if path.suffix not in readers:
        return of_body(form, text)
    keys = {one.key: one for one in form}
    found: dict[str, FieldValue] = {}
    mistakes: list[str] = []
    for key, texts, place in readers[path.suffix](text):
        if key not in keys:
            mistakes.append(f"{place}there is no field of this name: {nearest(str(key)[:_SHORT], keys)}")
        elif key in found:
            mistakes.append(f"{place}'{key}' is there twice")
        elif not all(isinstance(one, str) or one is None for one in texts):
            mistakes.append(f"{place}'{key}': {_TYPES}")
        else:
            found[key] = FieldValue(", ".join(one for one in texts if one), f"{place}'{key}'")
    _refuse(mistakes)
    return found


def content(path: Path) -> str:
    """Return a file's text, as far as it may be a request's.

    Raises:
        InputError: it cannot be read.
        MalformedError: it is too long, or no text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(fields.MOST + 1)
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read: {error.strerror}", "invoke request --help") from error
    if len(data) > fields.MOST:
        raise _too_long()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"byte {error.start + 1} is no UTF-8") from error


def _too_long() -> MalformedError:
    return MalformedError(f"it has more than {fields.MOST} bytes, and was not read")


def _refuse(mistakes: Sequence[str]) -> None:
    if mistakes:
        raise MalformedError(*mistakes)


def _sections(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield each heading outside of code fences, with its line and what stands below it."""
    began, name, fence = 0, "", ""
    lines: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        heading = None if fence else _HEADING.fullmatch(line)
        if heading is None:
            lines.append(line)
            fence = _fence(line, fence)
            continue
        if began:
            yield began, name, _value(lines)
        began, name, lines = number, heading["name"].strip(), []
    if began:
        yield began, name, _value(lines)


def _fence(line: str, opened: str) -> str:
    """Return the code fence that is open after a line; empty where none is."""
    found = _FENCE.fullmatch(line)
    if found is None or (opened and (found["info"].strip() or not found["fence"].startswith(opened))):
        return opened
    return "" if opened else found["fence"]


def _value(lines: Sequence[str]) -> str:
    """Return what stands below a heading, without empty lines around it, and out of its code fence."""
    text = "\n".join(lines).strip("\n ")
    first, _, rest = text.partition("\n")
    fence = _fence(first, "")
    inside, _, last = rest.rpartition("\n")
    return inside if fence and not _fence(last, fence) else text


def _json(text: str) -> list[_Pair]:
    """Read keys and values of JSON; numbers as they are written."""
    try:
        data = json.loads(text, object_pairs_hook=list, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        raise MalformedError(f"line {error.lineno}, column {error.colno}: it is no JSON") from error
    except RecursionError as error:
        raise MalformedError(f"it is nested: {_TYPES}") from error
    if not isinstance(data, list) or not all(isinstance(one, tuple) for one in data):
        raise MalformedError("it is no JSON object of fields and values")
    return [_Pair(key, value if isinstance(value, list) else [value], "") for key, value in data]


def _yaml(text: str) -> list[_Pair]:
    """Read keys and values of YAML as they are written; nothing is built of what is nested, tagged or named twice."""
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            if getattr(event, "anchor", None) or getattr(event, "tag", None):  # an alias has an anchor too
                raise MalformedError(f"{_line(event.start_mark)}no anchor, alias or tag belongs into a request")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise MalformedError(f"{_line(event.start_mark)}it is nested: {_TYPES}")
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise MalformedError(f"{_line(getattr(error, 'problem_mark', None))}it is no YAML") from error
    if not isinstance(root, yaml.MappingNode):
        raise MalformedError("it is no YAML mapping of fields and values")
    return [_pair(key, value) for key, value in root.value]


def _pair(key: yaml.Node, value: yaml.Node) -> _Pair:
    nodes = value.value if isinstance(value, yaml.SequenceNode) else [value]
    return _Pair(_scalar(key), [_scalar(one) for one in nodes], f"{_line(key.start_mark)}")


def _scalar(node: yaml.Node) -> str | None:
    if not isinstance(node, yaml.ScalarNode):
        raise MalformedError(f"{_line(node.start_mark)}it is nested: {_TYPES}")
    return None if node.style is None and node.value in _NULLS else str(node.value)


def _line(mark: Any) -> str:  # noqa: ANN401 - PyYAML's mark, in C or in Python
    return f"line {mark.line + 1}: " if mark else ""
