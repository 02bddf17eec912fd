"""The states of combos on this machine, and which combos a command leaves out. Image names here are invented."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import cast

import pytest

from armwright.assembly import record
from armwright.cli import grid, render
from armwright.cli.list import run
from armwright.matrix import selection
from armwright.matrix.matrix import Combo, Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline import inventory, selected
from armwright.pipeline.documents import MEANING, ComboState, ListedRow, PlannedRow, make_json_schema
from armwright.pipeline.inventory import Inventory
from armwright.plan.plan import Plan, make_plan
from armwright.proof import evidence
from armwright.proof.evidence import Evidence
from armwright.system import console
from tests import proofs
from tests.support import SMALL, Tree

DIGEST = f"sha256:{'1' * 64}"
N1 = "pytorch-2.10.0-n1-acl"
Names = dict[str, str] | None


@pytest.fixture
def small(tree: Tree) -> Matrix:
    tree.publish(SMALL + "  - unverified: {target: v1, backend: acl}\n    because: it was never run\n")
    return tree.load()


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the messages that are printed."""
    messages: list[str] = []
    monkeypatch.setattr(console, "say", lambda text, _="": messages.append(text))
    return messages


def store(monkeypatch: pytest.MonkeyPatch, names: Names) -> None:
    monkeypatch.setattr(inventory, "read_engine_names", lambda: names)


def immutable(matrix: Matrix, combo: str) -> dict[str, str]:
    """Record a build of a combo, and return the name that its image has then."""
    plan = make_plan(matrix, matrix.by_id[combo])
    record.write_record(matrix.root, plan, DIGEST)
    return {plan.reference: DIGEST}


def proven(matrix: Matrix, combo: str) -> None:
    plan = make_plan(matrix, matrix.by_id[combo])
    proofs.put_parts(evidence.evidence_path(matrix.root, plan.combo.id), plan)
    evidence.write_evidence(matrix.root, Evidence.model_validate(proofs.document(plan)))


def state(matrix: Matrix, combo: str, names: Names) -> ComboState:
    return Inventory(matrix, names).find_combo_state(matrix.by_id[combo])


def test_the_state_goes_from_not_built_to_built_to_proven(small: Matrix) -> None:
    assert state(small, N1, {}) == "not built"
    names = immutable(small, N1)
    assert state(small, N1, names) == "built"
    proven(small, N1)
    assert state(small, N1, names) == "proven"
    other = dict.fromkeys(names, f"sha256:{'9' * 64}")
    assert state(small, N1, other) == "not built"  # whoever gave it that name: it is not what was built here
    record.write_record(small.root, make_plan(small, small.by_id[N1]), other[next(iter(other))])
    assert state(small, N1, other) == "built"  # the evidence is of another image
    immutable(small, N1)
    short = proofs.document(make_plan(small, small.by_id[N1]))
    short["report"]["runs"].pop()
    evidence.evidence_path(small.root, N1).write_text(json.dumps(short), encoding="utf-8")
    assert state(small, N1, names) == "built"  # the evidence lacks a run that the plan has


def test_an_image_of_other_inputs_does_not_count(small: Matrix) -> None:
    assert (
        state(small, N1, {"pytorch:2.10.0-n1-acl-0123456789ab": DIGEST, "pytorch:2.10.0-n1-acl": DIGEST}) == "not built"
    )


def test_a_combo_is_unverified_until_it_has_an_image(small: Matrix) -> None:
    doubtful = "pytorch-2.10.0-v1-acl"
    assert state(small, doubtful, {}) == state(small, doubtful, None) == "unverified"
    assert state(small, doubtful, immutable(small, doubtful)) == "built"
    row = Inventory(small, immutable(small, doubtful)).make_listed_row(small.by_id[doubtful])
    assert (row.unverified, row.reason) == (True, "it was never run")
    assert state(small, "pytorch-2.10.0-generic-acl", {}) == "refused"


def test_without_an_engine_a_state_is_unknown_with_the_reason(small: Matrix) -> None:
    row = Inventory(small, None).make_listed_row(small.by_id[N1])
    assert (row.state, row.reason) == ("unknown", inventory.SILENT)


def test_a_row_has_what_follows_from_version_and_target(small: Matrix) -> None:
    row = Inventory(small, {}).make_listed_row(small.by_id["pytorch-2.10.0-generic-acl"])
    assert (row.provider, row.base, row.python, row.emulator) == ("wheel", "debian-13", "3.13", "cortex-a72")
    assert (row.nearest, row.title, row.upstream) == ("pytorch-2.9.1-generic-acl", "PyTorch 2.10.0", "2.10.0")
    assert "graviton1" in row.aliases


def test_only_combos_with_an_image_are_planned(small: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[str] = []

    def record_plan(matrix: Matrix, combo: Combo) -> Plan:
        planned.append(combo.id)
        return make_plan(matrix, combo)

    monkeypatch.setattr(inventory, "make_plan", record_plan)
    here = Inventory(small, immutable(small, N1))
    assert {here.find_combo_state(combo) for combo in small.combos} == {"built", "not built", "unverified", "refused"}
    assert planned == [N1]


def test_list_counts_the_combos_that_it_hides(
    small: Matrix, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], say: list[str]
) -> None:
    store(monkeypatch, {})

    def shown(**options: object) -> list[str]:
        run(small, Selector(**options), as_grid=False, as_json=False)  # type: ignore[arg-type]
        return [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]

    assert shown() == [combo.id for combo in small.combos if combo.is_known_to_work]
    assert say == ["2 refused and 2 unverified combo(s) not shown; invoke list --all shows why"]
    assert shown(every=True) == [combo.id for combo in small.combos]
    assert shown(combo="pytorch-2.9.1-v1-acl") == ["pytorch-2.9.1-v1-acl"]
    assert len(say) == 1


