"""The command `list`: combos and their states."""

from __future__ import annotations

from dataclasses import replace

from armwright.cli import grid
from armwright.matrix import selection
from armwright.matrix.matrix import Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline import documents, inventory
from armwright.pipeline.documents import ListedRow
from armwright.system import console
from armwright.system.errors import InputError


def run(matrix: Matrix, chosen: Selector, *, as_grid: bool, as_json: bool, as_schema: bool = False) -> None:
    """Print combos of all versions, with their state.

    Args:
        matrix: the loaded matrix.
        chosen: the selected combos; `every` includes refused and unverified ones, with the reason.
        as_grid: print a grid of targets and backends per framework, with every state.
        as_json: print a JSON list of `ListedRow`.
        as_schema: print the JSON Schema of that list and nothing else.

    Raises:
        InputError: the selection is wrong, or both a grid and JSON are wanted.
    """
    if as_schema:
        console.document(documents.make_json_schema(list[ListedRow]))
        return
    if as_grid and as_json:
        raise InputError("--grid and --json cannot be combined", "invoke list --help")
    everything = selection.match_combos(matrix, replace(chosen, every=True))
    here = inventory.take_inventory(matrix)
    if as_grid:
        grid.print_grid([(combo, here.find_combo_state(combo)) for combo in everything])
        return
    shown = everything if chosen.every else [combo for combo in everything if selection.allowed(chosen, combo)]
    rows = [here.make_listed_row(combo) for combo in shown]
    if as_json:
        console.document(documents.to_documents(rows))
        return
    columns = ["combo", "state", "reason"]
    console.table("", columns, [[row.id, documents.make_state_cell(row.state), _reason(row)] for row in rows])
    refused = sum(combo.refusal is not None for combo in everything)
    kinds = {"refused": refused, "unverified": len(everything) - len(shown) - refused}
    hidden = " and ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    if hidden and len(shown) < len(everything):
        console.say(f"{hidden} combo(s) not shown; invoke list --all shows why")


def _reason(row: ListedRow) -> str:
    return row.reason + (f"; nearest: {row.nearest}" if row.nearest else "")
