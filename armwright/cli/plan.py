"""The command `plan`: what a build would do, in order, and why."""

from __future__ import annotations

from armwright.matrix.matrix import Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline import documents, inventory
from armwright.pipeline.documents import PlannedRow
from armwright.pipeline.selected import parse_source, select_buildable
from armwright.plan.plan import make_plan
from armwright.system import console

SHOWN = 19  # characters of a digest in a table: sha256: and the 12 digits that names have


def run(matrix: Matrix, chosen: Selector, base: str, *, as_json: bool, as_schema: bool = False) -> None:
    """Print what a build would do for each selected combo, in order, and why.

    Args:
        matrix: the loaded matrix.
        chosen: the selected combos.
        base: where the base comes from: "archive" or "registry".
        as_json: print a JSON list of `PlannedRow`.
        as_schema: print the JSON Schema of that list and nothing else.
    """
    if as_schema:
        console.document(documents.make_json_schema(list[PlannedRow]))
        return
    here = inventory.take_inventory(matrix)
    rows = [
        here.make_planned_row(make_plan(matrix, combo, parse_source(base)))
        for combo in select_buildable(matrix, chosen)
    ]
    if as_json:
        console.document(documents.to_documents(rows))
        return
    console.table(
        "",
        ["combo", "state", "why", "base", "proven on", "inputs"],
        [
            [row.id, documents.make_state_cell(row.state), row.why, row.base, row.emulator, row.inputs[:SHOWN]]
            for row in rows
        ],
    )
