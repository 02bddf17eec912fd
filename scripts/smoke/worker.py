"""The process in which the framework is loaded: runs each workload, and hands its answers to the smoke run.

It is a process of its own because the libraries read their trace variables when they are loaded, because what they
print has to be caught, and because a library that is missing, or that dies, must become a sentence.
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

MARKER = "armwright-workload:"
HERE = Path(__file__).resolve().parent


def main(dialect: str, workloads: list[str], answers: int) -> None:
    """Load the framework, run the workloads, write one JSON document.

    Args:
        dialect: names the modules `frameworks/<dialect>.py` and `<workload>/<dialect>.py`.
        workloads: folders beside this file.
        answers: the file descriptor that takes the document.
    """
    sys.path.insert(0, str(HERE))  # a dialect's module may use its framework's; PYTHONSAFEPATH leaves this folder out
    kit = load(HERE / "frameworks" / f"{dialect}.py")
    results = []
    for name in workloads:
        announce(name)
        results.append({"name": name, **run(name, dialect, kit)})
    announce("")
    document = {
        "versions": kit.versions(),
        "workloads": results,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    with os.fdopen(answers, "w", encoding="utf-8") as sink:
        json.dump(document, sink)


def run(name: str, dialect: str, kit: ModuleType) -> dict[str, Any]:
    """Run one workload under the framework's profiler and compare its answers.

    Returns:
        samples, accuracy, largest_error (the largest absolute difference from the expected logits), worst (the
        largest difference as a multiple of what the manifest tolerates), operators, seconds.
    """
    import numpy as np  # noqa: PLC0415 - after the framework, which is what the user's code does too

    data = HERE / described(name).get("shares", name)
    manifest = described(data.name)
    weights = arrays(data / "weights.npz")
    inputs, expected = arrays(data / "inputs.npz"), arrays(data / "expected.npz")
    prepared = load(data / "prepare.py").prepare(inputs["images"])
    forward = load(HERE / name / f"{dialect}.py").forward
    started = time.monotonic()
    logits, operators = kit.profiled(lambda: forward(weights, prepared))
    seconds = time.monotonic() - started
    error = np.abs(np.asarray(logits, dtype=np.float64) - expected["logits"])
    allowed = manifest["tolerance"]["absolute"] + manifest["tolerance"]["relative"] * np.abs(expected["logits"])
    largest = np.finfo(np.float64).max  # for answers that are no numbers: JSON knows neither NaN nor infinity
    return {
        "samples": len(logits),
        "accuracy": float(np.mean(np.argmax(logits, axis=1) == inputs["labels"])),
        "minimum_accuracy": manifest["accuracy"]["minimum"],
        "largest_error": float(np.nan_to_num(error, nan=largest).max()),
        "worst": float(np.nan_to_num(error / allowed, nan=largest).max()),
        "operators": operators,
        "seconds": seconds,
    }


def described(name: str) -> dict[str, Any]:
    """Read a workload's manifest; with `shares` in it, everything but the forward pass is that of another workload."""
    manifest: dict[str, Any] = json.loads((HERE / name / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def arrays(path: Path) -> Mapping[str, Any]:
    """Load all arrays of an .npz file."""
    import numpy as np  # noqa: PLC0415 - see `run`

    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def announce(name: str) -> None:
    """Mark in the output where a workload begins; the libraries print through C's buffer, so that is emptied first."""
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
