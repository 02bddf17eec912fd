"""Which kernels ran: read out of what the libraries print about themselves, and held against the recipe's rules.

oneDNN writes a line for each primitive it executes (`ONEDNN_VERBOSE=1`, on standard output), in one of five formats by
version; OpenBLAS names the core it chose (`OPENBLAS_VERBOSE=2`, on standard error); the framework's profiler names its
own operators. All become the same rows: (source, operation, implementation).
"""

from __future__ import annotations

import re
from collections import Counter
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypedDict
else:
    TypedDict = dict  # Python 3.7 has none

# 0.x mkldnn_verbose,exec, (no cpu: there was nothing else) / <=2.4 dnnl_verbose,exec, / 2.5-3.2 onednn_verbose,exec, /
# 3.3-3.5 ,primitive,exec, / >=3.6 ,v1,primitive,exec, (oneDNN's src/common/verbose.cpp at those tags).
_EXECUTED = re.compile(
    r"^(?:mkldnn_verbose,exec|(?:onednn|dnnl)_verbose,(?:v\d+,)?(?:primitive,)?exec,cpu),"
    r"(?P<operation>[^,\s]+),(?P<implementation>[^,\s]+),"
)
_CORE = re.compile(r"^Core: (?P<name>\S+)$")


class Row(NamedTuple):
    """One kind of kernel, in one workload (empty for what happens when the libraries are loaded)."""

    workload: str
    source: str
    operation: str
    implementation: str


class Rule(TypedDict):
    """A rule of the recipe (armwright/recipes.py, KernelRule); no implementation at all means it must not run."""

    source: str
    operation: str
    implementations: list[str]
    optional: bool
    reason: str


class Verdict(NamedTuple):
    """What a rule comes to: whether it holds, what it expects, what was seen."""

    holds: bool
    expected: str
    found: str


def executed(line: str, workload: str) -> Row | None:
    """Read one line of oneDNN's trace; None for every other line."""
    found = _EXECUTED.match(line)
    return Row(workload, "onednn", found["operation"], found["implementation"]) if found else None


def core(line: str) -> Row | None:
    """Read OpenBLAS's report of the core it chose; None for every other line."""
    found = _CORE.match(line.strip())
    return Row("", "openblas", "core", found["name"].lower()) if found else None


def judge(rule: Rule, rows: Counter[Row]) -> Verdict:
    """Hold every row that a rule speaks of against it.

    Returns:
        the verdict; it does not hold when a row matches none of the implementations, and when nothing ran although the
        rule is not optional.
    """
    spoken_of = [row for row in rows if row.source == rule["source"] and fnmatchcase(row.operation, rule["operation"])]
    patterns = rule["implementations"]
    strangers = [row for row in spoken_of if not any(fnmatchcase(row.implementation, one) for one in patterns)]
    expected = f"{rule['operation']} by {' or '.join(patterns)}" if patterns else f"no {rule['source']} kernel"
    if strangers:
        return Verdict(holds=False, expected=expected, found=_listed(strangers, rows))
    if not spoken_of and patterns and not rule["optional"]:
        return Verdict(holds=False, expected=expected, found=f"no {rule['operation']} was seen: the backend is off")
    return Verdict(holds=True, expected=expected, found=_listed(spoken_of, rows) or "none ran")


def _listed(rows: Sequence[Row], counts: Counter[Row]) -> str:
    totals: Counter[str] = Counter()
    for row in rows:
        totals[f"{row.operation} {row.implementation}"] += counts[row]
    return ", ".join(f"{name} x{calls}" for name, calls in sorted(totals.items()))


def trace(lines: Iterable[str], marker: str) -> Counter[Row]:
    """Read a worker's standard output.

    Args:
        lines: its lines; one of `<marker><name>` says that a workload begins.
        marker: how such a line begins.
    """
    rows: Counter[Row] = Counter()
    workload = ""
    for line in lines:
        if line.startswith(marker):
            workload = line[len(marker) :]
        else:
            row = executed(line, workload)
            rows.update([row] if row else [])
    return rows
