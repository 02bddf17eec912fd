"""The process in which the framework is loaded: runs the workloads, and hands their answers to the smoke run.

It is a process of its own because the libraries read their trace and precision variables when they are loaded, because
what they print has to be caught, and because a library that is missing, or that dies, must become a sentence.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

MARKER = "armwright-run:"
FAST_MATH = "bf16-fast-math"  # fp32 models under a variable of the process
HERE = Path(__file__).resolve().parent


def main(dialect: str, runs: list[str], answers: int) -> None:
    """Load the framework, run the workloads, write one JSON document.

    Args:
        dialect: names the modules `frameworks/<dialect>.py` and `<workload>/<dialect>.py`.
        runs: `<workload>:<data type>` each; a workload is a folder beside this file.
        answers: the file descriptor that takes the document.
    """
    sys.path.insert(0, str(HERE))  # PYTHONSAFEPATH leaves this folder out
    kit = importlib.import_module(f"frameworks.{dialect}")
    results = []
    for name, dtype in (one.split(":") for one in runs):
        announce(f"{name} {dtype}")
        results.append({"workload": name, "dtype": dtype, **run(name, dtype, dialect, kit)})
        announce("")
    document = {
        "versions": kit.versions(),
        "runs": results,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    with os.fdopen(answers, "w", encoding="utf-8") as sink:
        json.dump(document, sink)


def run(name: str, dtype: str, dialect: str, kit: ModuleType) -> dict[str, Any]:
    """Run one workload in one data type, and compare its answers.

    It runs under the framework's profiler where that says something about its operations, and only there: PyTorch's
    takes five times as long as the recurrent networks and the decoder themselves.

    Returns:
        samples, metric (name, value, minimum), largest_error (the largest absolute difference from an expected number),
        worst (the largest difference as a multiple of what the manifest tolerates; a wrong whole number is infinitely
        wrong), operators, seconds.
    """
    data = HERE / described(name).get("shares", name)
    manifest = described(data.name)
    workload = load(data / "workload.py")
    weights = workload.weights(data) if hasattr(workload, "weights") else arrays(data / "weights.npz")
    few = manifest["dtypes"][dtype].get("samples")  # of data types that have no fast kernels: they take long
    inputs, expected = arrays(data / "inputs.npz", few), arrays(data / "expected.npz", few)
    prepared = workload.prepare(inputs)
    forward = load(HERE / name / f"{dialect}.py").forward
    computed = "fp32" if dtype == FAST_MATH else dtype
    started = time.monotonic()
    if kit.PROFILED.isdisjoint(described(name).get("operations", manifest["operations"])):
        answers, operators = forward(weights, prepared, computed), {}
    else:
        answers, operators = kit.profiled(lambda: forward(weights, prepared, computed))
    seconds = time.monotonic() - started
    tolerance, metric = manifest["dtypes"][dtype], manifest["metric"]
    largest, worst = compared(answers, expected, tolerance)
    value, minimum = float(workload.score(answers, inputs)), tolerance.get("minimum", metric["minimum"])
    return {
        "samples": len(next(iter(answers.values()))),
        "metric": {"name": metric["name"], "value": value, "minimum": minimum},
        "largest_error": largest,
        "worst": worst,
        "operators": operators,
        "seconds": seconds,
    }  # fmt: skip


def compared(
    answers: Mapping[str, Any], expected: Mapping[str, Any], tolerance: Mapping[str, float]
) -> tuple[float, float]:
    """Compare answers with the expected ones: every expected array has to be there, in its shape.

    Returns:
        the largest absolute difference, and the largest as a multiple of what is tolerated; whole numbers are equal.

    Raises:
        ValueError: an answer is missing or has another shape.
    """
    import numpy as np  # noqa: PLC0415 - after the framework, which is what the user's code does too

    none = np.finfo(np.float64).max  # for answers that are no numbers: JSON knows neither NaN nor infinity
    largest = worst = 0.0
    for name, right in expected.items():
        if name not in answers:
            raise ValueError(f"the answer {name} is missing")
        given = np.asarray(answers[name])
        if given.shape != right.shape:
            raise ValueError(f"the answer {name} has the shape {given.shape}, expected {right.shape}")
        error = np.abs(given.astype(np.float64) - right)
        whole = right.dtype.kind in "iub"
        allowed = 0.0 if whole else tolerance["absolute"] + tolerance["relative"] * np.abs(right)
        with np.errstate(divide="ignore", invalid="ignore"):  # what is not equal to a number without tolerance is wrong
            times = np.where(error == 0, 0.0, none if whole else error / allowed)
        largest = max(largest, 0.0 if whole else float(np.nan_to_num(error, nan=none).max()))
        worst = max(worst, float(np.nan_to_num(times, nan=none).max()))
    return largest, worst


def described(name: str) -> dict[str, Any]:
    """Read a workload's manifest; with `shares` in it, everything but the forward pass is that of another workload."""
    manifest: dict[str, Any] = json.loads((HERE / name / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def arrays(path: Path, few: int | None = None) -> Mapping[str, Any]:
    """Load all arrays of an .npz file, or the first so many rows of each."""
    import numpy as np  # noqa: PLC0415 - see `compared`

    with np.load(path, allow_pickle=False) as archive:
        return {name: array if few is None else array[:few] for name, array in archive.items()}


def announce(name: str) -> None:
    """Mark in the output where a run begins; the libraries print through C's buffer, so that is emptied first."""
    ctypes.CDLL(None).fflush(None)
    print(MARKER + name, flush=True)


def load(path: Path) -> ModuleType:
    """Import a module by its file."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None  # noqa: S101 - for the type checker: a path always gives a spec
    assert spec.loader is not None  # noqa: S101 - as above
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[3:], int(sys.argv[2]))
