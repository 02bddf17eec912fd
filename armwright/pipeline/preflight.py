"""What is checked before a build starts anything: disk space, builder, emulator; and how many combos fit at once."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from armwright.assembly import buildx
from armwright.engine.client import Engine
from armwright.engine.containers import PLATFORM
from armwright.engine.probe import ARCHITECTURES
from armwright.host import inspect
from armwright.host.disks import list_disks
from armwright.pipeline.build_combo import BuildOptions, ComboResult
from armwright.plan import locks
from armwright.plan.plan import Plan
from armwright.proof import smoke
from armwright.system import console
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
    if options.builder or "not built" in states:
        _require_build_platform(engine, options.builder)
    if options.smoke:
        unproven = [result for result, state in zip(results, states, strict=True) if state != "proven"]
        _require_far_emulator(engine)
        _require_runners(engine, unproven, keep_going=options.keep_going)


def warn_of_own_locks(root: Path, plans: Sequence[Plan]) -> None:
    """Say which bases have a lock of this checkout's own, so that their images are others than the project's."""
    for name in sorted({plan.base.name for plan in plans if plan.source == "archive"}):
        if locks.read_own_lock(root, name) is not None:
            path = locks.own_lock_path(root, name).relative_to(root)
            what = f"{name}: using {path} instead of the project's lock; `invoke build --locked` goes back to that"
            console.say(what, console.DOUBTFUL)


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
    for folder in list_disks(root, engine.reading):
        free = shutil.disk_usage(folder).free
        if free < LEAST_FREE:
            raise MachineError(
                f"the disk of {folder} has {free / 1e9:.1f} GB free, but a build needs {LEAST_FREE / 1e9:.0f} GB",
                "docker system prune",
                hint="then run the same command again",
            )


def _require_build_platform(engine: Engine, builder: str) -> None:
    """Check that the build's tools, which are programs of this machine, can run where the build runs.

    Raises:
        MachineError: the builder does not exist, or its machine has another architecture.
    """
    reading, own = engine.reading, platform.machine()
    machine, where = reading.machine, f"the engine at {engine.address}"
    if builder:
        where = f"the builder {builder}"
        names = {f"linux/{name}": kernel for kernel, name in ARCHITECTURES.items()}
        platforms = buildx.read_platforms(builder, engine.address)
        machine = names.get(platforms[0], platforms[0]) if platforms else own
    if machine != own:
        raise MachineError(
            f"{where} is on {machine}, but this machine, whose programs the build uses, is {own}; nothing was started",
            "invoke build --help" if builder else engine.address.leave_command,
            hint="build on that machine",
        )


def _require_far_emulator(engine: Engine) -> None:
    """Check that an engine on another machine can run aarch64 programs.

    Raises:
        MachineError: it cannot.
    """
    address, reading = engine.address, engine.reading
    if reading.is_here or reading.runs_arm:
        return
    if PLATFORM not in buildx.read_platforms(address.context, address):
        what = f"the engine at {address} cannot run aarch64 programs, so nothing can be proven; nothing was started"
        hint = "run ./inv setup on the engine's machine, or build with --no-smoke"
        raise MachineError(what, f"docker buildx inspect {address.context}", hint=hint)


def _require_runners(engine: Engine, results: Sequence[ComboResult], *, keep_going: bool) -> None:
    """Check that this machine can run the images that are to be proven.

    With `keep_going`, combos that it cannot run fail, unless it can run none of them.

    Raises:
        MachineError: it cannot run one of them.
    """
    errors: dict[str, MachineError] = {}
    for target in {result.combo.target.name: result.combo.target for result in results}.values():
        try:
            smoke.require_runner(target, engine.reading)
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
