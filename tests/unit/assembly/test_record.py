"""The record of what a build produced: it comes before the name, and an interrupted build leaves no believed image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from armwright.assembly import record
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan, make_plan
from armwright.proof.state import find_plan_state
from armwright.system.errors import FailedError
from tests import proofs


class Killed(BaseException):
    """The process ends here."""


class Names:
    """An engine's names; the call of that number kills the process, after or instead of its work."""

    def __init__(self, plan: Plan, built: str, kill: int = 0) -> None:
        self.image, self.names, self.kill, self.calls = proofs.OneImage(plan).image, {built: proofs.DIGEST}, kill, 0

    def find(self, reference: str) -> Any:  # noqa: ANN401 - an image or None
        return self.image if reference in self.names else None

    def tag(self, digest: str, name: str) -> None:
        self._count()
        self.names[name] = digest

    def untag(self, name: str) -> None:
        self._count()
        self.names.pop(name)

    def _count(self) -> None:
        self.calls += 1
        if self.calls == self.kill:
            raise Killed


@pytest.fixture
def plan(matrix: Matrix) -> Plan:
    return make_plan(matrix, matrix.by_id["pytorch-2.10.0-n1-acl"])


def test_a_built_image_is_recorded_and_named(plan: Plan, tmp_path: Path) -> None:
    built = record.unrecorded_name(tmp_path, plan)
    engine: Any = Names(plan, built)
    assert record.name_image(tmp_path, engine, plan) is engine.image
    assert engine.names == {plan.reference: proofs.DIGEST}
    assert record.read_record(tmp_path, plan) == proofs.DIGEST


@pytest.mark.parametrize("kill", [1, 2])
def test_whenever_it_is_killed_the_name_has_a_record(plan: Plan, tmp_path: Path, kill: int) -> None:
    engine: Any = Names(plan, record.unrecorded_name(tmp_path, plan), kill)
    with pytest.raises(Killed):
        record.name_image(tmp_path, engine, plan)
    named = plan.reference in engine.names
    assert record.read_record(tmp_path, plan) == proofs.DIGEST
    assert find_plan_state(tmp_path, plan, engine.names) == ("built" if named else "not built")
    engine.kill = 0
    record.remove_unrecorded(tmp_path, engine, list(engine.names))
    assert set(engine.names) <= {plan.reference}


def test_names_of_other_checkouts_and_images_stay(plan: Plan, tmp_path: Path) -> None:
    other = record.unrecorded_name(tmp_path / "other", plan)
    engine: Any = Names(plan, other)
    record.remove_unrecorded(tmp_path, engine, [other, plan.reference, plan.tag])
    assert engine.names == {other: proofs.DIGEST}


def test_an_image_that_the_build_did_not_leave_is_an_error(plan: Plan, tmp_path: Path) -> None:
    engine: Any = Names(plan, plan.reference)
    with pytest.raises(FailedError, match="the engine has no image"):
        record.name_image(tmp_path, engine, plan)
    assert record.read_record(tmp_path, plan) is None
