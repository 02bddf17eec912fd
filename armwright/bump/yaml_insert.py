"""Insertions into a YAML file: a new first item or entry as text; every other byte, and every comment, stays."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from armwright.system import yaml_file
from armwright.system.errors import InputError


def item(text: str, path: Sequence[str], value: str) -> str:
    """Insert a text as the first item of a list.

    Args:
        text: the file.
        path: the keys that lead to the list.
        value: the new item.

    Raises:
        InputError: there is no such list, or it is written in a way that a program cannot extend.
    """
    there = _node(text, path)
    if not isinstance(there, yaml.SequenceNode) or not there.value:
        raise _by_hand(path)
    first = there.value[0]
    quoted = _quoted(value, first)
    new = _in_flow(text, first, quoted) if there.flow_style else _above(text, there, f"- {quoted}")
    return _checked(text, new, path, lambda found: found.insert(0, value))


def entry(text: str, path: Sequence[str], key: str, fields: Mapping[str, Any]) -> str:
    """Insert a mapping as the first entry of a mapping, written as the entry that was first is.

    Args:
        text: the file.
        path: the keys that lead to the mapping.
        key: the new entry's key.
        fields: what it holds.

    Raises:
        InputError: there is no such mapping, the key is there already, or it is written in a way that a program cannot
            extend.
    """
    there = _node(text, path)
    if not isinstance(there, yaml.MappingNode) or not there.value or any(one.value == key for one, _ in there.value):
        raise _by_hand(path)
    first, model = there.value[0]
    quoted = _quoted(key, first)
    if there.flow_style:
        new = _in_flow(text, first, f"{quoted}: {_flow(dict(fields))}")
    elif model.flow_style:
        new = _above(text, there, f"{quoted}: {_flow(dict(fields))}")
    else:
        deeper = " " * (model.start_mark.column - first.start_mark.column)
        lines = [f"{quoted}:", *(f"{deeper}{name}: {_flow(value)}" for name, value in fields.items())]
        new = _above(text, there, *lines)
    return _checked(text, new, path, lambda found: found.setdefault(key, dict(fields)))


def _node(text: str, path: Sequence[str]) -> yaml.Node | None:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for step in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for key, value in pairs if key.value == step), None)
    return node


def _in_flow(text: str, first: yaml.Node, new: str) -> str:
    """Insert something into `[...]` or `{...}`: before the first word, or on a line of its own if that has one."""
    at = first.start_mark.index
    if not _before(text, at).strip():
        return _above(text, first, f"{new},")
    return f"{text[:at]}{new}, {text[at:]}"


def _above(text: str, node: yaml.Node, *lines: str) -> str:
    """Insert lines above a node's line, indented as it is; comments right above it stay with it."""
    indentation = _before(text, node.start_mark.index)
    at = node.start_mark.index - len(indentation)
    for line in reversed(text[:at].split("\n")[:-1]):
        if not line.lstrip().startswith("#"):
            break
        at -= len(line) + 1
    ending = "\r\n" if "\r\n" in text else "\n"
    return text[:at] + "".join(f"{indentation}{line}{ending}" for line in lines) + text[at:]


def _before(text: str, at: int) -> str:
    """Return what stands before a place on its line."""
    return text[text.rfind("\n", 0, at) + 1 : at]


def _quoted(text: str, like: yaml.Node) -> str:
    """Write a version in quotes, without which 2.10 would be the number 2.1; in those its neighbour has."""
    return f"'{text}'" if isinstance(like, yaml.ScalarNode) and like.style == "'" else f'"{text}"'


def _flow(value: object) -> str:
    """Write a value on one line."""
    dumped = yaml.safe_dump(value, default_flow_style=True, width=sys.maxsize, sort_keys=False, allow_unicode=True)
    return dumped.removesuffix("\n").removesuffix("\n...")


def _checked(text: str, new: str, path: Sequence[str], change: Callable[[Any], object]) -> str:
    """Return the new text if it means what the old one does, but for the change."""
    expected = yaml.safe_load(text)
    change(yaml_file.get_at(expected, path))
    try:
        found = yaml.safe_load(new)
    except yaml.YAMLError:
        found = None
    if found != expected:
        raise _by_hand(path)
    return new


def _by_hand(path: Sequence[str]) -> InputError:
    return InputError(f"a program cannot extend '{'.'.join(path)}' as it is written", "add the version by hand")
