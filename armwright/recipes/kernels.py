"""Kernels: which implementations may compute an operation over a backend, by data type and by the target's features."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from armwright.recipes.model import Recipe
from armwright.recipes.patterns import Dtype, Feature, Name, Reason, Sentence, VersionName
from armwright.recipes.targets import Target

Implementation = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_:*.+{}-]+$")]


class DtypeSupport(Recipe):
    """What a data type comes to over a backend.

    Attributes:
        runs: it is run at all.
        needs: CPU features without which it is not run.
        fast: CPU features with which fast kernels compute it; None: none ever does.
        note: what the image says of it.
        otherwise: what it says instead where the features that it needs, or those that make it fast, are missing.
    """

    runs: bool = True
    needs: list[Feature] = Field(default=[])
    fast: list[Feature] | None = None
    note: Sentence
    otherwise: Sentence | None = None

    def on(self, floor: Collection[str]) -> tuple[Literal["fast", "slow", "not run"], str]:
        """Say what it comes to on a CPU with the features of a floor, and in words."""
        if not self.runs:
            return "not run", self.note
        if not set(self.needs) <= set(floor):
            return "not run", self.otherwise or self.note
        if self.fast is not None and set(self.fast) <= set(floor):
            return "fast", self.note
        return "slow", (self.note if self.fast is None else self.otherwise or self.note)


class KernelRule(Recipe):
    """What may run for an operation: every kernel of it must match; no pattern at all means it must not run.

    Attributes:
        source: who tells: oneDNN's trace, OpenBLAS's report, the framework's profiler.
        operation: the operation, with wildcards.
        implementations: what may compute it; `{cores}` stands for the target's OpenBLAS cores.
        types: on what, in the trace's words: f32, bf16, f32 as bf16.
        dtypes: the data types of which it speaks; None: all.
        needs: it speaks only of targets whose floor has all of these CPU features.
        lacks: it speaks only of targets whose floor lacks one of these.
        optional: nothing has to run.
        reason: why so.
    """

    source: Literal["onednn", "openblas", "profiler"]
    operation: Annotated[str, StringConstraints(pattern=r"^[a-z_*]+$")]
    implementations: list[Implementation]
    types: Annotated[str, StringConstraints(pattern=r"^[a-z0-9*:]+( as [a-z0-9]+)?$")] = "*"
    dtypes: Annotated[list[Dtype], Field(min_length=1)] | None = None
    needs: list[Feature] = Field(default=[])
    lacks: list[Feature] = Field(default=[])
    optional: bool = False
    reason: Reason

    @model_validator(mode="after")
    def _what_is_wanted_is_one_operation(self) -> KernelRule:
        if "*" in self.operation and self.implementations and not self.optional:
            raise ValueError("a rule for several operations cannot want to see one: say 'optional: true'")
        return self

    @property
    def key(self) -> tuple[str, str, tuple[str, ...]]:
        """What an override replaces."""
        return self.source, self.operation, tuple(sorted(self.dtypes or ()))

    def on(self, target: Target) -> bool:
        """Say whether it speaks of a target."""
        floor = set(target.floor)
        return floor.issuperset(self.needs) and not (self.lacks and floor.issuperset(self.lacks))

    def with_cores(self, cores: list[str]) -> KernelRule:
        """Put a target's OpenBLAS cores in."""
        names = [name for one in self.implementations for name in (cores if one == "{cores}" else [one])]
        return self.model_copy(update={"implementations": names})


class Override(Recipe):
    """Data types and kernel rules that replace those of the same key on some targets, in some versions."""

    targets: Annotated[list[Name], Field(min_length=1)] | None = None
    versions: Annotated[list[VersionName], Field(min_length=1)] | None = None
    dtypes: dict[Dtype, DtypeSupport] = Field(default={})
    kernels: list[KernelRule] = Field(default=[])

    def speaks_of(self, target: str, version: str) -> bool:
        """Say whether it is about a target and a version; what is left out means any."""
        return (self.targets is None or target in self.targets) and (self.versions is None or version in self.versions)
