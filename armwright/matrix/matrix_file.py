"""The file matrix.yaml: the published values of each axis, and the rules; every mistake is reported with its place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from armwright.matrix.rules import Rule
from armwright.recipes import loader
from armwright.recipes.loader import Recipes
from armwright.recipes.patterns import Name, VersionName
from armwright.system import yaml_file
from armwright.system.errors import nearest
from armwright.system.strict_model import StrictModel
from armwright.system.yaml_file import Document, Mistakes

FILE = "matrix.yaml"


class Axes(StrictModel):
    """The values of the axes."""

    frameworks: dict[Name, Annotated[list[VersionName], Field(min_length=1)]] = Field(min_length=1)
    targets: list[Name] = Field(min_length=1)
    backends: list[Name] = Field(min_length=1)


class Published(StrictModel):
    """The content of the file."""

    axes: Axes
    rules: list[Rule] = Field(default=[])


def read_matrix_file(root: Path, known: Recipes, mistakes: Mistakes) -> Published | None:
    """Read and check matrix.yaml.

    Args:
        root: the project's root.
        known: the recipes that loaded without a mistake.
        mistakes: receives every mistake, with line, column and the nearest allowed value.

    Returns:
        the content; None if it does not fit the model.
    """
    document = yaml_file.read_yaml(root / FILE, FILE, mistakes)
    if document is None:
        return None
    parsed = yaml_file.parse_document(document, Published, mistakes)
    names = _NameCheck(document, mistakes)
    files = {axis: loader.recipe_names(root, f"{axis}s") for axis in ("framework", "target", "backend")}
    _check_frameworks(names, known, files["framework"])
    names.check(("axes", "targets"), files["target"], "target")
    names.check(("axes", "backends"), files["backend"], "backend")
    _check_rules(names, files, _list_versions(document))
    if parsed is not None and not mistakes.found:
        _check_reach(document, parsed, mistakes)
    return parsed


@dataclass(frozen=True)
class _NameCheck:
    """A check of the names in the file; it works on the raw data, so other mistakes do not hide unknown names."""

    document: Document
    mistakes: Mistakes

    def check(self, location: yaml_file.Location, allowed: Collection[str], what: str) -> None:
        """Add a mistake for every name at a location that no recipe has, and for every duplicate."""
        value = yaml_file.get_at(self.document.data, location)
        seen: set[str] = set()
        for index, name in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(name, str):
                continue
            if name not in allowed:
                self.mistakes.add(
                    self.document, (*location, index), f"unknown {what} '{name}': {nearest(name, allowed)}"
                )
            elif name in seen:
                self.mistakes.add(self.document, (*location, index), f"'{name}' is given twice")
            seen.add(name)


def _check_frameworks(names: _NameCheck, known: Recipes, files: Collection[str]) -> None:
    frameworks = yaml_file.get_at(names.document.data, ("axes", "frameworks"))
    for name in frameworks if isinstance(frameworks, dict) else ():
        place = ("axes", "frameworks", name)
        if name in known.frameworks:
            names.check(place, known.frameworks[name].versions, f"version of {name}")
        elif isinstance(name, str) and name not in files:  # a framework whose recipe has a mistake is known
            text = f"unknown framework '{name}': {nearest(name, files)}"
            names.mistakes.add(names.document, place, text, key=True)


def _list_versions(document: Document) -> list[str]:
    frameworks = yaml_file.get_at(document.data, ("axes", "frameworks"))
    lists = frameworks.values() if isinstance(frameworks, dict) else ()
    return [version for value in lists if isinstance(value, list) for version in value if isinstance(version, str)]


def _check_rules(names: _NameCheck, files: Mapping[str, list[str]], versions: Collection[str]) -> None:
    rules = yaml_file.get_at(names.document.data, ("rules",))
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        for verb, pattern in rule.items() if isinstance(rule, dict) else ():
            for axis, named in pattern.items() if isinstance(pattern, dict) else ():
                place = ("rules", index, verb, axis)
                if axis in files:
                    names.check(place, files[axis], axis)
                elif axis == "version" and isinstance(named, list):  # a range is text, not a list
                    names.check(place, versions, "version")


def _check_reach(document: Document, parsed: Published, mistakes: Mistakes) -> None:
    """Add a mistake for every rule that matches no published combo: its version has a typing error or is outdated."""
    axes = parsed.axes
    for index, rule in enumerate(parsed.rules):
        pattern = rule.pattern
        frameworks = pattern.frameworks(axes.frameworks)
        if not (
            any(pattern.of_version(name, version) for name in frameworks for version in axes.frameworks[name])
            and any(map(pattern.of_target, axes.targets))
            and any(map(pattern.of_backend, axes.backends))
        ):
            mistakes.add(document, ("rules", index), "this rule matches no published combo")
