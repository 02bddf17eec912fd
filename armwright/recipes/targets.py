"""Targets: the CPU an image is for, how code is compiled for it, and what proves it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from packaging.version import Version
from pydantic import Field, StringConstraints, model_validator

from armwright.recipes.model import Environment, Recipe
from armwright.recipes.patterns import CpuPart, Dtype, EmulatedCpu, Feature, Flags, Name, Reason, Sentence
from armwright.recipes.patterns import VersionName as Text


class BaselineCpu(Recipe):
    """A baseline CPU: one that has only features which the CPU of the target has too.

    Attributes:
        cpu: QEMU's name for it.
        note: what it is, and what it cannot show.
        skips: data types in which nothing is run there: without their instructions other code runs than on the target.
    """

    cpu: EmulatedCpu
    note: Reason
    skips: list[Dtype] = Field(default=[])


class Emulator(Recipe):
    """The emulator's CPU that proves a target where no real one is at hand.

    Attributes:
        cpu: QEMU's name for it.
        match: how its features compare with the target's: "exact", "subset" (it has fewer), "superset" (it has more).
        note: what it is, and what it cannot show.
        baseline: if it has more, a CPU without the extra features on which the workloads run too.
    """

    cpu: EmulatedCpu
    match: Literal["exact", "subset", "superset"]
    note: Reason
    baseline: BaselineCpu | None = None

    @property
    def models(self) -> list[str]:
        """The models the emulator must know, without their options."""
        return [one.cpu.split(",")[0] for one in (self, self.baseline) if one is not None]

    @model_validator(mode="after")
    def _superset_has_a_baseline(self) -> Emulator:
        if (self.match == "superset") != (self.baseline is not None):
            raise ValueError(
                "a superset, and only that, has a baseline CPU"
            )
        return self


CompilerRelease = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$")]


class Compiler(Recipe):
    """What a compiler is told.

    Attributes:
        flags: its words.
        least: the first release that understands them; None where that is not known.
        backports: point releases of older series that understand them too, and every later one of their series.
    """

    flags: Flags
    least: CompilerRelease | None
    backports: list[CompilerRelease] = Field(default=[])

    def understood_by(self, release: str) -> bool:
        """Say whether a release is known to understand the flags."""
        given = Version(release)
        later = self.least is not None and given >= Version(self.least)
        return later or any(given.major == one.major and given >= one for one in map(Version, self.backports))


class OpenblasTarget(Recipe):
    """A name in OpenBLAS's list of targets, and the first release that has it."""

    target: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]+$")]
    least: Text


class Caches(Recipe):
    """Bytes of a core's caches."""

    level1: Annotated[int, Field(gt=0)]
    level2: Annotated[int, Field(gt=0)]


class Compile(Recipe):
    """How code is compiled for a target: by each compiler, and for the libraries that have names of their own for it.

    Attributes:
        gcc: GCC's flags.
        older: the nearest that older releases of GCC understand, newest first.
        clang: LLVM's, where somebody knows them.
        portable: flags that every compiler of the architecture's release takes.
        openblas: OpenBLAS's TARGET, and the first release that has it.
        acl: the Arm Compute Library's options for scons.
        caches: bytes of the first and second level, which Eigen's blocking is told.
    """

    gcc: Compiler
    older: list[Compiler] = Field(default=[])
    clang: Compiler | None = None
    portable: Flags
    openblas: OpenblasTarget
    acl: Annotated[str, StringConstraints(pattern=r"^arch=[a-z0-9.-]+( multi_isa=1)?$")]
    caches: Caches | None = None

    def gcc_flags(self, release: str) -> str | None:
        """Return the flags for a release of GCC; None where none are known that it understands."""
        return next((one.flags for one in (self.gcc, *self.older) if one.understood_by(release)), None)


class Target(Recipe):
    """The CPU an image is for."""

    kind: ClassVar[str] = "target"
    name: Name
    title: Sentence
    aliases: list[Name] = Field(default=[])
    parts: list[CpuPart] = Field(min_length=1)
    floor: list[Feature] = Field(min_length=1)
    vector_bytes: Literal[16, 32, 64, 128, 256] | None = None
    openblas_cores: list[Annotated[str, StringConstraints(pattern=r"^([a-z0-9]+|\*)$")]] = Field(min_length=1)
    compile: Compile
    environment: list[Environment] = Field(default=[])
    emulator: Emulator
    fallback: Name | None = None
