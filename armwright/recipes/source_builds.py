"""What is compiled: archives of sources with their hashes, the patches over them, and what the compilers are told."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from packaging.utils import parse_sdist_filename, parse_wheel_filename
from pydantic import Field, StringConstraints, model_validator

from armwright.recipes.model import Drop, Recipe
from armwright.recipes.patterns import Absolute, FileName, Glob, Name, Option, Reason, Sha256, Url, Variable
from armwright.recipes.targets import Target
from armwright.system.errors import InputError


class Download(Recipe):
    """A file that is taken as it is.

    Attributes:
        file: its name.
        sha256: its hash; another file of that name is refused.
        url: where it is; only what is on the host's own package index has none.
        found: where the hash was found, or who publishes the file.
    """

    file: FileName
    sha256: Sha256
    url: Url | None = None
    found: Reason

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if self.url is None and not isinstance(self, PythonFile):
            raise ValueError("a download without a url: only a wheel or a source distribution is on the package index")
        return self

    @property
    def place(self) -> str:
        """The host that has it, or what that host is."""
        return urlsplit(self.url).netloc if self.url else "the package index"


class PythonFile(Download):
    """A wheel or a source distribution: its name says which distribution it is, and which version."""

    @model_validator(mode="after")
    def _its_name_is_a_distributions(self) -> Self:
        assert self.pinned  # noqa: S101 - packaging's InvalidWheelFilename is a ValueError, which is told at its place
        return self

    @property
    def wheel(self) -> bool:
        """It is a wheel."""
        return self.file.endswith(".whl")

    @property
    def pinned(self) -> tuple[str, str]:
        """The distribution and its version."""
        name, version = parse_wheel_filename(self.file)[:2] if self.wheel else parse_sdist_filename(self.file)
        return str(name), str(version)

    @property
    def requirement(self) -> str:
        """The line that pip installs it by."""
        name, version = self.pinned
        return f"{name}=={version} --hash=sha256:{self.sha256}\n"


class Patch(Recipe):
    """A unified diff in recipes/patches/<framework>-<version>/.

    Attributes:
        file: its name.
        folder: where in the sources it is applied; left out: at their top.
        copied: where in the sources it is put instead, for the build itself to apply it to what it downloads.
        reason: what fails without it.
    """

    file: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*\.patch$")]
    folder: Glob | None = None
    copied: Glob | None = None
    reason: Reason

    @model_validator(mode="after")
    def _is_applied_or_copied(self) -> Patch:
        if self.folder and self.copied:
            raise ValueError("a patch is applied or copied, not both")
        return self


class Interpreter(Recipe):
    """Python, compiled where the distribution has none of that version.

    Attributes:
        source: its sources.
        configure: options of its configure script.
        drop: what of it is neither shipped nor needed to compile anything.
    """

    source: Download
    configure: list[Option]
    drop: list[Drop] = Field(default=[])


class Bazel(Recipe):
    """The build tool, bootstrapped from its distribution archive: there is no binary of that version for AArch64.

    Attributes:
        source: the archive.
        patches: what is changed in it.
        java: the Java development kit of the builder.
    """

    source: Download
    patches: list[Patch] = Field(default=[])
    java: Absolute


class SourceBuild(Recipe):
    """A framework compiled whole, by a native Arm builder.

    Attributes:
        source: its sources.
        patches: what is changed in them.
        bazel: what builds them.
        environment: the answers to its configure script.
        options: what Bazel is told, whatever the target and the backend.
        caches: what it is told of the target's caches, where they are known: `{level1}` and `{level2}` are their bytes.
        backends: what it is told besides, by backend.
        program: the program that Bazel builds, which makes the wheel.
    """

    source: Download
    patches: list[Patch] = Field(default=[])
    bazel: Bazel
    environment: dict[Variable, Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./-]*$")]]
    options: list[Option]
    caches: list[Annotated[str, StringConstraints(pattern=r"^--copt=-D[A-Z0-9_]+=\{level[12]\}$")]] = Field(default=[])
    backends: dict[Name, list[Option]]
    program: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+(/[a-z0-9_]+)*:[a-z0-9_]+$")]

    @property
    def all_patches(self) -> list[Patch]:
        """Every patch, once."""
        return list({patch.file: patch for patch in (*self.bazel.patches, *self.patches)}.values())

    def words(self, target: Target, backend: str, gcc: str) -> list[str]:
        """Return what Bazel is told for a target and a backend.

        Args:
            target: the target; its flags for the compiler are among the words.
            backend: the backend.
            gcc: the release of the compiler.

        Raises:
            InputError: the compiler's flags for the target, or the words for the backend, are not known.
        """
        flags = target.compile.gcc_flags(gcc)
        if flags is None:
            where = f"recipes/targets/{target.name}.yaml"
            raise InputError(
                f"no flags for {target.title} are known that GCC {gcc} understands", f"add them to {where}: older"
            )
        if backend not in self.backends:
            raise InputError(f"it cannot be compiled over {backend}: its recipe has no words for that", "invoke list")
        caches = target.compile.caches
        sizes = [one.format(**caches.model_dump()) for one in self.caches] if caches else []
        return [*self.options, *self.backends[backend], *(f"--copt={flag}" for flag in flags.split()), *sizes]
