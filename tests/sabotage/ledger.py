"""What came of each sabotage: was it caught, and by the check that is meant for it?"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

Words = Mapping[str, str]  # of checks: what each found


@dataclass(frozen=True)
class Outcome:
    """What the doors said of a sabotaged image or document.

    Attributes:
        failed: the checks that failed, each with its words.
        held: the checks that were made and passed.
    """

    failed: Words
    held: Collection[str] = ()


@dataclass(frozen=True)
class Row:
    """One sabotage in the table.

    Attributes:
        name: the sabotage.
        meant: the check that is meant to catch it, as a pattern.
        caught: the check that did; empty when none of that name did.
        words: what it found.
        others: the other checks that failed.
        problem: why this is a bug; empty when it is none.
        held: the checks that passed.
    """

    name: str
    meant: str
    caught: str
    words: str
    others: tuple[str, ...] = ()
    problem: str = ""
    held: tuple[str, ...] = field(default=(), repr=False)

    def document(self) -> dict[str, Any]:
        """Return it as a JSON document."""
        return {**vars(self), "others": list(self.others), "held": list(self.held)}


def judge(name: str, meant: str, words: str, outcome: Outcome) -> Row:
    """Judge what came of a sabotage.

    Args:
        name: the sabotage.
        meant: the check that must fail, as a pattern.
        words: what that check must say, as a regular expression that is searched for.
        outcome: what the doors said.
    """
    matching = [check for check in outcome.failed if fnmatchcase(check, meant)]
    right = [check for check in matching if re.search(words, outcome.failed[check])]
    caught = (right or matching or [""])[0]
    others = tuple(check for check in outcome.failed if check != caught)
    told = outcome.failed.get(caught, "")
    problem = ""
    if not outcome.failed:
        problem = "it passes: no check failed"
    elif not matching:
        problem = f"caught only by {', '.join(outcome.failed)}"
    elif not right:
        problem = f"caught, but not for the reason: expected words like {words!r}"
    return Row(name, meant, caught, told, others, problem, tuple(sorted(outcome.held)))


def broken(name: str, meant: str, why: str) -> Row:
    """Enter a sabotage that could not be tried: nobody knows whether it would be caught."""
    return Row(name, meant, "", "", problem=f"it could not be tried: {why}")


def bugs(rows: Sequence[Row]) -> list[Row]:
    """Return what must not be: sabotages that pass, or that another check caught."""
    return [row for row in rows if row.problem]


def lines(rows: Sequence[Row]) -> list[list[str]]:
    """Lay the table out: sabotage x check."""
    return [
        [
            row.name, "fail" if row.problem else "ok", row.meant, row.caught or "-", row.problem or row.words,
            ", ".join(row.others) or "-",
        ]
        for row in rows
    ]  # fmt: skip


COLUMNS = ("sabotage", "state", "meant to be caught by", "caught by", "its words", "others that failed")


def by_check(rows: Sequence[Row]) -> list[list[str]]:
    """Turn the table round: for each check the sabotages it caught, those it was meant for first."""
    checks = dict.fromkeys(
        [*(row.caught for row in rows if row.caught), *(name for row in rows for name in row.others)]
    )
    table = []
    for check in sorted(checks):
        meant = [row.name for row in rows if row.caught == check]
        also = [row.name for row in rows if check in row.others]
        table.append([check, str(len(meant)), str(len(also)), "; ".join(meant) or "-"])
    return table


def untouched(rows: Sequence[Row]) -> list[str]:
    """Name the checks that were made and that no sabotage made fail: nothing shows that they can."""
    failed = {name for row in rows for name in (row.caught, *row.others)}
    return sorted({name for row in rows for name in row.held} - failed)
