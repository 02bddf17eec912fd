"""Frameworks: their versions, and what each backend means for them."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from armwright.recipes.kernels import DtypeSupport, KernelRule, KernelRules, Override, flatten
from armwright.recipes.model import Drop, Environment
from armwright.recipes.patterns import DTYPES, Dtype, Feature, Name, Reason, Requirement, Sentence, VersionName
from armwright.recipes.source_builds import PythonFile, SourceBuild
from armwright.recipes.targets import Target
from armwright.system.strict_model import StrictModel


class Release(StrictModel):
    """One version of a framework.

    Attributes:
        provider: how it gets into the image; names the template dockerfiles/provider-<provider>.j2.
        base: the distribution that it runs on.
        requires: requirements that the lock is resolved from.
        files: wheels and source distributions that are not in the lock.
        build: how it is compiled, if the provider is "source".
        libraries: versions that the proof compares with those it reads from the libraries.
        title: its title, if it is not the framework's title and the version.
        upstream: upstream's version, if the version is a name such as 1.x-compat.
        distribution: the Python distribution that contains it, if it is not the framework's.
        dialect: the modules of the smoke run, if they are not the framework's.
        overlay: a folder of scripts/overlays whose files go into the site directory.
        workloads: the workloads that prove it, if they are not the framework's.
        environment: variables for this version only.
    """

    provider: Literal["wheel", "source"]
    base: Name
    requires: list[Requirement] = Field(min_length=1)
    files: list[PythonFile] = Field(default=[])
    build: SourceBuild | None = None
    libraries: dict[Sentence, Annotated[str, StringConstraints(pattern=r"^[0-9][0-9a-z.]*$")]] = Field(default={})
    title: Sentence | None = None
    upstream: VersionName | None = None
    distribution: Name | None = None
    dialect: Name | None = None
    overlay: Name | None = None
    workloads: Annotated[list[Name], Field(min_length=1)] | None = None
    environment: list[Environment] = Field(default=[])

    @model_validator(mode="after")
    def _source_provider_has_a_build(self) -> Release:
        if (self.provider == "source") != (self.build is not None):
            raise ValueError("exactly the versions with 'provider: source' have 'build'")
        return self


class Unimportable(StrictModel):
    """Public modules of a framework that cannot be imported in an image, and why."""

    modules: list[Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9_.*]*$")]] = Field(min_length=1)
    reason: Reason


class Strip(StrictModel):
    """File names whose symbol tables are stripped."""

    paths: list[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_*.+-]+$")]] = Field(min_length=1)
    reason: Reason


PLAIN = DtypeSupport(fast=[], note="the data type of every model")
UNKNOWN = DtypeSupport(runs=False, note="not examined over this backend")


class FastMath(Environment):
    """A variable set only on request and only where the CPU has the feature."""

    feature: Feature


class FrameworkBackend(StrictModel):
    """A framework over one backend: what switches the backend on, data types, and which kernels must run."""

    overlay: Name | None = None
    environment: list[Environment] = Field(default=[])
    fast_math: FastMath | None = None
    dtypes: dict[Dtype, DtypeSupport] = Field(default={})
    kernels: Annotated[KernelRules, Field(min_length=1)]
    overrides: list[Override] = Field(default=[])

    @model_validator(mode="after")
    def _fast_math_has_its_variable(self) -> FrameworkBackend:
        supports = [self.dtypes, *(override.dtypes for override in self.overrides)]
        if self.fast_math is None and any(
            "bf16-fast-math" in named and named["bf16-fast-math"].runs for named in supports
        ):
            raise ValueError("bf16-fast-math runs, but 'fast_math' does not name the variable that switches it on")
        return self

    def kernel_rules(self, target: Target, version: str) -> list[KernelRule]:
        """Return the kernel rules for a target in a version.

        Overrides replace rules by id, and `{cores}` becomes the OpenBLAS cores of the target.
        """
        rules = {rule.id: rule for rule in self._flat_kernels if rule.applies_to(target)}
        for override in self._overrides(target, version):
            rules.update((rule.id, rule) for rule in flatten(override.kernels) if rule.applies_to(target))
        return [rule.with_cores(target.openblas_cores) for rule in rules.values()]

    def dtype_support(self, target: Target, version: str) -> list[dict[str, str]]:
        """Return the support of every data type on a target: name, state (fast, slow, not run), note."""
        supports = dict(self.dtypes)
        for override in self._overrides(target, version):
            supports.update(override.dtypes)
        rows = []
        for name in DTYPES:
            support = supports.get(name, PLAIN if name == "fp32" else UNKNOWN)
            state, note = support.on_floor(target.floor)
            rows.append({"name": name, "state": state, "note": note})
        return rows

    @cached_property
    def _flat_kernels(self) -> list[KernelRule]:
        return flatten(self.kernels)

    def _overrides(self, target: Target, version: str) -> list[Override]:
        return [override for override in self.overrides if override.applies_to(target.name, version)]


class FrameworkFile(StrictModel):
    """A framework without its backends: recipes/frameworks/<name>/framework.yaml."""

    kind: ClassVar[str] = "framework"
    name: Name
    title: Sentence
    aliases: list[Name] = Field(default=[])
    module: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    distribution: Name
    workloads: list[Name] = Field(min_length=1)
    versions: dict[VersionName, Release] = Field(min_length=1)
    drop: list[Drop] = Field(default=[])
    strip: Strip | None = None
    unimportable: list[Unimportable] = Field(default=[])
    environment: list[Environment] = Field(default=[])

    @model_validator(mode="after")
    def _no_distribution_is_dropped(self) -> FrameworkFile:
        dropped = [path for drop in self.drop for path in drop.paths if path.endswith(".dist-info")]
        if dropped:
            raise ValueError(f"'drop' removes {dropped[0]}, but others declare that they require the distribution")
        return self


class Framework(FrameworkFile):
    """A framework: its versions, and its recipe for each backend (recipes/frameworks/<name>/<backend>.yaml)."""

    backends: dict[Name, FrameworkBackend]
