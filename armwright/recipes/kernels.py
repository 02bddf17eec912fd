"""Kernels: which implementations may compute an operation over a backend, by data type and by the target's features."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from armwright.recipes.patterns import Dtype, Feature, Name, Reason, Sentence, VersionName
from armwright.recipes.targets import Target
from armwright.system.strict_model import StrictModel

KernelSource = Literal["onednn", "openblas", "profiler"]
Operation = Annotated[str, StringConstraints(pattern=r"^[a-z_*]+$")]
Implementation = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_:*.+{}-]+$")]


class DtypeSupport(StrictModel):
    """How a backend supports a data type.

    Attributes:
        runs: whether the proof runs it at all.
        needs: CPU features without which the proof does not run it.
        fast: CPU features with which fast kernels compute it; None if no fast kernel exists.
        note: what the image says about it.
        otherwise: what the image says where a CPU feature of `needs` or `fast` is missing.
    """

    runs: bool = True
    needs: list[Feature] = Field(default=[])
    fast: list[Feature] | None = None
    note: Sentence
    otherwise: Sentence | None = None

    def on_floor(self, floor: Collection[str]) -> tuple[Literal["fast", "slow", "not run"], str]:
        """Return the state on a CPU with the features of a floor, and the note for it."""
        if not self.runs:
            return "not run", self.note
        if not set(self.needs) <= set(floor):
            return "not run", self.otherwise or self.note
        if self.fast is not None and set(self.fast) <= set(floor):
            return "fast", self.note
        return "slow", (self.note if self.fast is None else self.otherwise or self.note)


class KernelEntry(StrictModel):
    """A kernel rule as it is written below its source and operation: every kernel of the operation must match it.

    Attributes:
        id: its name in reports and messages, unique in a file; an override replaces the rule with the same id.
        implementations: kernels that may compute the operation, with wildcards; `{cores}` stands for the target's
            OpenBLAS cores. An empty list means that no kernel of the operation may run.
        types: data types of the operation as the trace prints them: f32, bf16, f32 as bf16.
        dtypes: data types of the runs that the rule is about; None for all.
        needs: the rule is only about targets whose floor has all of these CPU features.
        lacks: the rule is only about targets whose floor lacks one of these CPU features.
        optional: the proof also holds when no kernel of the operation ran.
        reason: why these kernels are right.
    """

    id: Name
    implementations: list[Implementation]
    types: Annotated[str, StringConstraints(pattern=r"^[a-z0-9*:]+( as [a-z0-9]+)?$")] = "*"
    dtypes: Annotated[list[Dtype], Field(min_length=1)] | None = None
    needs: list[Feature] = Field(default=[])
    lacks: list[Feature] = Field(default=[])
    optional: bool = False
    reason: Reason


class KernelRule(KernelEntry):
    """A kernel rule with the source that reports the kernels, and the operation.

    Attributes:
        source: oneDNN's trace, OpenBLAS's report, or the framework's profiler.
        operation: the operation, with wildcards.
    """

    source: KernelSource
    operation: Operation

    @model_validator(mode="after")
    def _required_operation_has_no_wildcard(self) -> Self:
        if "*" in self.operation and self.implementations and not self.optional:
            raise ValueError("a rule for several operations cannot require one of them: set 'optional: true'")
        return self

    def applies_to(self, target: Target) -> bool:
        """Return whether the rule is about a target."""
        floor = set(target.floor)
        return floor.issuperset(self.needs) and not (self.lacks and floor.issuperset(self.lacks))

    def with_cores(self, cores: list[str]) -> KernelRule:
        """Return the rule with `{cores}` replaced by the OpenBLAS cores of a target."""
        patterns = [name for text in self.implementations for name in (cores if text == "{cores}" else [text])]
        return self.model_copy(update={"implementations": patterns})


KernelRules = dict[KernelSource, dict[Operation, Annotated[list[KernelEntry], Field(min_length=1)]]]


def flatten(kernels: Mapping[KernelSource, Mapping[str, Sequence[KernelEntry]]]) -> list[KernelRule]:
    """Return the rules that are written below their sources and operations, as one list."""
    return [
        KernelRule(source=source, operation=operation, **dict(entry))
        for source, operations in kernels.items()
        for operation, entries in operations.items()
        for entry in entries
    ]


class Override(StrictModel):
    """Data types and kernel rules that replace those with the same name or id on some targets, in some versions.

    Attributes:
        targets: targets that it is about; None for all.
        versions: versions that it is about; None for all.
        dtypes: data types that it replaces.
        kernels: rules that it replaces.
    """

    targets: Annotated[list[Name], Field(min_length=1)] | None = None
    versions: Annotated[list[VersionName], Field(min_length=1)] | None = None
    dtypes: dict[Dtype, DtypeSupport] = Field(default={})
    kernels: KernelRules = Field(default={})

    def applies_to(self, target: str, version: str) -> bool:
        """Return whether the override is about a target in a version."""
        return (self.targets is None or target in self.targets) and (self.versions is None or version in self.versions)

    def meets(self, other: Override) -> bool:
        """Return whether both overrides are about the same target in the same version."""
        return _meet(self.targets, other.targets) and _meet(self.versions, other.versions)


def _meet(first: Sequence[str] | None, second: Sequence[str] | None) -> bool:
    return first is None or second is None or not set(first).isdisjoint(second)