def test_combos_that_were_never_built_are_skipped_by_name(
    small: Matrix, monkeypatch: pytest.MonkeyPatch, say: list[str]
) -> None:
    two = [small.by_id[N1], small.by_id["pytorch-2.9.1-generic-acl"]]
    store(monkeypatch, {"pytorch:2.10.0-n1-acl-0123456789ab": DIGEST, "pytorch:2.9.1-generic-acl": DIGEST})
    assert selected.select_built(two) == two[:1]
    assert say == ["skipped, never built: pytorch-2.9.1-generic-acl"]


@pytest.mark.parametrize("names", [None, {}, {"pytorch:2.9.1-v1-acl-0123456789ab": DIGEST}])
def test_without_any_built_combo_all_are_returned(
    small: Matrix, monkeypatch: pytest.MonkeyPatch, say: list[str], names: Names
) -> None:
    store(monkeypatch, names)
    two = [small.by_id[N1], small.by_id["pytorch-2.9.1-generic-acl"]]
    assert selected.select_built(two) == two
    assert selected.select_built(two[:1]) == two[:1]
    assert say == []


def test_the_reasons_for_skipped_combos_are_printed(small: Matrix, say: list[str]) -> None:
    combos = selected.select_buildable(small, Selector(version="2.10.0", backend="acl"))
    assert "pytorch-2.10.0-v1-acl" in {combo.id for combo in combos}  # its version was named
    assert [line.split(":")[:2] for line in say] == [["skipped", " refused"]]


def test_skipped_combos_that_were_not_named_are_counted(small: Matrix, say: list[str]) -> None:
    assert {combo.id for combo in selected.select_buildable(small, Selector(target="v1"))} == {
        "pytorch-2.10.0-v1-openblas"
    }
    assert say == ["skipped: 2 refused or unverified combo(s); invoke list --all shows why"]
    assert selected.select_buildable(small, Selector(target="n1"))
    assert len(say) == 1


def contexts(small: Matrix, chosen: Selector) -> set[str]:
    render.run(small, chosen, "archive", fetch=False)
    return {path.name for path in (small.root / "build/contexts").iterdir()}


def test_with_all_there_is_a_context_for_each_possible_combo(small: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    possible = {combo.id for combo in small.combos if combo.refusal is None}
    assert contexts(small, Selector(every=True)) == possible
    assert len(capsys.readouterr().out.splitlines()) == len(possible)


def test_without_all_contexts_are_those_a_build_would_make(small: Matrix) -> None:
    assert contexts(small, Selector(target="v1,n1")) == {
        combo.id for combo in selection.select_combos(small, Selector(target="v1,n1"))
    }


def test_a_grid_cell_has_its_versions_by_state(small: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    states: dict[str, ComboState] = {N1: "proven", "pytorch-2.9.1-n1-openblas": "built"}

    def seen(combo: Combo) -> ComboState:
        return states.get(combo.id, "refused" if combo.refusal else "not built")

    grid.print_grid([(combo, seen(combo)) for combo in small.combos if combo.target.name in {"n1", "generic"}])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:6]] == [
        ["PyTorch:", "2.10.0,", "2.9.1"],
        ["openblas", "acl"],
        ["generic", "not", "built", "2.9.1", "not", "built", "2.9.1"],
        ["refused", "2.10.0", "refused", "2.10.0"],
        ["n1", "built", "2.9.1", "proven", "2.10.0"],
        ["not", "built", "2.10.0", "not", "built", "2.9.1"],
    ]
    assert [line.split("  ")[0] for line in lines[8:]] == ["proven", "built", "not built", "refused"]


def test_a_grid_shortens_a_state_of_all_versions_or_the_rest(small: Matrix, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = small.by_id[N1]
    combos = [replace(recipe, version=version) for version in ("4", "3", "2", "1")]
    for states, expected in (
        (["built"] * 4, [["n1", "built"]]),
        (
            ["not built", "proven", "not built", "proven"],
            [["n1", "proven", "3,", "1"], ["not", "built", "the", "rest"]],
        ),
        (["proven", "proven", "proven", "built"], [["n1", "proven", "4,", "3,", "2"], ["built", "1"]]),
    ):
        grid.print_grid(list(zip(combos, cast("list[ComboState]", states), strict=True)))
        lines = capsys.readouterr().out.splitlines()
        assert [line.split() for line in lines[2 : 2 + len(expected)]] == expected


@pytest.mark.parametrize(("row", "rows"), [(ListedRow, list[ListedRow]), (PlannedRow, list[PlannedRow])])
def test_the_schema_describes_every_field(row: type[ListedRow | PlannedRow], rows: object) -> None:
    known = make_json_schema(rows)["$defs"][row.__name__]["properties"]
    assert set(known) == {field.name for field in fields(row)}
    assert all(len(field["description"]) > 10 for field in known.values())
    assert set(known["state"]["enum"]) == set(MEANING)
