"""The file matrix.yaml: what is published, as the axes' values, and the rules; every mistake in it has its place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from armwright.matrix.rules import Rule
from armwright.recipes import loader
from armwright.recipes.loader import Recipes
from armwright.recipes.model import Recipe
from armwright.recipes.patterns import Name, VersionName
from armwright.system import yaml_file
from armwright.system.errors import nearest
from armwright.system.yaml_file import Document, Mistakes

FILE = "matrix.yaml"


class Axes(Recipe):
    """The values of the axes."""

    frameworks: dict[Name, Annotated[list[VersionName], Field(min_length=1)]] = Field(min_length=1)
    targets: list[Name] = Field(min_length=1)
    backends: list[Name] = Field(min_length=1)


class Published(Recipe):
    """What the file says."""

    axes: Axes
    rules: list[Rule] = Field(default=[])


def read_matrix_file(root: Path, known: Recipes, mistakes: Mistakes) -> Published | None:
    """Read and check matrix.yaml.

    Args:
        root: the project's root.
        known: the recipes that loaded without a mistake.
        mistakes: where everything wrong is noted, with line, column and the nearest allowed value.

    Returns:
        what it says; None when it cannot be understood.
    """
    document = yaml_file.read_yaml(root / FILE, FILE, mistakes)
    if document is None:
        return None
    parsed = yaml_file.parse_document(document, Published, mistakes)
    words = _Words(document, mistakes)
    files = {axis: loader.recipe_names(root, f"{axis}s") for axis in ("framework", "target", "backend")}
    _check_frameworks(words, known, files["framework"])
    words.check(("axes", "targets"), files["target"], "target")
    words.check(("axes", "backends"), files["backend"], "backend")
    _check_rules(words, files, _versions(document))
    if parsed is not None and not mistakes.found:
        _check_reach(document, parsed, mistakes)
    return parsed


@dataclass(frozen=True)
class _Words:
    """The words of the file, whatever else is wrong with it."""

    document: Document
    mistakes: Mistakes

    def check(self, location: yaml_file.Location, allowed: Collection[str], what: str) -> None:
        """Note every name at a location that no recipe knows, and every one that is given twice."""
        found = yaml_file.get_at(self.document.data, location)
        seen: set[str] = set()
        for index, name in enumerate(found if isinstance(found, list) else [found]):
            if not isinstance(name, str):
                continue
            if name not in allowed:
                self.mistakes.add(
                    self.document, (*location, index), f"unknown {what} '{name}': {nearest(name, allowed)}"
                )
            elif name in seen:
                self.mistakes.add(self.document, (*location, index), f"'{name}' is given twice")
            seen.add(name)


def _check_frameworks(words: _Words, known: Recipes, files: Collection[str]) -> None:
    given = yaml_file.get_at(words.document.data, ("axes", "frameworks"))
    for name in given if isinstance(given, dict) else ():
        place = ("axes", "frameworks", name)
        if name in known.frameworks:
            words.check(place, known.frameworks[name].versions, f"version of {name}")
        elif isinstance(name, str) and name not in files:  # one with a mistake in its recipe is not unknown for that
            text = f"unknown framework '{name}': {nearest(name, files)}"
            words.mistakes.add(words.document, place, text, key=True)


def _versions(document: Document) -> list[str]:
    given = yaml_file.get_at(document.data, ("axes", "frameworks"))
    lists = given.values() if isinstance(given, dict) else ()
    return [version for one in lists if isinstance(one, list) for version in one if isinstance(version, str)]


def _check_rules(words: _Words, files: Mapping[str, list[str]], versions: Collection[str]) -> None:
    rules = yaml_file.get_at(words.document.data, ("rules",))
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        for verb, pattern in rule.items() if isinstance(rule, dict) else ():
            for axis, named in pattern.items() if isinstance(pattern, dict) else ():
                place = ("rules", index, verb, axis)
                if axis in files:
                    words.check(place, files[axis], axis)
                elif axis == "version" and isinstance(named, list):  # a range is a text of its own
                    words.check(place, versions, "version")


def _check_reach(document: Document, parsed: Published, mistakes: Mistakes) -> None:
    """Note every rule that speaks of nothing that is published: a typing error in its version, or out of date."""
    axes = parsed.axes
    for index, rule in enumerate(parsed.rules):
        pattern = rule.pattern
        named = pattern.frameworks(axes.frameworks)
        if not (
            any(pattern.of_version(framework, version) for framework in named for version in axes.frameworks[framework])
            and any(map(pattern.of_target, axes.targets))
            and any(map(pattern.of_backend, axes.backends))
        ):
            mistakes.add(document, ("rules", index), "this rule speaks of nothing that is published")
