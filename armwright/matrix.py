"""The matrix: every combination of the axes' values, each allowed or refused by a rule with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version as Ordered
from pydantic import BeforeValidator, Field, InstanceOf, model_validator

from armwright import recipes, source
from armwright.errors import InputError, nearest
from armwright.patterns import Name, Reason, Version
from armwright.recipes import Base, Flavour, Framework, Recipe, Recipes, Release, Target
from armwright.source import Document, Mistakes

FILE = "matrix.yaml"


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _specifiers(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be text: put it in quotes, for example '==2.10.0'")  # noqa: TRY004 - pydantic's way
    try:
        return SpecifierSet(value)
    except InvalidSpecifier as wrong:
        raise ValueError(f"{wrong}; write for example '==2.10.0' or '>=2.10,<2.12'") from wrong


Names = Annotated[list[Name], BeforeValidator(_one_or_more)]


class Pattern(Recipe):
    """The combinations a rule speaks of; an axis left out means any value."""

    framework: Names | None = None
    version: Annotated[InstanceOf[SpecifierSet], BeforeValidator(_specifiers)] | None = None
    target: Names | None = None
    backend: Names | None = None

    @model_validator(mode="after")
    def _names_an_axis(self) -> Pattern:
        if not self.model_fields_set:
            raise ValueError("a rule names at least one axis; an empty one would refuse everything")
        return self


class Rule(Recipe):
    """A refusal with its reason."""

    refuse: Pattern
    because: Reason


class Axes(Recipe):
    """The values of the axes."""

    frameworks: dict[Name, Annotated[list[Version], Field(min_length=1)]] = Field(min_length=1)
    targets: list[Name] = Field(min_length=1)
    backends: list[Name] = Field(min_length=1)


class MatrixFile(Recipe):
    """The file matrix.yaml."""

    axes: Axes
    rules: list[Rule] = Field(default=[])


@dataclass(frozen=True)
class Combo:
    """One value on every axis, with the recipes behind the names.

    Attributes:
        refusal: why it cannot exist; None for a combo that can.
    """

    framework: Framework
    version: str
    target: Target
    backend: str
    refusal: str | None = None

    @property
    def id(self) -> str:
        """The id used everywhere: pytorch-2.10.0-n1-acl."""
        return f"{self.framework.name}-{self.version}-{self.target.name}-{self.backend}"

    @property
    def tag(self) -> str:
        """The image's name without a registry: pytorch:2.10.0-n1-acl."""
        return f"{self.framework.name}:{self.version}-{self.target.name}-{self.backend}"

    @property
    def release(self) -> Release:
        """The facts about this version."""
        return self.framework.versions[self.version]

    @property
    def flavour(self) -> Flavour:
        """The facts about this framework over this backend."""
        return self.framework.backends[self.backend]


@dataclass(frozen=True)
class Matrix:
    """All combinations, and the recipes they are made of."""

    root: Path
    recipes: Recipes
    axes: Axes
    rules: tuple[Rule, ...]

    @cached_property
    def combos(self) -> tuple[Combo, ...]:
        """Every combination in the order of the file, newest version first; refused ones included."""
        return tuple(
            self._combo(framework, version, target, backend)
            for framework in self.axes.frameworks
            for version in self.versions(framework)
            for target in self.axes.targets
            for backend in self.axes.backends
        )

    @cached_property
    def by_id(self) -> Mapping[str, Combo]:
        """Every combination by its id."""
        return {combo.id: combo for combo in self.combos}

    def versions(self, framework: str) -> list[str]:
        """Return the published versions of a framework, newest first."""
        return sorted(self.axes.frameworks[framework], key=Ordered, reverse=True)

    def base(self, combo: Combo) -> Base:
        """Return the distribution below a combo."""
        return self.recipes.bases[combo.release.base]

    def newest(self, framework: str, target: str, backend: str) -> Combo | None:
        """Return the combo with the newest version that the other axes allow, or None."""
        for version in self.versions(framework):
            combo = self.by_id[f"{framework}-{version}-{target}-{backend}"]
            if combo.refusal is None:
                return combo
        return None

    def instead(self, combo: Combo) -> Combo | None:
        """Return the nearest combo that can exist: another version, else another backend, else a fallback target."""
        near = [
            self.newest(combo.framework.name, combo.target.name, combo.backend),
            *(self.newest(combo.framework.name, combo.target.name, one) for one in self.axes.backends),
            *(self.newest(combo.framework.name, one, combo.backend) for one in self.chain(combo.target)),
        ]
        return next((one for one in near if one is not None), None)

    def chain(self, target: Target) -> list[str]:
        """Return the published targets whose images run where this target's floor is not met, nearest first."""
        names: list[str] = []
        while target.fallback is not None and target.fallback not in names:
            names.append(target.fallback)
            target = self.recipes.targets[target.fallback]
        return [name for name in names if name in self.axes.targets]

    def _combo(self, framework: str, version: str, target: str, backend: str) -> Combo:
        recipe = self.recipes.frameworks[framework]
        refusal: str | None = None
        if backend not in recipe.backends:
            refusal = f"{recipe.title} has no recipe for the backend {backend}"
        for rule in self.rules:
            if refusal is None and _speaks_of(rule.refuse, framework, version, target, backend):
                refusal = rule.because
        return Combo(recipe, version, self.recipes.targets[target], backend, refusal)


