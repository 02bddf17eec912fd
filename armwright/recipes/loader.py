"""The loader: everything under recipes/, with every mistake at its place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from armwright.recipes import framework_files, numerics
from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework
from armwright.recipes.names import Names, check_names
from armwright.recipes.numerics import Numerics
from armwright.recipes.patterns import Name, Sentence
from armwright.recipes.targets import Target
from armwright.system import yaml_file
from armwright.system.strict_model import StrictModel
from armwright.system.yaml_file import Document, Mistakes


class Backend(StrictModel):
    """The library that does the arithmetic."""

    kind: ClassVar[str] = "backend"
    name: Name
    title: Sentence
    aliases: list[Name] = Field(default=[])


RecipeKind = TypeVar("RecipeKind", Backend, Target, Base)
Axis = Literal["frameworks", "backends", "targets"]


class Recipes(BaseModel):
    """Everything under recipes/, by name."""

    model_config = ConfigDict(frozen=True)
    frameworks: Mapping[str, Framework]
    backends: Mapping[str, Backend]
    targets: Mapping[str, Target]
    bases: Mapping[str, Base]
    numerics: Numerics

    def names(self, axis: Axis) -> dict[str, str]:
        """Map each name and alias on an axis to the name."""
        recipes: Mapping[str, Any] = getattr(self, axis)
        return {alias: name for name, recipe in recipes.items() for alias in (name, *recipe.aliases)}


def load_recipes(root: Path, mistakes: Mistakes) -> Recipes:
    """Load all recipes of a project.

    Args:
        root: the project's root, the folder with recipes/.
        mistakes: receives every mistake, with file, line and column.
    """
    backends = _load_folder(root, "backends", Backend, mistakes)
    targets = _load_folder(root, "targets", Target, mistakes)
    bases = _load_folder(root, "bases", Base, mistakes)
    read = yaml_file.parse_yaml(root / numerics.FILE, numerics.FILE, Numerics, mistakes)
    known = {folder: recipe_names(root, folder) for folder in ("backends", "targets", "bases")}
    frameworks = framework_files.load_frameworks(root, known, mistakes)
    for target, document in targets.values():
        check_target(target, targets, framework_variables(frameworks.values()), Names(document, known, mistakes))
    return Recipes(
        frameworks=frameworks, backends=_plain(backends), targets=_plain(targets), bases=_plain(bases),
        numerics=read[1] if read else Numerics.model_construct(variables=[]),
    )  # fmt: skip


def check_target(
    target: Target, targets: Mapping[str, tuple[Target, Document]], variables: Collection[str], names: Names
) -> None:
    """Check what a target says about other recipes.

    Args:
        target: the target.
        targets: all targets with their documents.
        variables: variables that a framework sets, and a target must not set.
        names: receives the mistakes.
    """
    for position, variable in enumerate(target.environment):
        if variable.name in variables:
            names.note(("environment", position, "name"), f"a framework sets {variable.name} already")
    if target.fallback is None:
        return
    names.require_recipe(("fallback",), "targets", target.fallback)
    if target.fallback in targets and not set(targets[target.fallback][0].floor) < set(target.floor):
        names.note(("fallback",), f"the floor of '{target.fallback}' must be a part of the floor of '{target.name}'")


def framework_variables(frameworks: Iterable[Framework]) -> set[str]:
    """Return the names of all variables that frameworks, their versions or their backends set."""
    variables: set[str] = set()
    for framework in frameworks:
        variables |= {variable.name for variable in framework.environment}
        variables |= {variable.name for release in framework.versions.values() for variable in release.environment}
        variables |= {variable.name for backend in framework.backends.values() for variable in backend.environment}
    return variables


def _load_folder(
    root: Path, folder: str, model: type[RecipeKind], mistakes: Mistakes
) -> dict[str, tuple[RecipeKind, Document]]:
    recipes: dict[str, tuple[RecipeKind, Document]] = {}
    taken: dict[str, str] = {}
    for path in sorted((root / "recipes" / folder).glob("*.yaml")):
        loaded = yaml_file.parse_yaml(path, str(path.relative_to(root)), model, mistakes)
        if loaded is None:
            continue
        document, recipe = loaded
        check_names(recipe, f"{path.stem}.yaml", document, taken, mistakes)
        recipes[recipe.name] = (recipe, document)
    return recipes


def recipe_names(root: Path, folder: str) -> list[str]:
    """Return the names of the recipes in a folder by their files, so that a recipe with a mistake is still known."""
    paths = (root / "recipes" / folder).glob("*.yaml")
    folders = (root / "recipes" / folder).glob(f"*/{framework_files.FILE}")
    return sorted([*(path.stem for path in paths), *(path.parent.name for path in folders)])


def _plain(recipes: Mapping[str, tuple[RecipeKind, Document]]) -> dict[str, RecipeKind]:
    return {name: recipe for name, (recipe, _) in recipes.items()}
