"""Bases: the distribution below a framework, and where its files come from."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from armwright.recipes.model import Drop, Recipe
from armwright.recipes.patterns import Absolute, Glob, Name, Reason, Sentence
from armwright.recipes.source_builds import Interpreter


class BasePackage(Recipe):
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
    drop: list[Drop] = Field(default=[])
    links: list[Link] = Field(default=[])


class Merged(Recipe):
    """Folders of the root that are links into /usr, where the installer makes these links and no package has them."""

    folders: list[Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+$")]] = Field(min_length=1)
    reason: Reason


class Archive(Distribution):
    """A root file system unpacked from the distribution's signed archive.

    Attributes:
        suites: the parts of the archive.
        merged: folders of the root that are links.
        early: links that are made before anything is unpacked, in every root: without a shell nothing else can be done.
        keyring: what the archive is signed with.
        packages: what is unpacked.
        interpreter: the Python that is compiled, where the distribution has none of that version.
    """

    suites: list[Name] = Field(min_length=1)
    merged: Merged | None = None
    early: list[Link] = Field(default=[])
    keyring: Annotated[str, StringConstraints(pattern=r"^[a-z-]+\.gpg$")]
    packages: list[BasePackage] = Field(min_length=1)
    interpreter: Interpreter | None = None


class Registry(Distribution):
    """A public image as the base, pinned by digest."""

    image: Annotated[str, StringConstraints(pattern=r"^[a-z0-9./-]+:[A-Za-z0-9._-]+@sha256:[0-9a-f]{64}$")]
    unverified: Reason | None = None


class Builder(Recipe):
    """What compiles for an image: packages of the same archive for AArch64, none of which is shipped.

    Attributes:
        gcc: the release of GCC whose flags it understands.
        compiler: what that release is called there: gcc-9; its C++ compiler is g++-9.
        packages: what is unpacked.
        links: links that maintainer scripts would have made.
    """

    gcc: Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+$")]
    compiler: Annotated[str, StringConstraints(pattern=r"^gcc-[0-9]+$")]
    packages: list[BasePackage] = Field(min_length=1)
    links: list[Link] = Field(default=[])


class Base(Recipe):
    """The distribution below the framework.

    Attributes:
        python: the interpreter's minor version.
        glibc: its C library's version.
        archive: the default source.
        registry: the other source, where there is one.
        tools: what works during the build, on the build platform.
        builder: what compiles, on the target platform.
        unstripped: libraries that this distribution's strip would break.
    """

    kind: ClassVar[str] = "base"
    name: Name
    title: Sentence
    python: Annotated[str, StringConstraints(pattern=r"^3\.[0-9]+$")]
    glibc: Annotated[str, StringConstraints(pattern=r"^2\.[0-9]+$")]
    archive: Archive
    registry: Registry | None = None
    tools: list[BasePackage]
    builder: Builder | None = None
    unstripped: Drop | None = None

    @property
    def sources(self) -> list[Literal["archive", "registry"]]:
        """Where its files can come from."""
        return ["archive"] if self.registry is None else ["archive", "registry"]

    @property
    def manylinux(self) -> str:
        """The newest tag of wheels that run here and that the resolver knows: manylinux_2_40."""
        return f"manylinux_2_{min(int(self.glibc.split('.')[1]), 40)}"

    @model_validator(mode="after")
    def _what_is_compiled_has_a_builder(self) -> Base:
        if self.archive.interpreter is not None and self.builder is None:
            raise ValueError("an interpreter is compiled by a builder, and this base has none")
        return self
