"""Compares two proofs: CPU, versions, checks, answers, kernels and sizes, and on request times and memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from armwright.proof.evidence import Check, Evidence, Kernel, Report, Run, fingerprint, remove_unsteady

NONE = "-"


class Difference(NamedTuple):
    """A value that differs between two proofs: what it is, and both values."""

    what: str
    first: str
    second: str


def compare_evidence(first: Evidence, second: Evidence, *, times: bool = False) -> list[Difference]:
    """Compare two proofs.

    Args:
        first: a proof.
        second: another one.
        times: compare times and memory too, which differ between any two runs.

    Returns:
        one row per difference; no row if and only if the proofs are equal except for times and memory.
    """
    rows = list(_differing(_describe_outside(first), _describe_outside(second)))
    pairs = [("", first.report, second.report)]
    if first.baseline and second.baseline:
        pairs.append(("baseline CPU: ", first.baseline, second.baseline))
    for prefix, left, right in pairs:
        differences = [*_differing(_describe_report(left), _describe_report(right))]
        if times:
            differences += _differing(_describe_times(left), _describe_times(right))
        rows += [row._replace(what=f"{prefix}{row.what}") for row in differences]
    if not rows and fingerprint(first) != fingerprint(second):  # the text of a check, or the order of a list
        rows = list(_differing(_flatten(first), _flatten(second)))
    return rows


def _differing(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[Difference]:
    for what in dict.fromkeys([*first, *second]):
        left, right = first.get(what, NONE), second.get(what, NONE)
        if left != right:
            yield Difference(what, left, right)


def _describe_outside(proof: Evidence) -> dict[str, str]:
    """Describe the fields around the reports."""
    return {
        "combo": proof.combo,
        "image": proof.image,
        "inputs": proof.inputs,
        "platform": proof.platform,
        "engine": proof.engine,
        "emulator": proof.emulator or "none: a real CPU",
        "match": proof.match,
        "bytes compressed": str(proof.compressed_bytes),
        "bytes unpacked": str(proof.unpacked_bytes),
        "run on the baseline CPU": "yes" if proof.baseline else "no",
    }


def _describe_report(report: Report) -> dict[str, str]:
    cpu = report.cpu
    rows = {
        "passed": "yes" if report.passed else "no",
        "cpu": f"{cpu.title} ({' '.join(cpu.parts)})",
        "cpu emulated by": cpu.emulator or "none: a real CPU",
        "cpus": str(cpu.cpus),
        "vector bytes": str(cpu.vector_bytes),
        **{f"cpu feature {name}": "present" for name in cpu.features},
        **{f"version {name}": version for name, version in report.versions.items()},
        **{f"check {check.name}": _describe_check(check) for check in report.checks},
        **{f"{run.workload} {run.dtype}": f"not run: {run.reason}" for run in report.not_run},
    }
    for run in report.runs:
        rows |= _describe_run(run)
    return rows | _describe_kernels("library loading", report.loaded)


def _describe_check(check: Check) -> str:
    """Return a check's state; for a kernel rule, its reason too, because the name holds only the rule's id."""
    return f"{check.state}: {check.reason}" if check.reason else check.state


def _describe_run(run: Run) -> dict[str, str]:
    name = f"{run.workload} {run.dtype}"
    return {
        name: f"{run.samples} samples",
        f"{name} {run.metric.name}": f"{run.metric.value:g}, minimum {run.metric.minimum:g}",
        f"{name} largest error": f"{run.largest_error:.6g}, {run.worst:.6g} times the tolerance",
        f"{name} answers": run.answers,
        **_describe_kernels(name, run.kernels),
    }


def _describe_kernels(where: str, kernels: list[Kernel]) -> dict[str, str]:
    """List the kernels of each operation: a kernel that replaces another gives one row, not two."""
    rows: dict[str, list[str]] = {}
    for kernel in kernels:
        operation = " ".join(filter(None, (f"{where}: {kernel.source} {kernel.operation}", kernel.types)))
        rows.setdefault(operation, []).append(f"{kernel.implementation} x{kernel.calls}")
    return {operation: ", ".join(sorted(names)) for operation, names in rows.items()}


def _describe_times(report: Report) -> dict[str, str]:
    runs = {f"{run.workload} {run.dtype} seconds": f"{run.seconds:.3f}" for run in report.runs}
    return {**runs, "seconds": f"{report.seconds:.1f}", "peak memory": f"{report.peak_memory_bytes} bytes"}


def _flatten(proof: Evidence) -> dict[str, str]:
    """Return every value of a proof by its path, for example `report.checks.2.found`."""
    values: dict[str, str] = {}

    def walk(path: str, data: object) -> None:
        parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else None
        if parts is None:
            values[path] = repr(data)
            return
        for name, value in parts:
            walk(f"{path}.{name}".strip("."), value)

    walk("", remove_unsteady(proof.model_dump(by_alias=True)))
    return values
