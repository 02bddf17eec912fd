"""The command: python -m tests.sabotage --combo ID [--only NAME] [--repeat N] [--jobs N] [--json].

Exit codes: 0 every sabotage was caught by the check meant for it, or the good image passed each time with the same
evidence; 1 not so; 2 the words are wrong; 3 the machine cannot.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path

from armwright.proof import evidence
from armwright.system import console
from armwright.system.errors import ArmwrightError, InputError, nearest
from tests.sabotage import ledger
from tests.sabotage.bench import Bench
from tests.sabotage.model import Sabotage
from tests.sabotage.catalog import SABOTAGES

ROOT = Path(__file__).resolve().parents[2]


def chosen(combo: str, only: str) -> Mapping[str, Sabotage]:
    """Return the sabotages that break a combo, or those of them that a pattern names.

    Raises:
        InputError: it names none.
    """
    possible = {name: one for name, one in SABOTAGES.items() if one.breaks(combo)}
    found = {name: one for name, one in possible.items() if not only or fnmatchcase(name, only)}
    if not found:
        raise InputError(f"--only {only!r} names no sabotage of {combo}: {nearest(only, possible)}")
    return found


def sabotage(bench: Bench, ways: Mapping[str, Sabotage], jobs: int, *, as_json: bool) -> int:
    """Try all, and print the table."""
    with ThreadPoolExecutor(jobs) as pool:
        rows = list(pool.map(lambda way: _tried(bench, *way), ways.items()))
    if as_json:
        console.document([row.document() for row in rows])
    else:
        console.table(f"{len(rows)} sabotages of {bench.plan.combo.id}", ledger.COLUMNS, ledger.lines(rows))
        console.table(
            "by check", ["check", "meant", "others", "sabotages it was meant for and caught"], ledger.by_check(rows)
        )
        left = ledger.untouched(rows)
        if left:
            console.say(f"no sabotage made these fail: {', '.join(left)}", "yellow")
    bugs = ledger.bugs(rows)
    for bug in bugs:
        console.say(f"BUG: {bug.name}: {bug.problem}", "red")
    console.say(
        f"{len(rows) - len(bugs)} of {len(rows)} caught by the check meant for them", "red" if bugs else "green"
    )
    return 1 if bugs else 0


def _tried(bench: Bench, name: str, way: Sabotage) -> ledger.Row:
    with console.prefix(name):
        row = bench.attempt(name, way)
    console.say(f"{name}: {row.problem or f'caught by {row.caught}'}", "red" if row.problem else "")
    return row


def repeat(bench: Bench, number: int, *, as_json: bool) -> int:
    """Prove the good image again and again: it passes each time, with the same evidence but for times and memory."""
    found: list[str] = []
    for turn in range(1, number + 1):
        try:
            found.append(evidence.fingerprint(bench.prove()))
        except ArmwrightError as error:
            found.append(f"failed: {error.what}")
        console.say(f"{turn} of {number}: {found[-1]}")
    steady = len(set(found)) == 1 and found[0].startswith("sha256:")
    if as_json:
        console.document({"combo": bench.plan.combo.id, "fingerprints": found, "steady": steady})
    verdict = "the same evidence each time" if steady else f"{len(set(found))} different outcomes"
    console.say(f"{bench.plan.combo.id}, {number} times: {verdict}", "green" if steady else "red")
    return 0 if steady else 1


def main(words: list[str]) -> int:
    """Parse, run, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.sabotage", description="Breaks a good image in every way.")
    parser.add_argument("--combo", required=True, help="the id of a combo whose image is built")
    parser.add_argument("--only", default="", help="sabotages by name, with wildcards")
    parser.add_argument("--repeat", type=int, default=0, help="instead: prove the good image so many times")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="sabotages at once")
    parser.add_argument("--list", action="store_true", help="instead: the sabotages of this combo, and what is meant")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout and nothing else")
    asked = parser.parse_args(words)
    try:
        ways = chosen(asked.combo, asked.only)
        if asked.list:
            rows = [[name, way.door, way.check] for name, way in ways.items()]
            console.table("", ["sabotage", "door", "meant to be caught by"], rows)
            return 0
        with tempfile.TemporaryDirectory(prefix="armwright-sabotage-") as folder:
            bench = Bench(ROOT, Path(folder), asked.combo)
            if asked.repeat:
                return repeat(bench, asked.repeat, as_json=asked.json)
            return sabotage(bench, ways, max(asked.jobs, 1), as_json=asked.json)
    except ArmwrightError as problem:
        console.error(problem)
        return problem.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
