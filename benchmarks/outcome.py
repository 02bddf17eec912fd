"""What all benchmarks share: exit code, log, document, an empty BuildKit cache, the name of the machine."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from armwright.system import console, process
from armwright.system.errors import ArmwrightError
from armwright.system.files import write_whole

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "build" / "benchmarks"
MACHINE = f"{platform.machine()}, {os.cpu_count()} CPUs"
DAY = 86_400  # seconds
CACHE = "BuildKit's cache is emptied before each side; images and downloads are kept"


def run_benchmark(run: Callable[[], None]) -> int:
    """Run a benchmark, print its error if it has one, and return the exit code."""
    try:
        run()
    except ArmwrightError as error:
        console.error(error)
        return error.code
    except KeyboardInterrupt:
        console.say("interrupted; temporary files and images were removed", "yellow")
        return 130
    return 0


def new_log(name: str) -> Path:
    """Return a new log file for the output of the programs that a benchmark runs."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    path = OUTPUT / f"{name}.log"
    path.unlink(missing_ok=True)
    return path


def empty_cache(path: Path) -> None:
    """Empty BuildKit's cache; the output goes to a log file."""
    process.stream(["docker", "buildx", "prune", "--all", "--force"], path)


def write_document(name: str, document: Mapping[str, Any]) -> None:
    """Write build/benchmarks/<name>.json and print its path."""
    path = OUTPUT / f"{name}.json"
    write_whole(path, json.dumps(document, indent=1, sort_keys=True) + "\n")
    console.say(f"written: {path.relative_to(ROOT)}")
