"""The ingredients of a version besides locked wheels: single files, sources, patches, arguments for the build tool."""

from __future__ import annotations

from pathlib import Path

from armwright.matrix.matrix import Combo
from armwright.plan import locks
from armwright.recipes.bases import Archive, Base, Distribution
from armwright.recipes.frameworks import Release
from armwright.recipes.source_builds import Download, Interpreter
from armwright.system.errors import InputError


def interpreter(distribution: Distribution) -> Interpreter | None:
    """Return the Python that is compiled for a distribution; None if it uses the packaged one."""
    return distribution.interpreter if isinstance(distribution, Archive) else None


def list_downloads(release: Release, distribution: Distribution) -> list[Download]:
    """Return the single files that a build downloads, sources first."""
    python, build = interpreter(distribution), release.build
    sources = [*([python.source] if python else []), *([build.bazel.source, build.source] if build else [])]
    return [*sources, *release.files]


def installed_packages(combo: Combo, wheels: str) -> dict[str, str]:
    """Return the installed Python distributions by name: locked, added as files, or compiled.

    Args:
        combo: the combo.
        wheels: the text of its wheel lock.
    """
    compiled = {combo.distribution: combo.upstream} if combo.release.build else {}
    return {**locks.locked_packages(wheels), **dict(file.pinned for file in combo.release.files), **compiled}


def context_files(root: Path, combo: Combo) -> dict[str, bytes]:
    """Return the context files for patches and for distributions that come as files (files.txt, in pip's format).

    Args:
        root: the project's root.
        combo: the combo.

    Raises:
        InputError: a patch is missing.
    """
    release = combo.release
    folder = root / "recipes" / "patches" / f"{combo.framework.name}-{combo.version}"
    files: dict[str, bytes] = {}
    if release.files:
        files["files.txt"] = "".join(file.requirement for file in release.files).encode()
    for patch in release.build.all_patches if release.build else ():
        try:
            files[f"patches/{patch.file}"] = (folder / patch.file).read_bytes()
        except FileNotFoundError:
            raise InputError(
                f"the patch {(folder / patch.file).relative_to(root)} does not exist", "git status recipes/patches"
            ) from None
    return files


def build_arguments(combo: Combo, base: Base) -> list[str]:
    """Return the arguments of the build tool; an empty list where nothing is compiled.

    Raises:
        InputError: the base has no compiler, or one whose flags for the target are not known.
    """
    build = combo.release.build
    if build is None:
        return []
    if base.builder is None:
        raise InputError(
            f"{combo.id} is compiled, but its base {base.name} has no builder", f"invoke list --combo {combo.id}"
        )
    return build.bazel_options(combo.target, combo.backend, base.builder.gcc)
