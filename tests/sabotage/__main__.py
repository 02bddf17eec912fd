"""The command: python -m tests.sabotage --combo ID [--only NAME] [--repeat N] [--jobs N] [--json].

Exit codes: 0 if the check meant for each sabotage caught it, or the good image passed each time with the same evidence;
1 if not; 2 if the arguments are wrong; 3 if the machine cannot run it.
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
from armwright.system.console import BAD, DOUBTFUL, GOOD
from armwright.system.errors import ArmwrightError, InputError, nearest
from tests.sabotage import ledger
from tests.sabotage.bench import Bench
from tests.sabotage.catalog import EVERY
from tests.sabotage.model import Sabotage
from tests.sabotage.tampering import Tampering

ROOT = Path(__file__).resolve().parents[2]


def select_sabotages(combo: str, only: str) -> Mapping[str, Sabotage | Tampering]:
    """Return the sabotages that can break a combo and match a glob.

    Raises:
        InputError: none matches.
    """
    possible = {name: sabotage for name, sabotage in EVERY.items() if sabotage.breaks(combo)}
    matching = {name: sabotage for name, sabotage in possible.items() if not only or fnmatchcase(name, only)}
    if not matching:
        what = f"--only {only!r} matches no sabotage of {combo}: {nearest(only, possible)}"
        raise InputError(what, f"python -m tests.sabotage --combo {combo} --list")
    return matching


def try_sabotages(bench: Bench, sabotages: Mapping[str, Sabotage | Tampering], jobs: int, *, as_json: bool) -> int:
    """Try all of them, print the table and return the exit code."""
    with ThreadPoolExecutor(jobs) as pool:
        rows = list(pool.map(lambda item: _try(bench, *item), sabotages.items()))
    if as_json:
        console.document([row.document() for row in rows])
    else:
        console.table(f"{len(rows)} sabotages of {bench.plan.combo.id}", ledger.COLUMNS, ledger.table_rows(rows))
        columns = ["check", "meant", "others", "sabotages it was meant for and caught"]
        console.table("by check", columns, ledger.group_by_check(rows))
        untested = ledger.find_untested(rows)
        if untested:
            console.say(f"no sabotage made these checks fail: {', '.join(untested)}", DOUBTFUL)
    bugs = ledger.find_bugs(rows)
    for bug in bugs:
        console.say(f"BUG: {bug.name}: {bug.problem}", BAD)
    console.say(f"{len(rows) - len(bugs)} of {len(rows)} caught by the check meant for them", BAD if bugs else GOOD)
    return 1 if bugs else 0


def _try(bench: Bench, name: str, sabotage: Sabotage | Tampering) -> ledger.Row:
    with console.prefix(name):
        row = bench.attempt(name, sabotage)
    console.say(f"{name}: {row.problem or f'caught by {row.caught}'}", BAD if row.problem else "")
    return row


def repeat(bench: Bench, number: int, *, as_json: bool) -> int:
    """Prove the good image several times: it must pass each time, with the same evidence except times and memory."""
    fingerprints: list[str] = []
    for turn in range(1, number + 1):
        try:
            fingerprints.append(evidence.fingerprint(bench.prove()))
        except ArmwrightError as error:
            fingerprints.append(f"failed: {error.what}")
        console.say(f"{turn} of {number}: {fingerprints[-1]}")
    steady = len(set(fingerprints)) == 1 and fingerprints[0].startswith("sha256:")
    if as_json:
        console.document({"combo": bench.plan.combo.id, "fingerprints": fingerprints, "steady": steady})
    verdict = "the same evidence each time" if steady else f"{len(set(fingerprints))} different outcomes"
    console.say(f"{bench.plan.combo.id}, {number} times: {verdict}", GOOD if steady else BAD)
    return 0 if steady else 1


def main(arguments: list[str]) -> int:
    """Parse the arguments, run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.sabotage", description="Break a good image in many ways.")
    parser.add_argument("--combo", required=True, help="the id of a combo whose image is built")
    parser.add_argument("--only", default="", help="a glob over the names of sabotages")
    parser.add_argument("--repeat", type=int, default=0, help="prove the good image this many times instead")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="sabotages to try in parallel")
    parser.add_argument("--list", action="store_true", help="list the sabotages of this combo without trying them")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else")
    options = parser.parse_args(arguments)
    try:
        sabotages = select_sabotages(options.combo, options.only)
        if options.list:
            rows = [[name, sabotage.checkpoint, sabotage.check] for name, sabotage in sabotages.items()]
            console.table("", ["sabotage", "checkpoint", "meant to be caught by"], rows)
            return 0
        with tempfile.TemporaryDirectory(prefix="armwright-sabotage-") as folder:
            bench = Bench(ROOT, Path(folder), options.combo)
            if options.repeat:
                return repeat(bench, options.repeat, as_json=options.json)
            return try_sabotages(bench, sabotages, max(options.jobs, 1), as_json=options.json)
    except ArmwrightError as error:
        console.error(error)
        return error.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
