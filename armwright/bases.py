"""Bases: the distribution below a framework, and where its files come from."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from armwright.model import Drop, Recipe
from armwright.patterns import Absolute, Glob, Name, Reason, Sentence


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
    drop: list[Drop] = Field(default=[])
    links: list[Link] = Field(default=[])


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
