"""The runs of a proof: each workload in each data type that the image has, in as few processes as it takes."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import kernels
from kernels import Row, Table
from worker import FAST_MATH, MARKER, described

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

HERE = Path(__file__).resolve().parent
TRACE = {"ONEDNN_VERBOSE": "1", "MKLDNN_VERBOSE": "1", "OPENBLAS_VERBOSE": "2"}
# Under QEMU 10 the idle threads of NumPy's OpenBLAS (0.3.23 to 0.3.34) never sleep: each keeps a CPU busy for good,
# which was half of a proof's time. The frameworks' own products do not use these threads.
EMULATED = {"OPENBLAS_NUM_THREADS": "1"}


class Run(NamedTuple):
    """One workload in one data type; with a reason it is not run."""

    workload: str
    dtype: str
    operations: tuple[str, ...] = ()
    reason: str = ""


class Answers(NamedTuple):
    """What the workers said.

    Attributes:
        versions: of the framework and of the libraries that compute.
        runs: one entry a run (worker.run).
        peak_memory_bytes: the most that each worker had, together: they run at the same time.
        table: the kernels that ran.
        complaint: a sentence when one of them did not get to the end.
    """

    versions: dict[str, str]
    runs: list[dict[str, Any]]
    peak_memory_bytes: int
    table: Table
    complaint: str


def planned(image: Mapping[str, Any]) -> Iterator[Run]:
    """Yield every workload in every data type, with the reason where it is not run.

    Args:
        image: image.json.
    """
    for name in image["smoke"]["workloads"]:
        own = described(name)
        shared = described(own["shares"]) if "shares" in own else own
        manifest = {**shared, "skips": own.get("skips", [])}
        for dtype in image["dtypes"]:
            yield _planned(name, manifest, dtype, image)


def _planned(name: str, manifest: Mapping[str, Any], dtype: Mapping[str, Any], image: Mapping[str, Any]) -> Run:
    if dtype["state"] == "not run":
        return Run(name, dtype["name"], reason=dtype["note"])
    here = {"dialect": image["dialect"], "backend": image["backend"]["name"], "state": dtype["state"]}
    for skip in manifest["skips"]:
        speaks = all(skip.get(about, value) == value for about, value in here.items())
        if speaks and dtype["name"] in skip.get("dtypes", [dtype["name"]]):
            return Run(name, dtype["name"], reason=skip["reason"])
    if dtype["name"] not in manifest["dtypes"]:  # ours have a reason for each: tests/unit/test_workloads.py
        return Run(name, dtype["name"], reason=f"{name} says nothing of it")
    return Run(name, dtype["name"], operations=tuple(manifest["operations"]))


def work(image: Mapping[str, Any], runs: Sequence[Run], *, emulated: bool = False) -> Answers:
    """Run workloads, those with fast math on in a process of their own: libraries read the variable when they load.

    Args:
        image: image.json.
        runs: what to run; with nothing to run, the framework is loaded all the same.
        emulated: the CPU is.
    """
    fast_math, usual = image["fast_math"] or {}, EMULATED if emulated else {}
    parts = [
        ([run for run in runs if run.dtype != FAST_MATH], usual),
        (
            [run for run in runs if run.dtype == FAST_MATH],
            {**usual, str(fast_math.get("name")): str(fast_math.get("value"))},
        ),
    ]
    with ThreadPoolExecutor(len(parts)) as pool:
        some = [part for part in parts if part[0]] or parts[:1]
        done = list(pool.map(lambda part: _process(image["dialect"], *part), some))
    table = Table()
    for one in done:
        table.update(one.table)
    return Answers(
        versions=done[0].versions,
        runs=[run for one in done for run in one.runs],
        peak_memory_bytes=sum(one.peak_memory_bytes for one in done),
        table=table,
        complaint=next((one.complaint for one in done if one.complaint), ""),
    )


def _process(dialect: str, runs: Collection[Run], environment: Mapping[str, str]) -> Answers:
    """Run workloads in a process of their own, and read what the libraries print."""
    memory = ctypes.CDLL(None).memfd_create(b"answers", 0)  # Python 3.7 has no name for it
    with open(memory, "w+", encoding="utf-8") as sheet:  # noqa: PTH123 - memory, not a file
        asked = [f"{run.workload}:{run.dtype}" for run in runs]
        words = [sys.executable, "-s", "-B", str(HERE / "worker.py"), dialect, str(sheet.fileno()), *asked]
        child = subprocess.run(
            words, env={**os.environ, **TRACE, **environment}, pass_fds=[sheet.fileno()], text=True, errors="replace",
            capture_output=True, check=False,
        )  # fmt: skip
        sheet.seek(0)
        document = sheet.read()
    table = kernels.read(child.stdout.splitlines(), MARKER)
    for name in filter(None, map(kernels.core, child.stderr.splitlines())):
        table.add(Row("", "", "openblas", "core", name))
    try:
        answers = json.loads(document)
    except json.JSONDecodeError:
        answers = None
    if child.returncode or answers is None:
        last = next((line for line in reversed(child.stderr.splitlines()) if line.strip()), "it said nothing")
        how = f"signal {-child.returncode}" if child.returncode < 0 else f"exit {child.returncode}"
        began = [line[len(MARKER) :] for line in child.stdout.splitlines() if line.startswith(MARKER)]
        where = f" in {began[-1]}" if began and began[-1] else ""
        return Answers({}, [], 0, table, f"{how}{where}: {last.strip()[:300]}")
    for run in answers["runs"]:
        for operation, operators in run.pop("operators").items():
            for name, calls in operators.items():
                table.add(Row(run["workload"], run["dtype"], "profiler", operation, name), calls)
        run["kernels"] = table.of(run["workload"], run["dtype"])
    return Answers(answers["versions"], answers["runs"], answers["peak_memory_bytes"], table, "")
