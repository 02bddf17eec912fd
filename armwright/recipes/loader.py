"""The facts: everything under recipes/, loaded with every mistake at its place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework
from armwright.recipes.model import Environment, Recipe
from armwright.recipes.patterns import Name, Sentence
from armwright.recipes.targets import Target
from armwright.system import yaml_file
from armwright.system.errors import nearest
from armwright.system.yaml_file import Document, Mistakes


class Backend(Recipe):
    """The library that does the arithmetic."""

    kind: ClassVar[str] = "backend"
    name: Name
    title: Sentence
    aliases: list[Name] = Field(default=[])


RecipeKind = TypeVar("RecipeKind", Framework, Backend, Target, Base)
Axis = Literal["frameworks", "backends", "targets"]


class Recipes(BaseModel):
    """Everything under recipes/, by name."""

    model_config = ConfigDict(frozen=True)
    frameworks: Mapping[str, Framework]
    backends: Mapping[str, Backend]
    targets: Mapping[str, Target]
    bases: Mapping[str, Base]

    def names(self, axis: Axis) -> dict[str, str]:
        """Map each name and alias on an axis to the name."""
        recipes: Mapping[str, Any] = getattr(self, axis)
        return {alias: name for name, recipe in recipes.items() for alias in (name, *recipe.aliases)}


def load_recipes(root: Path, mistakes: Mistakes) -> Recipes:
    """Load all recipes of a project.

    Args:
        root: the project's root, the folder with recipes/.
        mistakes: where everything wrong is noted, with file, line and column.
    """
    frameworks = _folder(root, "frameworks", Framework, mistakes)
    backends = _folder(root, "backends", Backend, mistakes)
    targets = _folder(root, "targets", Target, mistakes)
    bases = _folder(root, "bases", Base, mistakes)
    known = {folder: recipe_files(root, folder) for folder in ("backends", "targets", "bases")}
    for framework, document in frameworks.values():
        _check_framework(framework, _Names(document, known, mistakes))
    taken = {one.name for framework, _ in frameworks.values() for one in _environment(framework)}
    for target, document in targets.values():
        _check_target(target, targets, taken, _Names(document, known, mistakes))
    return Recipes(
        frameworks=_plain(frameworks), backends=_plain(backends), targets=_plain(targets), bases=_plain(bases)
    )


@dataclass(frozen=True)
class _Names:
    """The names in a recipe that are those of other recipes."""

    document: Document
    files: Mapping[str, Collection[str]]
    mistakes: Mistakes

    def check(
        self, place: yaml_file.Location, name: str, allowed: Collection[str], what: str, *, key: bool = False
    ) -> None:
        """Note a name that is not allowed."""
        if name not in allowed:
            self.note(place, f"unknown {what} '{name}': {nearest(name, allowed)}", key=key)

    def known(self, place: yaml_file.Location, folder: str, name: str, *, key: bool = False) -> None:
        """Note a name that no file of a folder has."""
        self.check(place, name, self.files[folder], "name", key=key)

    def note(self, place: yaml_file.Location, text: str, *, key: bool = False) -> None:
        """Note a mistake of this recipe."""
        self.mistakes.add(self.document, place, text, key=key)


def _check_framework(framework: Framework, names: _Names) -> None:
    """Note every base, backend, target and version that a framework names and that is not there."""
    for version, release in framework.versions.items():
        names.known(("versions", version, "base"), "bases", release.base)
    for backend, flavour in framework.backends.items():
        names.known(("backends", backend), "backends", backend, key=True)
        for index, override in enumerate(flavour.overrides):
            place = ("backends", backend, "overrides", index)
            for position, target in enumerate(override.targets or ()):
                names.known((*place, "targets", position), "targets", target)
            for position, version in enumerate(override.versions or ()):
                names.check((*place, "versions", position), version, framework.versions, "version")


def _check_target(
    target: Target, targets: Mapping[str, tuple[Target, Document]], taken: Collection[str], names: _Names
) -> None:
    """Note what a target sets that a framework sets too, and a fallback that does not need less."""
    for position, variable in enumerate(target.environment):
        if variable.name in taken:
            names.note(("environment", position, "name"), f"a framework sets {variable.name} already")
    if target.fallback is None:
        return
    names.known(("fallback",), "targets", target.fallback)
    if target.fallback in targets and not set(targets[target.fallback][0].floor) < set(target.floor):
        text = f"'{target.fallback}' must need less than '{target.name}': a part of its floor"
        names.note(("fallback",), text)


def _environment(framework: Framework) -> list[Environment]:
    """Return every variable that a framework, one of its versions or one of its backends sets."""
    versions = (one for release in framework.versions.values() for one in release.environment)
    backends = (one for flavour in framework.backends.values() for one in flavour.environment)
    return [*framework.environment, *versions, *backends]


def _folder(
    root: Path, folder: str, model: type[RecipeKind], mistakes: Mistakes
) -> dict[str, tuple[RecipeKind, Document]]:
    found: dict[str, tuple[RecipeKind, Document]] = {}
    taken: dict[str, str] = {}
    for path in sorted((root / "recipes" / folder).glob("*.yaml")):
        document = yaml_file.read_yaml(path, str(path.relative_to(root)), mistakes)
        recipe: RecipeKind | None = yaml_file.parse_document(document, model, mistakes) if document else None
        if document is None or recipe is None:
            continue
        if recipe.name != path.stem:
            mistakes.add(document, ("name",), f"the recipe '{recipe.name}' must be in {recipe.name}.yaml")
        for alias in (recipe.name, *getattr(recipe, "aliases", [])):
            if taken.setdefault(alias, recipe.name) != recipe.name:
                mistakes.add(document, ("aliases",), f"'{alias}' already means {model.kind} '{taken[alias]}'")
        found[recipe.name] = (recipe, document)
    return found


def recipe_files(root: Path, folder: str) -> list[str]:
    """Name the recipes of a folder by their files: a recipe with a mistake in it is not unknown for that."""
    return sorted(path.stem for path in (root / "recipes" / folder).glob("*.yaml"))


def _plain(found: Mapping[str, tuple[RecipeKind, Document]]) -> dict[str, RecipeKind]:
    return {name: document[0] for name, document in found.items()}
