"""What the matrix holds and how far each combo has come: the reading commands list, plan and render."""

from __future__ import annotations

from typing import Any, get_args

from armwright import build, console, render, selection
from armwright.engine import Engine
from armwright.errors import InputError, MachineError, nearest
from armwright.matrix import Combo, Matrix
from armwright.plan import Plan, Source, plan
from armwright.selection import Selector


def source(word: str) -> Source:
    """Return where the base comes from.

    Raises:
        InputError: there is no such source.
    """
    for known in get_args(Source):
        if word == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"--base {word!r} is not known: {nearest(word, get_args(Source))}", "invoke build --help")


def possible(matrix: Matrix, chosen: Selector) -> list[Combo]:
    """Return the combos that can exist and were asked for; name those that were left out, with the reason."""
    combos = selection.select(matrix, chosen)
    for combo in selection.match(matrix, chosen):
        if combo.refusal is not None:
            console.say(f"left out: {combo.id}: {combo.refusal}", "yellow")
    return combos


def combos(matrix: Matrix, chosen: Selector, *, refused: bool, as_json: bool) -> None:
    """Show combos and their state.

    Args:
        matrix: the loaded matrix.
        chosen: what was asked for; versions left out mean all versions.
        refused: show refused combos, with the reason.
        as_json: one JSON document: a list of {id, framework, version, target, backend, image, state, reason}.
    """
    everything = selection.match(matrix, chosen if chosen.combo else _every(chosen))
    names = _names()
    rows = [_row(matrix, combo, names) for combo in everything if refused or combo.refusal is None]
    if as_json:
        console.document(rows)
        return
    console.table("", ["combo", "state", "reason"], [[row["id"], row["state"], row["reason"]] for row in rows])
    hidden = len(everything) - len(rows)
    if hidden:
        console.say(f"{hidden} refused combo(s) not shown; invoke list --all shows why")


def plans(matrix: Matrix, chosen: Selector, base: str, *, as_json: bool) -> None:
    """Show what would be built, in order, and why."""
    names = _names()
    planned = [plan(matrix, combo, source(base)) for combo in possible(matrix, chosen)]
    rows = [_plan(matrix, one, names) for one in planned]
    if as_json:
        console.document(rows)
        return
    console.table(
        "", ["combo", "state", "why", "base", "proven on", "inputs"], [[row[key] for key in _COLUMNS] for row in rows]
    )


def contexts(matrix: Matrix, chosen: Selector, base: str, *, fetch: bool) -> None:
    """Write contexts; with their downloads where `fetch` asks for them."""
    for combo in possible(matrix, chosen):
        one = plan(matrix, combo, source(base))
        folder = build.context_of(matrix.root, combo)
        if fetch:
            build.fetch(matrix.root, one)
        else:
            render.write(folder, one.files)
        console.result(str(folder.relative_to(matrix.root)))


SILENT = "the engine does not answer; ./inv setup"
_COLUMNS = ("id", "state", "why", "base", "emulator", "inputs")


def _state(matrix: Matrix, one: Plan, names: dict[str, str] | None) -> str:
    return "unknown" if names is None else build.state(matrix.root, one, names)


def _plan(matrix: Matrix, one: Plan, names: dict[str, str] | None) -> dict[str, Any]:
    state = _state(matrix, one, names)
    return {
        "id": one.combo.id,
        "state": state,
        "why": {
            "proven": "its evidence is valid for the image in the engine: nothing to do",
            "built": "the image is there and not proven: smoke only",
            "not built": "the engine has no image of these inputs: build and smoke",
            "unknown": SILENT,
        }[state],
        "base": f"{one.base.name} ({one.source})",
        "emulator": one.combo.target.emulator.cpu,
        "inputs": one.inputs,
        "image": one.tag,
        "reference": one.reference,
        "files": sorted(one.files),
    }


def _row(matrix: Matrix, combo: Combo, names: dict[str, str] | None) -> dict[str, Any]:
    if combo.refusal is not None:
        near = matrix.instead(combo)
        state, reason = "refused", combo.refusal + (f"; nearest: {near.id}" if near else "")
    else:
        state = _state(matrix, plan(matrix, combo), names)
        reason = SILENT if state == "unknown" else ""
    return {
        "id": combo.id,
        "framework": combo.framework.name,
        "version": combo.version,
        "target": combo.target.name,
        "backend": combo.backend,
        "image": combo.tag,
        "state": state,
        "reason": reason,
    }


def _every(chosen: Selector) -> Selector:
    return Selector(chosen.framework, chosen.version, chosen.target, chosen.backend, every=True)


def _names() -> dict[str, str] | None:
    """Return the names in the engine's store; None when it does not answer: reading commands need no engine."""
    try:
        return Engine().names()
    except MachineError:
        return None
