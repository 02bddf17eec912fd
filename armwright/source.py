"""YAML files whose every value knows its place, so that a mistake is reported as file:line:column."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from armwright.errors import InputError, nearest

Model = TypeVar("Model", bound=BaseModel)
Location = Sequence[int | str]


@dataclass(frozen=True)
class Mistake:
    """One mistake in a file, with its place (line and column count from 1)."""

    path: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.text}"


@dataclass
class Mistakes:
    """All mistakes found so far; reported at once, never one at a time."""

    found: list[Mistake] = field(default_factory=list)

    def add(self, document: Document, location: Location, text: str) -> None:
        """Note a mistake at a location of a document."""
        line, column = document.place(location)
        self.found.append(Mistake(document.name, line, column, text))

    def raise_if_any(self) -> None:
        """Raise an InputError that lists every mistake, in the order of files and lines."""
        if self.found:
            lines = [str(mistake) for mistake in sorted(self.found, key=lambda one: (one.path, one.line, one.column))]
            count = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
            raise InputError(
                f"{count} in the data:\n  " + "\n  ".join(lines), "mend the lines above; nothing was started"
            )


@dataclass(frozen=True)
class Document:
    """A loaded YAML file: its data, and the node tree that knows places."""

    name: str
    data: Any
    root: yaml.Node | None

    def place(self, location: Location) -> tuple[int, int]:
        """Find the line and column of a location; of its nearest existing parent when it is absent."""
        node = self.root
        mark = node.start_mark if node else None
        for step in location:
            child, at = _child(node, step)
            if at is None:
                break
            node, mark = child, at
        return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _child(node: yaml.Node | None, step: int | str) -> tuple[yaml.Node | None, yaml.Mark | None]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return value, value.start_mark
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step].start_mark
    return None, None


def read(path: Path, name: str, mistakes: Mistakes) -> Document | None:
    """Read one YAML file.

    Args:
        path: the file.
        name: how messages call it (relative to the project's root).
        mistakes: where syntax errors and doubled keys are noted.

    Returns:
        the document, or None when it cannot be read as YAML at all.
    """
    try:
        loader = yaml.CSafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        document = Document(name, None, root)
        _refuse_doubled_keys(document, root, mistakes)
        return Document(name, loader.construct_document(root) if root else {}, root)
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        mistakes.found.append(Mistake(name, line, column, f"not YAML: {wrong.problem}"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as wrong:
        mistakes.found.append(Mistake(name, 1, 1, f"cannot be read: {wrong}"))
    return None


def _refuse_doubled_keys(document: Document, node: yaml.Node | None, mistakes: Mistakes) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[Hashable] = set()
        for key, value in node.value:
            if key.value in seen:
                where = (key.start_mark.line + 1, key.start_mark.column + 1)
                mistakes.found.append(Mistake(document.name, *where, f"'{key.value}' is given twice"))
            seen.add(key.value)
            _refuse_doubled_keys(document, value, mistakes)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_doubled_keys(document, item, mistakes)


def parse(document: Document, model: type[Model], mistakes: Mistakes) -> Model | None:
    """Turn a document into a model.

    Returns:
        the model; None when something is wrong, every mistake noted with its place.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as wrong:
        for error in wrong.errors():
            mistakes.add(document, error["loc"], _explain(model, error))
    return None


def _explain(model: type[BaseModel], error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    key = str(error["loc"][-1]) if error["loc"] else "the file"
    if error["type"] == "extra_forbidden":
        fields = _fields(model, error["loc"][:-1])
        return f"unknown key '{key}'" + (f": {nearest(key, fields)}" if fields else "")
    if error["type"] == "missing":
        return f"'{key}' is missing"
    if error["type"] == "string_type":
        return f"'{key}' must be text: put {error['input']!r} in quotes"
    message = error["msg"].removeprefix("Value error, ")
    return f"'{key}': {message}"


def _fields(model: type[BaseModel], location: Location) -> list[str]:
    """Name the keys allowed at a location, following models, lists and mappings."""
    annotation: Any = model
    for step in location:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            known = annotation.model_fields.get(str(step))
            annotation = known.annotation if known else None
        else:
            annotation = (getattr(annotation, "__args__", None) or [None])[0 if isinstance(step, int) else -1]
        while not isinstance(annotation, type) and type(None) in (getattr(annotation, "__args__", None) or ()):
            annotation = next(one for one in annotation.__args__ if one is not type(None))
    inner = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return sorted(annotation.model_fields) if inner else []
