"""The command `render`: writes build contexts as folders."""

from __future__ import annotations

from armwright.assembly import assemble
from armwright.matrix import selection
from armwright.matrix.matrix import Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline.selected import adopt_wheel, parse_source, select_buildable
from armwright.plan import render
from armwright.plan.plan import make_plan
from armwright.system import console


def run(matrix: Matrix, chosen: Selector, base: str, *, fetch: bool, wheel: str = "") -> None:
    """Write build contexts to build/contexts/<id>/ and print their folders.

    Args:
        matrix: the loaded matrix.
        chosen: the selected combos; `every` includes the unverified ones, because nothing is built.
        base: where the base comes from: "archive" or "registry".
        fetch: also download what the build needs and put it into the contexts.
        wheel: a local file to use instead of a download; empty for none.
    """
    if wheel:
        adopt_wheel(matrix, chosen, wheel)
    if chosen.every and not fetch:
        combos = [combo for combo in selection.match_combos(matrix, chosen) if combo.refusal is None]
    else:
        combos = select_buildable(matrix, chosen)
    for combo in combos:
        plan = make_plan(matrix, combo, parse_source(base))
        folder = render.context_path(matrix.root, combo)
        if fetch:
            assemble.fetch_context(matrix.root, plan)
        else:
            render.write_context(folder, plan.files)
        console.result(str(folder.relative_to(matrix.root)))
