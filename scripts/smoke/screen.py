"""The report as text: the checks, each workload in each data type, the kernels, and the runs that were skipped."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from checks import FAIL, NOT_RUN, PASS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MOVES = "reorder"  # copies between layouts: no arithmetic
SIGNS = {PASS: "ok", FAIL: "FAIL", NOT_RUN: "-"}


def page(report: Mapping[str, Any]) -> str:
    """Format a report for one screen."""
    cpu, checks = report["cpu"], report["checks"]
    failed = [check for check in checks if check["state"] == FAIL]
    emulated = f", emulated by {cpu['emulator']}" if cpu["emulator"] else ""
    of_runs = {
        f"{head} {run['workload']} {run['dtype']}"
        for run in report["runs"]
        for head in ("answers", run["metric"]["name"])
    }
    machine = [
        check
        for check in checks
        if check["name"] not in of_runs and not check["name"].startswith(("kernels ", "version ", "run "))
    ]
    lines = [f"{report['combo']} on {cpu['title']}{emulated}", ""]
    rows = [[SIGNS[check["state"]], check["name"], check["found"]] for check in machine]
    versions = [check for check in checks if check["name"].startswith("version ")]
    if versions:
        state = FAIL if any(check["state"] == FAIL for check in versions) else PASS
        text = ", ".join(f"{check['name'].partition(' ')[2]} {check['found']}" for check in versions)
        rows.append([SIGNS[state], "versions", text])
    lines += _rows(rows)
    lines += ["", *_rows(_workloads(report, {check["name"] for check in failed})), "", *_rows(_kernels(report))]
    lines += ["", *_not_run(report["not_run"])]
    lines += [_failure(check) for check in failed]
    passed = (
        "every check passed by the image's own word" if report["passed"] else "no check failed, but not all were run,"
    )
    speed = " (emulated: says nothing about speed)" if emulated else ""
    memory = report["peak_memory_bytes"] / 1e6
    verdict = f"{'FAILED' if failed else passed} in {report['seconds']:.0f} s{speed}, peak memory {memory:.0f} MB"
    return "\n".join([*lines, verdict])


def _failure(check: Mapping[str, str]) -> str:
    """Describe a failed check; a kernel check adds the reason of its rule."""
    reason = f"; rule {check['rule']}: {check['reason']}" if check.get("rule") else ""
    return f"{check['name']}: expected {check['expected']}, found {check['found']}{reason}"


def _workloads(report: Mapping[str, Any], failed: Iterable[str]) -> Iterator[list[str]]:
    """Yield a row for each workload: its metric in each data type."""
    runs = {(run["workload"], run["dtype"]): run for run in report["runs"]}
    dtypes = list(dict.fromkeys(dtype for _, dtype in runs))
    if runs:
        yield ["workload", "metric", *dtypes]
    for name in dict.fromkeys(workload for workload, _ in runs):
        cells, metric = [], ""
        for dtype in dtypes:
            run = runs.get((name, dtype))
            if run is None:
                cells.append("-")
                continue
            metric = run["metric"]["name"]
            wrong = {f"answers {name} {dtype}", f"{metric} {name} {dtype}"} & set(failed)
            cells.append(f"{run['metric']['value']:.4f}" + (" FAIL" if wrong else ""))
        yield [name, metric, *cells]


def _kernels(report: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield a row for each operation and each set of kernels that computed it: the data types, and the calls."""
    counts: dict[str, dict[str, Counter[str]]] = {}
    for run in report["runs"]:
        for kernel in run["kernels"]:
            if kernel["operation"] != MOVES:
                by_dtype = counts.setdefault(kernel["operation"], {})
                by_dtype.setdefault(run["dtype"], Counter())[kernel["implementation"]] += kernel["calls"]
    if counts:
        yield ["operation", "data types", "computed by"]
    for operation, by_dtype in counts.items():
        same: dict[str, list[str]] = {}
        for dtype, kernels in by_dtype.items():
            same.setdefault(", ".join(sorted(kernels)), []).append(dtype)
        for dtypes in same.values():
            total = sum((by_dtype[dtype] for dtype in dtypes), Counter())
            named = ", ".join(f"{name} x{calls}" for name, calls in sorted(total.items()))
            yield [operation, " ".join(dtypes), named]
    for kernel in report["loaded"]:
        yield [kernel["operation"], "at load", f"{kernel['source']} {kernel['implementation']}"]


def _not_run(skipped: Sequence[Mapping[str, str]]) -> list[str]:
    """Return a line for each reason with the runs that were skipped for it."""
    reasons: dict[str, list[Mapping[str, str]]] = {}
    for run in skipped:
        reasons.setdefault(run["reason"], []).append(run)
    lines = []
    for reason, runs in reasons.items():
        dtypes = " ".join(dict.fromkeys(run["dtype"] for run in runs))
        workloads = dict.fromkeys(run["workload"] for run in runs)
        where = f" ({', '.join(workloads)})" if len(workloads) < len({run["workload"] for run in skipped}) else ""
        lines.append(f"not run: {dtypes}{where}: {reason}")
    return lines


def _rows(rows: Iterable[Sequence[str]]) -> list[str]:
    """Align rows in columns."""
    table = [list(row) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*(row[:-1] for row in table))]
    return ["  " + "  ".join([*(f"{cell:{width}}" for cell, width in zip(row, widths)), row[-1]]) for row in table]
