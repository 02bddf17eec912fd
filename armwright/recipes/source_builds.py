"""Builds from source: archives with their hashes, patches, and the arguments of the build tools."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from packaging.utils import parse_sdist_filename, parse_wheel_filename
from pydantic import Field, StringConstraints, model_validator

from armwright.recipes.model import Drop
from armwright.recipes.patterns import Absolute, FileName, Glob, Name, Option, Reason, Sha256, Url, Variable
from armwright.recipes.targets import Target
from armwright.system.errors import InputError
from armwright.system.strict_model import StrictModel


class Download(StrictModel):
    """A file that is downloaded.

    Attributes:
        file: the file name.
        sha256: the expected hash.
        url: the address; None only for Python files, which the host's package index has.
        found: where the hash comes from, or who publishes the file.
    """

    file: FileName
    sha256: Sha256
    url: Url | None = None
    found: Reason

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.url is None and not isinstance(self, PythonFile):
            raise ValueError("'url' is missing: only wheels and source distributions can come from the package index")
        return self

    @property
    def place(self) -> str:
        """The host of the address, or "the package index"."""
        return urlsplit(self.url).netloc if self.url else "the package index"


class PythonFile(Download):
    """A wheel or a source distribution; the file name contains the distribution and its version."""

    @model_validator(mode="after")
    def _file_name_is_valid(self) -> Self:
        assert self.pinned  # noqa: S101 - packaging raises a ValueError, which becomes a mistake
        return self

    @property
    def wheel(self) -> bool:
        """Whether it is a wheel."""
        return self.file.endswith(".whl")

    @property
    def pinned(self) -> tuple[str, str]:
        """The distribution and its version."""
        name, version = parse_wheel_filename(self.file)[:2] if self.wheel else parse_sdist_filename(self.file)
        return str(name), str(version)

    @property
    def requirement(self) -> str:
        """The line of a requirements file that installs it."""
        name, version = self.pinned
        return f"{name}=={version} --hash=sha256:{self.sha256}\n"


class Patch(StrictModel):
    """A unified diff in recipes/patches/<framework>-<version>/.

    Attributes:
        file: the file name.
        folder: the folder of the sources in which it is applied; None for the top folder.
        copied: the path in the sources to which it is copied instead; the build then applies it to its own downloads.
        reason: what fails without it.
    """

    file: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*\.patch$")]
    folder: Glob | None = None
    copied: Glob | None = None
    reason: Reason

    @model_validator(mode="after")
    def _applied_or_copied(self) -> Patch:
        if self.folder and self.copied:
            raise ValueError("set 'folder' or 'copied', not both")
        return self


class Interpreter(StrictModel):
    """A Python that is compiled because the distribution does not have that version.

    Attributes:
        source: the archive of the sources.
        configure: options of the configure script.
        drop: files that are neither shipped nor needed to compile the framework.
    """

    source: Download
    configure: list[Option]
    drop: list[Drop] = Field(default=[])


class Bazel(StrictModel):
    """Bazel, bootstrapped from its distribution archive, as no AArch64 binary of that version is published.

    Attributes:
        source: the archive.
        patches: patches for it.
        java: the path of the builder's Java development kit.
    """

    source: Download
    patches: list[Patch] = Field(default=[])
    java: Absolute


class SourceBuild(StrictModel):
    """A framework that a native Arm builder compiles from source.

    Attributes:
        source: the archive of the sources.
        patches: patches for them.
        bazel: the build tool.
        environment: variables that answer the questions of the configure script.
        options: Bazel's options for every target and backend.
        caches: Bazel's options for targets with known caches; `{level1}` and `{level2}` are their sizes in bytes.
        backends: Bazel's options for each backend.
        program: the Bazel target that writes the wheel.
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
        """All patches, without duplicates."""
        return list({patch.file: patch for patch in (*self.bazel.patches, *self.patches)}.values())

    def bazel_options(self, target: Target, backend: str, gcc: str) -> list[str]:
        """Return the options of Bazel for a target and a backend.

        Args:
            target: the target; its compiler flags become options.
            backend: the backend.
            gcc: the GCC release.

        Raises:
            InputError: the recipes have no compiler flags for the target, or no options for the backend.
        """
        flags = target.compile.gcc_flags(gcc)
        if flags is None:
            file = f"recipes/targets/{target.name}.yaml"
            raise InputError(
                f"{file} has no compiler flags for {target.title} that GCC {gcc} accepts",
                f"invoke list --target {target.name}",
                hint=f"add flags for that release to 'compile.older' in {file}",
            )
        if backend not in self.backends:
            raise InputError(
                f"the recipe cannot compile over {backend}: build.backends has no {backend}", "invoke list --all"
            )
        caches = target.compile.caches
        sizes = [option.format(**caches.model_dump()) for option in self.caches] if caches else []
        return [*self.options, *self.backends[backend], *(f"--copt={flag}" for flag in flags.split()), *sizes]
