"""The facts: one frozen model for each kind of recipe under recipes/, loaded with every mistake at its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from armwright import source
from armwright.errors import nearest
from armwright.patterns import (
    Absolute,
    EmulatedCpu,
    Feature,
    Glob,
    Name,
    Part,
    Reason,
    Requirement,
    Sentence,
    Setting,
    Variable,
    Version,
)
from armwright.source import Document, Mistakes


class Recipe(BaseModel):
    """Base of all models: frozen, strict (an unquoted `3.10` is a float and is refused), no unknown key."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Drop(Recipe):
    """Files that are left out, with the reason."""

    paths: list[Glob] = Field(min_length=1)
    reason: Reason


class Emulator(Recipe):
    """The emulator's CPU that proves a target where no real one is at hand."""

    cpu: EmulatedCpu
    note: Reason


class Target(Recipe):
    """The CPU an image is for."""

    kind: ClassVar[str] = "target"
    name: Name
    title: Sentence
    aliases: list[Name] = []
    parts: list[Part] = Field(min_length=1)
    floor: list[Feature] = Field(min_length=1)
    vector_bytes: Literal[16, 32, 64, 128, 256] | None = None
    openblas_cores: list[Annotated[str, StringConstraints(pattern=r"^([a-z0-9]+|\*)$")]] = Field(min_length=1)
    emulator: Emulator
    fallback: Name | None = None


class Backend(Recipe):
    """The library that does the arithmetic."""

    kind: ClassVar[str] = "backend"
    name: Name
    title: Sentence
    aliases: list[Name] = []


class Package(Recipe):
    """A package of the distribution, with the reason it is there."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
    reason: Reason


class Link(Recipe):
    """A symbolic link that a maintainer script would have made."""

    path: Glob
    target: Glob
    reason: Reason


class Distribution(Recipe):
    """Where things are in a root file system, and what of it is left out.

    Attributes:
        python: the interpreter.
        site: the folder that its packages are installed in.
        libraries: the folders of its standard library, whose byte-code is made.
    """

    python: Absolute
    site: Absolute
    libraries: list[Absolute] = Field(min_length=1)
    drop: list[Drop] = []
    links: list[Link] = []


class Archive(Distribution):
    """A root file system unpacked from the distribution's signed archive."""

    suites: list[Name] = Field(min_length=1)
    keyring: Annotated[str, StringConstraints(pattern=r"^[a-z-]+\.gpg$")]
    packages: list[Package] = Field(min_length=1)


class Registry(Distribution):
    """A public image as the base, pinned by digest."""

    image: Annotated[str, StringConstraints(pattern=r"^[a-z0-9./-]+:[A-Za-z0-9._-]+@sha256:[0-9a-f]{64}$")]
    unverified: Reason | None = None


class Base(Recipe):
    """The distribution below the framework."""

    kind: ClassVar[str] = "base"
    name: Name
    title: Sentence
    python: Annotated[str, StringConstraints(pattern=r"^3\.\d+$")]
    glibc: Annotated[str, StringConstraints(pattern=r"^2\.\d+$")]
    archive: Archive
    registry: Registry
    tools: list[Package]

    @property
    def manylinux(self) -> str:
        """The newest tag of wheels that run here and that the resolver knows: manylinux_2_40."""
        return f"manylinux_2_{min(int(self.glibc.split('.')[1]), 40)}"


class Release(Recipe):
    """One version of a framework."""

    provider: Literal["wheel"]
    base: Name
    requires: list[Requirement] = Field(min_length=1)
    libraries: dict[Sentence, Annotated[str, StringConstraints(pattern=r"^[0-9][0-9a-z.]*$")]] = {}


class Strip(Recipe):
    """File names whose symbol tables are stripped."""

    paths: list[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_*.+-]+$")]] = Field(min_length=1)
    reason: Reason


class Environment(Recipe):
    """A variable the entrypoint sets where the user has not; `{cpus}` is the number of usable CPUs."""

    name: Variable
    value: Setting
    reason: Reason


class FastMath(Environment):
    """A variable set only on request and only where the CPU has the feature."""

    feature: Feature


class KernelRule(Recipe):
    """What may run for an operation: every kernel of it must match; no pattern at all means it must not run."""

    source: Literal["onednn", "openblas", "profiler"]
    operation: Annotated[str, StringConstraints(pattern=r"^[a-z_*]+$")]
    implementations: list[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_:*.+{}-]+$")]]
    optional: bool = False
    reason: Reason


class Override(Recipe):
    """Kernel rules that replace those of the same source and operation on some targets."""

    targets: list[Name]
    kernels: list[KernelRule]


class Flavour(Recipe):
    """A framework over one backend: what switches it on, and what must be seen to run."""

    overlay: Name | None = None
    environment: list[Environment] = []
    fast_math: FastMath | None = None
    kernels: list[KernelRule] = Field(min_length=1)
    overrides: list[Override] = []

    def rules(self, target: Target) -> list[KernelRule]:
        """Return the kernel rules on a target: overrides applied, `{cores}` replaced by its OpenBLAS cores."""
        replaced = [rule for override in self.overrides if target.name in override.targets for rule in override.kernels]
        keys = {(rule.source, rule.operation) for rule in replaced}
        kept = [rule for rule in self.kernels if (rule.source, rule.operation) not in keys]
        return [_with_cores(rule, target.openblas_cores) for rule in (*kept, *replaced)]


def _with_cores(rule: KernelRule, cores: list[str]) -> KernelRule:
    names = [name for one in rule.implementations for name in (cores if one == "{cores}" else [one])]
    return rule.model_copy(update={"implementations": names})


class Framework(Recipe):
    """A framework: its versions, and what each backend means for it."""

    kind: ClassVar[str] = "framework"
    name: Name
    title: Sentence
    aliases: list[Name] = []
    module: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    distribution: Name
    workloads: list[Name] = Field(min_length=1)
    versions: dict[Version, Release] = Field(min_length=1)
    drop: list[Drop] = []
    strip: Strip | None = None
    environment: list[Environment] = []
    backends: dict[Name, Flavour] = Field(min_length=1)

    @model_validator(mode="after")
    def _environment_is_not_doubled(self) -> Framework:
        for flavour in self.backends.values():
            names = [one.name for one in (*self.environment, *flavour.environment)]
            if len(names) != len(set(names)):
                raise ValueError("a variable is set twice: once for the framework and once for a backend")
        return self


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
                for position, target in enumerate(override.targets):
                    place = ("backends", name, "overrides", index, "targets", position)
                    _known(root, "targets", document, place, target, mistakes)
    for recipe, document in targets.values():
        if recipe.fallback is not None:
            _known(root, "targets", document, ("fallback",), recipe.fallback, mistakes)
        if recipe.fallback in targets and not set(targets[recipe.fallback][0].floor) < set(recipe.floor):
            text = f"'{recipe.fallback}' must need less than '{recipe.name}': a part of its floor"
            mistakes.add(document, ("fallback",), text)
    return Recipes(
        frameworks=_plain(frameworks), backends=_plain(backends), targets=_plain(targets), bases=_plain(bases)
    )


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
