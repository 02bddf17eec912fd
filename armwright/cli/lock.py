"""The command `lock`: resolve locks and report which packages changed."""

from __future__ import annotations

from collections.abc import Iterable

from armwright.fetch import resolve
from armwright.matrix.matrix import Matrix
from armwright.system import console
from armwright.system.errors import InputError, nearest


def run(matrix: Matrix, framework: str = "", version: str = "", base: str = "") -> None:
    """Resolve and write locks; without a name, all of them.

    Raises:
        InputError: a name is unknown, or the options contradict each other.
    """
    if base and (framework or version):
        raise InputError("--base cannot be combined with --framework or --version", "invoke lock --help")
    recipes = matrix.recipes
    _check_name("framework", framework, recipes.frameworks)
    _check_name("base", base, recipes.bases)
    if version:
        _check_name("version", version, {name for recipe in recipes.frameworks.values() for name in recipe.versions})
    everything = not (framework or version or base)
    for distribution in recipes.bases.values():
        if everything or distribution.name == base:
            log = matrix.root / "build" / "logs" / f"lock-{distribution.name}.log"
            changes = resolve.refresh_base_lock(matrix.root, matrix.root / "build" / "cache", distribution, log)
            console.say(f"{distribution.name}: " + ("; ".join(changes) if changes else "no changes"))
    for recipe in recipes.frameworks.values():
        for name, release in recipe.versions.items():
            if everything or (not base and framework in ("", recipe.name) and version in ("", name)):
                resolve.resolve_wheels(matrix.root, recipe, name, recipes.bases[release.base])


def _check_name(option: str, name: str, allowed: Iterable[str]) -> None:
    names = list(allowed)
    if name and name not in names:
        raise InputError(f"--{option} {name!r} is not known: {nearest(name, names)}", "invoke lock --help")
