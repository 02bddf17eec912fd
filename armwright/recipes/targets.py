"""Targets: the CPU that an image is for, how code is compiled for it, and which emulated CPU proves it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from packaging.version import Version
from pydantic import Field, StringConstraints, model_validator

from armwright.recipes.model import Environment
from armwright.recipes.patterns import CpuPart, Dtype, EmulatedCpu, Feature, Flags, Name, Reason, Sentence, VersionName
from armwright.system.strict_model import StrictModel


class BaselineCpu(StrictModel):
    """A baseline CPU: all its features are features of the target too.

    Attributes:
        cpu: the name in QEMU.
        note: what it is, and what a proof on it does not show.
        skips: data types that are not run on it: it lacks their instructions, so other code would run.
    """

    cpu: EmulatedCpu
    note: Reason
    skips: list[Dtype] = Field(default=[])


class Emulator(StrictModel):
    """The emulated CPU that proves a target on machines with another CPU.

    Attributes:
        cpu: the name in QEMU.
        match: how its features compare with the target's: "exact", "subset" (fewer) or "superset" (more).
        note: what it is, and what a proof on it does not show.
        baseline: for a superset, a CPU without the extra features, on which the workloads run again.
    """

    cpu: EmulatedCpu
    match: Literal["exact", "subset", "superset"]
    note: Reason
    baseline: BaselineCpu | None = None

    @property
    def models(self) -> list[str]:
        """The CPU models that the emulator must have, without their options."""
        return [cpu.split(",")[0] for cpu in (self.cpu, self.baseline and self.baseline.cpu) if cpu]

    @model_validator(mode="after")
    def _superset_has_a_baseline(self) -> Emulator:
        if (self.match == "superset") != (self.baseline is not None):
            raise ValueError("'match: superset' needs a baseline CPU, and no other match has one")
        return self


CompilerRelease = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$")]


class Compiler(StrictModel):
    """The flags of a compiler for a target.

    Attributes:
        flags: the flags.
        least: the first release that accepts them; None if unknown.
        backports: the first releases of older series that accept them, as later releases of that series do.
    """

    flags: Flags
    least: CompilerRelease | None
    backports: list[CompilerRelease] = Field(default=[])

    def accepted_by(self, release: str) -> bool:
        """Return whether a release is known to accept the flags."""
        version = Version(release)
        later = self.least is not None and version >= Version(self.least)
        return later or any(version.major == first.major and version >= first for first in map(Version, self.backports))


class OpenblasTarget(StrictModel):
    """OpenBLAS's name for a target, and the first OpenBLAS release with that name."""

    target: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]+$")]
    least: VersionName


class Caches(StrictModel):
    """Cache sizes of one core, in bytes."""

    level1: Annotated[int, Field(gt=0)]
    level2: Annotated[int, Field(gt=0)]


class Compile(StrictModel):
    """How code is compiled for a target: flags of each compiler, and options of libraries with their own names for it.

    Attributes:
        gcc: the flags of GCC.
        older: flags for older GCC releases, newest release first.
        clang: the flags of Clang; None if unknown.
        portable: flags that every compiler for this Arm architecture accepts.
        openblas: the value of OpenBLAS's TARGET.
        acl: the scons options of the Arm Compute Library.
        caches: cache sizes for Eigen's blocking; None if unknown.
    """

    gcc: Compiler
    older: list[Compiler] = Field(default=[])
    clang: Compiler | None = None
    portable: Flags
    openblas: OpenblasTarget
    acl: Annotated[str, StringConstraints(pattern=r"^arch=[a-z0-9.-]+( multi_isa=1)?$")]
    caches: Caches | None = None

    def gcc_flags(self, release: str) -> str | None:
        """Return the flags for a GCC release; None if it is not known to accept any of them."""
        return next((compiler.flags for compiler in (self.gcc, *self.older) if compiler.accepted_by(release)), None)


class Target(StrictModel):
    """The CPU that an image is for."""

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
