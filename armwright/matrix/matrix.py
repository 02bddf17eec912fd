"""The matrix: every combination of the axes' values, each allowed or refused by a rule with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from armwright.matrix import matrix_file
from armwright.matrix.matrix_file import Axes
from armwright.matrix.rules import Rule, apply_rules, order
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
    def is_known_to_work(self) -> bool:
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
            *self.framework_backend.environment,
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
    def framework_backend(self) -> FrameworkBackend:
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
            combo
            for framework in self.axes.frameworks
            for version in self.versions(framework)
            for combo in self._of_version(framework, version)
        )

    @cached_property
    def by_id(self) -> Mapping[str, Combo]:
        """Every combination by its id."""
        return {combo.id: combo for combo in self.combos}

    def names(self, axis: Axis) -> dict[str, str]:
        """Map each published name on an axis, and its other names, to the name."""
        published = getattr(self.axes, axis)
        return {alias: name for alias, name in self.recipes.names(axis).items() if name in published}

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
        return self._newest.get((framework, target, backend))

    @cached_property
    def _newest(self) -> Mapping[tuple[str, str, str], Combo]:
        sound = [combo for combo in self.combos if combo.is_known_to_work]
        return {(combo.framework.name, combo.target.name, combo.backend): combo for combo in reversed(sound)}

    def nearest_working(self, combo: Combo) -> Combo | None:
        """Return the nearest combo that is known to work.

        It is another version over the same backend; else the same version over another backend; else another version
        over another backend; else the same for the targets whose images run there too.
        """
        for target in (combo.target.name, *self.fallback_targets(combo.target)):
            near = self._near(combo.framework.name, combo.version, target, combo.backend)
            if near is not None:
                return near
        return None

    def _near(self, framework: str, version: str, target: str, backend: str) -> Combo | None:
        others = [one for one in self.axes.backends if one != backend]
        same = [self.by_id[f"{framework}-{version}-{target}-{one}"] for one in (backend, *others)]
        newest = [self.newest(framework, target, one) for one in (backend, *others)]
        near = [same[0], newest[0], *same[1:], *newest[1:]]
        return next((one for one in near if one is not None and one.is_known_to_work), None)

    def fallback_targets(self, target: Target) -> list[str]:
        """Return the published targets whose images run where this target's floor is not met, nearest first."""
        names: list[str] = []
        while target.fallback is not None and target.fallback not in names:
            names.append(target.fallback)
            target = self.recipes.targets[target.fallback]
        return [name for name in names if name in self.axes.targets]

    @cached_property
    def _rules(self) -> Mapping[str, list[Rule]]:
        """The rules that speak of each framework: those of the others are not asked for every version."""
        found: dict[str, list[Rule]] = {framework: [] for framework in self.axes.frameworks}
        for rule in self.rules:
            for framework in rule.pattern.frameworks(self.axes.frameworks):
                found[framework].append(rule)
        return found

    def _of_version(self, framework: str, version: str) -> Iterator[Combo]:
        """Judge the combinations of a version; the rules that speak of it are looked up once, not for each of them."""
        recipe = self.recipes.frameworks[framework]
        speaking = [rule for rule in self._rules[framework] if rule.pattern.of_version(framework, version)]
        for name in self.axes.targets:
            target = self.recipes.targets[name]
            here = [rule for rule in speaking if rule.pattern.of_target(name)]
            for backend in self.axes.backends:
                said = apply_rules([rule for rule in here if rule.pattern.of_backend(backend)])
                refusal = said.refusal
                if refusal is None and backend not in recipe.backends:
                    refusal = f"{recipe.title} has no recipe for the backend {backend}"
                yield Combo(recipe, version, target, backend, refusal, said.unverified)


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
    assert parsed is not None  # noqa: S101 - for the type checker: without a mistake there is a file
    matrix = Matrix(root, known, parsed.axes, tuple(parsed.rules))
    if len(matrix.by_id) < len(matrix.combos):
        same = next(combo.id for combo in matrix.combos if matrix.by_id[combo.id] is not combo)
        raise InputError(f"two combos have the id {same}", "rename a target or a backend; nothing was started")
    return matrix
