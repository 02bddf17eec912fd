"""The proof of an image by itself: on this CPU, through this backend, with the right answers.

Usage: smoke [--json] [--workload NAME] [--below-floor]

Exit codes: 0 proven, or right as far as was asked for; 1 a check failed, and is named; 2 the words are wrong.
Nothing is written, nothing is fetched: it works with `--network none --read-only`. Times of an emulated CPU are never
speed.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
HOME = HERE.parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HOME), str(HERE)]  # isolated mode leaves the script's own folder out

import kernels  # noqa: E402 - the path is set first
import machine  # noqa: E402 - the path is set first
from worker import MARKER  # noqa: E402 - the path is set first

TRACE = {"ONEDNN_VERBOSE": "1", "MKLDNN_VERBOSE": "1", "OPENBLAS_VERBOSE": "2"}
PASS, FAIL, NOT_RUN = "pass", "fail", "not run"

if TYPE_CHECKING:
    Check = dict[str, str]


def check(name: str, state: bool | str, expected: str, found: str) -> Check:  # noqa: FBT001 - the outcome itself
    """Make one check's row; a state is pass, fail or not run."""
    return {
        "name": name,
        "state": state if isinstance(state, str) else (FAIL, PASS)[state],
        "expected": expected,
        "found": found,
    }


def prove(
    image: dict[str, Any], workloads: list[str], seen: machine.Machine, *, below_floor: bool = False
) -> dict[str, Any]:
    """Run everything and return the report (armwright/evidence.py, Report).

    Args:
        image: image.json.
        workloads: what to run.
        seen: the machine.
        below_floor: this CPU is smaller than the image's own, on purpose: what runs right here needs nothing above it.
    """
    started = time.monotonic()
    about_cpu = [floor(image["target"], seen), meant_cpu(image["target"], seen)]
    on_meant_cpu = about_cpu[1]["state"] == PASS
    if below_floor:
        about_cpu = [{**one, "state": NOT_RUN} if one["state"] == FAIL else one for one in about_cpu]
    checks = [*about_cpu, unprivileged(), files(image["smoke"]["files"])]
    answers, rows, complaint = work(image["dialect"], workloads)
    checks.append(check("import", not complaint, f"{image['title']} loads and runs", complaint or "it does"))
    if not complaint:
        checks += versions(image, answers["versions"])
        checks += [one for workload in answers["workloads"] for one in graded(workload)]
        checks += judged(image, rows, on_meant_cpu=on_meant_cpu)
        left_out = sorted(set(image["smoke"]["workloads"]) - set(workloads))
        checks += [check(f"workload {name}", NOT_RUN, "right answers", "not asked for") for name in left_out]
    return {
        "schema": 1,
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
        "versions": answers.get("versions", {}),
        "checks": checks,
        "kernels": [{**row._asdict(), "calls": calls} for row, calls in sorted(rows.items())],
        "workloads": [
            {key: one[key] for key in ("name", "samples", "accuracy", "largest_error", "seconds")}
            for one in answers.get("workloads", [])
        ],
        "peak_memory_bytes": answers.get("peak_memory_bytes", 0),
        "seconds": time.monotonic() - started,
    }


def floor(target: dict[str, Any], seen: machine.Machine) -> Check:
    """Every feature without which this image must not start is there."""
    missing = sorted(set(target["floor"]) - seen.processor.features)
    return check(
        "floor", not missing, " ".join(target["floor"]), f"missing: {' '.join(missing)}" if missing else "all there"
    )


def meant_cpu(target: dict[str, Any], seen: machine.Machine) -> Check:
    """The CPU is the one that the image is for."""
    shown = " ".join(seen.processor.parts) or "part not shown"
    found = f"{seen.processor.name} ({shown}), vectors of {seen.vector_bytes or 16} bytes"
    meant = [any(fnmatchcase(part, one) for one in target["parts"]) for part in seen.processor.parts]
    parts = "*" in target["parts"] or (bool(meant) and all(meant))
    vectors = target["vector_bytes"] in (None, seen.vector_bytes)
    return check("cpu", parts and vectors, f"{target['title']} ({' '.join(target['parts'])})", found)


def unprivileged() -> Check:
    """The process is not root."""
    return check("user", os.getuid() != 0, "not root", f"uid {os.getuid()}")


def files(expected: dict[str, str]) -> Check:
    """The files of the proof are those the image was made with, to the last bit."""
    wrong = []
    for name, digest in expected.items():
        try:
            same = hashlib.sha256((HOME / name).read_bytes()).hexdigest() == digest
        except OSError:
            same = False
        wrong += [] if same else [name]
    return check(
        "files", not wrong, f"{len(expected)} files unchanged", f"changed: {', '.join(wrong)}" if wrong else "they are"
    )


