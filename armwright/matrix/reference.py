"""The matrix as a page of the documentation: what is published, for which CPUs, and why the rest is not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from armwright.matrix.matrix import Combo, Matrix
from armwright.recipes.patterns import DTYPES
from armwright.recipes.targets import Target

_HEAD = """\
<!-- Written by `invoke docs` from matrix.yaml and recipes/. Change these. -->

# Matrix

{known} of {all} combinations are known to work, {refused} are refused, and {unverified} are unverified: complete,
but never seen working, and built only by name. `invoke list --all` shows each one with its state on your
machine, and `invoke list --grid` prints a grid per framework.
"""
_TARGETS = """\
A target's other names work everywhere: `--target graviton3` means `--target v1`. An image does not start on a CPU that
lacks a feature of its floor. The emulated CPU proves an image if no real one is available.
"""
_DTYPE_HEAD = ("data type", "state", "targets", "how, or why not")
_MATCHES = {
    "exact": "exact",
    "subset": "has no feature that the CPU lacks",
    "superset": "has more features, so a proof also runs on the [baseline CPU](../glossary.md#baseline-cpu)",
}
_DTYPES = """\
Fast: the backend's own kernels compute it. Slow: the results are right, but no fast kernel
computes them. Not run: a proof does not run it, for the reason given.
"""


def make_matrix_page(matrix: Matrix) -> str:
    """Return the reference page of the matrix."""
    known = sum(_is_known_to_work(combo) for combo in matrix.combos)
    refused = sum(combo.refusal is not None for combo in matrix.combos)
    numbers = {"known": known, "all": len(matrix.combos), "refused": refused}
    reasons: dict[str, int] = {}
    parts = [
        _HEAD.format(**numbers, unverified=len(matrix.combos) - known - refused),
        "## Versions\n",
        _table(["version", "base", "Python", "provider", "libraries"], _versions(matrix)),
        "## Targets\n",
        _TARGETS,
        _table(["target", "CPU", "other names", "floor", "emulated CPU"], map(_target, _targets(matrix))),
        "## Combinations\n",
        "Each cell lists the targets for which the combination works. The numbers refer to the reasons below.\n",
        _table(["version", *matrix.axes.backends], list(_combinations(matrix, reasons))),
        "".join(f"{number}. {reason}\n" for reason, number in reasons.items()),
        "## Data types\n",
        _DTYPES,
        *_dtypes(matrix),
    ]
    return "\n".join(parts)


def _is_known_to_work(combo: Combo) -> bool:
    return combo.refusal is None and combo.unverified is None


def _targets(matrix: Matrix) -> list[Target]:
    return [matrix.recipes.targets[name] for name in matrix.axes.targets]


def _versions(matrix: Matrix) -> Iterator[list[str]]:
    for name in matrix.axes.frameworks:
        for version in matrix.versions(name):
            release = matrix.recipes.frameworks[name].versions[version]
            base = matrix.recipes.bases[release.base]
            libraries = ", ".join(f"{library} {number}" for library, number in release.libraries.items())
            yield [f"`{name}` `{version}`", base.title, base.python, release.provider, libraries]


def _target(target: Target) -> list[str]:
    emulator = target.emulator
    baseline = f" `{emulator.baseline.cpu}`" if emulator.baseline else ""
    return [
        f"`{target.name}`",
        target.title,
        ", ".join(target.aliases),
        " ".join(target.floor),
        f"`{emulator.cpu}`: {_MATCHES[emulator.match]}{baseline}",
    ]


def _combinations(matrix: Matrix, reasons: dict[str, int]) -> Iterator[list[str]]:
    """Yield a row per version; number the reasons in the order in which they appear."""
    for name in matrix.axes.frameworks:
        for version in matrix.versions(name):
            rows = [combo for combo in matrix.combos if (combo.framework.name, combo.version) == (name, version)]
            cells = [
                _cell([row for row in rows if row.backend == backend], reasons) for backend in matrix.axes.backends
            ]
            yield [f"`{name}` `{version}`", *cells]


def _cell(combos: Sequence[Combo], reasons: dict[str, int]) -> str:
    """Describe the combos of a version and a backend: the targets that work, then the others with their reasons."""
    works = [combo.target.name for combo in combos if _is_known_to_work(combo)]
    parts = [_targets_text(works, combos)] if works else []
    for state in ("unverified", "refused"):
        groups: dict[str, list[str]] = {}
        for combo in combos:
            reason = combo.refusal if state == "refused" else None if combo.refusal is not None else combo.unverified
            if reason is not None:
                groups.setdefault(reason, []).append(combo.target.name)
        numbered = {reasons.setdefault(reason, len(reasons) + 1): targets for reason, targets in groups.items()}
        if sum(map(len, numbered.values())) == len(combos):
            parts.append(f"{state} ({', '.join(map(str, sorted(numbered)))})")
        else:
            parts += [f"{state} ({number}): {', '.join(targets)}" for number, targets in numbered.items()]
    return "; ".join(parts)


def _targets_text(targets: Sequence[str], combos: Sequence[Combo]) -> str:
    return "all" if len(targets) == len(combos) else ", ".join(targets)


def _dtypes(matrix: Matrix) -> Iterator[str]:
    """Yield a table per framework and backend; versions with the same data types share one."""
    for name in matrix.axes.frameworks:
        for backend in matrix.axes.backends:
            possible: dict[str, list[Combo]] = {}
            for combo in matrix.combos:
                if (combo.framework.name, combo.backend, combo.refusal) == (name, backend, None):
                    possible.setdefault(combo.version, []).append(combo)
            tables: dict[str, list[str]] = {}
            for version, combos in possible.items():
                tables.setdefault(_table(_DTYPE_HEAD, _dtype_rows(combos)), []).append(version)
            for table, versions in tables.items():
                yield f"### {matrix.recipes.frameworks[name].title} {', '.join(versions)} over `{backend}`\n\n{table}"


def _dtype_rows(combos: Sequence[Combo]) -> Iterator[list[str]]:
    """Yield a row per data type, state and reason, with its targets."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for combo in combos:
        for support in combo.framework_backend.dtype_support(combo.target, combo.version):
            groups.setdefault((support["name"], support["state"], support["note"]), []).append(combo.target.name)
    for dtype in DTYPES:
        for (name, state, note), targets in groups.items():
            if name == dtype:
                yield [f"`{name}`", state, _targets_text(targets, combos), note]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
