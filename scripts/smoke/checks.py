"""Checks of the smoke run that need no framework: CPU, user, files, precision, versions and the answers' errors."""

from __future__ import annotations

import hashlib
import os
import platform
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import machine

    Check = dict[str, str]

HOME = Path(__file__).resolve().parents[1]
PASS, FAIL, NOT_RUN = "pass", "fail", "not run"
SHOWN = 80  # characters of a variable's value


def check(name: str, state: bool | str, expected: str, found: str) -> Check:  # noqa: FBT001 - the outcome itself
    """Return one check; its state is pass, fail or not run, and True and False mean pass and fail."""
    return {
        "name": name,
        "state": state if isinstance(state, str) else (FAIL, PASS)[state],
        "expected": expected,
        "found": found,
    }


def floor(target: Mapping[str, Any], seen: machine.Machine) -> Check:
    """Check that the CPU has every feature that the image requires."""
    missing = sorted(set(target["floor"]) - seen.processor.features)
    return check(
        "floor", not missing, " ".join(target["floor"]), f"missing: {' '.join(missing)}" if missing else "all present"
    )


def meant_cpu(target: Mapping[str, Any], seen: machine.Machine) -> Check:
    """Check that the CPU and its vector length are those that the image was built for."""
    shown = " ".join(seen.processor.parts) or "part number hidden"
    cpu = f"{seen.processor.name} ({shown}), {seen.vector_bytes or 16}-byte vectors"
    meant = [any(fnmatchcase(part, pattern) for pattern in target["parts"]) for part in seen.processor.parts]
    parts = "*" in target["parts"] or (bool(meant) and all(meant))
    vectors = target["vector_bytes"] in (None, seen.vector_bytes)
    return check("cpu", parts and vectors, f"{target['title']} ({' '.join(target['parts'])})", cpu)


def unprivileged() -> Check:
    """Check that the process does not run as root."""
    return check("user", os.getuid() != 0, "not root", f"uid {os.getuid()}")


def files(expected: Mapping[str, str]) -> Check:
    """Compare the SHA-256 of the entrypoint's and the smoke run's files with those recorded in image.json."""
    wrong = []
    for name, digest in expected.items():
        try:
            same = hashlib.sha256((HOME / name).read_bytes()).hexdigest() == digest
        except OSError:
            same = False
        wrong += [] if same else [name]
    unchanged = f"{len(expected)} unchanged"
    return check("files", not wrong, unchanged, f"changed: {', '.join(wrong)}" if wrong else unchanged)


def precision(allowed: Mapping[str, Sequence[str]], environ: Mapping[str, str]) -> Check:
    """Check that no variable changes what the image computes: the image's own values and neutral ones are allowed."""
    changed = [
        f"{name}={environ[name][:SHOWN]}"
        for name, values in allowed.items()
        if name in environ and environ[name].upper() not in {value.upper() for value in values}
    ]
    unchanged = "no variable that changes what is computed"
    return check("precision", not changed, unchanged, ", ".join(changed) or unchanged)


def versions(image: Mapping[str, Any], found: Mapping[str, str]) -> list[Check]:
    """Check the versions of the framework, of its libraries and of Python."""
    expected = {image["distribution"]: image["version"], **image["backend"]["versions"]}
    rows = [
        check(f"version {name}", found.get(name) == version, version, found.get(name, "not found"))
        for name, version in expected.items()
    ]
    python = ".".join(platform.python_version_tuple()[:2])
    return [*rows, check("version python", python == image["python"], image["python"], python)]


def grade(run: Mapping[str, Any]) -> list[Check]:
    """Check the answers of one run: the error of every number, and the metric."""
    name, metric = f"{run['workload']} {run['dtype']}", run["metric"]
    return [
        check(
            f"answers {name}",
            run["worst"] <= 1.0,
            "the reference values, within the tolerance",
            f"largest error {run['largest_error']:.2g}, {run['worst']:.2g} times the tolerance",
        ),
        check(
            f"{metric['name']} {name}",
            metric["value"] >= metric["minimum"],
            f">= {metric['minimum']:g}",
            f"{metric['value']:.4f} of {run['samples']}",
        ),
    ]
