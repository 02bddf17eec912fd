"""The facts: everything under recipes/, loaded with every mistake at its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from armwright import source
from armwright.bases import Base
from armwright.errors import nearest
from armwright.frameworks import Framework
from armwright.model import Environment, Recipe
from armwright.patterns import Name, Sentence
from armwright.source import Document, Mistakes
from armwright.targets import Target


class Backend(Recipe):
    """The library that does the arithmetic."""

    kind: ClassVar[str] = "backend"
    name: Name
    title: Sentence
    aliases: list[Name] = []


Kind = TypeVar("Kind", Framework, Backend, Target, Base)


class Recipes(BaseModel):
    """Everything under recipes/, by name."""

    model_config = ConfigDict(frozen=True)
    frameworks: Mapping[str, Framework]
    backends: Mapping[str, Backend]
    targets: Mapping[str, Target]
    bases: Mapping[str, Base]

    def names(self, axis: Literal["frameworks", "backends", "targets"]) -> dict[str, str]:
        """Map each name and alias on an axis to the name."""
        recipes: Mapping[str, Any] = getattr(self, axis)
        return {alias: name for name, recipe in recipes.items() for alias in (name, *recipe.aliases)}


def load(root: Path, mistakes: Mistakes) -> Recipes:
    """Load all recipes of a project.

    Args:
        root: the project's root, the folder with recipes/.
        mistakes: where everything wrong is noted, with file, line and column.
    """
    frameworks = _folder(root, "frameworks", Framework, mistakes)
    backends = _folder(root, "backends", Backend, mistakes)
    targets = _folder(root, "targets", Target, mistakes)
    bases = _folder(root, "bases", Base, mistakes)
    for framework, document in frameworks.values():
        for version, release in framework.versions.items():
            _known(root, "bases", document, ("versions", version, "base"), release.base, mistakes)
        for name, flavour in framework.backends.items():
            _known(root, "backends", document, ("backends", name), name, mistakes, key=True)
            for index, override in enumerate(flavour.overrides):
                for position, target in enumerate(override.targets or ()):
                    place = ("backends", name, "overrides", index, "targets", position)
                    _known(root, "targets", document, place, target, mistakes)
                for position, version in enumerate(override.versions or ()):
                    if version not in framework.versions:
                        place = ("backends", name, "overrides", index, "versions", position)
                        text = f"unknown version '{version}': {nearest(version, framework.versions)}"
                        mistakes.add(document, place, text)
    taken = {one.name for framework, _ in frameworks.values() for one in _environment(framework)}
    for recipe, document in targets.values():
        for position, variable in enumerate(recipe.environment):
            if variable.name in taken:
                text = f"a framework sets {variable.name} already"
                mistakes.add(document, ("environment", position, "name"), text)
        if recipe.fallback is not None:
            _known(root, "targets", document, ("fallback",), recipe.fallback, mistakes)
        if recipe.fallback in targets and not set(targets[recipe.fallback][0].floor) < set(recipe.floor):
            text = f"'{recipe.fallback}' must need less than '{recipe.name}': a part of its floor"
            mistakes.add(document, ("fallback",), text)
    return Recipes(
        frameworks=_plain(frameworks), backends=_plain(backends), targets=_plain(targets), bases=_plain(bases)
    )


def _environment(framework: Framework) -> list[Environment]:
    """Return every variable that a framework, one of its versions or one of its backends sets."""
    versions = (one for release in framework.versions.values() for one in release.environment)
    backends = (one for flavour in framework.backends.values() for one in flavour.environment)
    return [*framework.environment, *versions, *backends]


def _folder(root: Path, folder: str, model: type[Kind], mistakes: Mistakes) -> dict[str, tuple[Kind, Document]]:
    found: dict[str, tuple[Kind, Document]] = {}
    taken: dict[str, str] = {}
    for path in sorted((root / "recipes" / folder).glob("*.yaml")):
        document = source.read(path, str(path.relative_to(root)), mistakes)
        recipe: Kind | None = source.parse(document, model, mistakes) if document else None
        if document is None or recipe is None:
            continue
        if recipe.name != path.stem:
            mistakes.add(document, ("name",), f"the recipe '{recipe.name}' must be in {recipe.name}.yaml")
        for alias in (recipe.name, *getattr(recipe, "aliases", [])):
            if taken.setdefault(alias, recipe.name) != recipe.name:
                mistakes.add(document, ("aliases",), f"'{alias}' already means {model.kind} '{taken[alias]}'")
        found[recipe.name] = (recipe, document)
    return found


def files(root: Path, folder: str) -> list[str]:
    """Name the recipes of a folder by their files: a recipe with a mistake in it is not unknown for that."""
    return sorted(path.stem for path in (root / "recipes" / folder).glob("*.yaml"))


def _known(  # noqa: PLR0913, PLR0917 - one check, spelled out
    root: Path, folder: str, document: Document, location: source.Location, name: str, mistakes: Mistakes, *,
    key: bool = False,
) -> None:  # fmt: skip
    allowed = files(root, folder)
    if name not in allowed:
        mistakes.add(document, location, f"unknown name '{name}': {nearest(name, allowed)}", key=key)


def _plain(found: Mapping[str, tuple[Kind, Document]]) -> dict[str, Kind]:
    return {name: document[0] for name, document in found.items()}
