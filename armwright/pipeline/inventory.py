"""The inventory: which combos are built and proven on this machine."""

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
from armwright.system.errors import InputError, MachineError

SILENT = "Docker Engine does not answer; run: ./inv setup"
_REASONS: dict[ComboState, str] = {
    "proven": "the engine has the image and its evidence is valid: nothing to do",
    "built": "the engine has the image, but it is not proven: prove it",
    "not built": "the engine has no image of these inputs: build and prove it",
    "unknown": SILENT,
}
_IMMUTABLE = re.compile(r"(?P<tag>.+)-[0-9a-f]{12}")


@dataclass(frozen=True)
class Inventory:
    """The matrix on this machine.

    Attributes:
        matrix: the loaded matrix.
        names: the digest of every image name in the engine; None if the engine does not answer.
    """

    matrix: Matrix
    names: Mapping[str, str] | None

    def find_state(self, plan: Plan) -> ComboState:
        """Return the state of a plan."""
        return "unknown" if self.names is None else state.find_plan_state(self.matrix.root, plan, dict(self.names))

    def find_combo_state(self, combo: Combo) -> ComboState:
        """Return the state of a combo. Only combos with an image, of any inputs, are planned: planning takes time."""
        if combo.refusal is not None:
            return "refused"
        if self.names is None:
            return "unknown" if combo.unverified is None else "unverified"
        state = self.find_state(make_plan(self.matrix, combo)) if combo.tag in self._built else "not built"
        return "unverified" if state == "not built" and combo.unverified is not None else state

    def make_listed_row(self, combo: Combo) -> ListedRow:
        """Return the row of a combo for `invoke list`."""
        state = self.find_combo_state(combo)
        nearest = self.matrix.nearest_working(combo) if combo.refusal is not None else None
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
            nearest=nearest.id if nearest else None,
        )

    def make_planned_row(self, plan: Plan) -> PlannedRow:
        """Return the row of a plan for `invoke plan`."""
        state = self.find_state(plan)
        return PlannedRow(
            id=plan.combo.id,
            state=state,
            why=_REASONS[state],
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
        return find_built_tags(self.names or ())


def take_inventory(matrix: Matrix) -> Inventory:
    """Return the inventory of this machine; the engine may not answer."""
    return Inventory(matrix, read_engine_names())


def find_built_tags(names: Iterable[str]) -> set[str]:
    """Return the tags that have an immutable name, of any inputs, among image names."""
    return {match["tag"] for match in map(_IMMUTABLE.fullmatch, names) if match}


def read_engine_names() -> dict[str, str] | None:
    """Return the image names in the engine with their digests; None if it does not answer.

    Commands that only read work without an engine.
    """
    try:
        return Engine().names()
    except (MachineError, InputError):  # it does not answer, or what names it is wrong
        return None
