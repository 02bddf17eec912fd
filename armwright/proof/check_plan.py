"""Checks evidence against a plan: every check, run and kernel that the facts of its image require.

This repeats on purpose what scripts/smoke decides inside an image. The two are written separately and share no code: an
error there, or an image that was changed to require less of itself, is noticed here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from armwright.plan.image_facts import HOME
from armwright.plan.plan import Plan
from armwright.proof.check_evidence import Problem, list_reports
from armwright.proof.evidence import Evidence, Kernel, NotRun, Report, Run
from armwright.recipes.targets import BaselineCpu, Target

IN_IMAGE = f"image/{HOME}"
ALWAYS = ("floor", "cpu", "user", "files", "precision", "import", "version python", "kernels known")
ImageFacts = Mapping[str, Any]


@dataclass(frozen=True)
class Requirements:
    """What a plan requires of a report.

    Attributes:
        image: the facts in the image, image.json.
        runs: by workload and data type, the numbers and operations of the manifest; None if the run is left out.
    """

    image: ImageFacts
    runs: Mapping[tuple[str, str], ImageFacts | None]

    @property
    def rules(self) -> list[ImageFacts]:
        """The kernel rules of the recipe for this target and version."""
        rules: list[ImageFacts] = self.image["smoke"]["kernels"]
        return rules

    @property
    def checks(self) -> list[str]:
        """The checks that every report must have, besides those of its runs."""
        versions = [self.image["distribution"], *self.image["backend"]["versions"]]
        return [*ALWAYS, *(f"version {name}" for name in versions), *map(_check_name, self.rules)]


def find_shortfalls(proof: Evidence, plan: Plan) -> list[Problem]:
    """List where evidence falls short of a plan; verify.py compares the digests."""
    target, required = plan.combo.target, read_requirements(plan)
    problems = []
    for prefix, report in list_reports(proof):
        emulator = target.emulator if report is proof.report else target.emulator.baseline
        skips = emulator.skips if isinstance(emulator, BaselineCpu) else []
        shortfalls = [*_find_in_report(report, required, skips)]
        if report.cpu.emulator and (emulator is None or report.cpu.emulator.partition(" ")[2] != emulator.cpu):
            expected = emulator.cpu if emulator else "none"
            shortfalls.append(
                Problem("cpu", f"it ran on {report.cpu.emulator}, the target's emulated CPU is {expected}")
            )
        if report is proof.report:
            shortfalls += [*_find_in_cpu(report, target), *_find_in_kernels(report, required)]
        problems += [Problem(problem.part, f"{prefix}{problem.text}") for problem in shortfalls]
    if proof.match not in {"real", target.emulator.match}:
        text = f"the match is {proof.match!r}, but that of the target's emulated CPU is {target.emulator.match!r}"
        problems.append(Problem("emulator", text))
    return problems


def read_requirements(plan: Plan) -> Requirements:
    """Read what a plan requires from the files that it puts into the image."""
    image = json.loads(plan.files[f"{IN_IMAGE}/image.json"])
    runs: dict[tuple[str, str], ImageFacts | None] = {}
    for name in image["smoke"]["workloads"]:
        own = _read_manifest(plan, name)
        manifest = {**_read_manifest(plan, own.get("shares", name)), "skips": own.get("skips", [])}
        for dtype in image["dtypes"]:
            runs[name, dtype["name"]] = _required_run(manifest, dtype, image)
    return Requirements(image, runs)


def _read_manifest(plan: Plan, workload: str) -> ImageFacts:
    manifest: ImageFacts = json.loads(plan.files[f"{IN_IMAGE}/smoke/{workload}/manifest.json"])
    return manifest


def _required_run(manifest: ImageFacts, dtype: ImageFacts, image: ImageFacts) -> ImageFacts | None:
    """Return the numbers and operations of a run; None if it is left out."""
    name = dtype["name"]
    skipped = any(
        skip.get("dialect", image["dialect"]) == image["dialect"]
        and skip.get("backend", image["backend"]["name"]) == image["backend"]["name"]
        and skip.get("state", dtype["state"]) == dtype["state"]
        and name in skip.get("dtypes", [name])
        for skip in manifest.get("skips", [])
    )
    if dtype["state"] == "not run" or name not in manifest["dtypes"] or skipped:
        return None
    return {**manifest["metric"], **manifest["dtypes"][name], "operations": manifest["operations"]}


def _find_in_cpu(report: Report, target: Target) -> Iterator[Problem]:
    cpu = report.cpu
    missing = sorted(set(target.floor) - set(cpu.features))
    if missing:
        yield Problem("cpu", f"the CPU lacks {' '.join(missing)}")
    if not all(any(fnmatchcase(part, pattern) for pattern in target.parts) for part in cpu.parts or [""]):
        parts = " ".join(cpu.parts) or "not known"
        yield Problem("cpu", f"the CPU part is {parts}, expected {' '.join(target.parts)}")
    if target.vector_bytes not in {None, cpu.vector_bytes}:
        yield Problem("cpu", f"the CPU has vectors of {cpu.vector_bytes} bytes, expected {target.vector_bytes}")


def _find_in_report(report: Report, required: Requirements, skips: Collection[str]) -> Iterator[Problem]:
    yield from _find_in_checks(report, required)
    versions = {required.image["distribution"]: required.image["version"], **required.image["backend"]["versions"]}
    for name, version in versions.items():
        if report.versions.get(name) != version:
            yield Problem("versions", f"{name} is {report.versions.get(name, 'missing')}, expected {version}")
    done: dict[tuple[str, str], Run | NotRun] = {(run.workload, run.dtype): run for run in report.not_run}
    done |= {(run.workload, run.dtype): run for run in report.runs}
    for key, numbers in required.runs.items():
        if key in done or key[1] not in skips:
            yield from _find_in_run(" ".join(key), done.get(key), numbers)
    for key in done.keys() - required.runs.keys():
        yield Problem("runs", f"{' '.join(key)} is not in the plan")


def _find_in_checks(report: Report, required: Requirements) -> Iterator[Problem]:
    """Require every check of the plan, and that each names the plan's kernel rule and reason, or none."""
    present = {check.name for check in report.checks}
    for name in required.checks:
        if name not in present:
            yield Problem("checks", f"the check {name!r} is missing")
    rules = {_check_name(rule): (rule["id"], rule["reason"]) for rule in required.rules}
    for check in report.checks:
        rule, reason = rules.get(check.name, ("", ""))
        if check.rule != rule:
            yield Problem("rules", f"{check.name}: the rule is {check.rule or 'none'}, expected {rule or 'none'}")
        elif check.reason != reason:
            yield Problem("rules", f"{check.name}: the reason is {check.reason!r}, in the plan it is {reason!r}")


