"""What differs between two proofs, as rows of words: CPU, versions, checks, answers, kernels, sizes; times if asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from armwright.proof.evidence import Evidence, Kernel, Report, Run, fingerprint, steady

NONE = "-"


class Difference(NamedTuple):
    """Something that two proofs do not have in common: what it is, and how each has it."""

    what: str
    first: str
    second: str


def compare_evidence(first: Evidence, second: Evidence, *, times: bool = False) -> list[Difference]:
    """Compare two proofs.

    Args:
        first: the one.
        second: the other.
        times: compare times and memory too, which no two runs have in common.

    Returns:
        no row exactly when they are the same but for times and memory.
    """
    rows = list(_rows(_outside(first), _outside(second)))
    pairs = [("", first.report, second.report)]
    if first.smaller and second.smaller:
        pairs.append(("smaller CPU: ", first.smaller, second.smaller))
    for name, one, other in pairs:
        rows += [row._replace(what=f"{name}{row.what}") for row in _rows(_inside(one), _inside(other))]
        if times:
            rows += [row._replace(what=f"{name}{row.what}") for row in _rows(_times(one), _times(other))]
    if not rows and fingerprint(first) != fingerprint(second):  # a check's words, or the order of things
        rows = list(_rows(_leaves(first), _leaves(second)))
    return rows


def _rows(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[Difference]:
    for what in dict.fromkeys([*first, *second]):
        one, other = first.get(what, NONE), second.get(what, NONE)
        if one != other:
            yield Difference(what, one, other)


def _outside(proof: Evidence) -> dict[str, str]:
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
        "run on a smaller CPU": "yes" if proof.smaller else "no",
    }


def _inside(report: Report) -> dict[str, str]:
    cpu = report.cpu
    rows = {
        "proven": "yes" if report.proven else "no",
        "cpu": f"{cpu.title} ({' '.join(cpu.parts)})",
        "cpu emulated by": cpu.emulator or "none: a real CPU",
        "cpus": str(cpu.cpus),
        "vector bytes": str(cpu.vector_bytes),
        **{f"cpu feature {name}": "there" for name in cpu.features},
        **{f"version {name}": version for name, version in report.versions.items()},
        **{f"check {check.name}": check.state for check in report.checks},
        **{f"{one.workload} {one.dtype}": f"not run: {one.reason}" for one in report.not_run},
    }
    for run in report.runs:
        rows |= _run(run)
    return rows | _kernels("loading", report.loaded)


def _run(run: Run) -> dict[str, str]:
    name = f"{run.workload} {run.dtype}"
    return {
        name: f"{run.samples} samples",
        f"{name} {run.metric.name}": f"{run.metric.value:g}, at least {run.metric.minimum:g}",
        f"{name} largest error": f"{run.largest_error:.6g}, {run.worst:.6g} of what is tolerated",
        **_kernels(name, run.kernels),
    }


def _kernels(where: str, kernels: list[Kernel]) -> dict[str, str]:
    """Name what computed each operation: a kernel that took another's place is one row, not two."""
    rows: dict[str, list[str]] = {}
    for one in kernels:
        operation = " ".join(filter(None, (f"{where}: {one.source} {one.operation}", one.types)))
        rows.setdefault(operation, []).append(f"{one.implementation} x{one.calls}")
    return {operation: ", ".join(sorted(found)) for operation, found in rows.items()}


def _times(report: Report) -> dict[str, str]:
    runs = {f"{run.workload} {run.dtype} seconds": f"{run.seconds:.3f}" for run in report.runs}
    return {**runs, "seconds": f"{report.seconds:.1f}", "peak memory": f"{report.peak_memory_bytes} bytes"}


def _leaves(proof: Evidence) -> dict[str, str]:
    found: dict[str, str] = {}

    def walk(place: str, data: object) -> None:
        parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else None
        if parts is None:
            found[place] = repr(data)
            return
        for name, value in parts:
            walk(f"{place}.{name}".strip("."), value)

    walk("", steady(proof.model_dump(by_alias=True)))
    return found
