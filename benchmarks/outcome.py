"""What every benchmark does besides measuring: its exit code, its document, an empty BuildKit cache, its machine."""

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
CACHE = "BuildKit's cache on this machine is emptied before each side; images and downloads stay"


def code(run: Callable[[], None]) -> int:
    """Run a benchmark and return the exit code; what goes wrong is told."""
    try:
        run()
    except ArmwrightError as problem:
        console.error(problem)
        return problem.code
    except KeyboardInterrupt:
        console.say("interrupted; nothing is left behind", "yellow")
        return 130
    return 0


def log(name: str) -> Path:
    """Return the file that the programs of a benchmark write to, new."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    path = OUTPUT / f"{name}.log"
    path.unlink(missing_ok=True)
    return path


def empty_cache(path: Path) -> None:
    """Empty BuildKit's cache; a log file takes its words."""
    process.stream(["docker", "buildx", "prune", "--all", "--force"], path)


def write(name: str, document: Mapping[str, Any]) -> None:
    """Write build/benchmarks/<name>.json, and say so."""
    path = OUTPUT / f"{name}.json"
    write_whole(path, json.dumps(document, indent=1, sort_keys=True) + "\n")
    console.say(f"written: {path.relative_to(ROOT)}")
