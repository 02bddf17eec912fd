"""Checks evidence against itself: the verdict is recomputed from the runs and the checks, and not believed.

`read_evidence` rejects anything that is not exactly an evidence document; `find_contradictions` finds what is wrong in
one. The comparison with a plan is in check_plan.py, that of an image with its plan in check_image.py.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

from pydantic import ValidationError

from armwright.proof import evidence
from armwright.proof.evidence import Evidence, Report, Run

Key = TypeVar("Key", bound=Hashable)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Problem(NamedTuple):
    """Why evidence is rejected: the part that is wrong, and one sentence."""

    part: str
    text: str


class InvalidEvidenceError(Exception):
    """A document is not evidence; the message says where."""


def read_evidence(text: str) -> Evidence:
    """Parse evidence strictly: one JSON document, no unknown or repeated key, only finite numbers.

    Raises:
        InvalidEvidenceError: the text is anything else.
    """
    try:
        return Evidence.model_validate(read_json(text))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise InvalidEvidenceError(f"{place}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidEvidenceError(f"not a JSON document: {error}") from error


def read_json(text: str) -> Any:  # noqa: ANN401 - a JSON document
    """Parse one JSON document without repeated keys, and with finite numbers only.

    Raises:
        ValueError: the text is anything else.
    """
    return json.loads(
        text, object_pairs_hook=_reject_repeated_keys, parse_constant=_reject_constant, parse_float=_parse_finite
    )


def read_stored_evidence(root: Path, combo: str) -> Evidence | None:
    """Read the evidence of a combo from build/evidence; None if there is none, or the file is not evidence."""
    try:
        return read_evidence(evidence.evidence_path(root, combo).read_text(encoding="utf-8"))
    except (InvalidEvidenceError, OSError, UnicodeDecodeError):
        return None


def _reject_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError(f"the key {_find_repeated(name for name, _ in pairs)[0]!r} appears more than once")
    return document


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _parse_finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large for a number")
    return value


def find_contradictions(proof: Evidence) -> list[Problem]:
    """List what in evidence contradicts itself or keeps it from being a proof; no plan is consulted."""
    problems = list(_find_outside(proof))
    for prefix, report in list_reports(proof):
        problems += [Problem(problem.part, f"{prefix}{problem.text}") for problem in _find_in_report(report)]
    if not proof.proves:
        problems.append(Problem("verdict", "the checks are not sufficient for a proof"))
    return problems


def list_reports(proof: Evidence) -> list[tuple[str, Report]]:
    """Return the report, and that of the baseline CPU if there is one, each with a prefix for its problems."""
    baseline = [("on the baseline CPU: ", proof.baseline)] if proof.baseline else []
    return [("", proof.report), *baseline]


def _find_outside(proof: Evidence) -> Iterator[Problem]:
    """Find the problems of the fields around the reports."""
    for name, digest in (("image", proof.image), ("inputs", proof.inputs), ("files", proof.files)):
        if not _DIGEST.fullmatch(digest):
            yield Problem("digests", f"{name}: {digest!r} is not a sha256 digest")
    if min(proof.compressed_bytes, proof.unpacked_bytes) <= 0:
        sizes = f"{proof.compressed_bytes} bytes compressed, {proof.unpacked_bytes} unpacked"
        yield Problem("sizes", f"both sizes must be positive: {sizes}")
    if proof.unpacked_bytes < proof.compressed_bytes:
        sizes = f"{proof.unpacked_bytes} bytes unpacked, {proof.compressed_bytes} compressed"
        yield Problem("sizes", f"an image is not smaller unpacked than compressed: {sizes}")
    for _, report in list_reports(proof):
        if report.combo != proof.combo:
            yield Problem("combo", f"evidence for {proof.combo} contains a report for {report.combo}")
    real = proof.match == "real"
    if {real, not proof.emulator, not proof.report.cpu.emulator} != {real}:
        emulators = f"the emulator is {proof.emulator!r}, and {proof.report.cpu.emulator!r} in the report"
        yield Problem("emulator", f"the match is {proof.match!r}, but {emulators}")
    model = proof.report.cpu.emulator.partition(" ")[2]
    if model and not proof.emulator.partition(", ")[2].startswith(f"{model}:"):
        yield Problem("emulator", f"the emulator is {proof.emulator!r}, but the CPU in the report is {model}")
    if (proof.match == "superset") != (proof.baseline is not None):
        run = "a run" if proof.baseline else "no run"
        yield Problem("emulator", f"the match is {proof.match!r}, but there is {run} on the baseline CPU")


def _find_in_report(report: Report) -> Iterator[Problem]:
    states = {check.name: check.state for check in report.checks}
    runs = [(run.workload, run.dtype) for run in report.runs]
    left_out = [(run.workload, run.dtype) for run in report.not_run]
    for name in _find_repeated(check.name for check in report.checks):
        yield Problem("checks", f"the check {name!r} appears more than once")
    for workload, dtype in _find_repeated([*runs, *left_out]):
        yield Problem("runs", f"{workload} {dtype} appears more than once")
    if report.passed != all(state == "pass" for state in states.values()):
        yield Problem("verdict", f"the report says passed: {json.dumps(report.passed)}, but its checks disagree")
    for check in report.checks:
        if check.state == "fail":
            yield Problem("checks", check.failure)
    for run in report.runs:
        yield from _find_in_run(run, states)
    for skipped in report.not_run:
        if not skipped.reason.strip():
            yield Problem("not run", f"{skipped.workload} {skipped.dtype} was not run, without a reason")
    yield from _find_in_measurements(report)


def _find_in_measurements(report: Report) -> Iterator[Problem]:
    if report.cpu.cpus < 1:
        yield Problem("cpu", f"the report is of {report.cpu.cpus} CPUs")
    if report.peak_memory_bytes <= 0 or min([report.seconds, *(run.seconds for run in report.runs)]) < 0:
        yield Problem("sizes", "the peak memory is not positive, or a time is negative")


def _find_in_run(run: Run, states: Mapping[str, str]) -> Iterator[Problem]:
    name, metric = f"{run.workload} {run.dtype}", run.metric
    if run.samples <= 0:
        yield Problem("runs", f"{name} has no samples")
    if not 0 <= run.worst <= 1 or run.largest_error < 0:
        yield Problem("answers", f"{name}: the worst answer is {run.worst:.3g} times the tolerance")
    if metric.value < metric.minimum:
        yield Problem("metric", f"{name}: {metric.name} is {metric.value:g}, the minimum is {metric.minimum:g}")
    for check in (f"answers {name}", f"{metric.name} {name}"):
        if states.get(check) != "pass":
            yield Problem("checks", f"{name} was run, but the check {check!r} is {states.get(check, 'missing')}")
    if any(kernel.calls <= 0 for kernel in run.kernels):
        yield Problem("kernels", f"{name}: a kernel has no calls")


def _find_repeated(names: Iterable[Key]) -> list[Key]:
    return [name for name, number in Counter(names).items() if number > 1]
