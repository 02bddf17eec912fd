"""What the matrix holds and how far each combo has come: the reading commands list, plan and render."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import get_args

from armwright.cli import grid
from armwright.engine.client import Engine
from armwright.fetch import downloads
from armwright.matrix import selection
from armwright.matrix.matrix import Combo, Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline import build_combo, documents
from armwright.pipeline.documents import Listed, Planned, State
from armwright.plan import render
from armwright.plan.plan import Plan, Source, plan
from armwright.system import console
from armwright.system.errors import InputError, MachineError, nearest

SILENT = "the engine does not answer; ./inv setup"
_WHY: dict[State, str] = {
    "proven": "its evidence is valid for the image in the engine: nothing to do",
    "built": "the image is there and not proven: smoke only",
    "not built": "the engine has no image of these inputs: build and smoke",
    "unknown": SILENT,
}
_IMMUTABLE = re.compile(r"(?P<tag>.+)-[0-9a-f]{12}")


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
    """Return the combos that were asked for and are built; name those that were left out, with the reason."""
    combos = selection.select(matrix, chosen)
    left_out = selection.left_out(matrix, chosen)
    if chosen.version or chosen.backend or chosen.combo or chosen.every:
        for reason in selection.reasons(left_out):
            console.say(f"left out: {reason}", "yellow")
    elif left_out:  # nobody asked for these in particular
        console.say(f"left out: {len(left_out)} refused or unverified combo(s); invoke list --all shows why", "yellow")
    return combos


def built(combos: Sequence[Combo]) -> list[Combo]:
    """Return the combos of which the engine has an image, of whatever inputs; name those that were never built.

    A single combo, and combos of which none was built, come back as they are: what follows says what is missing.
    """
    tags = _tags(_names() or ())
    there = [combo for combo in combos if combo.tag in tags]
    absent = [combo.id for combo in combos if combo.tag not in tags]
    if not there or not absent:
        return list(combos)
    console.say(f"left out, never built: {', '.join(absent)}", "yellow")
    return there


def combos(matrix: Matrix, chosen: Selector, *, as_grid: bool, as_json: bool) -> None:
    """Show combos of all versions, and their state.

    Args:
        matrix: the loaded matrix.
        chosen: what was asked for; `every` shows refused and unverified combos too, with the reason.
        as_grid: for each framework its targets and backends, whatever their state.
        as_json: one JSON document: a list of `documents.Listed`.
    """
    if as_grid and as_json:
        raise InputError("--grid is for people and --json for programs; give one", "invoke list --help")
    everything = selection.match(matrix, replace(chosen, every=True))
    here = Here(matrix, _names())
    if as_grid:
        grid.show([(combo, here.listed_state(combo)) for combo in everything])
        return
    shown = everything if chosen.every else [combo for combo in everything if selection.allowed(chosen, combo)]
    rows = [here.listed(combo) for combo in shown]
    if as_json:
        console.document(documents.document(rows))
        return
    console.table("", ["combo", "state", "reason"], [[row.id, row.state, _reason(row)] for row in rows])
    refused = sum(combo.refusal is not None for combo in everything)
    kinds = {"refused": refused, "unverified": len(everything) - len(shown) - refused}
    hidden = " and ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
    if hidden and len(shown) < len(everything):
        console.say(f"{hidden} combo(s) not shown; invoke list --all shows why")


def plans(matrix: Matrix, chosen: Selector, base: str, *, as_json: bool) -> None:
    """Show what would be built, in order, and why."""
    here = Here(matrix, _names())
    rows = [here.planned(plan(matrix, combo, source(base))) for combo in possible(matrix, chosen)]
    if as_json:
        console.document(documents.document(rows))
        return
    console.table(
        "",
        ["combo", "state", "why", "base", "proven on", "inputs"],
        [[row.id, row.state, row.why, row.base, row.emulator, row.inputs] for row in rows],
    )


def contexts(matrix: Matrix, chosen: Selector, base: str, *, fetch: bool) -> None:
    """Write contexts; with their downloads where `fetch` asks for them.

    All of them means the unverified ones too: a context is only read.
    """
    if chosen.every and not fetch:
        found = [combo for combo in selection.match(matrix, chosen) if combo.refusal is None]
    else:
        found = possible(matrix, chosen)
    for combo in found:
        one = plan(matrix, combo, source(base))
        folder = build_combo.context_of(matrix.root, combo)
        if fetch:
            build_combo.fetch(matrix.root, one)
        else:
            render.write(folder, one.files)
        console.result(str(folder.relative_to(matrix.root)))


def adopt(matrix: Matrix, chosen: Selector, wheel: str) -> None:
    """Take a wheel that the user has, for the combos that were asked for, in place of its download.

    Raises:
        InputError: it cannot be read, or it is none that they take.
    """
    files = [file for combo in selection.select(matrix, chosen) for file in combo.release.files]
    downloads.adopt(matrix.root / "build" / "cache", files, Path(wheel))


@dataclass(frozen=True)
class Here:
    """The matrix on this machine.

    Attributes:
        matrix: the loaded matrix.
        names: every name in the engine's store with its digest; None when the engine does not answer.
    """

    matrix: Matrix
    names: Mapping[str, str] | None

    def state(self, one: Plan) -> State:
        """Say how far a plan has come."""
        return "unknown" if self.names is None else build_combo.state(self.matrix.root, one, dict(self.names))

    def listed_state(self, combo: Combo) -> State:
        """Say how far a combo has come; planned is only what has an image here, of whatever inputs."""
        if combo.refusal is not None:
            return "refused"
        if self.names is None:
            return "unknown" if combo.unverified is None else "unverified"
        state = self.state(plan(self.matrix, combo)) if combo.tag in self._built else "not built"
        return "unverified" if state == "not built" and combo.unverified is not None else state

    def listed(self, combo: Combo) -> Listed:
        """Return a combo's row."""
        state = self.listed_state(combo)
        near = self.matrix.instead(combo) if combo.refusal is not None else None
        base = self.matrix.base(combo)
        return Listed(
            id=combo.id,
            framework=combo.framework.name,
            version=combo.version,
            upstream=combo.upstream,
            title=combo.title,
            target=combo.target.name,
            aliases=combo.target.aliases,
            backend=combo.backend,
            provider=combo.release.provider,
            base=base.name,
            python=base.python,
            emulator=combo.target.emulator.cpu,
            image=combo.tag,
            state=state,
            reason=combo.refusal or combo.unverified or (SILENT if state == "unknown" else ""),
            unverified=combo.unverified is not None,
            nearest=near.id if near else None,
        )

    def planned(self, one: Plan) -> Planned:
        """Return a plan's row."""
        state = self.state(one)
        return Planned(
            id=one.combo.id,
            state=state,
            why=_WHY[state],
            base=f"{one.base.name} ({one.source})",
            emulator=one.combo.target.emulator.cpu,
            inputs=one.inputs,
            image=one.tag,
            reference=one.reference,
            files=sorted(one.files),
            unverified=one.combo.unverified,
        )

    @cached_property
    def _built(self) -> Collection[str]:
        return _tags(self.names or ())


def look(matrix: Matrix) -> Here:
    """Return the matrix on this machine; its engine may not answer."""
    return Here(matrix, _names())


def _reason(row: Listed) -> str:
    return row.reason + (f"; nearest: {row.nearest}" if row.nearest else "")


def _tags(names: Iterable[str]) -> set[str]:
    """Return the tags of which there is an immutable name, of whatever inputs."""
    return {found["tag"] for found in map(_IMMUTABLE.fullmatch, names) if found}


def _names() -> dict[str, str] | None:
    """Return the names in the engine's store; None when it does not answer: reading commands need no engine."""
    try:
        return Engine().names()
    except MachineError:
        return None
