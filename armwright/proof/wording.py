"""A proof as text: a summary of about twelve lines, its whole tables, one line, and its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from armwright.proof.evidence import Evidence, Kernel, Report
from armwright.system import console
from armwright.system.console import BAD, DOUBTFUL, GOOD
from armwright.system.table_layout import Cell

FEW = 3  # combos: of each of more than these, one line is printed instead of its summary
COPIES = "reorder"  # the operation that only copies between memory layouts
NAMED = 2  # implementations of an operation that the summary names before it counts
SOURCES = {"onednn": "oneDNN kernels", "profiler": "framework kernels", "openblas": "OpenBLAS core"}
_STATES = {"pass": Cell("ok", GOOD), "fail": Cell("fail", BAD), "not run": Cell("not run", DOUBTFUL)}


def print_proof(proof: Evidence, written: str = "", *, verbose: bool = False) -> None:
    """Print a proof on stdout, without lines of other threads in between.

    Args:
        proof: the proof.
        written: the path of its evidence file; empty if it was not written.
        verbose: print the tables of all checks and kernels before the summary.
    """
    with console.block():
        if verbose:
            _print_tables(proof)
        console.facts(f"{proof.combo} on {_cpu(proof.report)}", [*_summarize(proof), ("evidence", written)])


def describe_proof(proof: Evidence) -> str:
    """Describe a proof in one line: how many checks hold, and on which CPU."""
    baseline = f"; {'wrong' if proof.above else 'right'} on {proof.baseline.cpu.emulator}" if proof.baseline else ""
    return f"{_held(proof.report)} on {_cpu(proof.report)}{baseline}"


def print_verdict(proof: Evidence, own_word: str = "") -> None:
    """Print whether a proof proves the image, and below it what failed or was not run.

    Args:
        proof: the proof.
        own_word: why the report is only the image's own word; empty if the image was compared from outside.
    """
    if proof.proves and own_word:
        console.say(
            f"{proof.combo}: every check holds by the image's own word, which is no proof: {own_word}", DOUBTFUL
        )
        return
    if proof.proves:
        console.say(f"{proof.combo}: proven", GOOD)
        return
    verdict = "NOT PROVEN" if proof.failed else "right so far, but not proven: the run was not complete"
    lines = [f"{proof.combo}: {verdict}", *list_failures(proof)]
    console.say("\n  ".join(lines), BAD if proof.failed else DOUBTFUL)


def list_failures(proof: Evidence) -> list[str]:
    """Return a text for each check that failed (expected, found, the rule and its reason) or was not run."""
    failed = [check.failure for check in proof.report.checks if check.state == "fail"]
    if proof.baseline:
        failed += [f"on the baseline CPU {proof.baseline.cpu.emulator}: {check.failure}" for check in proof.above]
    skipped = [f"{check.name}: not run, {check.found}" for check in proof.report.checks if check.state == "not run"]
    return failed + skipped


def make_proof_document(proof: Evidence) -> object:
    """Return the evidence as a JSON document."""
    return proof.model_dump(by_alias=True)


def _summarize(proof: Evidence) -> Iterator[tuple[str, str]]:
    """Yield what the summary shows: a label and a text per line."""
    report = proof.report
    checks = {check.name: check for check in report.checks}
    if "cpu" in checks:
        yield "CPU", checks["cpu"].found
    if "floor" in checks:
        yield "features", f"{checks['floor'].expected}: {checks['floor'].found}"
    if proof.baseline:
        yield "baseline CPU", _baseline(proof)
    yield "versions", ", ".join(f"{name} {version}" for name, version in report.versions.items())
    yield from _kernels(report)
    yield "right answers", _answers(report)
    yield "not run", ", ".join(dict.fromkeys(run.dtype for run in report.not_run if run.dtype not in _dtypes(report)))
    sizes = [f"{console.megabytes(proof.compressed_bytes)} compressed"]
    sizes += [f"{console.megabytes(proof.unpacked_bytes)} unpacked"] if proof.unpacked_bytes else []
    yield "size", f"{', '.join(sizes)}; peak memory {console.megabytes(report.peak_memory_bytes)}"
    speed = " (emulated: not a measure of speed)" if report.cpu.emulator else ""
    yield "proof", f"{_held(report)}, in {report.seconds:.0f} s{speed}"


def _kernels(report: Report) -> Iterator[tuple[str, str]]:
    """Yield a line for each library that reported kernels: its operations, by which implementations, how often."""
    sources: dict[str, dict[str, Counter[str]]] = {}
    for kernel in [*(kernel for run in report.runs for kernel in run.kernels), *report.loaded]:
        if kernel.operation != COPIES:
            operations = sources.setdefault(kernel.source, {})
            operations.setdefault(kernel.operation, Counter())[kernel.implementation] += kernel.calls
    for source, label in SOURCES.items():
        if source == "openblas":
            cores = [core for calls in sources.get(source, {}).values() for core in calls]
            yield label, ", ".join(cores)
        else:
            operations = sources.get(source, {})
            yield label, "; ".join(f"{operation} {_implementations(operations[operation])}" for operation in operations)


def _implementations(calls: Counter[str]) -> str:
    """List implementations with their calls, those that ran most first: "gemm:acl x64, jit:sve x17, 2 others x3"."""
    ranked = calls.most_common()
    named = [f"{name} x{count}" for name, count in ranked[:NAMED]]
    others = ranked[NAMED:]
    return ", ".join([*named, *([f"{len(others)} others x{sum(count for _, count in others)}"] if others else [])])


def _answers(report: Report) -> str:
    """Count, for each data type, the workloads whose answers and metric are right: "fp32 7 of 7, bf16 5 of 6"."""
    failed = {check.name for check in report.checks if check.state == "fail"}
    right: dict[str, list[bool]] = {}
    for run in report.runs:
        name = f"{run.workload} {run.dtype}"
        right.setdefault(run.dtype, []).append(failed.isdisjoint({f"answers {name}", f"{run.metric.name} {name}"}))
    return ", ".join(f"{dtype} {sum(runs)} of {len(runs)}" for dtype, runs in right.items())


def _dtypes(report: Report) -> set[str]:
    return {run.dtype for run in report.runs}


def _held(report: Report) -> str:
    held = sum(check.state == "pass" for check in report.checks)
    return f"{held} of {len(report.checks)} checks hold"


def _cpu(report: Report) -> str:
    return report.cpu.title + (f", emulated by {report.cpu.emulator}" if report.cpu.emulator else "")


def _baseline(proof: Evidence) -> str:
    """Describe the run on the baseline CPU: what was wrong, or that the answers were right and what was not run."""
    wrong = "; ".join(f"{check.name}: {check.found}" for check in proof.above)
    dtypes = dict.fromkeys(name.split()[-1] for name in proof.left_out)
    return wrong or ("right answers" + (f"; not run: {', '.join(dtypes)}, which this CPU lacks" if dtypes else ""))


def _print_tables(proof: Evidence) -> None:
    """Print every check, every kernel rule with its reason, every kernel, and the reasons for what was not run."""
    report = proof.report
    columns = ["check", "state", "expected", "found"]
    rows: list[list[str | Cell]] = [
        [check.name, _STATES[check.state], check.expected, check.found] for check in report.checks
    ]
    console.table(f"{report.combo} on {_cpu(report)}", columns, rows)
    if proof.baseline:
        state = _STATES["fail" if proof.above else "pass"]
        rows = [["nothing above the floor", state, "right answers on the baseline CPU", _baseline(proof)]]
        console.table(f"{report.combo} on {_cpu(proof.baseline)}", columns, rows)
    rules = [[check.rule, check.expected, check.reason] for check in report.checks if check.rule]
    if rules:
        console.table("kernel rules", ["rule", "expected kernels", "reason"], rules)
    kernels = [(run.workload, run.dtype, kernel) for run in report.runs for kernel in run.kernels]
    kernels += [("", "", kernel) for kernel in report.loaded]
    console.table(
        "kernels",
        ["workload", "data type", "reported by", "operation", "implementation", "types", "calls"],
        [_kernel_row(*row) for row in kernels if row[2].operation != COPIES],
    )
    for reason in dict.fromkeys(run.reason for run in report.not_run):
        skipped = [run for run in report.not_run if run.reason == reason]
        dtypes = ", ".join(dict.fromkeys(run.dtype for run in skipped))
        console.say(f"not run: {dtypes} ({', '.join(dict.fromkeys(run.workload for run in skipped))}): {reason}")


def _kernel_row(workload: str, dtype: str, kernel: Kernel) -> list[str]:
    what = [kernel.source, kernel.operation, kernel.implementation, kernel.types]
    return [workload, dtype, *what, str(kernel.calls)]
