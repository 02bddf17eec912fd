"""What a version is made of besides the wheels of its lock: files of its own, sources, patches, words for compilers."""

from __future__ import annotations

from pathlib import Path

from armwright.matrix.matrix import Combo
from armwright.plan import locks
from armwright.recipes.bases import Archive, Base, Distribution
from armwright.recipes.frameworks import Release
from armwright.recipes.source_builds import Download, Interpreter
from armwright.system.errors import InputError


def interpreter(distribution: Distribution) -> Interpreter | None:
    """Return the Python that is compiled for a distribution, if one is."""
    return distribution.interpreter if isinstance(distribution, Archive) else None


def list_downloads(release: Release, distribution: Distribution) -> list[Download]:
    """Return the files that are taken as they are, one by one: sources first."""
    python, build = interpreter(distribution), release.build
    sources = [*([python.source] if python else []), *([build.bazel.source, build.source] if build else [])]
    return [*sources, *release.files]


def installed_packages(combo: Combo, wheels: str) -> dict[str, str]:
    """Return the distributions that are installed, by name: the lock's, those that come as files, what is compiled.

    Args:
        combo: the combo.
        wheels: its lock.
    """
    compiled = {combo.distribution: combo.upstream} if combo.release.build else {}
    return {**locks.locked_packages(wheels), **dict(file.pinned for file in combo.release.files), **compiled}


def context_files(root: Path, combo: Combo) -> dict[str, bytes]:
    """Collect the context's files for them: the patches, and pip's lines for distributions that come as files.

    Args:
        root: the project's root.
        combo: the combo.

    Raises:
        InputError: a patch is missing.
    """
    release = combo.release
    folder = root / "recipes" / "patches" / f"{combo.framework.name}-{combo.version}"
    found: dict[str, bytes] = {}
    if release.files:
        found["files.txt"] = "".join(file.requirement for file in release.files).encode()
    for patch in release.build.all_patches if release.build else ():
        try:
            found[f"patches/{patch.file}"] = (folder / patch.file).read_bytes()
        except FileNotFoundError:
            raise InputError(f"there is no {(folder / patch.file).relative_to(root)}", "write it") from None
    return found


def build_arguments(combo: Combo, base: Base) -> list[str]:
    """Return what the build tool is told; nothing where nothing is compiled.

    Raises:
        InputError: the base has no compiler, or one whose flags for the target are not known.
    """
    build = combo.release.build
    if build is None:
        return []
    if base.builder is None:
        raise InputError(f"{combo.id} is compiled, and its base {base.name} has no builder", "name another base")
    return build.words(combo.target, combo.backend, base.builder.gcc)
