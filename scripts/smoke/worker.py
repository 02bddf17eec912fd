"""The worker process: loads the framework, runs the workloads, and returns the results to the smoke run.

It is a separate process because the libraries read their trace and precision variables when they load, because their
output is captured, and because a missing or crashing library must be reported as a failed check.
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

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # PYTHONSAFEPATH removes this folder from the path

from answers import digest, pack  # noqa: E402 - the path is set first

MARKER = "armwright-run:"
FAST_MATH = "bf16-fast-math"  # fp32 models; an environment variable of the process turns it on
DETOURS = "detours"  # the framework's ways around a switch; they have no answers, only kernels


def main(dialect: str, runs: list[str], descriptor: int) -> None:
    """Load the framework, run the workloads, and write one JSON document.

    Args:
        dialect: selects the modules `frameworks/<dialect>.py` and `<workload>/<dialect>.py`.
        runs: each is `<workload>:<data type>`; a workload is a folder beside this file, or DETOURS.
        descriptor: the file descriptor to write the document to.
    """
    framework = importlib.import_module(f"frameworks.{dialect}")
    results = []
    for name, dtype in (run_name.split(":") for run_name in runs):
        announce(f"{name} {dtype}")
        if name == DETOURS:
            getattr(framework, "run_detours", int)()
        else:
            results.append({"workload": name, "dtype": dtype, **run(name, dtype, dialect, framework)})
        announce("")
    document = {
        "versions": framework.versions(),
        "runs": results,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    with os.fdopen(descriptor, "w", encoding="utf-8") as sink:
        json.dump(document, sink)


def run(name: str, dtype: str, dialect: str, framework: ModuleType) -> dict[str, Any]:
    """Run one workload in one data type and compare its answers with the expected ones.

    The framework's profiler is used only if it covers one of the workload's operations: PyTorch's profiler takes five
    times as long as the recurrent networks and the decoder.

    Returns:
        samples, metric (name, value, minimum), largest_error (the largest absolute difference from an expected number),
        worst (the largest error as a multiple of the manifest's tolerance; huge for a wrong integer), answers (their
        digest), numbers (the answers), operators, seconds.
    """
    own = read_manifest(name)
    folder = HERE / own.get("shares", name)
    manifest = read_manifest(folder.name)
    workload = load(folder / "workload.py")
    weights = workload.weights(folder) if hasattr(workload, "weights") else load_arrays(folder / "weights.npz")
    limit = manifest["dtypes"][dtype].get("samples")  # fewer samples for data types without fast kernels
    inputs, expected = load_arrays(folder / "inputs.npz", limit), load_arrays(folder / "expected.npz", limit)
    prepared = workload.prepare(inputs)
    forward = load(HERE / name / f"{dialect}.py").forward
    computed_in = "fp32" if dtype == FAST_MATH else dtype
    started = time.monotonic()
    if framework.PROFILED.isdisjoint(own.get("operations", manifest["operations"])):
        answers, operators = forward(weights, prepared, computed_in), {}
    else:
        answers, operators = framework.profiled(lambda: forward(weights, prepared, computed_in))
    seconds = time.monotonic() - started
    tolerance, metric = manifest["dtypes"][dtype], manifest["metric"]
    largest, worst = compare(answers, expected, tolerance)
    value, minimum = float(workload.score(answers, inputs)), tolerance.get("minimum", metric["minimum"])
    numbers = pack(answers, expected)
    return {
        "samples": len(next(iter(answers.values()))),
        "metric": {"name": metric["name"], "value": value, "minimum": minimum},
        "largest_error": largest,
        "worst": worst,
        "answers": digest(numbers),
        "numbers": numbers,
        "operators": operators,
        "seconds": seconds,
    }  # fmt: skip


def compare(
    answers: Mapping[str, Any], expected: Mapping[str, Any], tolerance: Mapping[str, float]
) -> tuple[float, float]:
    """Compare answers with the expected arrays.

    Returns:
        the largest absolute error of the floating-point answers, and the largest error as a multiple of the tolerance.
        Integers have no tolerance: one that differs makes the second number huge.

    Raises:
        ValueError: an answer is missing or has the wrong shape.
    """
    import numpy as np  # noqa: PLC0415 - after the framework, as in the user's code

    huge = np.finfo(np.float64).max  # stands for NaN and infinity, which JSON cannot hold
    largest = worst = 0.0
    for name, reference in expected.items():
        if name not in answers:
            raise ValueError(f"the answer {name} is missing")
        answer = np.asarray(answers[name])
        if answer.shape != reference.shape:
            raise ValueError(f"the answer {name} has the shape {answer.shape}, expected {reference.shape}")
        error = np.abs(answer.astype(np.float64) - reference)
        is_integer = reference.dtype.kind in "iub"
        allowed = 0.0 if is_integer else tolerance["absolute"] + tolerance["relative"] * np.abs(reference)
        with np.errstate(divide="ignore", invalid="ignore"):  # a zero tolerance divides by zero
            multiples = np.where(error == 0, 0.0, huge if is_integer else error / allowed)
        largest = max(largest, 0.0 if is_integer else float(np.nan_to_num(error, nan=huge).max()))
        worst = max(worst, float(np.nan_to_num(multiples, nan=huge).max()))
    return largest, worst


def read_manifest(name: str) -> dict[str, Any]:
    """Read a workload's manifest; `shares` names a workload that provides everything but the forward pass."""
    manifest: dict[str, Any] = json.loads((HERE / name / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def load_arrays(path: Path, limit: int | None = None) -> Mapping[str, Any]:
    """Load all arrays of an .npz file; with a limit, only the first rows of each."""
    import numpy as np  # noqa: PLC0415 - see `compare`

    with np.load(path, allow_pickle=False) as archive:
        return {name: array if limit is None else array[:limit] for name, array in archive.items()}


def announce(name: str) -> None:
    """Mark in the output where a run begins; flush C's buffer first, because the libraries print through it."""
    ctypes.CDLL(None).fflush(None)
    print(MARKER + name, flush=True)


def load(path: Path) -> ModuleType:
    """Import a module from its file."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None  # noqa: S101 - for the type checker: a file path always has a spec
    assert spec.loader is not None  # noqa: S101 - as above
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[3:], int(sys.argv[2]))
