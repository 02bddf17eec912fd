"""What is checked before a build starts anything: disk space, builder, emulator; and how many combos fit at once."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from armwright.assembly import buildx
from armwright.engine.client import Engine
from armwright.host import inspect
from armwright.pipeline.build_combo import BuildOptions, ComboResult
from armwright.proof import smoke
from armwright.system.errors import InputError, MachineError

LEAST_FREE = 6_000_000_000  # bytes: two roots, the wheels, their unpacked trees and the image; measured: 4.5 GB
MEMORY = 1_500_000_000  # bytes per combo, twice the most measured: 0.7 GB for a proof, 0.8 to strip a library of 815 MB


def parse_jobs(text: str) -> int:
    """Return the value of --jobs; 0, if it is empty, for as many jobs as the machine has room for.

    Raises:
        InputError: it is not a whole number of at least 1.
    """
    if text and not (text.isdecimal() and int(text)):
        raise InputError(f"--jobs {text!r} is not a whole number of at least 1", "invoke build --help")
    return int(text or 0)


def compute_default_jobs(engine: Engine) -> int:
    """Return how many combos fit at once on the engine's CPUs and in the memory that is free now."""
    return compute_jobs(engine.reading.cpus, _free_memory(engine))


def compute_jobs(cores: int, memory: int) -> int:
    """Return how many combos fit at once: one per core, each with `MEMORY` bytes, and at least one."""
    return max(1, min(cores, memory // MEMORY))


def check_machine(
    root: Path, engine: Engine, options: BuildOptions, results: Sequence[ComboResult], states: Sequence[str]
) -> None:
    """Check that this machine can do what a build needs; nothing is started.

    Args:
        root: the project's root.
        engine: the engine.
        options: the options of the build.
        results: of the combos; with `keep_going` a combo that cannot be proven here fails at once.
        states: how far each combo has come: proven, built, or not built.

    Raises:
        MachineError: the disk is too full, or there is no such builder, or no emulator for a target.
    """
    if "not built" in states:
        require_room(root, engine)
    if options.builder:
        buildx.require_builder(options.builder)
    if options.smoke:
        unproven = [result for result, state in zip(results, states, strict=True) if state != "proven"]
        _require_runners(unproven, keep_going=options.keep_going)


def can_continue(root: Path, engine: Engine) -> bool:
    """Return whether other combos can still be built after one failed: the engine answers and the disk has room."""
    try:
        engine.names()
        require_room(root, engine)
    except MachineError:
        return False
    return True


def require_room(root: Path, engine: Engine) -> None:
    """Check that a build fits on the project's disk, and on the engine's if that is local.

    Raises:
        MachineError: it does not fit.
    """
    for folder in [root, *(path for path in [engine.folder] if path.exists())]:
        free = shutil.disk_usage(folder).free
        if free < LEAST_FREE:
            raise MachineError(
                f"the disk of {folder} has {free / 1e9:.1f} GB free, but a build needs {LEAST_FREE / 1e9:.0f} GB",
                "docker system prune",
                hint="then run the same command again",
            )


def _require_runners(results: Sequence[ComboResult], *, keep_going: bool) -> None:
    """Check that this machine can run the images that are to be proven.

    With `keep_going`, combos that it cannot run fail, unless it can run none of them.

    Raises:
        MachineError: it cannot run one of them.
    """
    errors: dict[str, MachineError] = {}
    for target in {result.combo.target.name: result.combo.target for result in results}.values():
        try:
            smoke.require_runner(target)
        except MachineError as error:
            errors[target.name] = error
    unable = [result for result in results if result.combo.target.name in errors]
    if unable and (not keep_going or len(unable) == len(results)):
        raise errors[unable[0].combo.target.name]
    for result in unable:
        result.outcome, result.error = "failed", errors[result.combo.target.name]


def _free_memory(engine: Engine) -> int:
    """Return the bytes that are free for new programs, at most all that the engine has: it may run elsewhere."""
    total = engine.reading.memory
    available = inspect.read_available_memory()
    return total if available is None else min(total, available)
