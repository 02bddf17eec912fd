"""The matrix: every combination of the axes' values; rules refuse some of them, each with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from armwright.matrix import matrix_file
from armwright.matrix.matrix_file import Axes
from armwright.matrix.rules import Rule, apply_rules, version_key
from armwright.recipes import loader
from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework, FrameworkBackend, Release
from armwright.recipes.loader import Axis, Recipes
from armwright.recipes.model import Environment
from armwright.recipes.targets import Target
from armwright.system.errors import InputError
from armwright.system.yaml_file import Mistakes


@dataclass(frozen=True)
class Combo:
    """One value on every axis, with their recipes.

    Attributes:
        refusal: why it cannot be built; None if it can.
        unverified: why it is built only if selected by name; None if no rule says so.
    """

    framework: Framework
    version: str
    target: Target
    backend: str
    refusal: str | None = None
    unverified: str | None = None

    @property
    def is_known_to_work(self) -> bool:
        """Whether no rule refuses it or calls it unverified."""
        return self.refusal is None and self.unverified is None

    @property
    def title(self) -> str:
        """Its title, for example PyTorch 2.10.0."""
        return self.release.title or f"{self.framework.title} {self.version}"

    @property
    def upstream(self) -> str:
        """The version that upstream uses, for example 2.10.0."""
        return self.release.upstream or self.version

    @property
    def distribution(self) -> str:
        """The Python distribution that contains the framework, for example torch."""
        return self.release.distribution or self.framework.distribution

    @property
    def dialect(self) -> str:
        """The modules of the smoke run that it uses, for example pytorch."""
        return self.release.dialect or self.framework.name

    @property
    def workloads(self) -> list[str]:
        """The workloads that prove it."""
        return self.release.workloads or self.framework.workloads

    @property
    def environment(self) -> list[Environment]:
        """The variables that the framework, the version, the backend and the target set."""
        return [
            *self.framework.environment,
            *self.release.environment,
            *self.framework_backend.environment,
            *self.target.environment,
        ]

    @property
    def id(self) -> str:
        """Its id, for example pytorch-2.10.0-n1-acl."""
        return f"{self.framework.name}-{self.version}-{self.target.name}-{self.backend}"

    @property
    def tag(self) -> str:
        """The image's name without a registry, for example pytorch:2.10.0-n1-acl."""
        return f"{self.framework.name}:{self.version}-{self.target.name}-{self.backend}"

    @property
    def release(self) -> Release:
        """The recipe of this version."""
        return self.framework.versions[self.version]

    @property
    def framework_backend(self) -> FrameworkBackend:
        """The recipe of this framework over this backend."""
        return self.framework.backends[self.backend]


