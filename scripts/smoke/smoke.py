"""The proof of an image by itself: on this CPU, through this backend, with the right answers.

Usage: smoke [--json] [--workload NAME] [--dtype NAME] [--below-floor]

Exit codes: 0 proven, or right as far as was asked for; 1 a check failed, and is named; 2 the words are wrong.
Nothing is written, nothing is fetched: it works with `--network none --read-only`. Times of an emulated CPU are never
speed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
HOME = HERE.parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HOME), str(HERE)]  # isolated mode leaves the script's own folder out

import kernels  # noqa: E402 - the path is set first
import machine  # noqa: E402 - the path is set first
import screen  # noqa: E402 - the path is set first
from checks import FAIL, NOT_RUN, PASS, check, files, floor, graded, meant_cpu, precision, unprivileged, versions  # noqa: E402
from runs import Answers, Run, planned, work  # noqa: E402 - the path is set first

if TYPE_CHECKING:
    from collections.abc import Collection

    from checks import Check

SCHEMA = 2


def prove(
    image: dict[str, Any],
    workloads: Collection[str],
    dtypes: Collection[str],
    seen: machine.Machine,
    *,
    below_floor: bool = False,
) -> dict[str, Any]:
    """Run everything and return the report (armwright/evidence.py, Report).

    Args:
        image: image.json.
        workloads: what to run.
        dtypes: in which data types.
        seen: the machine.
        below_floor: this CPU is smaller than the image's own, on purpose: what runs right here needs nothing above it.
    """
    started = time.monotonic()
    about_cpu = [floor(image["target"], seen), meant_cpu(image["target"], seen)]
    on_meant_cpu = about_cpu[1]["state"] == PASS
    if below_floor:
        about_cpu = [{**one, "state": NOT_RUN} if one["state"] == FAIL else one for one in about_cpu]
    checks = [
        *about_cpu,
        unprivileged(),
        files(image["smoke"]["files"]),
        *precision(image["fast_math"], os.environ),
    ]
    every = list(planned(image))
    asked = [run for run in every if run.workload in workloads and run.dtype in dtypes]
    answers = work(image, [run for run in asked if not run.reason], emulated=seen.emulation.emulated is True)
    complaint = answers.complaint
    checks.append(check("import", not complaint, f"{image['title']} loads and runs", complaint or "it does"))
    if not complaint:
        checks += versions(image, answers.versions)
        checks += [one for run in answers.runs for one in graded(run)]
        checks += judged(image, answers, asked, on_meant_cpu=on_meant_cpu)
    left_out = [run for run in every if run not in asked and not run.reason]
    checks += [check(f"run {run.workload} {run.dtype}", NOT_RUN, "right answers", "not asked for") for run in left_out]
    return {
        "schema": SCHEMA,
        "combo": image["combo"],
        "proven": all(one["state"] == PASS for one in checks),
        "cpu": {
            "title": seen.processor.name,
            "parts": list(seen.processor.parts),
            "features": sorted(seen.processor.features),
            "vector_bytes": seen.vector_bytes,
            "emulator": " ".join(filter(None, (seen.emulation.name, seen.emulation.model))),
            "cpus": seen.cpus.number,
        },
        "versions": answers.versions,
        "checks": checks,
        "runs": answers.runs,
        "loaded": answers.table.of("", ""),
        "not_run": [
            {"workload": run.workload, "dtype": run.dtype, "reason": run.reason} for run in every if run.reason
        ],
        "peak_memory_bytes": answers.peak_memory_bytes,
        "seconds": time.monotonic() - started,
    }


def judged(image: dict[str, Any], answers: Answers, asked: list[Run], *, on_meant_cpu: bool) -> list[Check]:
    """The kernels that ran are those the recipe expects on this CPU, and it expects every one of them."""
    operations = {(run.workload, run.dtype): run.operations for run in asked if not run.reason}
    checks = []
    for rule in image["smoke"]["kernels"]:
        verdict = kernels.judge(rule, answers.table, operations)
        state = verdict.holds if on_meant_cpu or not rule["implementations"] else NOT_RUN
        found = verdict.found if state is not NOT_RUN else f"{verdict.found}; what is right on this CPU is not known"
        name = " ".join(["kernels", rule["source"], rule["operation"], *(rule["dtypes"] or [])])
        checks.append(check(name, state, verdict.expected, found))
    verdict = kernels.unspoken(image["smoke"]["kernels"], answers.table)
    state = verdict.holds if on_meant_cpu else NOT_RUN
    return [*checks, check("kernels known", state, verdict.expected, verdict.found)]


def main(words: list[str]) -> int:
    """Prove the image; return the exit code."""
    image = json.loads((HOME / "image.json").read_text(encoding="utf-8"))
    workloads, dtypes = image["smoke"]["workloads"], [one["name"] for one in image["dtypes"]]
    parser = argparse.ArgumentParser(prog="docker run IMAGE smoke", description="Proves this image on this CPU.")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output and nothing else")
    parser.add_argument("--workload", choices=workloads, action="append", help="only this one; may be repeated")
    parser.add_argument("--dtype", choices=dtypes, action="append", help="only in this data type; may be repeated")
    parser.add_argument("--below-floor", action="store_true", help=argparse.SUPPRESS)  # only without the entrypoint
    chosen = parser.parse_args(words)
    seen = machine.read_machine(os.environ)
    report = prove(image, chosen.workload or workloads, chosen.dtype or dtypes, seen, below_floor=chosen.below_floor)
    print(json.dumps(report) if chosen.json else screen.page(report))
    return 1 if any(one["state"] == FAIL for one in report["checks"]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
