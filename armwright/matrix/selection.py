"""From a command's words to combos: what is left out means the default set, what is unknown means nothing starts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate

from armwright.matrix.matrix import Combo, Matrix
from armwright.recipes.loader import Axis
from armwright.system.errors import InputError, nearest, some

AXES = ("framework", "version", "target", "backend")
NAMED = 4  # combos that a message names before it counts


@dataclass(frozen=True)
class Selector:
    """What the user asked for; an empty text means "not said". Several words are separated by commas.

    Attributes:
        framework: names, other names or globs; so are target and backend.
        version: versions or globs.
        combo: ids or globs over ids; excludes the other four.
        every: all published versions, not only the newest that the other axes allow.
    """

    framework: str = ""
    version: str = ""
    target: str = ""
    backend: str = ""
    combo: str = ""
    every: bool = False

    def names(self, combo: Combo) -> bool:
        """Say whether a combo was asked for by name: its id or its version, without a wildcard."""
        return combo.id in _split(self.combo) or combo.version in _split(self.version)


def select_combos(matrix: Matrix, selector: Selector) -> list[Combo]:
    """Return the combos that were asked for and are built, in the order of the matrix.

    Those are the ones that can exist; of the unverified ones only what was asked for by name.

    Raises:
        InputError: a name is unknown (all of them are named, each with the nearest right one), nothing matches, or
            everything that matches is refused or unverified (with each reason and the way to go on).
    """
    matched = match_combos(matrix, selector)
    possible = [combo for combo in matched if allowed(selector, combo)]
    if not possible:
        raise InputError("\n       ".join(reasons(matched)), _way_on(matrix, matched))
    return possible


def allowed(selector: Selector, combo: Combo) -> bool:
    """Say whether a combo that matches is built: it can exist, and is known to work or was asked for by name."""
    return combo.refusal is None and (combo.unverified is None or selector.names(combo))


def omitted_combos(matrix: Matrix, selector: Selector) -> list[Combo]:
    """Return the combos that match and are not built."""
    return [combo for combo in match_combos(matrix, selector) if not allowed(selector, combo)]


def reasons(combos: Iterable[Combo]) -> list[str]:
    """Say why combos are not built, each reason once: `refused: a, b: its wheel dies …`."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for combo in combos:
        if combo.refusal is not None:
            grouped.setdefault(("refused", combo.refusal), []).append(combo.id)
        elif combo.unverified is not None:
            grouped.setdefault(("unverified", combo.unverified), []).append(combo.id)
    return [f"{state}: {some(ids, NAMED)}: {reason}{_by_name(state, ids)}" for (state, reason), ids in grouped.items()]


def _by_name(state: str, ids: Sequence[str]) -> str:
    return f"; built only by name: invoke build --combo {','.join(ids[:NAMED])}" if state == "unverified" else ""


def _way_on(matrix: Matrix, matched: Sequence[Combo]) -> str:
    near = next((near for near in map(matrix.nearest_working, matched) if near is not None), None)
    if near is not None:
        return f"the nearest that is known to work: invoke build --combo {near.id}"
    unverified = next((combo.id for combo in matched if combo.refusal is None), None)
    return f"invoke build --combo {unverified}" if unverified else "invoke list --all shows every reason"


def match_combos(matrix: Matrix, selector: Selector) -> list[Combo]:
    """Return all combos that match, in the order of the matrix; refused and unverified ones too.

    A version that is left out means the newest that is known to work, and all where none is.

    Raises:
        InputError: a name is unknown or nothing matches.
    """
    if selector.combo:
        return _by_id(matrix, selector)
    problems: list[str] = []
    frameworks = _resolve(matrix, "frameworks", selector.framework, problems)
    targets = _resolve(matrix, "targets", selector.target, problems)
    backends = _resolve(matrix, "backends", selector.backend, problems)
    known = {version for one in frameworks or matrix.axes.frameworks for version in matrix.axes.frameworks[one]}
    versions = _meant("version", selector.version, {one: one for one in known}, problems)
    if problems:
        raise InputError("\n       ".join(problems), "invoke list shows every combo; nothing was started")
    found = (
        combo
        for combo in matrix.combos
        if combo.framework.name in frameworks and combo.target.name in targets and combo.backend in backends
    )
    if selector.version:
        return [combo for combo in found if combo.version in versions]
    return [combo for combo in found if selector.every or _is_newest(matrix, combo)]


def _is_newest(matrix: Matrix, combo: Combo) -> bool:
    newest = matrix.newest(combo.framework.name, combo.target.name, combo.backend)
    return newest is None or newest is combo


def _resolve(matrix: Matrix, axis: Axis, words: str, problems: list[str]) -> Collection[str]:
    """Return the published names on an axis that words mean; all of them without a word."""
    meanings = matrix.names(axis)
    return _meant(axis.removesuffix("s"), words, meanings, problems) if words else set(meanings.values())


def _meant(axis: str, words: str, meanings: Mapping[str, str], problems: list[str]) -> set[str]:
    """Return what the words of an option mean; what means nothing is a problem, with the nearest word that does.

    A glob looks among the other names only where no name matches: `n*` is no `neoverse-v1`.
    """
    found: set[str] = set()
    names = set(meanings.values())
    for word in _split(words):
        meant = set(_matching(word, names)) or {meanings[one] for one in _matching(word, meanings)}
        if not meant:
            what = "matches nothing" if _is_glob(word) else "is not known"
            problems.append(f"--{axis} {word!r} {what}: {nearest(word, meanings, names)}")
        found |= meant
    return found


def _by_id(matrix: Matrix, selector: Selector) -> list[Combo]:
    given = [f"--{axis}" for axis in AXES if getattr(selector, axis)]
    if given:
        raise InputError(f"--combo selects by id and cannot be joined with {', '.join(given)}", "invoke list")
    found: set[str] = set()
    problems = []
    for word in _split(selector.combo):
        ids = _matching(word, matrix.by_id)
        if not ids:
            problems.append(f"no combo matches {word!r}: {_near_id(matrix, word)}")
        found |= set(ids)
    if problems:
        raise InputError("\n       ".join(problems), "invoke list --all shows every combo; nothing was started")
    return [combo for combo in matrix.combos if combo.id in found]


def _near_id(matrix: Matrix, word: str) -> str:
    near = nearest(word, matrix.by_id).partition("?")
    return f"{near[0]}?" if near[1] else f"there are {len(matrix.by_id)}, e.g. {next(iter(matrix.by_id))}"


def _split(words: str) -> list[str]:
    """Take an option's words apart; names are lower case."""
    return [word.strip().lower() for word in words.split(",")] if words else []


def _is_glob(word: str) -> bool:
    return any(sign in word for sign in "*?[")


def _matching(word: str, names: Collection[str]) -> list[str]:
    """Return the names that a word means: itself, or what its wildcards match."""
    if word in names:
        return [word]
    if not _is_glob(word):
        return []
    matches = re.compile(translate(word)).match
    return [name for name in names if matches(name)]


def require_no_selector(chosen: Selector, command: str) -> None:
    """Refuse selectors beside the name of one image.

    Raises:
        InputError: one was given.
    """
    if chosen != Selector():
        raise InputError("--image names one image and cannot be joined with the selectors", f"invoke {command} --help")
