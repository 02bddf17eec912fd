"""Every precondition of a build as ok, warn or fail, with the command that mends it."""

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
from armwright.system import console, http, process
from armwright.system.errors import FailedError, MachineError

SETUP = "./inv setup"


class CheckState(StrEnum):
    """How a check ended: `warn` is something that some command will miss, `fail` something that every build needs."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class MachineCheck:
    """One check: its name, how it ended, what was found, and the command that mends it (empty when ok)."""

    name: str
    state: CheckState
    found: str
    mend: str = ""


@dataclass(frozen=True)
class Readings:
    """What the checks judge, read once.

    Attributes:
        machine: what this machine is and has.
        python: the version of the interpreter that runs us.
        cpus: the CPUs that the registered emulator knows.
        disks: free bytes of the file system behind each folder, by what the folder is for.
        memory: available bytes of memory.
        bundle: the file of trusted certificates, if one is named or found.
        bundle_readable: it holds certificates, and this user can read them.
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
        matrix: the loaded matrix: its targets name the CPUs to emulate, and build/ below its root needs room.
        as_json: print one JSON document instead of a table.

    Returns:
        the exit code: 0 if nothing fails, 3 otherwise.
    """
    cpus = {model for target in matrix.recipes.targets.values() for model in target.emulator.models}
    found = judge_readings(cpus, needs.load_needs(), read_machine(matrix.root))
    failed = [row for row in found if row.state is CheckState.FAIL]
    if as_json:
        console.document({"ok": not failed, "checks": [asdict(row) for row in found]})
    else:
        console.table(
            "", ("check", "state", "found", "mend"), [(row.name, row.state, row.found, row.mend) for row in found]
        )
        bad, doubtful = len(failed), sum(row.state is CheckState.WARN for row in found)
        console.say(f"doctor: {len(found)} checks, {bad} failed, {doubtful} warned", "red" if bad else "green")
    return MachineError.code if failed else 0


def read_machine(root: Path) -> Readings:
    """Read the machine; the slowest part is the question to the package index (about a second)."""
    machine = inspect.inspect_host()
    bundle = http.find_ca_bundle()
    folders = {"build/": root / "build", "the engine's data": machine.engine.root if machine.engine else None}
    return Readings(
        machine=machine,
        python=sys.version_info[:3],
        cpus=binfmt.list_cpus() if machine.emulation.entries else frozenset(),
        disks={
            name: _free(folder)
            for name, folder in folders.items()
            if folder and not (machine.remote and name != "build/")
        },
        memory=_memory(Path("/proc/meminfo")),
        bundle=bundle,
        bundle_readable=bundle is not None and _certificates(bundle),
        registry=local_registry.is_registry_answering(root.resolve() / local_registry.HOME),
        index=_index(),
    )


def judge_readings(cpus: Collection[str], facts: Needs, seen: Readings) -> tuple[MachineCheck, ...]:
    """Judge the readings; touches nothing.

    Args:
        cpus: the CPUs that the targets want emulated.
        facts: minimum versions and limits (recipes/hosts/needs.yaml).
        seen: the readings.

    Returns:
        one row for each check, in the order in which one would mend them.
    """
    return tuple(_rows(cpus, facts, seen))


def _rows(cpus: Collection[str], facts: Needs, seen: Readings) -> Iterator[MachineCheck]:
    machine, limits = seen.machine, facts.limits
    python = ".".join(map(str, seen.python))
    yield _row("python", seen.python >= (3, 11), python, "python 3.11 or newer, then: rm -r .venv && ./inv doctor")
    yield from _engine(machine, facts)
    if machine.arm:
        yield MachineCheck("emulator", CheckState.OK, f"not needed: this machine is {machine.machine}")
    else:
        yield from _emulator(machine.emulation, facts, seen.cpus, cpus)
    for name in ("unpacker", "registry"):
        found = machine.have.get(name)
        yield _row(
            facts.needs[name].title, found is not None, "absent" if found is None else found or "installed", SETUP
        )
    yield _row(
        "registry answers",
        seen.registry,
        f"{local_registry.HOST}:{local_registry.PORT}",
        "invoke registry start",
        CheckState.WARN,
    )
    for name, free in seen.disks.items():
        worst = CheckState.FAIL if free < limits.disk_fail_gb * 1e9 else CheckState.WARN
        enough = free >= limits.disk_warn_gb * 1e9
        yield _row(
            f"disk: {name}", enough, f"{free / 1e9:.0f} GB free", "docker buildx prune; docker system prune", worst
        )
    plenty = seen.memory >= limits.memory_warn_gb * 1e9
    yield _row(
        "memory",
        plenty,
        f"{seen.memory / 1e9:.1f} GB available",
        "build one combo at a time, close what is large",
        CheckState.WARN,
    )
    yield _bundle(seen)
    yield _row("package index", not seen.index, seen.index or "answers", "python -m pip config debug", CheckState.WARN)


def _engine(machine: Host, facts: Needs) -> Iterator[MachineCheck]:
    engine, version = machine.engine, facts.needs["engine"].minimum
    yield _row(
        "engine answers",
        engine is not None,
        f"Docker Engine {engine.version}" if engine else machine.silence if "engine" in machine.have else "absent",
        "sudo usermod -aG docker $USER, log in again" if machine.forbidden else SETUP,
    )
    if engine:
        yield _row(f"engine >= {version}", inspect.is_recent(engine.version, version), engine.version, SETUP)
        store = "on" if engine.containerd_store else "off: no OCI archives"
        yield _row("containerd image store", engine.containerd_store, store, SETUP)
    buildx, minimum = machine.have.get("buildx"), facts.needs["buildx"].minimum
    yield _row(
        f"buildx >= {minimum}",
        inspect.is_recent(buildx, minimum),
        "absent" if buildx is None else buildx or "version unknown",
        SETUP,
    )


def _emulator(
    known: binfmt.Emulation, facts: Needs, have: frozenset[str], want: Collection[str]
) -> Iterator[MachineCheck]:
    minimum = facts.needs["emulator"].minimum
    listed = ", ".join(f"{entry.interpreter} flags {entry.flags or 'none'}" for entry in known.entries)
    yield _row("emulator registered, flag F", known.serves_containers, listed or "not registered", SETUP)
    if known.entries:
        told = known.running is not None
        recent = told and inspect.is_recent(known.running, minimum)
        found = f"QEMU {known.running}" if told else "version unknown"
        yield _row(f"emulator >= {minimum}", recent, found, SETUP, CheckState.FAIL if told else CheckState.WARN)
        absent = sorted(set(want) - have)
        found = f"unknown to it: {', '.join(absent)}" if absent else f"{len(have)} CPUs, with every target's"
        yield _row("emulator's CPUs", not absent, found, SETUP)


def _bundle(seen: Readings) -> MachineCheck:
    if seen.bundle is None:
        return MachineCheck("CA bundle", CheckState.FAIL, "none found", "apt-get install ca-certificates")
    mend = "point SSL_CERT_FILE or REQUESTS_CA_BUNDLE to the bundle of your network, or unset it"
    return _row(
        "CA bundle",
        seen.bundle_readable,
        f"{seen.bundle}{'' if seen.bundle_readable else ': no certificates to read'}",
        mend,
    )


def _row(name: str, good: bool, found: str, mend: str, worst: CheckState = CheckState.FAIL) -> MachineCheck:  # noqa: FBT001 - the check itself
    return MachineCheck(name, CheckState.OK, found) if good else MachineCheck(name, worst, found, mend)


def _free(folder: Path) -> int:
    """Return the free bytes behind a folder, or behind where it will be made."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(there).free


def _memory(meminfo: Path) -> int:
    if not meminfo.is_file():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    lines = meminfo.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def _certificates(file: Path) -> bool:
    try:
        return b"-----BEGIN CERTIFICATE-----" in file.read_bytes()
    except OSError:
        return False


def _index() -> str:
    """Ask the package index with pip and its own configuration; return why it failed, or nothing."""
    asked = "invoke"  # any package we depend on
    words = ["-m", "pip", "--disable-pip-version-check", "--no-input", "--retries", "0", "--timeout", "5"]
    try:
        process.capture([sys.executable, *words, "index", "versions", "--quiet", asked], timeout=20)
    except FailedError as failure:
        if "No module named pip" in failure.what:
            return "not asked: this environment was made by uv, without pip"
        return f"it does not answer pip for '{asked}'"
    return ""
