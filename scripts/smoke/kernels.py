"""The kernels that ran: parsed from the libraries' own output, and compared with the recipe's rules.

oneDNN writes a line for each primitive it executes (onednn.py); OpenBLAS names the core it chose (`OPENBLAS_VERBOSE=2`,
on standard error); the framework's profiler names its own operators. All become the same rows, counted for each run of
a workload in a data type. A kernel that no rule covers is a failure too.
"""

from __future__ import annotations

import re
from collections import Counter
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

import onednn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TypedDict
else:
    TypedDict = dict  # Python 3.7 has no TypedDict

_CORE = re.compile(r"^Core: (?P<name>\S+)$")
_FAST_MATH = re.compile(r"attr-fpmath(?:_mode)?:(?P<mode>[a-z0-9]+)")
NAMED = 3  # kernels that a failure names; the others are counted


class Row(NamedTuple):
    """One kind of kernel in one run; a run without a name is the loading of the libraries."""

    workload: str
    dtype: str
    source: str
    operation: str
    implementation: str
    types: str = ""


class Rule(TypedDict):
    """A rule of the recipe (armwright/recipes/kernels.py, KernelRule); without implementations, nothing may run."""

    id: str
    source: str
    operation: str
    implementations: list[str]
    types: str
    dtypes: list[str] | None
    optional: bool
    reason: str


class Verdict(NamedTuple):
    """The outcome of a rule: whether it holds, what it expects, what ran."""

    holds: bool
    expected: str
    found: str


class Table:
    """The kernels that ran: how often each, and the problem of its first call."""

    def __init__(self) -> None:
        self.calls: Counter[Row] = Counter()
        self.shapes: dict[Row, str] = {}

    def add(self, row: Row, calls: int = 1, shape: str = "") -> None:
        """Count a kernel."""
        self.calls[row] += calls
        self.shapes.setdefault(row, shape)

    def update(self, other: Table) -> None:
        """Add the counts of another table."""
        for row, calls in other.calls.items():
            self.add(row, calls, other.shapes[row])

    def of(self, workload: str, dtype: str) -> list[dict[str, object]]:
        """Return the rows of one run in the format of the report."""
        return [
            {
                "source": row.source, "operation": row.operation, "implementation": row.implementation,
                "types": row.types, "calls": calls, "shape": self.shapes[row],
            }
            for row, calls in sorted(self.calls.items()) if (row.workload, row.dtype) == (workload, dtype)
        ]  # fmt: skip

    def describe(self, row: Row) -> str:
        """Describe a kernel with its types, its shape and its run."""
        detail = ", ".join(filter(None, (row.types, self.shapes[row])))
        where = f" in {row.workload} {row.dtype}" if row.workload else ""
        return f"{row.operation} by {row.implementation}" + (f" ({detail})" if detail else "") + where


def core(line: str) -> str:
    """Read OpenBLAS's report of the core it chose; empty for every other line."""
    match = _CORE.match(line.strip())
    return match["name"].lower() if match else ""


def read(lines: Iterable[str], marker: str) -> Table:
    """Read a worker's standard output.

    Args:
        lines: its lines; one of `<marker><workload> <data type>` says that a run begins, and the marker alone that it
            ended.
        marker: how such a line begins.
    """
    table = Table()
    workload = dtype = ""
    for line in lines:
        if line.startswith(marker):
            workload, _, dtype = line[len(marker) :].partition(" ")
        else:
            event = onednn.read(line)
            if event is not None:
                mode = _FAST_MATH.search(event.attributes)
                types = f"{event.types} as {mode['mode']}" if mode else event.types
                row = Row(workload, dtype, "onednn", event.operation, event.implementation, types)
                table.add(row, shape=event.shape)
    return table


def covers(rule: Rule, row: Row) -> bool:
    """Tell whether a rule covers a kernel; rows recorded while libraries load have no data type."""
    of_dtype = rule["dtypes"] is None or not row.dtype or row.dtype in rule["dtypes"]
    return of_dtype and row.source == rule["source"] and fnmatchcase(row.operation, rule["operation"])


def judge(rule: Rule, table: Table, operations: Mapping[tuple[str, str], Sequence[str]]) -> Verdict:
    """Compare every kernel that a rule covers with it.

    Args:
        rule: the rule.
        table: the kernels that ran.
        operations: for each run, (workload, data type), the operations that its manifest lists.

    Returns:
        the verdict; it does not hold if a kernel matches none of the implementations, or if the rule is not optional
        and a run with the operation showed no kernel for it.
    """
    rows = [row for row in sorted(table.calls) if covers(rule, row)]
    patterns, types = rule["implementations"], rule["types"]
    others = [row for row in rows if not _allowed(rule, row)]
    expected = f"{rule['operation']} by {' or '.join(patterns)}" if patterns else f"no {rule['source']} kernel"
    expected += f" on {types}" if types != "*" else ""
    if others:
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        return Verdict(holds=False, expected=expected, found="; ".join(map(table.describe, others[:NAMED])) + more)
    if patterns and not rule["optional"]:
        seen = {(row.workload, row.dtype) for row in rows}
        runs = _required(rule, operations)
        silent = [" ".join(run).strip() or "library loading" for run in runs if run not in seen]
        if silent:
            found = f"no {rule['operation']} ran in {', '.join(silent)}: the backend is off"
            return Verdict(holds=False, expected=expected, found=found)
    return Verdict(holds=True, expected=expected, found=_counted(rows, table) or "none ran")


def without_rule(rules: Sequence[Rule], table: Table) -> Verdict:
    """Name the kernels that no rule covers."""
    rows = [row for row in sorted(table.calls) if not any(covers(rule, row) for rule in rules)]
    more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    found = "; ".join(map(table.describe, rows[:NAMED])) + more if rows else "all kernels have a rule"
    return Verdict(holds=not rows, expected="a rule in the recipe for every kernel that ran", found=found)


def _allowed(rule: Rule, row: Row) -> bool:
    of_types = rule["types"] == "*" or fnmatchcase(row.types, rule["types"])
    return of_types and any(fnmatchcase(row.implementation, pattern) for pattern in rule["implementations"])


def _required(rule: Rule, operations: Mapping[tuple[str, str], Sequence[str]]) -> list[tuple[str, str]]:
    """Return the runs that must show a kernel of a rule; OpenBLAS names its core once, when it is loaded."""
    if rule["source"] == "openblas":
        return [("", "")]
    dtypes = rule["dtypes"]
    return [run for run, has in operations.items() if rule["operation"] in has and (dtypes is None or run[1] in dtypes)]


def _counted(rows: Sequence[Row], table: Table) -> str:
    totals: Counter[str] = Counter()
    for row in rows:
        totals[f"{row.operation} {row.implementation}"] += table.calls[row]
    return ", ".join(f"{name} x{calls}" for name, calls in sorted(totals.items()))
