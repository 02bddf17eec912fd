"""Judges each sabotage: was it caught, and by the check meant for it?"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from armwright.system.console import BAD, GOOD
from armwright.system.table_layout import Cell


@dataclass(frozen=True)
class Outcome:
    """The checks that a sabotaged image or document met.

    Attributes:
        failed: the checks that failed, with what each found.
        held: the checks that passed.
    """

    failed: Mapping[str, str]
    held: Collection[str] = ()


@dataclass(frozen=True)
class Row:
    """One sabotage in the table.

    Attributes:
        name: the sabotage.
        meant: the check meant to catch it, as a glob.
        caught: the check that caught it; empty if none with such a name failed.
        found: what that check found.
        others: the other checks that failed.
        problem: why this is a bug of the project; empty if it is not.
        held: the checks that passed.
    """

    name: str
    meant: str
    caught: str
    found: str
    others: tuple[str, ...] = ()
    problem: str = ""
    held: tuple[str, ...] = field(default=(), repr=False)

    def document(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {**vars(self), "others": list(self.others), "held": list(self.held)}


def judge(name: str, meant: str, pattern: str, outcome: Outcome) -> Row:
    """Judge the outcome of a sabotage.

    Args:
        name: the sabotage.
        meant: the check that must fail, as a glob.
        pattern: a regular expression that must match in what that check found.
        outcome: the checks.
    """
    matching = [check for check in outcome.failed if fnmatchcase(check, meant)]
    right = [check for check in matching if re.search(pattern, outcome.failed[check])]
    caught = (right or matching or [""])[0]
    others = tuple(check for check in outcome.failed if check != caught)
    problem = ""
    if not outcome.failed:
        problem = "no check failed"
    elif not matching:
        problem = f"caught only by {', '.join(outcome.failed)}"
    elif not right:
        problem = f"caught for another reason: what the check found does not match {pattern!r}"
    found = outcome.failed.get(caught, "")
    return Row(name, meant, caught, found, others, problem, tuple(sorted(outcome.held)))


def make_untried_row(name: str, meant: str, why: str) -> Row:
    """Return the row of a sabotage that could not be tried, so that nothing is known about it."""
    return Row(name, meant, "", "", problem=f"could not be tried: {why}")


def find_bugs(rows: Sequence[Row]) -> list[Row]:
    """Return the sabotages that no check caught, or that another check caught."""
    return [row for row in rows if row.problem]


COLUMNS = ("sabotage", "state", "meant to be caught by", "caught by", "it found", "others that failed")


def table_rows(rows: Sequence[Row]) -> list[list[str | Cell]]:
    """Lay out the table of sabotages."""
    return [
        [
            row.name, Cell("bug", BAD) if row.problem else Cell("caught", GOOD), row.meant, row.caught or "-",
            row.problem or row.found, ", ".join(row.others) or "-",
        ]
        for row in rows
    ]  # fmt: skip


def group_by_check(rows: Sequence[Row]) -> list[list[str]]:
    """List for each check how many sabotages it was meant for and caught, how many others it caught, and the former."""
    checks = dict.fromkeys(
        [*(row.caught for row in rows if row.caught), *(name for row in rows for name in row.others)]
    )
    table = []
    for check in sorted(checks):
        meant = [row.name for row in rows if row.caught == check]
        also = [row.name for row in rows if check in row.others]
        table.append([check, str(len(meant)), str(len(also)), "; ".join(meant) or "-"])
    return table


def find_untested(rows: Sequence[Row]) -> list[str]:
    """Return the checks that no sabotage made fail: nothing shows that they can."""
    failed = {name for row in rows for name in (row.caught, *row.others)}
    return sorted({name for row in rows for name in row.held} - failed)
