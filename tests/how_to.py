"""The how-to guides that add data: what a guide says is done in a copy of the project, and planned."""

from __future__ import annotations

from typing import Any

import yaml

from armwright.matrix.matrix import Combo, Matrix
from armwright.matrix.selection import select_combos
from armwright.plan import locks
from armwright.plan.plan import make_plan
from tests import documents
from tests.documents import CommandLine
from tests.support import ROOT, Tree

FOLDER = "docs/how-to"


class _Dumper(yaml.SafeDumper):
    """Writes every value in full: recipes have no aliases."""

    def ignore_aliases(self, _: object) -> bool:
        return True


def read_guide(name: str) -> str:
    """Return the text of a guide."""
    return (ROOT / FOLDER / f"{name}.md").read_text(encoding="utf-8")


def guide_commands(name: str, command: str) -> list[CommandLine]:
    """Return the invocations of a command in a guide."""
    lines = documents.command_lines(f"{FOLDER}/{name}.md", read_guide(name))
    return [line for line in lines if line.is_own and line.arguments[1] == command and not line.inline]


def follow(tree: Tree, name: str) -> Matrix:
    """Do what a guide says, except for the lock, which needs the network: an older version's lock is used instead."""
    for file, text in documents.data_blocks(read_guide(name)):
        path = tree.root / file
        old = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        merged = yaml.dump(_merge(old, yaml.safe_load(text)), Dumper=_Dumper, sort_keys=False)
        path.write_text(merged, encoding="utf-8")
    matrix = tree.load()
    for line in guide_commands(name, "lock"):
        given = line.options
        _pretend_lock(tree, matrix, given["framework"], given["version"])
    return matrix


def planned(matrix: Matrix, name: str) -> list[Combo]:
    """Return the combos that the guide's first `invoke plan` selects; each of them has a plan."""
    combos = select_combos(matrix, documents.make_selector(guide_commands(name, "plan")[0].options))
    assert all(combo.id.encode() in make_plan(matrix, combo).files["Dockerfile"] for combo in combos)
    return combos


def count_facts(data: Any) -> int:  # noqa: ANN401 - any YAML value
    """Count what a person has to find out: values, where a list of plain values is one."""
    if isinstance(data, dict):
        return sum(map(count_facts, data.values()))
    if isinstance(data, list) and any(isinstance(item, (dict, list)) for item in data):
        return sum(map(count_facts, data))
    return 1


def _merge(old: Any, new: Any) -> Any:  # noqa: ANN401 - any YAML value
    """Merge new data into old: mappings by key, lists by adding to them."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merge(old.get(key), value) for key, value in new.items()}}
    return [*old, *new] if isinstance(old, list) and isinstance(new, list) else new


def _pretend_lock(tree: Tree, matrix: Matrix, framework: str, version: str) -> None:
    """Write a version's lock from that of another version, with the framework's pin changed."""
    recipe = matrix.recipes.frameworks[framework]
    paths = {version: locks.wheel_lock_path(tree.root, framework, version) for version in matrix.versions(framework)}
    source = next(other for other, path in paths.items() if path.exists())
    text = paths[source].read_text(encoding="utf-8")
    pin = f"{recipe.distribution}=={source} "
    assert pin in text
    paths[version].write_text(text.replace(pin, f"{recipe.distribution}=={version} "), encoding="utf-8")
