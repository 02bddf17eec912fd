"""Frameworks: their versions, and what each backend means for them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from armwright.recipes.kernels import DtypeSupport, KernelRule, Override
from armwright.recipes.model import Drop, Environment, Recipe
from armwright.recipes.patterns import DTYPES, Dtype, Feature, Name, Reason, Requirement, Sentence, VersionName
from armwright.recipes.source_builds import PythonFile, SourceBuild
from armwright.recipes.targets import Target


class Release(Recipe):
    """One version of a framework.

    Attributes:
        provider: how it gets into the image; names the template dockerfiles/provider-<provider>.j2.
        base: the distribution below it.
        requires: what the lock is resolved from.
        files: wheels and source distributions that are no part of the lock.
        build: how it is compiled, where the provider is "source".
        libraries: versions that the proof compares with what it reads out of the libraries.
        title: what it is, where that is not the framework's title and the version.
        upstream: upstream's version, where the version is a name of ours.
        distribution: the Python distribution with the framework, where it is not the framework's own.
        dialect: the smoke run's modules, where they are not the framework's own.
        overlay: files that make it what it is; they land in the site directory.
        workloads: what is run to prove it, where that is not the framework's list.
        environment: variables of this version alone.
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
    def _what_is_compiled_says_how(self) -> Release:
        if (self.provider == "source") != (self.build is not None):
            raise ValueError("a version of the provider 'source', and only that, says how it is built")
        return self


class Strip(Recipe):
    """File names whose symbol tables are stripped."""

    paths: list[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_*.+-]+$")]] = Field(min_length=1)
    reason: Reason


PLAIN = DtypeSupport(fast=[], note="every model's own")
UNKNOWN = DtypeSupport(runs=False, note="nobody has looked at what it comes to over this backend")


class FastMath(Environment):
    """A variable set only on request and only where the CPU has the feature."""

    feature: Feature


class FrameworkBackend(Recipe):
    """A framework over one backend: what switches it on, its data types, and what must be seen to run."""

    overlay: Name | None = None
    environment: list[Environment] = Field(default=[])
    fast_math: FastMath | None = None
    dtypes: dict[Dtype, DtypeSupport] = Field(default={})
    kernels: list[KernelRule] = Field(min_length=1)
    overrides: list[Override] = Field(default=[])

    @model_validator(mode="after")
    def _fast_math_has_its_variable(self) -> FrameworkBackend:
        told = [self.dtypes, *(one.dtypes for one in self.overrides)]
        asked = [one["bf16-fast-math"] for one in told if "bf16-fast-math" in one]
        if self.fast_math is None and any(one.runs for one in asked):
            raise ValueError("bf16-fast-math is run under the variable of 'fast_math', and that is not there")
        return self

    def rules(self, target: Target, version: str) -> list[KernelRule]:
        """Return the kernel rules on a target: overrides applied, `{cores}` replaced by its OpenBLAS cores."""
        speaking = self._speaking(target, version)
        replaced = [rule for override in speaking for rule in override.kernels if rule.on(target)]
        keys = {rule.key for rule in replaced}
        kept = [rule for rule in self.kernels if rule.key not in keys and rule.on(target)]
        return [rule.with_cores(target.openblas_cores) for rule in (*kept, *replaced)]

    def precisions(self, target: Target, version: str) -> list[dict[str, str]]:
        """Say of every data type what it comes to on a target: name, state (fast, slow, not run), note."""
        known = dict(self.dtypes)
        for override in self._speaking(target, version):
            known.update(override.dtypes)
        told = []
        for name in DTYPES:
            one = known.get(name, PLAIN if name == "fp32" else UNKNOWN)
            state, note = one.on(target.floor)
            told.append({"name": name, "state": state, "note": note})
        return told

    def _speaking(self, target: Target, version: str) -> list[Override]:
        return [override for override in self.overrides if override.speaks_of(target.name, version)]


class Framework(Recipe):
    """A framework: its versions, and what each backend means for it."""

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
    environment: list[Environment] = Field(default=[])
    backends: dict[Name, FrameworkBackend] = Field(min_length=1)

    @model_validator(mode="after")
    def _environment_is_not_doubled(self) -> Framework:
        for flavour in self.backends.values():
            for release in self.versions.values():
                names = [one.name for one in (*self.environment, *release.environment, *flavour.environment)]
                if len(names) != len(set(names)):
                    raise ValueError("a variable is set twice: for the framework, a version or a backend")
        return self
