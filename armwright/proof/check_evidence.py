"""Evidence judged again, from its parts: what it says of itself is not believed, and nothing but evidence passes.

`read` refuses what is no evidence to the letter; `problems` recomputes the verdict from the runs and the checks. What a
plan demands besides is in demands.py.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn, TypeVar

from pydantic import ValidationError

from armwright.proof.evidence import Evidence, Report, Run

Key = TypeVar("Key", bound=Hashable)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Problem(NamedTuple):
    """Why evidence is refused: the part of it that is wrong, and a sentence."""

    part: str
    words: str


class NoEvidenceError(Exception):
    """A document is not evidence; its text says where."""


def read_evidence(text: str) -> Evidence:
    """Read evidence, strictly: one JSON document with these fields and no other, each once, every number finite.

    Raises:
        NoEvidenceError: it is something else.
    """
    try:
        document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)
        return Evidence.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise NoEvidenceError(f"{place}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise NoEvidenceError(f"it is no JSON document of evidence: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    repeated = [name for name, number in Counter(name for name, _ in pairs).items() if number > 1]
    if repeated:
        raise ValueError(f"the key {repeated[0]!r} is there more than once")
    return dict(pairs)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is larger than a number can be")
    return value


def find_contradictions(proof: Evidence) -> list[Problem]:
    """Say what in evidence contradicts itself, or proves nothing; nothing is compared with a plan."""
    found = list(_frame(proof))
    for name, report in reports(proof):
        found += [Problem(one.part, f"{name}{one.words}") for one in _report(report)]
    if not proof.proves:
        found.append(Problem("verdict", "the checks do not amount to a proof"))
    return found


def reports(proof: Evidence) -> list[tuple[str, Report]]:
    """Return the report, and the one of the smaller CPU where there is one, each with words to put before."""
    smaller = [("on the smaller CPU: ", proof.smaller)] if proof.smaller else []
    return [("", proof.report), *smaller]


def _frame(proof: Evidence) -> Iterator[Problem]:
    for name, digest in (("image", proof.image), ("inputs", proof.inputs)):
        if not _DIGEST.fullmatch(digest):
            yield Problem("digests", f"{name} is {digest!r} and no sha256 digest")
    if min(proof.compressed_bytes, proof.unpacked_bytes) <= 0:
        yield Problem("sizes", f"{proof.compressed_bytes} bytes compressed, {proof.unpacked_bytes} unpacked")
    for _, report in reports(proof):
        if report.combo != proof.combo:
            yield Problem("combo", f"it is of {proof.combo}, and a report in it of {report.combo}")
    real = proof.match == "real"
    if {real, not proof.emulator, not proof.report.cpu.emulator} != {real}:
        told = f"the emulator is {proof.emulator!r}, and {proof.report.cpu.emulator!r} in the report"
        yield Problem("emulator", f"the match is {proof.match!r}, {told}")
    if (proof.match == "superset") != (proof.smaller is not None):
        yield Problem("emulator", f"the match is {proof.match!r}, with{'' if proof.smaller else 'out'} a smaller CPU")


def _report(report: Report) -> Iterator[Problem]:
    states = {check.name: check.state for check in report.checks}
    runs = [(run.workload, run.dtype) for run in report.runs]
    left_out = [(one.workload, one.dtype) for one in report.not_run]
    for name in _repeated(check.name for check in report.checks):
        yield Problem("checks", f"the check {name!r} is there more than once")
    for workload, dtype in _repeated([*runs, *left_out]):
        yield Problem("runs", f"{workload} {dtype} is there more than once")
    if report.proven != all(state == "pass" for state in states.values()):
        yield Problem("verdict", f"it says proven: {json.dumps(report.proven)}, and its checks say otherwise")
    for check in report.checks:
        if check.state == "fail":
            yield Problem("checks", f"{check.name}: expected {check.expected}, found {check.found}")
    for run in report.runs:
        yield from _run(run, states)
    for one in report.not_run:
        if not one.reason.strip():
            yield Problem("not run", f"{one.workload} {one.dtype} is not run, without a reason")
    if report.peak_memory_bytes <= 0 or min([report.seconds, *(run.seconds for run in report.runs)]) < 0:
        yield Problem("sizes", "memory or time below zero")


def _run(run: Run, states: Mapping[str, str]) -> Iterator[Problem]:
    name = f"{run.workload} {run.dtype}"
    if run.samples <= 0:
        yield Problem("runs", f"{name} answered nothing")
    if not 0 <= run.worst <= 1 or run.largest_error < 0:
        yield Problem("answers", f"{name}: the worst answer is {run.worst:.3g} of what is tolerated")
    if run.metric.value < run.metric.minimum:
        yield Problem("metric", f"{name}: {run.metric.name} is {run.metric.value:g}, at least {run.metric.minimum:g}")
    for check in (f"answers {name}", f"{run.metric.name} {name}"):
        if states.get(check) != "pass":
            yield Problem("checks", f"{name} was run, and the check {check!r} is {states.get(check, 'missing')}")
    if any(kernel.calls <= 0 for kernel in run.kernels):
        yield Problem("kernels", f"{name}: a kernel that was never called")


def _repeated(names: Iterable[Key]) -> list[Key]:
    return [name for name, number in Counter(names).items() if number > 1]
