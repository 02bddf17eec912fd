"""From a command's words to combos: what is left out means the default set, what is unknown means nothing starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from armwright.errors import InputError, nearest
from armwright.matrix import Combo, Matrix


@dataclass(frozen=True)
class Selector:
    """What the user asked for; an empty text means "not said".

    Attributes:
        combo: a glob over ids; excludes the other four.
        every: all published versions, not only the newest that the other axes allow.
    """

    framework: str = ""
    version: str = ""
    target: str = ""
    backend: str = ""
    combo: str = ""
    every: bool = False


def select(matrix: Matrix, selector: Selector) -> list[Combo]:
    """Return the combos that can exist and were asked for, in the order of the matrix.

    Raises:
        InputError: a name is unknown (all of them are named, each with the nearest right one), nothing matches, or
            everything that matches is refused (with each reason and the nearest combo that can exist).
    """
    matched = match(matrix, selector)
    possible = [combo for combo in matched if combo.refusal is None]
    if possible:
        return possible
    reasons = "\n  ".join(f"{combo.id}: {combo.refusal}" for combo in matched)
    instead = [near.id for near in map(matrix.instead, matched) if near is not None]
    hint = (
        f"the nearest that can: invoke build --combo {instead[0]}"
        if instead
        else "invoke list --all shows every reason"
    )
    raise InputError(f"refused:\n  {reasons}", hint)


def match(matrix: Matrix, selector: Selector) -> list[Combo]:
    """Return all combos that match, refused ones too.

    Raises:
        InputError: a name is unknown or nothing matches.
    """
    if selector.combo:
        return _by_glob(matrix, selector)
    frameworks, targets, backends = _names(matrix, selector)
    wanted = []
    for framework in frameworks:
        for target in targets:
            for backend in backends:
                wanted += _versions(matrix, selector, framework, target, backend)
    order = {combo.id: index for index, combo in enumerate(matrix.combos)}
    return sorted(wanted, key=lambda combo: order[combo.id])


def _names(matrix: Matrix, selector: Selector) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    problems: list[str] = []
    recipes, axes = matrix.recipes, matrix.axes
    frameworks = _resolve("framework", selector.framework, axes.frameworks, recipes.names("frameworks"), problems)
    targets = _resolve("target", selector.target, axes.targets, recipes.names("targets"), problems)
    backends = _resolve("backend", selector.backend, axes.backends, recipes.names("backends"), problems)
    known = {version for framework in frameworks or axes.frameworks for version in axes.frameworks[framework]}
    if selector.version and selector.version not in known:
        problems.append(f"--version {selector.version} is not known: {nearest(selector.version, known)}")
    if problems:
        raise InputError("\n       ".join(problems), "invoke list shows every combo; nothing was started")
    return frameworks, targets, backends


def _resolve(
    axis: str,
    word: str,
    published: Sequence[str] | Mapping[str, object],
    aliases: Mapping[str, str],
    problems: list[str],
) -> Sequence[str]:
    if not word:
        return list(published)
    name = aliases.get(word.lower(), "")
    if name in published:
        return [name]
    allowed = [alias for alias, meant in aliases.items() if meant in published]
    problems.append(f"--{axis} {word!r} is not known: {nearest(word, allowed)}")
    return []


def _versions(matrix: Matrix, selector: Selector, framework: str, target: str, backend: str) -> list[Combo]:
    def at(version: str) -> Combo:
        return matrix.by_id[f"{framework}-{version}-{target}-{backend}"]

    if selector.version:
        return [at(selector.version)] if selector.version in matrix.axes.frameworks[framework] else []
    if selector.every:
        return [at(version) for version in matrix.versions(framework)]
    return [matrix.newest(framework, target, backend) or at(matrix.versions(framework)[0])]


def _by_glob(matrix: Matrix, selector: Selector) -> list[Combo]:
    given = [f"--{axis}" for axis in ("framework", "version", "target", "backend") if getattr(selector, axis)]
    if given:
        raise InputError(f"--combo selects by id and cannot be joined with {', '.join(given)}", "invoke list")
    found = [combo for combo in matrix.combos if fnmatchcase(combo.id, selector.combo.lower())]
    if not found:
        raise InputError(f"no combo matches {selector.combo!r}: {_near_id(matrix, selector.combo)}", "invoke list")
    return found


def _near_id(matrix: Matrix, word: str) -> str:
    guess: Callable[[str], str] = lambda text: text.split(" allowed:")[0].rstrip("? ")  # noqa: E731 - one use
    near = guess(nearest(word, matrix.by_id))
    return f"{near}?" if near.startswith("did") else f"there are {len(matrix.by_id)}, e.g. {next(iter(matrix.by_id))}"
