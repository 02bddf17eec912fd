"""What a plan demands of a report: every check, every run and every kernel that its image's facts ask for.

Written apart from scripts/smoke, which says the same from inside an image: a mistake there, or an image that asks less
of itself, is noticed here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from armwright.plan.image_facts import HOME
from armwright.plan.plan import Plan
from armwright.proof.check_evidence import Problem, reports
from armwright.proof.evidence import Evidence, Kernel, NotRun, Report, Run
from armwright.recipes.targets import BaselineCpu, Target

IN_IMAGE = f"image/{HOME}"
ALWAYS = ("floor", "cpu", "user", "files", "import", "version python", "kernels known")
ImageFacts = Mapping[str, Any]


@dataclass(frozen=True)
class Demands:
    """A plan's demands.

    Attributes:
        image: the facts in the image, image.json.
        runs: by workload and data type, the manifest's numbers and its operations; None for what is not run.
    """

    image: ImageFacts
    runs: Mapping[tuple[str, str], ImageFacts | None]

    @property
    def checks(self) -> list[str]:
        """The checks that every report must have, besides those of its runs."""
        versions = [self.image["distribution"], *self.image["backend"]["versions"]]
        rules = [_name(rule) for rule in self.image["smoke"]["kernels"]]
        precision = ["precision"] if self.image["fast_math"] else []
        return [*ALWAYS, *precision, *(f"version {name}" for name in versions), *rules]


def find_shortfalls(proof: Evidence, one: Plan) -> list[Problem]:
    """Say in what evidence falls short of a plan; its digests are compared elsewhere."""
    target, asked = one.combo.target, demands(one)
    found = []
    for name, report in reports(proof):
        emulator = target.emulator if report is proof.report else target.emulator.smaller
        skips = emulator.skips if isinstance(emulator, BaselineCpu) else []
        complaints = [*_report(report, asked, skips)]
        if report.cpu.emulator and (emulator is None or report.cpu.emulator.partition(" ")[2] != emulator.cpu):
            told = emulator.cpu if emulator else "none"
            complaints.append(Problem("cpu", f"it ran on {report.cpu.emulator}, and the emulator's CPU is {told}"))
        if report is proof.report:
            complaints += [*_cpu(report, target), *_kernels(report, asked)]
        found += [Problem(one.part, f"{name}{one.words}") for one in complaints]
    if proof.match not in {"real", target.emulator.match}:
        found.append(Problem("emulator", f"the match is {proof.match!r}, and the target's {target.emulator.match!r}"))
    return found


def demands(plan: Plan) -> Demands:
    """Read a plan's demands out of what it puts into the image."""
    image = json.loads(plan.files[f"{IN_IMAGE}/image.json"])
    runs: dict[tuple[str, str], ImageFacts | None] = {}
    for name in image["smoke"]["workloads"]:
        own = _manifest(plan, name)
        manifest = {**_manifest(plan, own.get("shares", name)), "skips": own.get("skips", [])}
        for dtype in image["dtypes"]:
            runs[name, dtype["name"]] = _asked(manifest, dtype, image)
    return Demands(image, runs)


def _manifest(plan: Plan, name: str) -> ImageFacts:
    manifest: ImageFacts = json.loads(plan.files[f"{IN_IMAGE}/smoke/{name}/manifest.json"])
    return manifest


def _asked(manifest: ImageFacts, dtype: ImageFacts, image: ImageFacts) -> ImageFacts | None:
    """Return a run's numbers; None where it is left out."""
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


def _cpu(report: Report, target: Target) -> Iterator[Problem]:
    cpu = report.cpu
    missing = sorted(set(target.floor) - set(cpu.features))
    if missing:
        yield Problem("cpu", f"the CPU lacks {' '.join(missing)}")
    if not all(any(fnmatchcase(part, meant) for meant in target.parts) for part in cpu.parts or [""]):
        yield Problem("cpu", f"the CPU is {' '.join(cpu.parts) or 'not shown'}, meant is {' '.join(target.parts)}")
    if target.vector_bytes not in {None, cpu.vector_bytes}:
        yield Problem("cpu", f"its vectors have {cpu.vector_bytes} bytes, meant are {target.vector_bytes}")


