"""The how-to guides that add data: a test follows each of them in a copy of the project."""

from __future__ import annotations

import pytest
import yaml

from armwright.matrix.matrix import Matrix
from armwright.plan.plan import make_plan
from tests import documents
from tests.how_to import count_facts, follow, guide_commands, planned, read_guide
from tests.support import Tree

GUIDES = ("add-a-target", "add-a-version", "add-a-backend")
MOST = 20  # facts that a guide asks for, in all its files


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_asks_for_few_facts_and_ends_in_a_plan(guide: str) -> None:
    blocks = documents.data_blocks(read_guide(guide))
    assert blocks
    assert sum(count_facts(yaml.safe_load(text)) for _, text in blocks) <= MOST
    assert guide_commands(guide, "plan")


def test_facts_are_values_and_not_lines() -> None:
    assert count_facts({"a": 1, "b": [1, 2], "c": [{"d": 1, "e": {"f": "x"}}]}) == 4


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_adds_combos_and_changes_no_other(matrix: Matrix, tree: Tree, guide: str) -> None:
    grown = follow(tree, guide)
    new = planned(grown, guide)
    assert new
    assert not {combo.id for combo in new} & set(matrix.by_id)
    old = next(combo for combo in matrix.combos if combo.refusal is None and combo.unverified is None)
    assert make_plan(grown, grown.by_id[old.id]).inputs == make_plan(matrix, old).inputs


def test_a_new_target_is_offered_over_every_backend(matrix: Matrix, tree: Tree) -> None:
    combos = planned(follow(tree, "add-a-target"), "add-a-target")
    new = [combo for combo in combos if combo.framework.name == "pytorch"]
    assert {combo.target.name for combo in new} == {"cortex-a76"}
    assert {combo.backend for combo in new} == set(matrix.recipes.frameworks["pytorch"].backends)
    assert all(combo.target.emulator.match == "exact" for combo in new)


def test_a_new_version_is_planned_with_its_own_lock(tree: Tree) -> None:
    grown = follow(tree, "add-a-version")
    new = planned(grown, "add-a-version")
    assert {combo.version for combo in new} == {"2.8.0"}
    assert all(b"torch==2.8.0 " in make_plan(grown, combo).files["requirements.txt"] for combo in new)


def test_a_new_backend_is_built_by_name_only(tree: Tree) -> None:
    grown = follow(tree, "add-a-backend")
    (new,) = planned(grown, "add-a-backend")
    assert (new.backend, new.refusal) == ("armpl", None)
    added = [combo for combo in grown.combos if combo.backend == "armpl"]
    assert all(combo.unverified is not None for combo in added)
    # A framework without a file for the backend is refused over it.
    assert {combo.framework.name for combo in added if combo.refusal is None} == {"pytorch"}
