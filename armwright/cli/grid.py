"""The matrix as grids: for each framework its targets by its backends, with the versions in each state."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import zip_longest
from typing import TypeVar

from armwright.matrix.matrix import Combo
from armwright.pipeline.documents import MEANING, ComboState, make_state_cell
from armwright.system import console
from armwright.system.table_layout import Cell

StatedCombo = tuple[Combo, ComboState]
GroupKey = TypeVar("GroupKey", bound=Hashable)
Value = TypeVar("Value")


def print_grid(stated: Sequence[StatedCombo]) -> None:
    """Print a grid for each framework, and below them what the states mean."""
    by_framework = _group((combo.framework.title, (combo, state)) for combo, state in stated)
    for title, members in by_framework.items():
        backends = list(dict.fromkeys(combo.backend for combo, _ in members))
        by_target = _group((combo.target.name, (combo, state)) for combo, state in members)
        lines = [line for target, row in by_target.items() for line in _target_lines(target, row, backends)]
        versions = dict.fromkeys(combo.version for combo, _ in members)
        console.table(f"{title}: {', '.join(versions)}", ["", *backends], lines)
        console.result("")
    shown = {state for _, state in stated}
    console.table(
        "", ["state", "meaning"], [[make_state_cell(state), MEANING[state]] for state in MEANING if state in shown]
    )


def _target_lines(target: str, row: Sequence[StatedCombo], backends: Sequence[str]) -> list[list[str | Cell]]:
    """Return the lines of one target: as many as its backend with the most states takes."""
    columns = [_backend_cells([(combo, state) for combo, state in row if combo.backend == name]) for name in backends]
    lines = enumerate(zip_longest(*columns, fillvalue=Cell("")))
    return [["" if number else target, *line] for number, line in lines]


def _backend_cells(stated: Sequence[StatedCombo]) -> list[Cell]:
    """Return a cell for each state, in the order of MEANING: "proven 2.10.0", "refused 2.9.1".

    A state that all versions share has no versions beside it; the last of several states has "the rest" if it has more
    than one version.
    """
    versions = _group((state, combo.version) for combo, state in stated)
    states = [state for state in MEANING if state in versions]
    texts = {state: f"{state} {', '.join(versions[state])}" for state in states}
    if len(states) == 1:
        texts[states[0]] = states[0]
    elif len(versions[states[-1]]) > 1:
        texts[states[-1]] = f"{states[-1]} the rest"
    return [make_state_cell(state, text) for state, text in texts.items()]


def _group(pairs: Iterable[tuple[GroupKey, Value]]) -> dict[GroupKey, list[Value]]:
    groups: dict[GroupKey, list[Value]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
