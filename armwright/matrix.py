"""The matrix: every combination of the axes' values, each allowed or refused by a rule with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion
from packaging.version import Version as Ordered
from pydantic import BeforeValidator, Field, InstanceOf, model_validator

from armwright import recipes, source
from armwright.bases import Base
from armwright.errors import InputError, nearest
from armwright.frameworks import Flavour, Framework, Release
from armwright.model import Environment, Recipe
from armwright.patterns import Name, Reason, Version
from armwright.recipes import Recipes
from armwright.source import Document, Mistakes
from armwright.targets import Target

FILE = "matrix.yaml"


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


@dataclass(frozen=True)
class Versions:
    """The versions a rule speaks of: by order, as Python's packages are (">=2.10,<2.12"), or names of ours as written."""

    order: SpecifierSet
    names: frozenset[str] = frozenset()

    @cached_property
    def _known(self) -> dict[str, bool]:
        return {}

    def contains(self, version: str) -> bool:
        """Say whether a version is among them; a name of ours has no order and is only itself."""
        if version not in self._known:
            by_order = not self.names and order(version) > NAMED and self.order.contains(version, prereleases=True)
            self._known[version] = version in self.names or by_order
        return self._known[version]


NAMED = Ordered("0.dev0")


def order(version: str) -> Ordered:
    """Return what versions are sorted by; a name of ours, 1.x-compat, comes before every version of upstream's."""
    try:
        return Ordered(version)
    except InvalidVersion:
        return NAMED


def _versions(value: object) -> object:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return Versions(SpecifierSet(), frozenset(value))
    if not isinstance(value, str):
        raise ValueError("must be text: put it in quotes, for example '==2.10.0'")  # noqa: TRY004 - pydantic's way
    try:
        return Versions(SpecifierSet(value))
    except InvalidSpecifier as wrong:
        raise ValueError(f"{wrong}; write for example '==2.10.0' or '>=2.10,<2.12', or a list of versions") from wrong


Names = Annotated[list[Name], BeforeValidator(_one_or_more)]


class Pattern(Recipe):
    """The combinations a rule speaks of; an axis left out means any value."""

    framework: Names | None = None
    version: Annotated[InstanceOf[Versions], BeforeValidator(_versions)] | None = None
    target: Names | None = None
    backend: Names | None = None

    @model_validator(mode="after")
    def _names_an_axis(self) -> Pattern:
        if not self.model_fields_set:
            raise ValueError("a rule names at least one axis; an empty one would refuse everything")
        return self


class Rule(Recipe):
    """What is said of some combinations, with the reason.

    Attributes:
        refuse: these cannot exist.
        unverified: these are written completely and were never seen working here; they are built when asked for by name.
    """

    refuse: Pattern | None = None
    unverified: Pattern | None = None
    because: Reason

    @model_validator(mode="after")
    def _says_one_thing(self) -> Rule:
        if (self.refuse is None) == (self.unverified is None):
            raise ValueError("a rule says either 'refuse' or 'unverified'")
        return self

    @property
    def pattern(self) -> Pattern:
        """The combinations it speaks of."""
        pattern = self.refuse or self.unverified
        assert pattern is not None  # noqa: S101 - for the type checker: checked when it was made
        return pattern


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
        unverified: why it is only built when asked for by name; None for a combo that is known to work.
    """

    framework: Framework
    version: str
    target: Target
    backend: str
    refusal: str | None = None
    unverified: str | None = None

    @property
    def sound(self) -> bool:
        """It can exist, and nothing about it is unverified."""
        return self.refusal is None and self.unverified is None

    @property
    def title(self) -> str:
        """What it is in words: PyTorch 2.10.0."""
        return self.release.title or f"{self.framework.title} {self.version}"

    @property
    def upstream(self) -> str:
        """Upstream's version: 2.10.0."""
        return self.release.upstream or self.version

    @property
    def distribution(self) -> str:
        """The Python distribution with the framework: torch."""
        return self.release.distribution or self.framework.distribution

    @property
    def dialect(self) -> str:
        """The smoke run's modules for it: pytorch."""
        return self.release.dialect or self.framework.name

    @property
    def workloads(self) -> list[str]:
        """What is run to prove it."""
        return self.release.workloads or self.framework.workloads

    @property
    def environment(self) -> list[Environment]:
        """The variables it wants: of the framework, the version, the backend and the target."""
        return [
            *self.framework.environment,
            *self.release.environment,
            *self.flavour.environment,
            *self.target.environment,
        ]

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
        return self._versions[framework]

    @cached_property
    def _versions(self) -> Mapping[str, list[str]]:
        return {name: sorted(given, key=order, reverse=True) for name, given in self.axes.frameworks.items()}

    def base(self, combo: Combo) -> Base:
        """Return the distribution below a combo."""
        return self.recipes.bases[combo.release.base]

    def newest(self, framework: str, target: str, backend: str) -> Combo | None:
        """Return the combo with the newest version that the other axes allow and that is known to work, or None."""
        combos = (self.by_id[f"{framework}-{version}-{target}-{backend}"] for version in self.versions(framework))
        return next((combo for combo in combos if combo.sound), None)

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
        unverified: str | None = None
        for rule in self.rules:
            if not _speaks_of(rule.pattern, framework, version, target, backend):
                continue
            if rule.refuse is not None:
                refusal = refusal or rule.because
            else:
                unverified = unverified or rule.because
        if backend not in recipe.backends:
            refusal = refusal or f"{recipe.title} has no recipe for the backend {backend}"
        return Combo(recipe, version, self.recipes.targets[target], backend, refusal, unverified)


def _speaks_of(pattern: Pattern, framework: str, version: str, target: str, backend: str) -> bool:
    return (
        (pattern.framework is None or framework in pattern.framework)
        and (pattern.target is None or target in pattern.target)
        and (pattern.backend is None or backend in pattern.backend)
        and (pattern.version is None or pattern.version.contains(version))
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
            for verb in ("refuse", "unverified"):
                names(("rules", index, verb, axis), known_names, axis)


def _check_rules(document: Document, parsed: MatrixFile, mistakes: Mistakes) -> None:
    """Note every rule that speaks of nothing that is published: a typing error in its version, or out of date."""
    axes = parsed.axes
    published = [
        (framework, version, target, backend)
        for framework, versions in axes.frameworks.items()
        for version in versions
        for target in axes.targets
        for backend in axes.backends
    ]
    for index, rule in enumerate(parsed.rules):
        if not any(_speaks_of(rule.pattern, *combo) for combo in published):
            mistakes.add(document, ("rules", index), "this rule speaks of nothing that is published")