def _find_in_run(name: str, done: Run | NotRun | None, numbers: ImageFacts | None) -> Iterator[Problem]:
    if done is None:
        yield Problem("runs", f"{name} is missing")
    elif isinstance(done, NotRun) != (numbers is None):
        yield Problem("runs", f"{name} was {'not ' if numbers else ''}run, but the plan says otherwise")
    elif isinstance(done, Run) and numbers is not None:
        expected, actual = f"{numbers['name']} {numbers['minimum']:g}", f"{done.metric.name} {done.metric.minimum:g}"
        if expected != actual:
            yield Problem("metric", f"{name}: the minimum was {actual}, but the manifest says {expected}")


def _find_in_kernels(report: Report, required: Requirements) -> Iterator[Problem]:
    """Compare every kernel in the tables with the rules, regardless of what the checks say."""
    rows = [(run.workload, run.dtype, kernel) for run in report.runs for kernel in run.kernels]
    rows += [("", "", kernel) for kernel in report.loaded]
    for workload, dtype, kernel in rows:
        where = " ".join(filter(None, (workload, dtype))) or "library loading"
        name = f"{kernel.source} {kernel.operation} by {kernel.implementation}"
        covering = [rule for rule in required.rules if _covers(rule, dtype, kernel)]
        if not covering:
            yield Problem("kernels", f"{where}: no rule covers {name}")
        for rule in covering:
            if not _allows(rule, kernel):
                yield Problem("kernels", f"{where}: rule {rule['id']} does not allow {name}: {rule['reason']}")
    for rule in required.rules:
        if rule["implementations"] and not rule["optional"]:
            ran = {(workload, dtype) for workload, dtype, kernel in rows if _covers(rule, dtype, kernel)}
            for key in _runs_with_kernel(rule, required):
                if key not in ran:
                    where = " ".join(key).strip() or "library loading"
                    yield Problem("kernels", f"{where}: no kernel of rule {rule['id']} ran: {rule['reason']}")


def _covers(rule: ImageFacts, dtype: str, kernel: Kernel) -> bool:
    of_dtype = rule["dtypes"] is None or not dtype or dtype in rule["dtypes"]
    return kernel.source == rule["source"] and of_dtype and fnmatchcase(kernel.operation, rule["operation"])


def _allows(rule: ImageFacts, kernel: Kernel) -> bool:
    of_types = rule["types"] == "*" or fnmatchcase(kernel.types, rule["types"])
    return of_types and any(fnmatchcase(kernel.implementation, pattern) for pattern in rule["implementations"])


def _runs_with_kernel(rule: ImageFacts, required: Requirements) -> list[tuple[str, str]]:
    """List the runs that must show a kernel of a rule; OpenBLAS reports its core once, when it is loaded."""
    if rule["source"] == "openblas":
        return [("", "")]
    return [
        key
        for key, numbers in required.runs.items()
        if numbers and rule["operation"] in numbers["operations"] and key[1] in (rule["dtypes"] or [key[1]])
    ]


def _check_name(rule: ImageFacts) -> str:
    return f"kernels {rule['id']}"