@dataclass(frozen=True)
class Matrix:
    """All combos, and the recipes that they are made of."""

    root: Path
    recipes: Recipes
    axes: Axes
    rules: tuple[Rule, ...]

    @cached_property
    def combos(self) -> tuple[Combo, ...]:
        """All combos in the order of the file, newest version first, including refused ones."""
        return tuple(
            combo
            for framework in self.axes.frameworks
            for version in self.versions(framework)
            for combo in self._of_version(framework, version)
        )

    @cached_property
    def by_id(self) -> Mapping[str, Combo]:
        """All combos by id."""
        return {combo.id: combo for combo in self.combos}

    def names(self, axis: Axis) -> dict[str, str]:
        """Map each published name on an axis, and its aliases, to the name."""
        published = getattr(self.axes, axis)
        return {alias: name for alias, name in self.recipes.names(axis).items() if name in published}

    def versions(self, framework: str) -> list[str]:
        """Return the published versions of a framework, newest first."""
        return self._versions[framework]

    @cached_property
    def _versions(self) -> Mapping[str, list[str]]:
        return {
            name: sorted(versions, key=version_key, reverse=True) for name, versions in self.axes.frameworks.items()
        }

    def base(self, combo: Combo) -> Base:
        """Return the base of a combo."""
        return self.recipes.bases[combo.release.base]

    def newest(self, framework: str, target: str, backend: str) -> Combo | None:
        """Return the combo with the newest version that is known to work there; None if there is none."""
        return self._newest.get((framework, target, backend))

    @cached_property
    def _newest(self) -> Mapping[tuple[str, str, str], Combo]:
        working = [combo for combo in self.combos if combo.is_known_to_work]
        return {(combo.framework.name, combo.target.name, combo.backend): combo for combo in reversed(working)}

    def nearest_working(self, combo: Combo) -> Combo | None:
        """Return the nearest combo that is known to work; None if there is none.

        The order is: another version over the same backend, the same version over another backend, another version
        over another backend, then the same three for each fallback target.
        """
        for target in (combo.target.name, *self.fallback_targets(combo.target)):
            near = self._near(combo.framework.name, combo.version, target, combo.backend)
            if near is not None:
                return near
        return None

    def _near(self, framework: str, version: str, target: str, backend: str) -> Combo | None:
        backends = [backend, *(name for name in self.axes.backends if name != backend)]
        same = [self.by_id[f"{framework}-{version}-{target}-{name}"] for name in backends]
        newest = [self.newest(framework, target, name) for name in backends]
        near = [same[0], newest[0], *same[1:], *newest[1:]]
        return next((combo for combo in near if combo is not None and combo.is_known_to_work), None)

    def fallback_targets(self, target: Target) -> list[str]:
        """Return the published targets with a smaller floor whose images run on this target too, nearest first."""
        names: list[str] = []
        while target.fallback is not None and target.fallback not in names:
            names.append(target.fallback)
            target = self.recipes.targets[target.fallback]
        return [name for name in names if name in self.axes.targets]

    @cached_property
    def _rules(self) -> Mapping[str, list[Rule]]:
        """The rules that match each framework, looked up once."""
        rules: dict[str, list[Rule]] = {framework: [] for framework in self.axes.frameworks}
        for rule in self.rules:
            for framework in rule.pattern.frameworks(self.axes.frameworks):
                rules[framework].append(rule)
        return rules

    def _of_version(self, framework: str, version: str) -> Iterator[Combo]:
        """Apply the rules to the combos of a version; rules are filtered per version and target, for speed."""
        recipe = self.recipes.frameworks[framework]
        of_version = [rule for rule in self._rules[framework] if rule.pattern.of_version(framework, version)]
        for name in self.axes.targets:
            target = self.recipes.targets[name]
            of_target = [rule for rule in of_version if rule.pattern.of_target(name)]
            for backend in self.axes.backends:
                reasons = apply_rules([rule for rule in of_target if rule.pattern.of_backend(backend)])
                refusal = reasons.refusal
                if refusal is None and backend not in recipe.backends:
                    refusal = f"{recipe.title} has no recipe for the backend {backend}"
                yield Combo(recipe, version, target, backend, refusal, reasons.unverified)


def load_matrix(root: Path) -> Matrix:
    """Load and check matrix.yaml with all recipes.

    Args:
        root: the project's root.

    Raises:
        InputError: lists every mistake of every file with file:line:column and the nearest allowed value.
    """
    mistakes = Mistakes()
    known = loader.load_recipes(root, mistakes)
    parsed = matrix_file.read_matrix_file(root, known, mistakes)
    mistakes.raise_if_any()
    assert parsed is not None  # noqa: S101 - if it were None, a mistake would have been raised
    matrix = Matrix(root, known, parsed.axes, tuple(parsed.rules))
    if len(matrix.by_id) < len(matrix.combos):
        same = next(combo.id for combo in matrix.combos if matrix.by_id[combo.id] is not combo)
        raise InputError(
            f"two combos have the id {same}", "git diff matrix.yaml recipes", hint="rename a target or a backend"
        )
    return matrix
