"""A proposed version: its lock and its changes of a recipe and matrix.yaml, shown as a diff and written together."""

from __future__ import annotations

import difflib
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from armwright.bump import yaml_insert
from armwright.fetch import resolve
from armwright.matrix import matrix_file
from armwright.matrix.matrix import Matrix, load_matrix
from armwright.plan import locks
from armwright.recipes import framework_files
from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework, Release
from armwright.system import http
from armwright.system.errors import FailedError, InputError, MachineError
from armwright.system.files import write_whole

# Fields that a new version does not copy from its model: a proof must confirm the libraries, and the names differ.
_NOT_COPIED = ("libraries", "title", "upstream")
# The resolver's messages about network errors; other errors are about the version.
_UNREACHABLE = re.compile(r"error sending request|HTTP status server error")
_LABEL = re.compile(r"^[ |]*((error|cause|hint): )?")
_ADDRESS = re.compile(r"\S*://\S*")


@dataclass(frozen=True)
class Change:
    """The change of one file.

    Attributes:
        path: the path relative to the project's root.
        old: the text before; None if the file is new.
        new: the text afterwards.
    """

    path: str
    old: str | None
    new: str

    def diff(self) -> Iterator[str]:
        """Yield the lines of a unified diff, without line feeds."""
        before = "/dev/null" if self.old is None else f"a/{self.path}"
        for line in difflib.unified_diff(_lines(self.old or ""), _lines(self.new), before, f"b/{self.path}"):
            yield line.removesuffix("\n")
            if not line.endswith("\n"):
                yield "\\ No newline at end of file"


@dataclass(frozen=True)
class Proposal:
    """A version, with the changes of all files that it needs."""

    version: str
    changes: tuple[Change, ...]

    @property
    def diff(self) -> str:
        """The changes as one unified diff that `patch -p1` can apply."""
        return "".join(f"{line}\n" for change in self.changes for line in change.diff())

    def write(self, root: Path) -> None:
        """Write all changes or none, and load the matrix to check them.

        Raises:
            InputError: a file has changed since the diff was made, or the matrix has a mistake after the changes.
        """
        for change in self.changes:
            if _text(root / change.path) != change.old:
                raise InputError(
                    f"{change.path} changed in the meantime; nothing was written",
                    f"git diff {change.path}",
                    hint="run the same command again",
                )
        written = []
        try:
            for change in self.changes:
                written.append(change)
                write_whole(root / change.path, change.new)
            load_matrix(root)
        except BaseException:
            for change in reversed(written):
                if change.old is None:
                    (root / change.path).unlink(missing_ok=True)
                else:
                    write_whole(root / change.path, change.old)
            raise


def pin(release: Release, distribution: str, version: str) -> str | None:
    """Return the requirement that pins a distribution to a version; None if no requirement does."""
    pinned = canonicalize_name(distribution), f"=={version}"
    for requirement in release.requires if release.provider == "wheel" else ():
        try:
            parsed = Requirement(requirement)
        except InvalidRequirement:  # recipes accept more than `packaging`; the resolver reports the error
            continue
        if (canonicalize_name(parsed.name), str(parsed.specifier)) == pinned:
            return requirement
    return None


def propose_version(matrix: Matrix, framework: Framework, model: str, version: str, base: Base) -> Proposal:
    """Try a new version in a copy of the project's data, and resolve its lock.

    Args:
        matrix: the loaded matrix.
        framework: the framework.
        model: the published version whose fields the new one copies.
        version: the new version.
        base: the base of the new version.

    Raises:
        FailedError: the lock cannot be resolved, or is refused.
        InputError: this program cannot insert the version into the recipe or matrix.yaml.
        MachineError: the resolver cannot reach the index.
    """
    recipe = f"recipes/frameworks/{framework.name}/{framework_files.FILE}"
    old = {name: (matrix.root / name).read_bytes().decode() for name in (recipe, matrix_file.FILE)}
    fields = _fields(old[recipe], framework, model, base, version)
    new = {
        recipe: yaml_insert.insert_entry(old[recipe], ("versions",), version, fields),
        matrix_file.FILE: yaml_insert.insert_item(
            old[matrix_file.FILE], ("axes", "frameworks", framework.name), version
        ),
    }
    with tempfile.TemporaryDirectory(prefix="armwright-bump-") as scratch:
        copy = Path(scratch)
        shutil.copytree(matrix.root / "recipes", copy / "recipes")
        for name, text in new.items():
            write_whole(copy / name, text)
        loaded = load_matrix(copy)
        _make_lock(copy, loaded.recipes.frameworks[framework.name], version, base)
        path = locks.wheel_lock_path(copy, framework.name, version)
        locked = Change(str(path.relative_to(copy)), _text(matrix.root / path.relative_to(copy)), path.read_text())
    # The lock first and matrix.yaml last, so that the matrix can be loaded even if writing is interrupted.
    return Proposal(version, (locked, *(Change(name, old[name], new[name]) for name in new)))


def _fields(text: str, framework: Framework, model: str, base: Base, version: str) -> dict[str, object]:
    """Return the fields of the new version: those of its model with the new base and requirements."""
    release = framework.versions[model]
    distribution = release.distribution or framework.distribution
    pinned = pin(release, distribution, model)
    requires = [
        f"{Requirement(requirement).name}=={version}" if requirement == pinned else requirement
        for requirement in release.requires
    ]
    fields = {key: value for key, value in yaml.safe_load(text)["versions"][model].items() if key not in _NOT_COPIED}
    return {**fields, "base": base.name, "requires": requires}


def _make_lock(root: Path, framework: Framework, version: str, base: Base) -> None:
    try:
        resolve.resolve_wheels(root, framework, version, base)
    except (InputError, FailedError) as problem:
        if _UNREACHABLE.search(problem.what):
            raise MachineError(
                "the resolver cannot reach the package index", http.INDEX_COMMAND, hint=http.INDEX_HINT
            ) from problem
        message = " ".join(_LABEL.sub("", line) for line in problem.what.splitlines()[1:]) or problem.what
        raise FailedError(f"its lock: {_ADDRESS.sub('(an address)', message)}") from problem


def _text(path: Path) -> str | None:
    return path.read_bytes().decode() if path.exists() else None


def _lines(text: str) -> list[str]:
    """Split text at line feeds only, as `patch` does."""
    return [line for line in re.split(r"(?<=\n)", text) if line]
