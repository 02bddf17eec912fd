"""Bases: the Linux distribution in an image, and where its files come from."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from armwright.recipes.model import Drop
from armwright.recipes.patterns import Absolute, Glob, Name, Reason, Sentence, Site
from armwright.recipes.source_builds import Interpreter
from armwright.system.strict_model import StrictModel


class BasePackage(StrictModel):
    """A package of the distribution, and why the image needs it."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
    reason: Reason


class Link(StrictModel):
    """A symbolic link that a maintainer script would create; no maintainer script runs here."""

    path: Glob
    target: Glob
    reason: Reason


class Distribution(StrictModel):
    """Paths in a root file system, and the files removed from it.

    Attributes:
        python: the path of the interpreter.
        site: the folder into which Python packages are installed.
        libraries: the folders of the standard library; their byte-code is compiled during the build.
    """

    python: Absolute
    site: Absolute
    libraries: list[Absolute] = Field(min_length=1)
    drop: list[Drop] = Field(default=[])
    links: list[Link] = Field(default=[])


class Merged(StrictModel):
    """Folders of the root that are links into /usr, on distributions whose installer creates the links."""

    folders: list[Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+$")]] = Field(min_length=1)
    reason: Reason


class Archive(Distribution):
    """A root file system unpacked from the distribution's signed archive.

    Attributes:
        suites: the suites of the archive, for example trixie and trixie-security, each with its folder on a site.
        snapshots: sites that keep what the archive had at a time, as <site>/<folder>/<time>.
        snapshot_hours: hours after a lock's time at which a snapshot may have its packages.
        merged: folders of the root that are links into /usr.
        early: links created before any package is unpacked, such as /bin/sh, which unpacking needs.
        keyring: the file with the keys that sign the archive.
        packages: the packages to unpack.
        interpreter: the Python to compile, if the distribution does not have that version.
    """

    suites: dict[Name, Name] = Field(min_length=1)
    snapshots: list[Site] = Field(min_length=1)
    snapshot_hours: list[Annotated[int, Field(ge=0, le=240)]] = Field(min_length=1)
    merged: Merged | None = None
    early: list[Link] = Field(default=[])
    keyring: Annotated[str, StringConstraints(pattern=r"^[a-z-]+\.gpg$")]
    packages: list[BasePackage] = Field(min_length=1)
    interpreter: Interpreter | None = None


class Registry(Distribution):
    """A public image used as the base, pinned by digest."""

    image: Annotated[str, StringConstraints(pattern=r"^[a-z0-9./-]+:[A-Za-z0-9._-]+@sha256:[0-9a-f]{64}$")]
    unverified: Reason | None = None


class Builder(StrictModel):
    """The compilers for an image: AArch64 packages of the same archive, which are not shipped.

    Attributes:
        gcc: the GCC release whose flags the compiler accepts.
        compiler: the name of the C compiler, for example gcc-9; the C++ compiler is then g++-9.
        packages: the packages to unpack.
        links: links that maintainer scripts would create.
    """

    gcc: Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+$")]
    compiler: Annotated[str, StringConstraints(pattern=r"^gcc-[0-9]+$")]
    packages: list[BasePackage] = Field(min_length=1)
    links: list[Link] = Field(default=[])


class Base(StrictModel):
    """A Linux distribution that frameworks run on.

    Attributes:
        python: the minor version of the interpreter, for example 3.13.
        glibc: the version of the C library.
        archive: the default source of the files.
        registry: the alternative source; None if there is no other.
        tools: packages for the build, on the build platform.
        builder: the compilers, on the target platform; None if nothing is compiled.
        unstripped: libraries that the strip of this distribution breaks.
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
        """The sources that `--base` accepts."""
        return ["archive"] if self.registry is None else ["archive", "registry"]

    @property
    def manylinux(self) -> str:
        """The newest wheel tag that runs on this base and that the resolver knows, for example manylinux_2_40."""
        return f"manylinux_2_{min(int(self.glibc.split('.')[1]), 40)}"

    @model_validator(mode="after")
    def _compiled_interpreter_has_a_builder(self) -> Base:
        if self.archive.interpreter is not None and self.builder is None:
            raise ValueError("'archive.interpreter' is compiled, which needs 'builder'")
        return self
