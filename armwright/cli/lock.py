"""The command `lock`: make the asked-for locks anew, and say what moved."""

from __future__ import annotations

from collections.abc import Iterable

from armwright.fetch import debian_roots, resolve
from armwright.matrix.matrix import Matrix
from armwright.system import console
from armwright.system.errors import InputError, nearest


def run(matrix: Matrix, framework: str = "", version: str = "", base: str = "") -> None:
    """Make locks anew; without a name, all of them.

    Raises:
        InputError: a name is unknown; nothing was started.
    """
    if base and (framework or version):
        raise InputError("--base makes a base's lock, the other options the wheels'; give one", "invoke lock --help")
    known = matrix.recipes
    _check("framework", framework, known.frameworks)
    _check("base", base, known.bases)
    if version:
        versions = {one for recipe in known.frameworks.values() for one in recipe.versions}
        _check("version", version, versions)
    everything = not (framework or version or base)
    for distribution in known.bases.values():
        if everything or distribution.name == base:
            log = matrix.root / "build" / "logs" / f"lock-{distribution.name}.log"
            moved = debian_roots.refresh_lock(matrix.root, matrix.root / "build" / "cache", distribution, log)
            console.say(f"{distribution.name}: " + ("; ".join(moved) if moved else "nothing moved"))
    for recipe in known.frameworks.values():
        for one, release in recipe.versions.items():
            if everything or (not base and framework in ("", recipe.name) and version in ("", one)):
                resolve.resolve_wheels(matrix.root, recipe, one, known.bases[release.base])


def _check(option: str, name: str, allowed: Iterable[str]) -> None:
    names = list(allowed)
    if name and name not in names:
        raise InputError(f"--{option} {name!r} is not known: {nearest(name, names)}", "invoke lock --help")
