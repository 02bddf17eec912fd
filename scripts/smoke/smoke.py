"""The smoke run: checks that the image computes the right answers on this CPU with the expected kernels.

Usage: smoke [--json [--answers]] [--workload NAME] [--dtype NAME] [--below-floor]

Exit codes: 0 no check failed; 1 a check failed, and its name is printed; 2 the arguments are wrong.
It writes no file and needs no network: it works with `--network none --read-only`. Times measured on an emulated CPU
say nothing about speed.
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
from checks import FAIL, NOT_RUN, PASS, check, files, floor, grade, meant_cpu, precision, unprivileged, versions  # noqa: E402
from runs import Answers, Run, list_runs, work  # noqa: E402 - the path is set first

if TYPE_CHECKING:
    from collections.abc import Collection

    from checks import Check

SCHEMA = 4


def prove(
    image: dict[str, Any],
    workloads: Collection[str],
    dtypes: Collection[str],
    seen: machine.Machine,
    *,
    below_floor: bool = False,
) -> dict[str, Any]:
    """Run the workloads and return the report (armwright/proof/evidence.py, Report), with the `numbers` of each run.

    Args:
        image: image.json.
        workloads: the workloads to run.
        dtypes: the data types to run them in.
        seen: the machine.
        below_floor: the CPU lacks features of the image's target on purpose; a failed CPU check becomes "not run".
    """
    started = time.monotonic()
    about_cpu = [floor(image["target"], seen), meant_cpu(image["target"], seen)]
    on_meant_cpu = about_cpu[1]["state"] == PASS
    if below_floor:
        about_cpu = [{**row, "state": NOT_RUN} if row["state"] == FAIL else row for row in about_cpu]
    checks = [
        *about_cpu,
        unprivileged(),
        files(image["smoke"]["files"]),
        precision(image["smoke"]["numerics"], os.environ),
    ]
    every = list(list_runs(image))
    selected = [run for run in every if run.workload in workloads and run.dtype in dtypes]
    answers = work(image, [run for run in selected if not run.reason], emulated=seen.emulation.emulated is True)
    failure = answers.failure
    loads = f"{image['title']} loads"
    checks.append(check("import", not failure, loads, failure or loads))
    if not failure:
        checks += versions(image, answers.versions)
        checks += [row for run in answers.runs for row in grade(run)]
        checks += judge_kernels(image, answers, selected, on_meant_cpu=on_meant_cpu)
    numbers = {f"{run['workload']} {run['dtype']}": run.pop("numbers") for run in answers.runs}
    left_out = [run for run in every if run not in selected and not run.reason]
    checks += [check(f"run {run.workload} {run.dtype}", NOT_RUN, "right answers", "not selected") for run in left_out]
    return {
        "schema": SCHEMA,
        "combo": image["combo"],
        "passed": all(row["state"] == PASS for row in checks),
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
        "numbers": numbers,
        "loaded": answers.table.of("", ""),
        "not_run": [
            {"workload": run.workload, "dtype": run.dtype, "reason": run.reason} for run in every if run.reason
        ],
        "peak_memory_bytes": answers.peak_memory_bytes,
        "seconds": time.monotonic() - started,
    }


def judge_kernels(image: dict[str, Any], answers: Answers, runs: list[Run], *, on_meant_cpu: bool) -> list[Check]:
    """Compare the kernels that ran with the recipe's rules: one check a rule, and one for kernels without a rule."""
    operations = {(run.workload, run.dtype): run.operations for run in runs if not run.reason}
    checks = []
    for rule in image["smoke"]["kernels"]:
        verdict = kernels.judge(rule, answers.table, operations)
        state = verdict.holds if on_meant_cpu or not rule["implementations"] else NOT_RUN
        found = verdict.found if state is not NOT_RUN else f"{verdict.found}; the rule is for another CPU"
        judgement = check(f"kernels {rule['id']}", state, verdict.expected, found)
        checks.append({**judgement, "rule": rule["id"], "reason": rule["reason"]})
    verdict = kernels.without_rule(image["smoke"]["kernels"], answers.table)
    state = verdict.holds if on_meant_cpu else NOT_RUN
    return [*checks, check("kernels known", state, verdict.expected, verdict.found)]


def main(arguments: list[str]) -> int:
    """Run the smoke run, print its report and return the exit code."""
    image = json.loads((HOME / "image.json").read_text(encoding="utf-8"))
    workloads, dtypes = image["smoke"]["workloads"], [dtype["name"] for dtype in image["dtypes"]]
    parser = argparse.ArgumentParser(prog="docker run IMAGE smoke", description="Check this image on this CPU.")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON document")
    parser.add_argument("--answers", action="store_true", help="with --json: every number that was computed, too")
    parser.add_argument("--workload", choices=workloads, action="append", help="run only this workload; repeatable")
    parser.add_argument("--dtype", choices=dtypes, action="append", help="run only this data type; repeatable")
    parser.add_argument("--below-floor", action="store_true", help=argparse.SUPPRESS)  # only without the entrypoint
    chosen = parser.parse_args(arguments)
    seen = machine.read_machine(os.environ)
    report = prove(image, chosen.workload or workloads, chosen.dtype or dtypes, seen, below_floor=chosen.below_floor)
    if not chosen.answers:
        del report["numbers"]
    print(json.dumps(report) if chosen.json else screen.page(report))
    return 1 if any(row["state"] == FAIL for row in report["checks"]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
