"""Insert a first item or entry into a YAML file as text, so that comments and all other bytes stay the same."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from armwright.system import yaml_file
from armwright.system.errors import InputError

_WIDTH = 110  # characters of a field on one line; with its indentation it stays below 120


def insert_item(text: str, path: Sequence[str], value: str) -> str:
    """Insert a text as the first item of a list.

    Args:
        text: the file.
        path: the keys that lead to the list.
        value: the new item.

    Raises:
        InputError: the list does not exist, or its notation is not supported.
    """
    node = _find_node(text, path)
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise _unsupported(path)
    first = node.value[0]
    quoted = _quote(value, first)
    new = _insert_into_flow(text, first, quoted) if node.flow_style else _insert_above(text, node, f"- {quoted}")
    return _checked(text, new, path, lambda items: items.insert(0, value))


def insert_entry(text: str, path: Sequence[str], key: str, fields: Mapping[str, Any]) -> str:
    """Insert a mapping as the first entry of a mapping, in the notation of the previous first entry.

    Args:
        text: the file.
        path: the keys that lead to the mapping.
        key: the new entry's key.
        fields: the new entry's content.

    Raises:
        InputError: the mapping does not exist, it has the key already, or its notation is not supported.
    """
    node = _find_node(text, path)
    if not isinstance(node, yaml.MappingNode) or not node.value or any(name.value == key for name, _ in node.value):
        raise _unsupported(path)
    first, model = node.value[0]
    quoted = _quote(key, first)
    if node.flow_style:
        new = _insert_into_flow(text, first, f"{quoted}: {_dump_flow(dict(fields))}")
    elif model.flow_style:
        new = _insert_above(text, node, f"{quoted}: {_dump_flow(dict(fields))}")
    else:
        indentation = " " * (model.start_mark.column - first.start_mark.column)
        lines = [line for name, value in fields.items() for line in _dump_field(name, value)]
        new = _insert_above(text, node, f"{quoted}:", *(f"{indentation}{line}" for line in lines))
    return _checked(text, new, path, lambda entries: entries.setdefault(key, dict(fields)))


def _find_node(text: str, path: Sequence[str]) -> yaml.Node | None:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for step in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for key, value in pairs if key.value == step), None)
    return node


def _insert_into_flow(text: str, first: yaml.Node, new: str) -> str:
    """Insert text into `[...]` or `{...}` before the first element; on a separate line if that element has one."""
    at = first.start_mark.index
    if not _line_before(text, at).strip():
        return _insert_above(text, first, f"{new},")
    return f"{text[:at]}{new}, {text[at:]}"


def _insert_above(text: str, node: yaml.Node, *lines: str) -> str:
    """Insert lines above a node and its comments, with the indentation of the node."""
    indentation = _line_before(text, node.start_mark.index)
    at = node.start_mark.index - len(indentation)
    for line in reversed(text[:at].split("\n")[:-1]):
        if not line.lstrip().startswith("#"):
            break
        at -= len(line) + 1
    ending = "\r\n" if "\r\n" in text else "\n"
    return text[:at] + "".join(f"{indentation}{line}{ending}" for line in lines) + text[at:]


def _line_before(text: str, at: int) -> str:
    """Return the part of a line before a position."""
    return text[text.rfind("\n", 0, at) + 1 : at]


def _quote(text: str, like: yaml.Node) -> str:
    """Quote a version as its neighbour is quoted; without quotes YAML reads 2.10 as the number 2.1."""
    return f"'{text}'" if isinstance(like, yaml.ScalarNode) and like.style == "'" else f'"{text}"'


def _dump_field(name: str, value: object) -> list[str]:
    """Write a key and its value: on one line, or a list with one item per line if it would be too wide."""
    line = f"{name}: {_dump_flow(value)}"
    if len(line) <= _WIDTH or not isinstance(value, list):
        return [line]
    return [f"{name}:", *(f"  - {_dump_flow(item)}" for item in value)]


def _dump_flow(value: object) -> str:
    """Write a value on one line."""
    dumped = yaml.safe_dump(value, default_flow_style=True, width=sys.maxsize, sort_keys=False, allow_unicode=True)
    return dumped.removesuffix("\n").removesuffix("\n...")


def _checked(text: str, new: str, path: Sequence[str], change: Callable[[Any], object]) -> str:
    """Return the new text if parsing it gives the old data with only the intended change."""
    expected = yaml.safe_load(text)
    change(yaml_file.get_at(expected, path))
    try:
        actual = yaml.safe_load(new)
    except yaml.YAMLError:
        actual = None
    if actual != expected:
        raise _unsupported(path)
    return new


def _unsupported(path: Sequence[str]) -> InputError:
    return InputError(
        f"'{'.'.join(path)}' has a notation that `invoke bump` cannot extend",
        "git diff",
        hint="docs/how-to/add-a-version.md shows how to add the version manually",
    )