def work(dialect: str, workloads: list[str]) -> tuple[dict[str, Any], Counter[kernels.Row], str]:
    """Run the workloads in a process of their own.

    Returns:
        the worker's answers, the kernels that ran, and a sentence when it did not get to the end.
    """
    memory = ctypes.CDLL(None).memfd_create(b"answers", 0)  # Python 3.7 has no name for it
    with open(memory, "w+", encoding="utf-8") as sheet:  # noqa: PTH123 - memory, not a file
        words = [sys.executable, "-s", "-B", str(HERE / "worker.py"), dialect, str(sheet.fileno()), *workloads]
        child = subprocess.run(
            words, env={**os.environ, **TRACE}, pass_fds=[sheet.fileno()], text=True, errors="replace",
            capture_output=True, check=False,
        )  # fmt: skip
        sheet.seek(0)
        document = sheet.read()
    rows = kernels.trace(child.stdout.splitlines(), MARKER)
    for line in child.stderr.splitlines():
        row = kernels.core(line)
        rows.update([row] if row else [])
    try:
        answers = json.loads(document)
    except json.JSONDecodeError:
        answers = None
    if child.returncode or answers is None:
        last = next((line for line in reversed(child.stderr.splitlines()) if line.strip()), "it said nothing")
        how = f"signal {-child.returncode}" if child.returncode < 0 else f"exit {child.returncode}"
        return {}, rows, f"{how}: {last.strip()[:300]}"
    for workload in answers["workloads"]:
        for operation, operators in workload["operators"].items():
            for name, calls in operators.items():
                rows[kernels.Row(workload["name"], "profiler", operation, name)] += calls
    return answers, rows, ""


def versions(image: dict[str, Any], found: dict[str, str]) -> list[Check]:
    """The framework, its libraries and Python are those of the plan."""
    expected = {image["distribution"]: image["version"], **image["backend"]["versions"]}
    rows = [
        check(f"version {name}", found.get(name) == version, version, found.get(name, "not found"))
        for name, version in expected.items()
    ]
    python = ".".join(platform.python_version_tuple()[:2])
    return [*rows, check("version python", python == image["python"], image["python"], python)]


def graded(workload: dict[str, Any]) -> list[Check]:
    """The answers of one workload are right, value by value and by the labels."""
    return [
        check(
            f"answers {workload['name']}",
            workload["worst"] <= 1.0,
            "the logits computed without any framework",
            f"largest error {workload['largest_error']:.2g}, {workload['worst']:.2g} of what is tolerated",
        ),
        check(
            f"accuracy {workload['name']}",
            workload["accuracy"] >= workload["minimum_accuracy"],
            f">= {workload['minimum_accuracy']:.2f}",
            f"{workload['accuracy']:.4f} of {workload['samples']}",
        ),
    ]


def judged(image: dict[str, Any], rows: Counter[kernels.Row], *, on_meant_cpu: bool) -> list[Check]:
    """The kernels that ran are those the recipe expects on this CPU."""
    checks = []
    for rule in image["smoke"]["kernels"]:
        verdict = kernels.judge(rule, rows)
        state = verdict.holds if on_meant_cpu or not rule["implementations"] else NOT_RUN
        found = verdict.found if state is not NOT_RUN else f"{verdict.found}; what is right on this CPU is not known"
        checks.append(check(f"kernels {rule['source']} {rule['operation']}", state, verdict.expected, found))
    return checks


def page(report: dict[str, Any]) -> str:
    """Lay a report out on one screen."""
    cpu = report["cpu"]
    width = max(len(one["name"]) for one in report["checks"])
    lines = [
        f"{report['combo']} on {cpu['title']}" + (f", emulated by {cpu['emulator']}" if cpu["emulator"] else ""),
        "",
    ]
    lines += [f"  {one['state']:8}{one['name']:{width}}  {one['found']}" for one in report["checks"]]
    failed = [one for one in report["checks"] if one["state"] == FAIL]
    lines += ["", *(f"{one['name']}: expected {one['expected']}, found {one['found']}" for one in failed)]
    verdict = "NOT PROVEN" if failed else "proven" if report["proven"] else "right so far, and not proven as a whole,"
    lines += [f"{verdict} in {report['seconds']:.0f} s, peak memory {report['peak_memory_bytes'] / 1e6:.0f} MB"]
    return "\n".join(lines)


def main(words: list[str]) -> int:
    """Prove the image; return the exit code."""
    image = json.loads((HOME / "image.json").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(prog="docker run IMAGE smoke", description="Proves this image on this CPU.")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output and nothing else")
    parser.add_argument(
        "--workload", choices=image["smoke"]["workloads"], action="append", help="only this one; may be repeated"
    )
    parser.add_argument("--below-floor", action="store_true", help=argparse.SUPPRESS)  # only without the entrypoint
    chosen = parser.parse_args(words)
    workloads = chosen.workload or image["smoke"]["workloads"]
    report = prove(image, workloads, machine.read_machine(os.environ), below_floor=chosen.below_floor)
    print(json.dumps(report) if chosen.json else page(report))
    return 1 if any(one["state"] == FAIL for one in report["checks"]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
