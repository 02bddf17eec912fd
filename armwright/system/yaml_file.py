"""Reads YAML files and remembers where each value stands, so that a mistake is reported as file:line:column."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from armwright.system.errors import InputError, nearest

Model = TypeVar("Model", bound=BaseModel)
Location = Sequence[int | str]
_TEXT = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class Mistake:
    """One mistake in a file; line and column count from 1."""

    path: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.text}"


@dataclass
class Mistakes:
    """All mistakes found so far, reported together."""

    found: list[Mistake] = field(default_factory=list)

    def add(self, document: Document, location: Location, text: str, *, key: bool = False) -> None:
        """Add a mistake at a location of a document: at the value, or at its key."""
        line, column = document.place(location, key=key)
        self.found.append(Mistake(document.name, line, column, text))

    def raise_if_any(self) -> None:
        """Raise an InputError that lists every mistake, sorted by file and line."""
        if self.found:
            lines = [str(mistake) for mistake in sorted(self.found, key=attrgetter("path", "line", "column"))]
            count = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
            raise InputError(
                f"{count} in the data:\n  " + "\n  ".join(lines), hint="correct the lines above; nothing was started"
            )


@dataclass(frozen=True)
class Document:
    """A loaded YAML file: its data, and the node tree, which has the positions."""

    name: str
    data: Any
    root: yaml.Node | None

    def place(self, location: Location, *, key: bool = False) -> tuple[int, int]:
        """Return the line and column of a location, or of its nearest existing parent if it is absent."""
        node = self.root
        mark = node.start_mark if node else None
        for step in location:
            child = _find_child(node, step)
            if child is None:
                break
            name, node = child
            mark = (name if key else node).start_mark
        return (mark.line + 1, mark.column + 1) if mark else (1, 1)

    def written(self, location: Location, *, key: bool = False) -> str:
        """Return a value, or its key, as it is written in the file; empty if it is not a scalar."""
        name: yaml.Node | None = None
        node = self.root
        for step in location:
            name, node = _find_child(node, step) or (None, None)
        chosen = name if key else node
        return str(chosen.value) if isinstance(chosen, yaml.ScalarNode) else ""


def _find_child(node: yaml.Node | None, step: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the key node and the value node of one step; in a sequence both are the value node."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if str(step) == (key.value if key.tag == _TEXT else str(yaml.safe_load(key.value))):  # 2.10 loads as 2.1
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def get_at(data: Any, location: Location) -> Any:  # noqa: ANN401 - any YAML value
    """Return the value at a location of a document's data; None if there is none."""
    for step in location:
        if isinstance(data, dict):
            data = data.get(step)
        else:
            data = data[step] if isinstance(data, list) and isinstance(step, int) and step < len(data) else None
    return data


def read_yaml(path: Path, name: str, mistakes: Mistakes) -> Document | None:
    """Read one YAML file; return None, and add to `mistakes`, if it is not YAML or has a key twice.

    `name` is the file's name in messages, relative to the project's root.
    """
    text = _read_text(path, name, mistakes)
    return None if text is None else _read_nodes(text, name, mistakes)


def _read_text(path: Path, name: str, mistakes: Mistakes) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        mistakes.found.append(Mistake(name, 1, 1, f"cannot be read: {error}"))
        return None


def _read_nodes(text: str, name: str, mistakes: Mistakes) -> Document | None:
    before = len(mistakes.found)
    try:
        loader = yaml.CSafeLoader(text)
        root = loader.get_single_node()
        document = Document(name, _NodeReader(loader, name, mistakes).value(root) if root else {}, root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        mistakes.found.append(Mistake(name, line, column, f"not YAML: {error.problem}"))
    except RecursionError:
        mistakes.found.append(Mistake(name, 1, 1, "cannot be read: it is nested too deeply"))
    except yaml.YAMLError as error:
        mistakes.found.append(Mistake(name, 1, 1, f"cannot be read: {' '.join(str(error).split())}"))
    return document if len(mistakes.found) == before else None


@dataclass
class _NodeReader:
    """Turns nodes into data and reports what is ambiguous to a reader: duplicate keys, aliases, keys with structure."""

    loader: Any
    name: str
    mistakes: Mistakes
    _seen: set[int] = field(default_factory=set)

    def value(self, node: yaml.Node) -> Any:  # noqa: ANN401 - any YAML value
        if id(node) in self._seen:  # an alias refers to a node that was read before, possibly a parent
            return self._note(node, "it is used by an alias (*): repeat the value instead")
        self._seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item) for item in node.value]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        try:
            value = self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError):  # `0x_`, `2026-13-45`, `!!int x`
            value = self
        if isinstance(value, (str, int, float, dt.date, type(None))):
            return value
        return self._note(node, f"not a value: {node.value[:40]!r}; put it in quotes if it is text")

    def _mapping(self, node: yaml.MappingNode) -> dict[Any, Any]:
        mapping: dict[Any, Any] = {}
        written: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._note(key, "a key must be a scalar")
                continue
            if key.value in written:
                self._note(key, f"'{key.value}' is given twice")
            written.add(key.value)
            mapping[self.value(key)] = self.value(value)
        return mapping

    def _note(self, node: yaml.Node, text: str) -> None:
        self.mistakes.found.append(Mistake(self.name, node.start_mark.line + 1, node.start_mark.column + 1, text))


