"""Selectors: they turn the options of a command into combos, and reject unknown names before anything starts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate

from armwright.matrix.matrix import Combo, Matrix
from armwright.recipes.loader import Axis
from armwright.system.errors import InputError, nearest, some

AXES = ("framework", "version", "target", "backend")
LISTED = 4  # combos that a message lists; it counts the others


@dataclass(frozen=True)
class Selector:
    """The selecting options of a command, with comma-separated values; empty if an option was not given.

    Attributes:
        framework: names, aliases or globs; target and backend too.
        version: versions or globs.
        combo: ids or globs over ids; it cannot be combined with the other four.
        every: whether to select all published versions, not only the newest for the other values.
    """

    framework: str = ""
    version: str = ""
    target: str = ""
    backend: str = ""
    combo: str = ""
    every: bool = False

    def names(self, combo: Combo) -> bool:
        """Return whether a combo is selected by its id or its version, without a wildcard."""
        return combo.id in _split(self.combo) or combo.version in _split(self.version)


def select_combos(matrix: Matrix, selector: Selector) -> list[Combo]:
    """Return the selected combos that can be built, in the order of the matrix.

    Unverified combos are included only if they are selected by name.

    Raises:
        InputError: names are unknown (the message lists each with the nearest known name), nothing matches, or
            everything that matches is refused or unverified (the message lists each reason).
    """
    matched = match_combos(matrix, selector)
    possible = [combo for combo in matched if allowed(selector, combo)]
    if not possible:
        command, hint = _suggest(matrix, matched)
        raise InputError("\n       ".join(reasons(matched)), command, hint=hint)
    return possible


def allowed(selector: Selector, combo: Combo) -> bool:
    """Return whether a matching combo is built: no rule refuses it, and it is verified or selected by name."""
    return combo.refusal is None and (combo.unverified is None or selector.names(combo))


def omitted_combos(matrix: Matrix, selector: Selector) -> list[Combo]:
    """Return the combos that match but are not built."""
    return [combo for combo in match_combos(matrix, selector) if not allowed(selector, combo)]


def reasons(combos: Iterable[Combo]) -> list[str]:
    """Explain why combos are not built, each reason once, for example `refused: a, b: its wheel crashes …`."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for combo in combos:
        if combo.refusal is not None:
            grouped.setdefault(("refused", combo.refusal), []).append(combo.id)
        elif combo.unverified is not None:
            grouped.setdefault(("unverified", combo.unverified), []).append(combo.id)
    return [f"{state}: {some(ids, LISTED)}: {reason}{_by_name(state, ids)}" for (state, reason), ids in grouped.items()]


def _by_name(state: str, ids: Sequence[str]) -> str:
    return f"; built only by name: invoke build --combo {','.join(ids[:LISTED])}" if state == "unverified" else ""


def _suggest(matrix: Matrix, matched: Sequence[Combo]) -> tuple[str, str]:
    """Return the next command, and a hint about it."""
    near = next((near for near in map(matrix.nearest_working, matched) if near is not None), None)
    if near is not None:
        return f"invoke build --combo {near.id}", "this is the nearest combo that is known to work"
    unverified = next((combo.id for combo in matched if combo.refusal is None), None)
    if unverified is not None:
        return f"invoke build --combo {unverified}", "no combo near it is known to work"
    return "invoke list --all", "the list has every combo with its reason"


def match_combos(matrix: Matrix, selector: Selector) -> list[Combo]:
    """Return all combos that match, in the order of the matrix, including refused and unverified ones.

    Without --version it takes the newest version that is known to work, or all versions if none is.

    Raises:
        InputError: a name is unknown or nothing matches.
    """
    if selector.combo:
        return _by_id(matrix, selector)
    problems: list[str] = []
    frameworks = _resolve(matrix, "frameworks", selector.framework, problems)
    targets = _resolve(matrix, "targets", selector.target, problems)
    backends = _resolve(matrix, "backends", selector.backend, problems)
    known = {version for name in frameworks or matrix.axes.frameworks for version in matrix.axes.frameworks[name]}
    versions = _resolve_names("version", selector.version, {version: version for version in known}, problems)
    if problems:
        raise InputError("\n       ".join(problems), "invoke list")
    matched = [
        combo
        for combo in matrix.combos
        if combo.framework.name in frameworks and combo.target.name in targets and combo.backend in backends
    ]
    if selector.version:
        return [combo for combo in matched if combo.version in versions]
    return [combo for combo in matched if selector.every or _is_newest(matrix, combo)]


def _is_newest(matrix: Matrix, combo: Combo) -> bool:
    newest = matrix.newest(combo.framework.name, combo.target.name, combo.backend)
    return newest is None or newest is combo


def _resolve(matrix: Matrix, axis: Axis, option: str, problems: list[str]) -> Collection[str]:
    """Return the published names on an axis that an option selects; all of them if it was not given."""
    names = matrix.names(axis)
    return _resolve_names(axis.removesuffix("s"), option, names, problems) if option else set(names.values())


def _resolve_names(axis: str, option: str, aliases: Mapping[str, str], problems: list[str]) -> set[str]:
    """Return the names that an option selects; add a problem for each value that selects none.

    A glob is compared with aliases only if it matches no name: `n*` selects n1 and n2, but not v1 (neoverse-v1).
    """
    selected: set[str] = set()
    names = set(aliases.values())
    for value in _split(option):
        matches = set(_matching(value, names)) or {aliases[alias] for alias in _matching(value, aliases)}
        if not matches:
            problem = "matches nothing" if _is_glob(value) else "is not known"
            problems.append(f"--{axis} {value!r} {problem}: {nearest(value, aliases, names)}")
        selected |= matches
    return selected


def _by_id(matrix: Matrix, selector: Selector) -> list[Combo]:
    options = [f"--{axis}" for axis in AXES if getattr(selector, axis)]
    if options:
        raise InputError(f"--combo selects by id and cannot be combined with {', '.join(options)}", "invoke list")
    selected: set[str] = set()
    problems = []
    for value in _split(selector.combo):
        ids = _matching(value, matrix.by_id)
        if not ids:
            problems.append(f"no combo matches {value!r}: {_near_id(matrix, value)}")
        selected |= set(ids)
    if problems:
        raise InputError("\n       ".join(problems), "invoke list --all")
    return [combo for combo in matrix.combos if combo.id in selected]


def _near_id(matrix: Matrix, value: str) -> str:
    question, mark, _ = nearest(value, matrix.by_id).partition("?")
    return f"{question}?" if mark else f"there are {len(matrix.by_id)}, for example {next(iter(matrix.by_id))}"


def _split(option: str) -> list[str]:
    """Split the comma-separated values of an option; names are lower case."""
    return [value.strip().lower() for value in option.split(",")] if option else []


def _is_glob(value: str) -> bool:
    return any(sign in value for sign in "*?[")


def _matching(value: str, names: Collection[str]) -> list[str]:
    """Return the names that equal a value, or that match it if it has wildcards."""
    if value in names:
        return [value]
    if not _is_glob(value):
        return []
    matches = re.compile(translate(value)).match
    return [name for name in names if matches(name)]


def require_no_selector(chosen: Selector, command: str) -> None:
    """Raise an error if selectors were given together with --image.

    Raises:
        InputError: a selector was given.
    """
    if chosen != Selector():
        raise InputError("--image names one image and cannot be combined with selectors", f"invoke {command} --help")