def _speaks_of(pattern: Pattern, framework: str, version: str, target: str, backend: str) -> bool:
    return (
        (pattern.framework is None or framework in pattern.framework)
        and (pattern.target is None or target in pattern.target)
        and (pattern.backend is None or backend in pattern.backend)
        and (pattern.version is None or pattern.version.contains(version, prereleases=True))
    )


def load(root: Path) -> Matrix:
    """Load and check matrix.yaml with all recipes.

    Args:
        root: the project's root.

    Raises:
        InputError: lists every mistake of every file with file:line:column and the nearest allowed value.
    """
    mistakes = Mistakes()
    known = recipes.load(root, mistakes)
    document = source.read(root / FILE, FILE, mistakes)
    parsed = source.parse(document, MatrixFile, mistakes) if document else None
    if document is not None:
        _check_names(root, document, known, mistakes)
    if document is not None and parsed is not None and not mistakes.found:
        _check_rules(document, parsed, mistakes)
    mistakes.raise_if_any()
    assert parsed is not None  # noqa: S101 - for the type checker: without a mistake there is a file
    matrix = Matrix(root, known, parsed.axes, tuple(parsed.rules))
    if len(matrix.by_id) < len(matrix.combos):
        same = next(combo.id for combo in matrix.combos if matrix.by_id[combo.id] is not combo)
        raise InputError(f"two combos have the id {same}", "rename a target or a backend; nothing was started")
    return matrix


def _check_names(root: Path, document: Document, known: Recipes, mistakes: Mistakes) -> None:
    """Note every name that no recipe knows and every value given twice, whatever else is wrong with the file."""

    def names(location: source.Location, allowed: Iterable[str], what: str) -> None:
        found = source.at(document.data, location)
        words = found if isinstance(found, list) else [found]
        for index, name in enumerate(words):
            if isinstance(name, str) and name not in allowed:
                mistakes.add(document, (*location, index), f"unknown {what} '{name}': {nearest(name, allowed)}")
            elif isinstance(name, str) and name in words[:index]:
                mistakes.add(document, (*location, index), f"'{name}' is given twice")

    frameworks = recipes.files(root, "frameworks")
    given = source.at(document.data, ("axes", "frameworks"))
    for name in given if isinstance(given, dict) else ():
        if name in known.frameworks:
            names(("axes", "frameworks", name), known.frameworks[name].versions, f"version of {name}")
        elif isinstance(name, str) and name not in frameworks:
            text = f"unknown framework '{name}': {nearest(name, frameworks)}"
            mistakes.add(document, ("axes", "frameworks", name), text, key=True)
    allowed = {axis: recipes.files(root, f"{axis}s") for axis in ("framework", "target", "backend")}
    names(("axes", "targets"), allowed["target"], "target")
    names(("axes", "backends"), allowed["backend"], "backend")
    rules = source.at(document.data, ("rules",))
    for index in range(len(rules) if isinstance(rules, list) else 0):
        for axis, known_names in allowed.items():
            names(("rules", index, "refuse", axis), known_names, axis)


def _check_rules(document: Document, parsed: MatrixFile, mistakes: Mistakes) -> None:
    """Note every rule that refuses nothing of what is published: a typing error in its version, or out of date."""
    axes = parsed.axes
    published = [
        (framework, version, target, backend)
        for framework, versions in axes.frameworks.items()
        for version in versions
        for target in axes.targets
        for backend in axes.backends
    ]
    for index, rule in enumerate(parsed.rules):
        if not any(_speaks_of(rule.refuse, *combo) for combo in published):
            mistakes.add(document, ("rules", index), "this rule refuses nothing that is published")
