"""A filled-in form, from an issue body, YAML or JSON: the text of each field, and where it is.

All of it is untrusted input. Its size is checked before it is parsed, nested values and YAML tags are refused, and
error messages name the place of a mistake without repeating the text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from armwright.request import fields
from armwright.request.fields import Field, FieldKind
from armwright.request.issue_body import find_html, find_unclear_headings, read_sections
from armwright.system.errors import InputError, nearest

_NULLS = ("", "~", "null")
_MAX_DEPTH = 2  # a mapping, and a list in it
_MAX_KEY = 40  # characters of an unknown key that are compared with the allowed keys
_MAX_MISTAKES = 20
_TYPES = "a value must be text or a list of texts"
_MARKDOWN = "an issue may not show all of this Markdown; put the text into a code block without a language"
_UNCLEAR = "an issue may show this heading as something else, because of a list, a quote or code above it"
_NESTED = f"nested values are not allowed: {_TYPES}"


class MalformedError(InputError):
    """A request that cannot be understood.

    Attributes:
        mistakes: each mistake with its place, without any text of the request; of many, the first.
    """

    def __init__(self, *mistakes: str) -> None:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        more = [f"and {len(mistakes) - _MAX_MISTAKES} more"] if len(mistakes) > _MAX_MISTAKES else []
        self.mistakes = (*mistakes[:_MAX_MISTAKES], *more)
        what = f"{count} in the request:\n  " + "\n  ".join(self.mistakes)
        super().__init__(what, hint="correct the request and run the same command again; nothing was started")


class FieldValue(NamedTuple):
    """The text of a field, and where it is."""

    text: str
    place: str


class _SubmittedEntry(NamedTuple):
    """A key of a YAML or JSON file, its values, and where it is."""

    key: str | None
    values: Sequence[Any]
    place: str


FieldValues = Mapping[str, FieldValue]


def read_issue_body(form: Sequence[Field], body: str) -> FieldValues:
    """Read an issue body that GitHub wrote from the form. Nothing below the FREE field, the last one, is read.

    What a person who reads the issue may not see above it is a mistake: HTML, headings that GitHub may show as
    something else, and Markdown in the CPU, the only field that is searched for names.

    Raises:
        MalformedError: the body is too long, has text that an issue may not show, or was not written from the form.
    """
    if len(body) > fields.MAX_REQUEST or len(body.encode(errors="surrogatepass")) > fields.MAX_REQUEST:
        raise _too_long()
    headings = {field.heading: field for field in form}
    values: dict[str, FieldValue] = {}
    mistakes: list[str] = []
    end = math.inf
    for section in read_sections(body):
        field = headings.get(section.heading)
        if field is None:
            mistakes.append(f"line {section.line}: unknown heading; the form has: {', '.join(headings)}")
        elif field.kind is FieldKind.FREE:
            end = section.line
            break
        elif field.key in values:
            mistakes.append(f"line {section.line}: '{field.heading}' is given twice")
        else:
            values[field.key] = FieldValue(section.text, f"line {section.line}, '{field.heading}'")
            if field.kind is FieldKind.CPU and not section.is_shown:
                mistakes.append(f"line {section.line}, '{field.heading}': {_MARKDOWN}")
    hidden = [line for line in find_html(body) if line < end]
    mistakes += [f"line {line}: HTML is not allowed here, because an issue does not show all of it" for line in hidden]
    unclear = [line for line in find_unclear_headings(body) if line <= end]
    mistakes += [f"line {line}: {_UNCLEAR}" for line in unclear[:1]]
    if not values:
        mistakes.append(
            f"this is not a filled-in form: it needs a heading such as '### {form[0].heading}' with a value below it"
        )
    _raise_if_any(mistakes)
    return values


def read_request_file(form: Sequence[Field], path: Path) -> FieldValues:
    """Read a request file: YAML or JSON with the fields' keys, by its suffix; otherwise the text of an issue.

    Raises:
        InputError: the file cannot be read.
        MalformedError: the file is too long, or is not a valid request.
    """
    text = read_text(path)
    readers: dict[str, Callable[[str], list[_SubmittedEntry]]] = {
        ".json": _read_json,
        ".yaml": _read_yaml,
        ".yml": _read_yaml,
    }
    if path.suffix not in readers:
        return read_issue_body(form, text)
    keys = {field.key: field for field in form}
    values: dict[str, FieldValue] = {}
    mistakes: list[str] = []
    for key, texts, place in readers[path.suffix](text):
        if key not in keys:
            mistakes.append(f"{place}unknown field: {nearest(str(key)[:_MAX_KEY], keys)}")
        elif key in values:
            mistakes.append(f"{place}'{key}' is given twice")
        elif not all(isinstance(text, str) or text is None for text in texts):
            mistakes.append(f"{place}'{key}': {_TYPES}")
        else:
            values[key] = FieldValue(", ".join(text for text in texts if text), f"{place}'{key}'")
    _raise_if_any(mistakes)
    return values


def read_text(path: Path) -> str:
    """Return the text of a file that is at most as long as a request may be.

    Raises:
        InputError: the file cannot be read.
        MalformedError: the file is too long, or is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(fields.MAX_REQUEST + 1)
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}", "invoke request --help") from error
    if len(data) > fields.MAX_REQUEST:
        raise _too_long()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(f"byte {error.start + 1} is not valid UTF-8") from error


def _too_long() -> MalformedError:
    return MalformedError(f"the request is longer than {fields.MAX_REQUEST} bytes and was not read")


def _raise_if_any(mistakes: Sequence[str]) -> None:
    if mistakes:
        raise MalformedError(*mistakes)


def _read_json(text: str) -> list[_SubmittedEntry]:
    """Read the keys and values of a JSON object. Numbers stay as they are written."""
    try:
        data = json.loads(text, object_pairs_hook=list, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        raise MalformedError(f"line {error.lineno}, column {error.colno}: not valid JSON") from error
    except RecursionError as error:
        raise MalformedError(_NESTED) from error
    if not isinstance(data, list) or not all(isinstance(pair, tuple) for pair in data):
        raise MalformedError("not a JSON object of fields and values")
    return [_SubmittedEntry(key, value if isinstance(value, list) else [value], "") for key, value in data]


def _read_yaml(text: str) -> list[_SubmittedEntry]:
    """Read the keys and values of a YAML mapping as they are written. No Python objects are made of them."""
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            if getattr(event, "anchor", None) or getattr(event, "tag", None):  # an alias event has an anchor too
                raise MalformedError(f"{_line(event.start_mark)}anchors, aliases and tags are not allowed")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise MalformedError(f"{_line(event.start_mark)}{_NESTED}")
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise MalformedError(f"{_line(getattr(error, 'problem_mark', None))}not valid YAML") from error
    if not isinstance(root, yaml.MappingNode):
        raise MalformedError("not a YAML mapping of fields and values")
    return [_yaml_entry(key, value) for key, value in root.value]


def _yaml_entry(key: yaml.Node, value: yaml.Node) -> _SubmittedEntry:
    nodes = value.value if isinstance(value, yaml.SequenceNode) else [value]
    return _SubmittedEntry(_scalar(key), [_scalar(node) for node in nodes], _line(key.start_mark))


def _scalar(node: yaml.Node) -> str | None:
    if not isinstance(node, yaml.ScalarNode):
        raise MalformedError(f"{_line(node.start_mark)}{_NESTED}")
    return None if node.style is None and node.value in _NULLS else str(node.value)


def _line(mark: Any) -> str:  # noqa: ANN401 - PyYAML's mark, in C or in Python
    return f"line {mark.line + 1}: " if mark else ""
