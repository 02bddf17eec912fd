"""The runs of the smoke run: each workload in each data type of the image, in one or two worker processes."""

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
from worker import DETOURS, FAST_MATH, MARKER, read_manifest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

HERE = Path(__file__).resolve().parent
TRACE = {"ONEDNN_VERBOSE": "1", "MKLDNN_VERBOSE": "1", "OPENBLAS_VERBOSE": "2"}
# Under QEMU 10 the idle threads of NumPy's OpenBLAS (0.3.23 to 0.3.34) never sleep: each keeps a CPU busy, which
# took half of a proof's time. The frameworks' own products do not use these threads.
EMULATED = {"OPENBLAS_NUM_THREADS": "1"}


class Run(NamedTuple):
    """One workload in one data type; a run with a reason is skipped for that reason."""

    workload: str
    dtype: str
    operations: tuple[str, ...] = ()
    reason: str = ""


class Answers(NamedTuple):
    """The results of the worker processes.

    Attributes:
        versions: the versions of the framework and of its compute libraries.
        runs: one entry for each run (worker.run).
        peak_memory_bytes: the sum of the workers' peaks, since they run at the same time.
        table: the kernels that ran.
        failure: how a worker ended early and its last line of output; empty when all finished.
    """

    versions: dict[str, str]
    runs: list[dict[str, Any]]
    peak_memory_bytes: int
    table: Table
    failure: str


def list_runs(image: Mapping[str, Any]) -> Iterator[Run]:
    """Yield every workload in every data type, with the reason if it is skipped.

    Args:
        image: image.json.
    """
    for name in image["smoke"]["workloads"]:
        own = read_manifest(name)
        shared = read_manifest(own["shares"]) if "shares" in own else own
        manifest = {**shared, "skips": own.get("skips", [])}
        for dtype in image["dtypes"]:
            yield _make_run(name, manifest, dtype, image)


def _make_run(name: str, manifest: Mapping[str, Any], dtype: Mapping[str, Any], image: Mapping[str, Any]) -> Run:
    if dtype["state"] == "not run":
        return Run(name, dtype["name"], reason=dtype["note"])
    here = {"dialect": image["dialect"], "backend": image["backend"]["name"], "state": dtype["state"]}
    for skip in manifest["skips"]:
        applies = all(skip.get(field, value) == value for field, value in here.items())
        if applies and dtype["name"] in skip.get("dtypes", [dtype["name"]]):
            return Run(name, dtype["name"], reason=skip["reason"])
    if dtype["name"] not in manifest["dtypes"]:  # tests/unit/smoke/test_workloads.py requires a reason for each
        return Run(name, dtype["name"], reason=f"the manifest of {name} does not list it")
    return Run(name, dtype["name"], operations=tuple(manifest["operations"]))


def work(image: Mapping[str, Any], runs: Sequence[Run], *, emulated: bool = False) -> Answers:
    """Run workloads; those with fast math run in a second process, since libraries read its variable when they load.

    In an image whose rules forbid a library altogether, the framework's detours run too.

    Args:
        image: image.json.
        runs: the runs; without any, the framework is still loaded.
        emulated: whether the CPU is emulated.
    """
    fast_math, common = image["fast_math"] or {}, EMULATED if emulated else {}
    off = [rule for rule in image["smoke"]["kernels"] if rule["operation"] == "*" and rule["dtypes"] is None]
    detours = [Run(DETOURS, "fp32")] if any(not rule["implementations"] for rule in off) else []
    parts = [
        ([run for run in runs if run.dtype != FAST_MATH], common, detours),
        (
            [run for run in runs if run.dtype == FAST_MATH],
            {**common, str(fast_math.get("name")): str(fast_math.get("value"))},
            [],
        ),
    ]
    with ThreadPoolExecutor(len(parts)) as pool:
        nonempty = [part for part in parts if part[0]] or parts[:1]
        done = list(pool.map(lambda part: _process(image["dialect"], *part), nonempty))
    table = Table()
    for part in done:
        table.update(part.table)
    return Answers(
        versions=done[0].versions,
        runs=[run for part in done for run in part.runs],
        peak_memory_bytes=sum(part.peak_memory_bytes for part in done),
        table=table,
        failure=next((part.failure for part in done if part.failure), ""),
    )


def _process(
    dialect: str, runs: Collection[Run], environment: Mapping[str, str], detours: Collection[Run] = ()
) -> Answers:
    """Run workloads in a worker process, and parse the output of the libraries."""
    memory = ctypes.CDLL(None).memfd_create(b"answers", 0)  # Python 3.7 has no name for it
    with open(memory, "w+", encoding="utf-8") as results:  # noqa: PTH123 - memory, not a file
        names = [f"{run.workload}:{run.dtype}" for run in (*runs, *detours)]
        command = [sys.executable, "-s", "-B", str(HERE / "worker.py"), dialect, str(results.fileno()), *names]
        child = subprocess.run(
            command, env={**os.environ, **TRACE, **environment}, pass_fds=[results.fileno()],
            text=True, errors="replace", capture_output=True, check=False,
        )  # fmt: skip
        results.seek(0)
        document = results.read()
    table = kernels.read(child.stdout.splitlines(), MARKER)
    for name in filter(None, map(kernels.core, child.stderr.splitlines())):
        table.add(Row("", "", "openblas", "core", name))
    try:
        answers = json.loads(document)
    except json.JSONDecodeError:
        answers = None
    if child.returncode or answers is None:
        last = next((line for line in reversed(child.stderr.splitlines()) if line.strip()), "no error output")
        ending = f"signal {-child.returncode}" if child.returncode < 0 else f"exit {child.returncode}"
        began = [line[len(MARKER) :] for line in child.stdout.splitlines() if line.startswith(MARKER)]
        where = f" in {began[-1]}" if began and began[-1] else ""
        return Answers({}, [], 0, table, f"{ending}{where}: {last.strip()[:300]}")
    for run in answers["runs"]:
        for operation, operators in run.pop("operators").items():
            for name, calls in operators.items():
                table.add(Row(run["workload"], run["dtype"], "profiler", operation, name), calls)
        run["kernels"] = table.of(run["workload"], run["dtype"])
    return Answers(answers["versions"], answers["runs"], answers["peak_memory_bytes"], table, "")
