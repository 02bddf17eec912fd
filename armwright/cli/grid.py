"""The matrix as grids: for each framework its targets against its backends; in each cell how far its versions are."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import zip_longest
from typing import TypeVar

from armwright.matrix.matrix import Combo
from armwright.pipeline.documents import MEANING, ComboState
from armwright.system import console

Seen = tuple[Combo, ComboState]
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


def print_grid(seen: Sequence[Seen]) -> None:
    """Print a grid for each framework, and what the states in them mean."""
    for title, ours in _grouped((combo.framework.title, (combo, state)) for combo, state in seen).items():
        backends = list(dict.fromkeys(combo.backend for combo, _ in ours))
        rows = _grouped((combo.target.name, (combo, state)) for combo, state in ours)
        lines = [line for name, row in rows.items() for line in _lines(name, row, backends)]
        versions = dict.fromkeys(combo.version for combo, _ in ours)
        console.table(f"{title}: {', '.join(versions)}", ["", *backends], lines)
        console.result("")
    there = {state for _, state in seen}
    console.table("", ["state", "meaning"], [[state, MEANING[state]] for state in MEANING if state in there])


def _lines(name: str, row: Sequence[Seen], backends: Sequence[str]) -> list[list[str]]:
    """Set one target: a line for each state that it has over any backend."""
    cells = [_cell([(combo, state) for combo, state in row if combo.backend == backend]) for backend in backends]
    return [["" if number else name, *line] for number, line in enumerate(zip_longest(*cells, fillvalue=""))]


def _cell(seen: Sequence[Seen]) -> list[str]:
    """Say the versions of one cell by their state, the one that came furthest first: `proven 2.10.0`, `refused 2.9.1`.

    A state that all of them have stands alone; the last of several states is that of the rest.
    """
    grouped = _grouped((state, combo.version) for combo, state in seen)
    states = [state for state in MEANING if state in grouped]
    said = {state: f"{state} {', '.join(grouped[state])}" for state in states}
    if len(states) == 1:
        said[states[0]] = states[0]
    elif len(grouped[states[-1]]) > 1:
        said[states[-1]] = f"{states[-1]} the rest"
    return list(said.values())


def _grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    found: dict[Key, list[Value]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found