def _report(report: Report, asked: Demands, skips: Collection[str]) -> Iterator[Problem]:
    present = {check.name for check in report.checks}
    for name in asked.checks:
        if name not in present:
            yield Problem("checks", f"the check {name!r} is missing")
    versions = {asked.image["distribution"]: asked.image["version"], **asked.image["backend"]["versions"]}
    for name, version in versions.items():
        if report.versions.get(name) != version:
            yield Problem("versions", f"{name} is {report.versions.get(name, 'missing')}, expected {version}")
    done: dict[tuple[str, str], Run | NotRun] = {(one.workload, one.dtype): one for one in report.not_run}
    done |= {(one.workload, one.dtype): one for one in report.runs}
    for key, numbers in asked.runs.items():
        if key in done or key[1] not in skips:
            yield from _run(" ".join(key), done.get(key), numbers)
    for key in done.keys() - asked.runs.keys():
        yield Problem("runs", f"{' '.join(key)} is there, and the plan has none")


def _run(name: str, done: Run | NotRun | None, numbers: ImageFacts | None) -> Iterator[Problem]:
    if done is None:
        yield Problem("runs", f"{name} is missing")
    elif isinstance(done, NotRun) != (numbers is None):
        yield Problem("runs", f"{name} was {'not ' if numbers else ''}run, and the plan says otherwise")
    elif isinstance(done, Run) and numbers is not None:
        meant, told = f"{numbers['name']} {numbers['minimum']:g}", f"{done.metric.name} {done.metric.minimum:g}"
        if meant != told:
            yield Problem("metric", f"{name}: at least {told} was asked for, and the manifest says {meant}")


def _kernels(report: Report, asked: Demands) -> Iterator[Problem]:
    """Hold every kernel in the tables against the recipe's rules, whatever the checks say."""
    rows = [(run.workload, run.dtype, one) for run in report.runs for one in run.kernels]
    rows += [("", "", one) for one in report.loaded]
    rules = asked.image["smoke"]["kernels"]
    for workload, dtype, row in rows:
        speaking = [rule for rule in rules if _speaks(rule, dtype, row)]
        if not speaking or not all(_allows(rule, row) for rule in speaking):
            where = " ".join(filter(None, (workload, dtype))) or "when it was loaded"
            what = "no rule speaks of" if not speaking else "the recipe has another kernel than"
            yield Problem("kernels", f"{where}: {what} {row.source} {row.operation} by {row.implementation}")
    for rule in rules:
        if rule["implementations"] and not rule["optional"]:
            ran = {(workload, dtype) for workload, dtype, row in rows if _speaks(rule, dtype, row)}
            for key in _expected(rule, asked):
                if key not in ran:
                    yield Problem("kernels", f"{' '.join(key).strip() or 'loading'}: no {_name(rule)[8:]} was seen")


def _speaks(rule: ImageFacts, dtype: str, row: Kernel) -> bool:
    of_dtype = rule["dtypes"] is None or not dtype or dtype in rule["dtypes"]
    return of_dtype and row.source == rule["source"] and fnmatchcase(row.operation, rule["operation"])


def _allows(rule: ImageFacts, row: Kernel) -> bool:
    of_types = rule["types"] == "*" or fnmatchcase(row.types, rule["types"])
    return of_types and any(fnmatchcase(row.implementation, one) for one in rule["implementations"])


def _expected(rule: ImageFacts, asked: Demands) -> list[tuple[str, str]]:
    """Name the runs that must show a kernel; OpenBLAS names its core once, when it is loaded."""
    if rule["source"] == "openblas":
        return [("", "")]
    return [
        key
        for key, numbers in asked.runs.items()
        if numbers and rule["operation"] in numbers["operations"] and key[1] in (rule["dtypes"] or [key[1]])
    ]


def _name(rule: ImageFacts) -> str:
    return " ".join(["kernels", rule["source"], rule["operation"], *(rule["dtypes"] or [])])
