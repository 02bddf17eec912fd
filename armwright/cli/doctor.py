"""The command `doctor`: checks every precondition of a build and prints the command that fixes each failure."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from armwright.engine import probe
from armwright.engine.probe import EngineReading, NoEngineError, explain_unfit
from armwright.host import binfmt, disks, inspect, needs
from armwright.host.inspect import Host
from armwright.host.needs import Needs
from armwright.matrix.matrix import Matrix
from armwright.publish import given_name, lookup
from armwright.publish.given_name import LeftName
from armwright.publish.lookup import RegistryReading
from armwright.system import console, http_session, pip_tool
from armwright.system.errors import MachineError
from armwright.system.table_layout import Cell

SETUP = "./inv setup"
INDEXED = "invoke"  # any package that the index certainly has


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
        disks: the free bytes of each disk that a build fills, by a folder on it.
        unwritable: why build/ cannot be written; empty if it can.
        memory: the available bytes of memory.
        bundle: the file of trusted certificates; None if none was found.
        bundle_readable: whether it holds certificates and this user can read them.
        registry: whether the registry that images go to answers.
        index: why the package index cannot be reached; empty if it can.
        left: the ids of containers that killed runs left in the engine.
        left_name: the name of a registry that a killed run left in the engine; None if there is none.
    """

    machine: Host
    python: tuple[int, ...]
    cpus: frozenset[str]
    disks: dict[str, int]
    unwritable: str
    memory: int
    bundle: Path | None
    bundle_readable: bool
    registry: RegistryReading
    index: str
    left: tuple[str, ...] = ()
    left_name: LeftName | None = None


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
    folders = disks.list_disks(root, machine.engine)
    return Readings(
        machine=machine,
        python=sys.version_info[:3],
        cpus=binfmt.list_cpus() if machine.emulation.entries else frozenset(),
        disks={str(folder): shutil.disk_usage(folder).free for folder in folders},
        unwritable=_explain_unwritable(root),
        memory=inspect.read_available_memory() or os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        bundle=bundle,
        bundle_readable=bundle is not None and _has_certificates(bundle),
        registry=lookup.read_destination(root),
        index=pip_tool.explain_silence(INDEXED),
        left=probe.list_abandoned() if machine.engine else (),
        left_name=given_name.find_left_name(root, machine.engine.address) if machine.engine else None,
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
    elif machine.engine and not machine.emulates:
        yield _check_far_emulator(machine.engine)
    else:
        yield from _check_emulator(machine.emulation, facts, readings.cpus, cpus)
    for name in ("archive", "registry"):
        version = machine.have.get(name)
        shown = "absent" if version is None else version or "installed"
        yield _check(facts.needs[name].title, version is not None, shown, SETUP)
    registry = readings.registry
    yield _check("registry answers", registry.answers, registry.found, registry.fix, CheckState.WARN)
    yield _check_left(readings.left, readings.left_name)
    yield from _check_room(facts, readings)
    yield _check_bundle(readings)
    index = readings.index
    yield _check("package index", not index, index or "answers", "python -m pip config debug", CheckState.WARN)


def _check_engine(machine: Host, facts: Needs) -> Iterator[MachineCheck]:
    engine = machine.engine
    if engine:
        yield MachineCheck("engine answers", CheckState.OK, f"Docker Engine {engine.version} at {engine.address}")
        yield from _check_reading(engine, facts)
    else:
        yield _describe_silence(machine)
    buildx, minimum = machine.have.get("buildx"), facts.needs["buildx"].minimum
    shown = "absent" if buildx is None else buildx or "version unknown"
    yield _check(f"buildx >= {minimum}", inspect.is_recent(buildx, minimum), shown, SETUP)


def _check_reading(engine: EngineReading, facts: Needs) -> Iterator[MachineCheck]:
    """Check an engine that answers. setup can change only this machine's own; for another, the fix is advice."""
    minimum, unfit = facts.needs["engine"].minimum, explain_unfit(engine)
    own = engine.address.is_service
    elsewhere = f"{engine.address.leave_command}  # or change that engine, which setup does not touch"
    recent = inspect.is_recent(engine.version, minimum)
    yield _check(f"engine >= {minimum}", recent, engine.version, SETUP if own else elsewhere)
    found = "on"
    if unfit:
        found = (
            f"on, but no container starts with {engine.driver}" if engine.containerd_store else "off: no OCI archives"
        )
    fix = f"{unfit.next_step}  # {unfit.hint}".removesuffix("  # ") if unfit else ""
    yield _check("containerd image store", unfit is None, found, fix)


def _describe_silence(machine: Host) -> MachineCheck:
    """Return the check of an engine that does not answer."""
    silence, name = machine.silence, "engine answers"
    if silence is None or machine.owns_engine:
        found = "it is not running" if "engine" in machine.have else "absent"
        return MachineCheck(name, CheckState.FAIL, found, SETUP)
    found = silence.reason if isinstance(silence, NoEngineError) and silence.forbidden else silence.what
    fix = f"{silence.next_step}  # {silence.hint}".removesuffix("  # ")
    return MachineCheck(name, CheckState.FAIL, found.removesuffix("; nothing was started"), fix)


def _check_far_emulator(engine: EngineReading) -> MachineCheck:
    """Return the check of an emulator that only the engine's machine can show."""
    if engine.runs_arm:
        return MachineCheck("emulator", CheckState.OK, f"not needed: the engine's machine is {engine.machine}")
    fix = "./inv doctor  # on the engine's machine"
    return MachineCheck("emulator", CheckState.WARN, "not checked: the engine is on another machine", fix)


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


def _check_left(containers: Collection[str], name: LeftName | None) -> MachineCheck:
    left = {f"{len(containers)} container(s)": f"docker rm --force {' '.join(containers)}"} if containers else {}
    left |= {f"the name {name.name}": name.undo} if name else {}
    fix = f"{'; '.join(left.values())}  # or the next build does it"
    return _check("left by killed runs", not left, ", ".join(left) or "nothing", fix, CheckState.WARN)


def _check_room(facts: Needs, readings: Readings) -> Iterator[MachineCheck]:
    limits, memory = facts.limits, readings.memory
    unwritable = readings.unwritable
    yield _check("build/ can be written", not unwritable, unwritable or "yes", "ls -ld .  # or copy the checkout")
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


def _explain_unwritable(root: Path) -> str:
    try:
        disks.require_writable(root)
    except MachineError as error:
        return error.what.removesuffix("; nothing was started")
    return ""


def _has_certificates(file: Path) -> bool:
    try:
        return b"-----BEGIN CERTIFICATE-----" in file.read_bytes()
    except OSError:
        return False
