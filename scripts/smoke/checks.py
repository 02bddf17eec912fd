"""The checks of a proof that need no framework: the CPU, the user, the files, the versions, the answers' tolerances."""

from __future__ import annotations

import hashlib
import os
import platform
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import machine

    Check = dict[str, str]

HOME = Path(__file__).resolve().parents[1]
PASS, FAIL, NOT_RUN = "pass", "fail", "not run"


def check(name: str, state: bool | str, expected: str, found: str) -> Check:  # noqa: FBT001 - the outcome itself
    """Make one check's row; a state is pass, fail or not run."""
    return {
        "name": name,
        "state": state if isinstance(state, str) else (FAIL, PASS)[state],
        "expected": expected,
        "found": found,
    }


def floor(target: Mapping[str, Any], seen: machine.Machine) -> Check:
    """Every feature without which this image must not start is there."""
    missing = sorted(set(target["floor"]) - seen.processor.features)
    return check(
        "floor", not missing, " ".join(target["floor"]), f"missing: {' '.join(missing)}" if missing else "all there"
    )


def meant_cpu(target: Mapping[str, Any], seen: machine.Machine) -> Check:
    """The CPU is the one that the image is for."""
    shown = " ".join(seen.processor.parts) or "part not shown"
    found = f"{seen.processor.name} ({shown}), vectors of {seen.vector_bytes or 16} bytes"
    meant = [any(fnmatchcase(part, one) for one in target["parts"]) for part in seen.processor.parts]
    parts = "*" in target["parts"] or (bool(meant) and all(meant))
    vectors = target["vector_bytes"] in (None, seen.vector_bytes)
    return check("cpu", parts and vectors, f"{target['title']} ({' '.join(target['parts'])})", found)


def unprivileged() -> Check:
    """The process is not root."""
    return check("user", os.getuid() != 0, "not root", f"uid {os.getuid()}")


def files(expected: Mapping[str, str]) -> Check:
    """The files of the proof are those the image was made with, to the last bit."""
    wrong = []
    for name, digest in expected.items():
        try:
            same = hashlib.sha256((HOME / name).read_bytes()).hexdigest() == digest
        except OSError:
            same = False
        wrong += [] if same else [name]
    return check(
        "files", not wrong, f"{len(expected)} files unchanged", f"changed: {', '.join(wrong)}" if wrong else "they are"
    )


def precision(fast_math: Mapping[str, Any] | None, environ: Mapping[str, str]) -> list[Check]:
    """Nothing makes this process compute fp32 with less: the image leaves that to those who ask for it."""
    if fast_math is None:
        return []
    found = environ.get(fast_math["name"], "")
    right = found.upper() in {"", "STRICT"}
    return [check("precision", right, f"no {fast_math['name']}", found or "none")]


def versions(image: Mapping[str, Any], found: Mapping[str, str]) -> list[Check]:
    """The framework, its libraries and Python are those of the plan."""
    expected = {image["distribution"]: image["version"], **image["backend"]["versions"]}
    rows = [
        check(f"version {name}", found.get(name) == version, version, found.get(name, "not found"))
        for name, version in expected.items()
    ]
    python = ".".join(platform.python_version_tuple()[:2])
    return [*rows, check("version python", python == image["python"], image["python"], python)]


def graded(run: Mapping[str, Any]) -> list[Check]:
    """The answers of one run are right, number by number and by the metric."""
    name, metric = f"{run['workload']} {run['dtype']}", run["metric"]
    return [
        check(
            f"answers {name}",
            run["worst"] <= 1.0,
            "the numbers computed without any framework",
            f"largest error {run['largest_error']:.2g}, {run['worst']:.2g} of what is tolerated",
        ),
        check(
            f"{metric['name']} {name}",
            metric["value"] >= metric["minimum"],
            f">= {metric['minimum']:g}",
            f"{metric['value']:.4f} of {run['samples']}",
        ),
    ]
