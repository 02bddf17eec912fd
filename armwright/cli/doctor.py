"""The command `doctor`: checks every precondition of a build and prints the command that fixes each failure."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from armwright.host import binfmt, inspect, needs
from armwright.host.inspect import Host
from armwright.host.needs import Needs
from armwright.matrix.matrix import Matrix
from armwright.publish import local_registry
from armwright.system import console, http_session, process
from armwright.system.errors import FailedError, MachineError
from armwright.system.table_layout import Cell

SETUP = "./inv setup"


class CheckState(StrEnum):
    """The result of a check: some commands need what a `warn` reports, every build needs what a `fail` reports."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


STYLES = {CheckState.OK: console.GOOD, CheckState.WARN: console.DOUBTFUL, CheckState.FAIL: console.BAD}


@dataclass(frozen=True)
class MachineCheck:
    """One check: its name, its result, what was found, and the command that fixes it (empty if ok)."""

    name: str
    state: CheckState
    found: str
    fix: str = ""


@dataclass(frozen=True)
class Readings:
    """What the checks judge, read once.

    Attributes:
        machine: what this machine is and has.
        python: the version of this interpreter.
        cpus: the CPUs that the registered emulator knows.
        disks: the free bytes of the file system behind each folder, by the folder's name for people.
        memory: the available bytes of memory.
        bundle: the file of trusted certificates; None if none was found.
        bundle_readable: whether it holds certificates and this user can read them.
        registry: whether the local registry answers.
        index: why the package index cannot be reached; empty if it can.
    """

    machine: Host
    python: tuple[int, ...]
    cpus: frozenset[str]
    disks: dict[str, int]
    memory: int
    bundle: Path | None
    bundle_readable: bool
    registry: bool
    index: str


