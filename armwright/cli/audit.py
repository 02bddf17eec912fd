"""The command `audit`: which images, against whose floor, and what came of it in words."""

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
from armwright.pipeline.selected import buildable_combos, built_combos, parse_source
from armwright.plan.plan import Source, make_plan
from armwright.proof import wording
from armwright.recipes.targets import Target
from armwright.system import console
from armwright.system.errors import InputError, nearest

_COLUMNS: dict[AuditState, str] = {
    "guarded": "guarded", "chosen": "chosen", "data": "constants", "fault": "known faults", "above": "unknown",
}  # fmt: skip
_RANK: dict[AuditState, int] = {"above": 0, "fault": 1}
_STATES = {
    "above": "fail above", "fault": "warn fault", "guarded": "ok guarded", "chosen": "ok chosen", "data": "ok data",
}  # fmt: skip


def run(  # noqa: PLR0913 - the options of the command
    matrix: Matrix, chosen: Selector, image: str, base: str, *, floor: str, as_json: bool
) -> int:
    """Audit one image, or the built images of the selected combos.

    Args:
        matrix: the loaded matrix.
        chosen: the selected combos; must be empty when `image` is given.
        image: an image, by name or digest; empty for the selected combos.
        base: where the images' base came from: "archive" or "registry".
        floor: the target whose floor counts; empty for the image's own.
        as_json: print one JSON document on stdout.

    Returns:
        the exit code: 1 when an instruction above the floor is not guarded.
    """
    if image:
        return _audit_image(matrix, image, chosen, floor, as_json=as_json)
    combos = built_combos(buildable_combos(matrix, chosen))
    return _audit_combos(matrix, combos, parse_source(base), floor, as_json=as_json)


def _audit_image(matrix: Matrix, reference: str, chosen: Selector, floor: str, *, as_json: bool) -> int:
    """Audit any image of ours, without its build tree.

    Args:
        matrix: the loaded matrix.
        reference: the image, by name or digest.
        chosen: must be empty.
        floor: the target whose floor counts; empty for the image's own.
        as_json: one JSON document on stdout.

    Returns:
        the exit code: 1 when something is above the floor and chosen by nobody.

    Raises:
        InputError: a selector was given too, or the image is not there or not ours.
    """
    selection.require_no_selector(chosen, "audit")
    engine = Engine()
    image = images.find_image(engine, reference)
    target = _target(matrix, floor) or images.image_target(matrix, image)
    audit = image_audit.audit_image(matrix.root, engine, reference, image, target)
    if as_json:
        console.document(audit.model_dump())
    else:
        _show(audit)
    return _conclude([audit], table=False)


def _audit_combos(matrix: Matrix, combos: Sequence[Combo], source: Source, floor: str, *, as_json: bool) -> int:
    """Audit built images of combos.

    Returns:
        the exit code: 1 when something is above a floor and chosen by nobody.

    Raises:
        InputError: one of them is not built; none was looked at.
    """
    other = _target(matrix, floor)
    engine = Engine()
    plans = [make_plan(matrix, combo, source) for combo in combos]
    images.require_built(engine, plans)
    audits = []
    for one in plans:
        image = images.find_image(engine, one.reference)
        audits.append(image_audit.audit_image(matrix.root, engine, one.reference, image, other or one.combo.target))
        if not as_json and len(plans) <= wording.FEW:
            _show(audits[-1])
    if as_json:
        console.document([audit.model_dump() for audit in audits])
    return _conclude(audits, table=not as_json)


def _target(matrix: Matrix, name: str) -> Target | None:
    """Return the target of a name or another name; None for an empty one.

    Raises:
        InputError: there is none.
    """
    if not name:
        return None
    names = matrix.recipes.names("targets")
    if name.lower() not in names:
        known = nearest(name, names, matrix.recipes.targets)
        raise InputError(f"--floor {name!r} is no target: {known}", "invoke audit --help")
    return matrix.recipes.targets[names[name.lower()]]


def _show(audit: Audit) -> None:
    """Print a line for each file and who chooses; files that guard every instruction are one line together."""
    rows = []
    own = [row for row in audit.rows if row.state != "guarded"]
    own.sort(key=lambda row: (_RANK.get(row.state, 2), row.path, row.by))  # and by feature, as they come
    for (path, state, by), group in groupby(own, lambda row: (row.path, row.state, row.by)):
        members = list(group)
        told = by or "; ".join(f"{row.feature} at {_places(row)}" for row in members)
        rows.append([path, _STATES[state], _counts(members), told])
    guarded = [row for row in audit.rows if row.state == "guarded"]
    for by in sorted({row.by for row in guarded}):
        group_of = [row for row in guarded if row.by == by]
        files = len({row.path for row in group_of})
        rows.append([f"{files} file(s)", _STATES["guarded"], _counts(_summed(group_of)), by])
    title = f"{audit.combo}: instructions above {audit.target}'s floor ({', '.join(audit.floor)})"
    console.table(title, ["file", "state", "instructions", "chosen by, or where the first are"], rows)


def _counts(rows: Iterable[AuditRow]) -> str:
    return ", ".join(f"{row.feature} {row.bare or row.count}" for row in rows)


def _summed(rows: Sequence[AuditRow]) -> list[AuditRow]:
    """Join rows of several files: one for each feature, with the sum of them."""
    features = sorted({row.feature for row in rows})
    of = {feature: [row for row in rows if row.feature == feature] for feature in features}
    return [of[feature][0].model_copy(update={"count": sum(row.count for row in of[feature])}) for feature in features]


def _places(row: AuditRow) -> str:
    """Say where in the file the first ones are."""
    more = ", …" if row.bare > len(row.offsets) else ""
    return ", ".join(f"{offset:#x}" for offset in row.offsets) + more


def _conclude(audits: Sequence[Audit], *, table: bool) -> int:
    """Say what came of it: a table of all of them, a line for each, and below it what was found.

    Returns:
        the exit code.
    """
    if table:
        rows = [[audit.combo, audit.target, *(str(_number(audit, state)) for state in _COLUMNS)] for audit in audits]
        console.table("instructions above the floor", ["combo", "floor of", *_COLUMNS.values()], rows)
    for audit in audits:
        seen = f"{audit.files} files, {console.megabytes(audit.code_bytes)} of code"
        faults = [f"{row.path}: {row.feature}, {row.bare} at {_places(row)}: {row.by}" for row in audit.faults]
        findings = [f"{row.path}: {row.feature}, {row.bare} at {_places(row)}" for row in audit.findings]
        if findings:
            console.say(f"{audit.combo}: above {audit.target}'s floor ({seen})\n  " + "\n  ".join(findings), "red")
        elif not faults:
            console.say(f"{audit.combo}: all above {audit.target}'s floor is chosen at run time ({seen})", "green")
        if faults:
            known = f"{audit.combo}: known to be above {audit.target}'s floor, and chosen by nobody ({seen})"
            console.say(known + "\n  " + "\n  ".join(faults), "yellow")
    return 1 if any(audit.findings for audit in audits) else 0


def _number(audit: Audit, state: AuditState) -> int:
    """Count the instructions of one state; of what is guarded each one is."""
    return sum(row.bare or row.count for row in audit.rows if row.state == state)
