"""The second kind of sabotage: something done to what the project reads, which the code that reads it must notice.

A cache, a program, a record, a registry, an issue: none of these is an image that can be derived from a good one. A
tampering makes a good one in a folder of its own, shows that the project's code accepts it, changes it, and calls the
same code again. It needs no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan, make_plan
from armwright.system.errors import ArmwrightError
from tests.sabotage import ledger
from tests.sabotage.ledger import Outcome, Row

COMBO = "pytorch-2.10.0-n1-acl"  # of every plan here
Material = Literal[
    "cache", "program", "record", "stranger", "report", "container", "link", "server", "registry", "request", "code"
]


@dataclass(frozen=True)
class Workplace:
    """Where a tampering takes place.

    Attributes:
        matrix: the loaded matrix; nothing below its root is changed.
        plan: the plan of COMBO.
        folder: an empty folder.
    """

    matrix: Matrix
    plan: Plan
    folder: Path

    @classmethod
    def make(cls, matrix: Matrix, folder: Path) -> Workplace:
        """Make one in an empty folder."""
        return cls(matrix, make_plan(matrix, matrix.by_id[COMBO]), folder)


@dataclass(frozen=True)
class Tampering:
    """Something done to what the project reads.

    Attributes:
        checkpoint: what is changed.
        check: the check that must fail, as a glob.
        pattern: a regular expression that must match in what the check found.
        attempt: changes it, and returns what the project's own code then says.
    """

    checkpoint: Material
    check: str
    pattern: str
    attempt: Callable[[Workplace], Outcome]

    def breaks(self, _: str) -> bool:
        """Return whether it can break a combo: it is the same for all."""
        return True


def try_tampering(name: str, tampering: Tampering, place: Workplace) -> Row:
    """Try and judge; a tampering that cannot be tried, or that ends in a traceback, is a bug too."""
    try:
        outcome = tampering.attempt(place)
    except Exception as error:  # noqa: BLE001 - whatever the project's code did not expect
        return ledger.make_untried_row(name, tampering.check, f"{type(error).__name__}: {error}")
    return ledger.judge(name, tampering.check, tampering.pattern, outcome)


def expect_error(check: str, kind: type[ArmwrightError], act: Callable[[], object]) -> Outcome:
    """Call the project's code, which must raise an error of its own.

    Args:
        check: the name of the check that the error stands for.
        kind: the error's class; an error of another class stands for itself.
        act: the call.
    """
    try:
        act()
    except kind as error:
        return Outcome({check: error.what})
    except ArmwrightError as error:
        return Outcome({type(error).__name__: error.what})
    return Outcome({}, [check])


def expect_true(check: str, found: str, *, noticed: bool) -> Outcome:
    """Return the outcome of a check that fails if something was noticed."""
    return Outcome({check: found}) if noticed else Outcome({}, [check])