def parse_document(document: Document, model: type[Model], mistakes: Mistakes) -> Model | None:
    """Validate a document against a model.

    Returns:
        the model; None if the document has mistakes, which are added to `mistakes`.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as failure:
        for error in failure.errors():
            location, of_key = error["loc"], error["type"] == "extra_forbidden"
            if location and location[-1] == "[key]":  # pydantic marks an error in the key itself so
                location, of_key = location[:-1], True
            mistakes.add(document, location, _explain(document, model, error, location, key=of_key), key=of_key)
    return None


def parse_yaml(path: Path, name: str, model: type[Model], mistakes: Mistakes) -> tuple[Document, Model] | None:
    """Read one YAML file and validate it; return None, and add to `mistakes`, if it has mistakes."""
    text = _read_text(path, name, mistakes)
    if text is None:
        return None
    document, parsed, found = _parse_text(text, name, model)
    mistakes.found.extend(found)
    return (document, parsed) if document and isinstance(parsed, model) else None


@lru_cache(maxsize=256)
def _parse_text(
    text: str, name: str, model: type[BaseModel]
) -> tuple[Document | None, BaseModel | None, Sequence[Mistake]]:
    """Parse the same text once: `bump` and `request` load all recipes again after a change of two."""
    mistakes = Mistakes()
    document = _read_nodes(text, name, mistakes)
    parsed = parse_document(document, model, mistakes) if document else None
    return document, parsed, mistakes.found


def load_yaml(
    path: Path, name: str, model: type[Model], check: Callable[[Document, Model, Mistakes], None] | None = None
) -> Model:
    """Load one YAML file that stands for itself.

    Args:
        path: the file.
        name: its name in messages, relative to the project's root.
        model: the model of its content.
        check: adds the mistakes that the model cannot detect.

    Raises:
        InputError: lists every mistake with file:line:column.
    """
    mistakes = Mistakes()
    loaded = parse_yaml(path, name, model, mistakes)
    if loaded and check:
        check(*loaded, mistakes)
    mistakes.raise_if_any()
    assert loaded is not None  # noqa: S101 - for the type checker: a file that was not loaded has a mistake
    return loaded[1]


def _explain(
    document: Document,
    model: type[BaseModel],
    error: Any,  # noqa: ANN401 - pydantic's ErrorDetails
    location: Location,
    *,
    key: bool,
) -> str:
    name = next((step for step in reversed(location) if isinstance(step, str)), "the file")
    written = document.written(location, key=key)
    if error["type"] == "extra_forbidden":
        fields = _list_fields(model, location[:-1])
        return f"unknown key '{name}'" + (f": {nearest(name, fields)}" if fields else "")
    if error["type"] == "missing":
        return f"'{name}' is missing"
    if error["type"] == "string_type":
        what = f"the key '{written}'" if key else f"'{name}'"
        return f"{what} must be text" + (f": put {written} in quotes" if written else "")
    message = error["msg"].removeprefix("Value error, ")
    return f"'{name}': {message}"


def _list_fields(model: type[BaseModel], location: Location) -> list[str]:
    """Return the keys that a location accepts, following models, lists and mappings."""
    annotation: Any = model
    for step in location:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            known = annotation.model_fields.get(str(step))
            annotation = known.annotation if known else None
        else:
            annotation = (getattr(annotation, "__args__", None) or [None])[0 if isinstance(step, int) else -1]
        while not isinstance(annotation, type) and type(None) in (getattr(annotation, "__args__", None) or ()):
            annotation = next(arg for arg in annotation.__args__ if arg is not type(None))
    inner = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return sorted(annotation.model_fields) if inner else []