def run(matrix: Matrix, *, as_json: bool = False) -> int:
    """Check the machine and print the result on stdout.

    Args:
        matrix: the loaded matrix; its targets name the CPUs to emulate, and builds write below its root.
        as_json: print one JSON document instead of a table.

    Returns:
        the exit code: 0 if no check fails, else 3.
    """
    cpus = {model for target in matrix.recipes.targets.values() for model in target.emulator.models}
    checks = judge_readings(cpus, needs.load_needs(), read_machine(matrix.root))
    failed = sum(check.state is CheckState.FAIL for check in checks)
    if as_json:
        console.document({"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        rows = [(check.name, Cell(check.state, STYLES[check.state]), check.found, check.fix) for check in checks]
        console.table("", ("check", "state", "found", "fix"), rows)
        warned = sum(check.state is CheckState.WARN for check in checks)
        summary = f"doctor: {len(checks)} checks, {failed} failed, {warned} warned"
        console.say(summary, console.BAD if failed else console.GOOD)
    return MachineError.code if failed else 0


def read_machine(root: Path) -> Readings:
    """Read the machine. The slowest part, about a second, is the request to the package index."""
    machine = inspect.inspect_host()
    bundle = http_session.find_ca_bundle()
    folders = {"build/": root / "build"}
    if machine.engine and not machine.remote:
        folders["the engine's data"] = machine.engine.root
    return Readings(
        machine=machine,
        python=sys.version_info[:3],
        cpus=binfmt.list_cpus() if machine.emulation.entries else frozenset(),
        disks={name: _read_free_space(folder) for name, folder in folders.items()},
        memory=inspect.read_available_memory() or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        bundle=bundle,
        bundle_readable=bundle is not None and _has_certificates(bundle),
        registry=local_registry.is_registry_answering(root.resolve() / local_registry.HOME),
        index=_explain_index(),
    )


def judge_readings(cpus: Collection[str], facts: Needs, readings: Readings) -> tuple[MachineCheck, ...]:
    """Turn readings into checks.

    Args:
        cpus: the CPUs that the targets need emulated.
        facts: minimum versions and limits (recipes/hosts/needs.yaml).
        readings: the readings.

    Returns:
        the checks, in the order in which a user would fix them.
    """
    return tuple(_judge(cpus, facts, readings))


def _judge(cpus: Collection[str], facts: Needs, readings: Readings) -> Iterator[MachineCheck]:
    machine = readings.machine
    python = ".".join(map(str, readings.python))
    fix = "apt-get install python3 python3-venv && rm -r .venv && ./inv doctor"
    yield _check("python >= 3.11", readings.python >= (3, 11), python, fix)
    yield from _check_engine(machine, facts)
    if machine.arm:
        yield MachineCheck("emulator", CheckState.OK, f"not needed: this machine is {machine.machine}")
    else:
        yield from _check_emulator(machine.emulation, facts, readings.cpus, cpus)
    for name in ("unpacker", "registry"):
        version = machine.have.get(name)
        shown = "absent" if version is None else version or "installed"
        yield _check(facts.needs[name].title, version is not None, shown, SETUP)
    address = f"{local_registry.HOST}:{local_registry.PORT}"
    yield _check("registry answers", readings.registry, address, "invoke registry start", CheckState.WARN)
    yield from _check_room(facts, readings)
    yield _check_bundle(readings)
    index = readings.index
    yield _check("package index", not index, index or "answers", "python -m pip config debug", CheckState.WARN)


def _check_engine(machine: Host, facts: Needs) -> Iterator[MachineCheck]:
    engine, version = machine.engine, facts.needs["engine"].minimum
    absent = machine.silence if "engine" in machine.have else "absent"
    login = "sudo usermod -aG docker $USER  # then log in again"
    yield _check(
        "engine answers",
        engine is not None,
        f"Docker Engine {engine.version}" if engine else absent,
        login if machine.forbidden else SETUP,
    )
    if engine:
        yield _check(f"engine >= {version}", inspect.is_recent(engine.version, version), engine.version, SETUP)
        store = "on" if engine.containerd_store else "off: no OCI archives"
        yield _check("containerd image store", engine.containerd_store, store, SETUP)
    buildx, minimum = machine.have.get("buildx"), facts.needs["buildx"].minimum
    shown = "absent" if buildx is None else buildx or "version unknown"
    yield _check(f"buildx >= {minimum}", inspect.is_recent(buildx, minimum), shown, SETUP)


def _check_emulator(
    emulation: binfmt.Emulation, facts: Needs, have: frozenset[str], want: Collection[str]
) -> Iterator[MachineCheck]:
    minimum, running = facts.needs["emulator"].minimum, emulation.running
    listed = ", ".join(f"{entry.interpreter} flags {entry.flags or 'none'}" for entry in emulation.entries)
    yield _check("emulator registered, flag F", emulation.serves_containers, listed or "not registered", SETUP)
    if not emulation.entries:
        return
    recent = running is not None and inspect.is_recent(running, minimum)
    shown = "version unknown" if running is None else f"QEMU {running}"
    worst = CheckState.WARN if running is None else CheckState.FAIL
    yield _check(f"emulator >= {minimum}", recent, shown, SETUP, worst)
    absent = sorted(set(want) - have)
    shown = f"it lacks {', '.join(absent)}" if absent else f"{len(have)} CPUs, including every target's"
    yield _check("emulator's CPUs", not absent, shown, SETUP)


def _check_room(facts: Needs, readings: Readings) -> Iterator[MachineCheck]:
    limits, memory = facts.limits, readings.memory
    for name, free in readings.disks.items():
        worst = CheckState.FAIL if free < limits.disk_fail_gb * 1e9 else CheckState.WARN
        enough = free >= limits.disk_warn_gb * 1e9
        fix = "docker buildx prune; docker system prune"
        yield _check(f"disk: {name}", enough, f"{free / 1e9:.0f} GB free", fix, worst)
    enough = memory >= limits.memory_warn_gb * 1e9
    shown = f"{memory / 1e9:.1f} GB available"
    yield _check("memory", enough, shown, "invoke build --jobs 1  # or stop other programs", CheckState.WARN)


def _check_bundle(readings: Readings) -> MachineCheck:
    if readings.bundle is None:
        return MachineCheck("CA bundle", CheckState.FAIL, "none found", "apt-get install ca-certificates")
    shown = f"{readings.bundle}{'' if readings.bundle_readable else ': no readable certificates'}"
    fix = "export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt  # or the CA bundle of your network"
    return _check("CA bundle", readings.bundle_readable, shown, fix)


def _check(name: str, good: bool, found: str, fix: str, worst: CheckState = CheckState.FAIL) -> MachineCheck:  # noqa: FBT001 - the check itself
    return MachineCheck(name, CheckState.OK, found) if good else MachineCheck(name, worst, found, fix)


def _read_free_space(folder: Path) -> int:
    """Return the free bytes of a folder's file system; the folder may not exist yet."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(existing).free


def _has_certificates(file: Path) -> bool:
    try:
        return b"-----BEGIN CERTIFICATE-----" in file.read_bytes()
    except OSError:
        return False


def _explain_index() -> str:
    """Query the package index with pip and its configuration; return why that failed, or an empty text."""
    package = "invoke"  # any package that the index certainly has
    arguments = ["-m", "pip", "--disable-pip-version-check", "--no-input", "--retries", "0", "--timeout", "5"]
    try:
        process.capture([sys.executable, *arguments, "index", "versions", "--quiet", package], timeout=20)
    except FailedError as failure:
        if "No module named pip" in failure.what:
            return "not checked: uv made this environment, without pip"
        return f"it does not answer pip's query for '{package}'"
    return ""
