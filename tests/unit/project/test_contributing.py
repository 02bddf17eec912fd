"""A target, a version and a backend are YAML only: what CONTRIBUTING.md says is done in another tree, and planned."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import yaml

from armwright.matrix.matrix import Combo, Matrix
from armwright.matrix.selection import Selector, select_combos
from armwright.plan import locks
from armwright.plan.plan import make_plan
from tests.support import ROOT, Tree

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTIONS = ("A target", "A version", "A backend")
UNDER = 10  # lines of YAML for each of them, all its files together


def section(title: str) -> str:
    found = re.search(rf"^### {title}\n(.*?)(?=^##)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def blocks(title: str) -> list[tuple[str, list[str]]]:
    """Return the files that a section speaks of, and the lines that go into each."""
    texts = re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", section(title), re.MULTILINE | re.DOTALL)
    return [(file, text.splitlines()) for file, text in texts]


def commands(title: str) -> list[list[str]]:
    return [shlex.split(line) for line in re.findall(r"^    (invoke .*)$", section(title), re.MULTILINE)]


def merged(old: Any, new: Any) -> Any:  # noqa: ANN401 - any YAML value
    """Put new data into old, as the document says: what is in a list is added to the list."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}
    return [*old, *new] if isinstance(old, list) and isinstance(new, list) else new


class Spelled(yaml.SafeDumper):
    def ignore_aliases(self, _: object) -> bool:
        return True


def follow(tree: Tree, title: str) -> Matrix:
    """Do what a section says, but for the lock, which needs the network: an older one's is taken."""
    for file, lines in blocks(title):
        path = tree.root / file
        old = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        text = yaml.dump(merged(old, yaml.safe_load("\n".join(lines))), Dumper=Spelled, sort_keys=False)
        path.write_text(text, encoding="utf-8")
    matrix = tree.load()
    for words in commands(title):
        if words[1] == "lock":
            framework, version = words[words.index("--framework") + 1], words[words.index("--version") + 1]
            pretend(tree, matrix, framework, version)
    return matrix


def pretend(tree: Tree, matrix: Matrix, framework: str, version: str) -> None:
    recipe = matrix.recipes.frameworks[framework]
    like = next(one for one in matrix.versions(framework) if locks.wheel_lock_path(tree.root, framework, one).exists())
    text = locks.wheel_lock_path(tree.root, framework, like).read_text(encoding="utf-8")
    assert f"{recipe.distribution}=={like} " in text
    new = text.replace(f"{recipe.distribution}=={like} ", f"{recipe.distribution}=={version} ")
    locks.wheel_lock_path(tree.root, framework, version).write_text(new, encoding="utf-8")


def planned(matrix: Matrix, title: str) -> list[Combo]:
    """Return what the section's `invoke plan` selects; all of it has a plan."""
    words = next(words for words in commands(title) if words[1] == "plan")
    options = {name.removeprefix("--"): value for name, value in zip(words[2::2], words[3::2], strict=True)}
    found = select_combos(matrix, Selector(**options))
    assert all(combo.id.encode() in make_plan(matrix, combo).files["Dockerfile"] for combo in found)
    return found


@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_takes_fewer_than_ten_lines_of_yaml_and_ends_in_a_plan(title: str) -> None:
    assert blocks(title)
    assert sum(len(lines) for _, lines in blocks(title)) < UNDER
    assert any(words[:2] == ["invoke", "plan"] for words in commands(title))


@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_adds_what_is_not_there_yet_and_changes_no_image_that_is(
    matrix: Matrix, tree: Tree, title: str
) -> None:
    grown = follow(tree, title)
    new = planned(grown, title)
    assert new
    assert not {combo.id for combo in new} & set(matrix.by_id)
    old = next(combo for combo in matrix.combos if combo.sound)
    assert make_plan(grown, grown.by_id[old.id]).inputs == make_plan(matrix, old).inputs


def test_the_new_target_is_offered_over_every_backend(matrix: Matrix, tree: Tree) -> None:
    new = [combo for combo in planned(follow(tree, "A target"), "A target") if combo.framework.name == "pytorch"]
    assert {combo.target.name for combo in new} == {"cortex-a76"}
    assert {combo.backend for combo in new} == set(matrix.recipes.frameworks["pytorch"].backends)
    assert all(combo.target.emulator.match == "exact" for combo in new)


def test_the_new_version_is_planned_with_its_own_lock(tree: Tree) -> None:
    grown = follow(tree, "A version")
    new = planned(grown, "A version")
    assert {combo.version for combo in new} == {"2.8.0"}
    assert all(b"torch==2.8.0 " in make_plan(grown, combo).files["requirements.txt"] for combo in new)


def test_the_new_backend_is_built_by_name_only_and_refused_where_a_framework_has_no_entry_for_it(tree: Tree) -> None:
    grown = follow(tree, "A backend")
    (new,) = planned(grown, "A backend")
    assert (new.backend, new.refusal) == ("armpl", None)
    added = [combo for combo in grown.combos if combo.backend == "armpl"]
    assert all(combo.unverified is not None for combo in added)
    assert {combo.framework.name for combo in added if combo.refusal is None} == {"pytorch"}
