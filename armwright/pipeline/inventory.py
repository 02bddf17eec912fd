"""The inventory: how far each combo has come on this machine."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from armwright.engine.client import Engine
from armwright.matrix.matrix import Combo, Matrix
from armwright.pipeline.documents import ComboState, ListedRow, PlannedRow
from armwright.plan.plan import Plan, make_plan
from armwright.proof import state
from armwright.system.errors import MachineError

SILENT = "the engine does not answer; ./inv setup"
_WHY: dict[ComboState, str] = {
    "proven": "its evidence is valid for the image in the engine: nothing to do",
    "built": "the image is there and not proven: smoke only",
    "not built": "the engine has no image of these inputs: build and smoke",
    "unknown": SILENT,
}
_IMMUTABLE = re.compile(r"(?P<tag>.+)-[0-9a-f]{12}")


@dataclass(frozen=True)
class Inventory:
    """The matrix on this machine.

    Attributes:
        matrix: the loaded matrix.
        names: every name in the engine's store with its digest; None when the engine does not answer.
    """

    matrix: Matrix
    names: Mapping[str, str] | None

    def state(self, plan: Plan) -> ComboState:
        """Say how far a plan has come."""
        return "unknown" if self.names is None else state.plan_state(self.matrix.root, plan, dict(self.names))

    def listed_state(self, combo: Combo) -> ComboState:
        """Say how far a combo has come; planned is only what has an image here, of whatever inputs."""
        if combo.refusal is not None:
            return "refused"
        if self.names is None:
            return "unknown" if combo.unverified is None else "unverified"
        state = self.state(make_plan(self.matrix, combo)) if combo.tag in self._built else "not built"
        return "unverified" if state == "not built" and combo.unverified is not None else state

    def listed(self, combo: Combo) -> ListedRow:
        """Return a combo's row."""
        state = self.listed_state(combo)
        near = self.matrix.instead(combo) if combo.refusal is not None else None
        base = self.matrix.base(combo)
        return ListedRow(
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

    def planned(self, plan: Plan) -> PlannedRow:
        """Return a plan's row."""
        state = self.state(plan)
        return PlannedRow(
            id=plan.combo.id,
            state=state,
            why=_WHY[state],
            base=f"{plan.base.name} ({plan.source})",
            emulator=plan.combo.target.emulator.cpu,
            inputs=plan.inputs,
            image=plan.tag,
            reference=plan.reference,
            files=sorted(plan.files),
            unverified=plan.combo.unverified,
        )

    @cached_property
    def _built(self) -> Collection[str]:
        return built_tags(self.names or ())


def take_inventory(matrix: Matrix) -> Inventory:
    """Return the matrix on this machine; its engine may not answer."""
    return Inventory(matrix, engine_names())


def built_tags(names: Iterable[str]) -> set[str]:
    """Return the tags of which there is an immutable name, of whatever inputs."""
    return {found["tag"] for found in map(_IMMUTABLE.fullmatch, names) if found}


def engine_names() -> dict[str, str] | None:
    """Return the names in the engine's store; None when it does not answer: reading commands need no engine."""
    try:
        return Engine().names()
    except MachineError:
        return None
