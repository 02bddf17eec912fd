"""The command `lock`: resolve locks and report which packages changed, or whether locks are out of date."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from armwright.fetch import resolve
from armwright.matrix.matrix import Matrix
from armwright.plan import locks
from armwright.recipes.bases import Base
from armwright.system import console
from armwright.system.errors import FailedError, InputError, nearest, some

OUTDATED = FailedError.code
LISTED = 6  # changed packages in one line


@dataclass(frozen=True)
class LockArguments:
    """The options of the command."""

    framework: str = ""
    version: str = ""
    base: str = ""
    check: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class LockAge:
    """How a base's lock compares with its archive.

    Attributes:
        base: the base.
        locked: the time in the lock.
        archive: when the archive was published last: its last point release or security update.
        changes: the packages that the archive has in another version.
    """

    base: str
    locked: str
    archive: str
    changes: Sequence[str]


def run(matrix: Matrix, given: LockArguments) -> int:
    """Resolve and write locks; without a name, all of them. With `check`, compare those of the bases and write nothing.

    Returns:
        the exit code: 1 if `check` finds a lock of a base out of date, otherwise 0.

    Raises:
        InputError: a name is unknown, or the options contradict each other.
        MachineError: the archive or the index cannot be reached.
    """
    wheels = given.framework or given.version
    if given.base and wheels:
        raise InputError("--base cannot be combined with --framework or --version", "invoke lock --help")
    if given.check and wheels:
        raise InputError("--check compares bases: combine it with --base only", "invoke lock --help")
    if given.as_json and not given.check:
        raise InputError("--json is for --check", "invoke lock --help")
    recipes = matrix.recipes
    _check_name("framework", given.framework, recipes.frameworks)
    _check_name("base", given.base, recipes.bases)
    if given.version:
        known = {name for recipe in recipes.frameworks.values() for name in recipe.versions}
        _check_name("version", given.version, known)
    bases = [base for base in recipes.bases.values() if not wheels and given.base in {"", base.name}]
    if given.check:
        return _check_bases(matrix.root, bases, as_json=given.as_json)
    for base in bases:
        changes = resolve.refresh_base_lock(matrix.root, matrix.root / "build" / "cache", base, _log(matrix.root, base))
        console.say(f"{base.name}: " + ("; ".join(changes) if changes else "no changes"))
    for recipe in recipes.frameworks.values():
        for name, release in recipe.versions.items():
            fits = given.framework in {"", recipe.name} and given.version in {"", name}
            if fits and not given.base:
                resolve.resolve_wheels(matrix.root, recipe, name, recipes.bases[release.base])
    return 0


def _check_bases(root: Path, bases: Iterable[Base], *, as_json: bool) -> int:
    """Compare the locks of bases with their archives, print the result and return the exit code."""
    ages = [compare_age(root, base) for base in bases]
    if as_json:
        console.document([vars(age) for age in ages])
    else:
        for age in ages:
            newer = f"{len(age.changes)} newer: {some(age.changes, LISTED)}" if age.changes else "up to date"
            console.result(f"{age.base}: locked {age.locked}, archive {age.archive}: {newer}")
    return OUTDATED if any(age.changes for age in ages) else 0


def compare_age(root: Path, base: Base) -> LockAge:
    """Compare the project's lock of a base with its archive, which is resolved only if it is newer than the lock.

    Raises:
        InputError: the lock is missing or wrong.
        MachineError: the archive cannot be reached.
    """
    cache, log = root / "build" / "cache", _log(root, base)
    held = locks.read_project_lock(root, base.name)
    archive = resolve.read_archive_date(cache, base, log)
    fresh = archive <= held.date("tools")
    changes = [] if fresh else resolve.compare_locks(held, resolve.resolve_base(cache, base, log))
    return LockAge(base.name, held.created, archive, changes)


def _log(root: Path, base: Base) -> Path:
    return root / "build" / "logs" / f"lock-{base.name}.log"


def _check_name(option: str, name: str, allowed: Iterable[str]) -> None:
    names = list(allowed)
    if name and name not in names:
        raise InputError(f"--{option} {name!r} is not known: {nearest(name, names)}", "invoke lock --help")
