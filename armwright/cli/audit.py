"""The command `audit`: choose the images and the floor, audit, and print the result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from armwright.assembly import images
from armwright.audit import image_audit
from armwright.audit.image_audit import Audit, AuditRow, AuditState
from armwright.engine.client import Engine
from armwright.matrix import selection
from armwright.matrix.matrix import Combo, Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline.selected import parse_source, select_buildable, select_built
from armwright.plan.plan import Source, make_plan
from armwright.proof import wording
from armwright.recipes.targets import Target
from armwright.system import console
from armwright.system.console import BAD, DOUBTFUL, GOOD
from armwright.system.errors import InputError, nearest
from armwright.system.table_layout import Cell

_COLUMNS: dict[AuditState, str] = {
    "guarded": "guarded", "chosen": "dispatched", "data": "constants", "fault": "known faults", "above": "unguarded",
}  # fmt: skip
_RANK: dict[AuditState, int] = {"above": 0, "fault": 1}
_STATES: dict[AuditState, Cell] = {
    "above": Cell("unguarded", BAD), "fault": Cell("known fault", DOUBTFUL), "guarded": Cell("guarded", GOOD),
    "chosen": Cell("dispatched", GOOD), "data": Cell("constants", GOOD),
}  # fmt: skip


def run(  # noqa: PLR0913 - the command's options
    matrix: Matrix, chosen: Selector, image: str, base: str, *, floor: str, as_json: bool
) -> int:
    """Audit one image, or the built images of the selected combos.

    Args:
        matrix: the loaded matrix.
        chosen: the selected combos; must be empty when `image` is given.
        image: an image, by name or digest; empty to use the selected combos.
        base: the source of the images' base: "archive" or "registry".
        floor: the target whose floor counts; empty for the image's own target.
        as_json: print one JSON document on stdout.

    Returns:
        the exit code: 1 if code above the floor is unguarded.
    """
    if image:
        return _audit_image(matrix, image, chosen, floor, as_json=as_json)
    combos = select_built(select_buildable(matrix, chosen))
    return _audit_combos(matrix, combos, parse_source(base), floor, as_json=as_json)


def _audit_image(matrix: Matrix, reference: str, chosen: Selector, floor: str, *, as_json: bool) -> int:
    """Audit any image that Armwright built; its combo need not be in this checkout.

    Args:
        matrix: the loaded matrix.
        reference: the image, by name or digest.
        chosen: must be empty.
        floor: the target whose floor counts; empty for the image's own target.
        as_json: print one JSON document on stdout.

    Returns:
        the exit code: 1 if code above the floor is unguarded.

    Raises:
        InputError: a selector was given too, the image does not exist, or Armwright did not build it.
    """
    selection.require_no_selector(chosen, "audit")
    engine = Engine()
    image = images.find_image(engine, reference)
    target = _find_target(matrix, floor) or images.read_target(matrix, image)
    audit = image_audit.audit_image(matrix.root, engine, reference, image, target)
    if as_json:
        console.document(audit.model_dump())
    else:
        _print_files(audit)
    return _conclude([audit], table=False)


def _audit_combos(matrix: Matrix, combos: Sequence[Combo], source: Source, floor: str, *, as_json: bool) -> int:
    """Audit the built images of combos.

    Returns:
        the exit code: 1 if code above a floor is unguarded.

    Raises:
        InputError: one of the combos is not built; no image was read.
    """
    other = _find_target(matrix, floor)
    engine = Engine()
    plans = [make_plan(matrix, combo, source) for combo in combos]
    images.require_built(engine, plans)
    audits = []
    for plan in plans:
        image = images.find_image(engine, plan.reference)
        target = other or plan.combo.target
        audits.append(image_audit.audit_image(matrix.root, engine, plan.reference, image, target))
        if not as_json and len(plans) <= wording.FEW:
            _print_files(audits[-1])
    if as_json:
        console.document([audit.model_dump() for audit in audits])
    return _conclude(audits, table=not as_json)


def _find_target(matrix: Matrix, name: str) -> Target | None:
    """Return the target with a name or alias; None for an empty name.

    Raises:
        InputError: there is no such target.
    """
    if not name:
        return None
    names = matrix.recipes.names("targets")
    if name.lower() not in names:
        known = nearest(name, names, matrix.recipes.targets)
        raise InputError(f"--floor: unknown target {name!r}: {known}", "invoke audit --help")
    return matrix.recipes.targets[names[name.lower()]]


def _print_files(audit: Audit) -> None:
    """Print a row per file and run-time check; files whose instructions are all guarded share one row per check."""
    rows: list[list[str | Cell]] = []
    own = [row for row in audit.rows if row.state != "guarded"]
    own.sort(key=lambda row: (_RANK.get(row.state, 2), row.path, row.by))  # stable: features keep their order
    for (path, state, by), group in groupby(own, lambda row: (row.path, row.state, row.by)):
        members = list(group)
        detail = by or "; ".join(f"{row.feature} at {_offsets(row)}" for row in members)
        rows.append([path, _STATES[state], _counts(members), detail])
    guarded = [row for row in audit.rows if row.state == "guarded"]
    for by in sorted({row.by for row in guarded}):
        members = [row for row in guarded if row.by == by]
        files = len({row.path for row in members})
        rows.append([f"{files} file(s)", _STATES["guarded"], _counts(_sum_by_feature(members)), by])
    title = f"{audit.combo}: instructions above the floor of {audit.target} ({', '.join(audit.floor)})"
    console.table(title, ["file", "state", "instructions", "run-time check, or first offsets"], rows)


def _counts(rows: Iterable[AuditRow]) -> str:
    return ", ".join(f"{row.feature} {row.bare or row.count}" for row in rows)


def _sum_by_feature(rows: Sequence[AuditRow]) -> list[AuditRow]:
    """Join rows of several files: one row per feature, with the sum of their counts."""
    features = sorted({row.feature for row in rows})
    of = {feature: [row for row in rows if row.feature == feature] for feature in features}
    return [of[feature][0].model_copy(update={"count": sum(row.count for row in of[feature])}) for feature in features]


def _offsets(row: AuditRow) -> str:
    more = ", …" if row.bare > len(row.offsets) else ""
    return ", ".join(f"{offset:#x}" for offset in row.offsets) + more


def _conclude(audits: Sequence[Audit], *, table: bool) -> int:
    """Print a table of all audits, and a verdict per audit with its findings and known faults below.

    Returns:
        the exit code.
    """
    if table:
        rows = [[audit.combo, audit.target, *(str(_count(audit, state)) for state in _COLUMNS)] for audit in audits]
        console.table("instructions above the floor", ["combo", "floor of", *_COLUMNS.values()], rows)
    for audit in audits:
        read = f"{audit.files} files, {console.megabytes(audit.code_bytes)} of code"
        above = f"instructions above the floor of {audit.target}"
        findings = [f"{row.path}: {row.feature}, {row.bare} at {_offsets(row)}" for row in audit.findings]
        faults = [f"{row.path}: {row.feature}, {row.bare} at {_offsets(row)}: {row.by}" for row in audit.faults]
        if findings:
            console.say("\n  ".join([f"{audit.combo}: unguarded {above} ({read})", *findings]), BAD)
        elif not faults:
            console.say(f"{audit.combo}: no unguarded {above} ({read})", GOOD)
        if faults:
            console.say("\n  ".join([f"{audit.combo}: known unguarded {above} ({read})", *faults]), DOUBTFUL)
    return 1 if any(audit.findings for audit in audits) else 0


def _count(audit: Audit, state: AuditState) -> int:
    """Count the instructions of one state: the unguarded ones, or all of them where the state is `guarded`."""
    return sum(row.bare or row.count for row in audit.rows if row.state == state)
