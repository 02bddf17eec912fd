"""Brings a bare machine to where it can build: a pure plan of steps from one reading of the machine, and its executor.

What is brought comes from recipes/hosts/. A step that is not needed is not planned, so a second run plans nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from armwright.host import apt, binfmt, inspect
from armwright.host.actions import ENGINE_LOG, Action, Configure, Install, Mount, Register, Start, Write
from armwright.host.actions import Disable
from armwright.host.inspect import Host
from armwright.host.needs import HostPackage, HostRecipe, NeedName, Needs
from armwright.system.errors import MachineError


@dataclass(frozen=True)
class SetupStep:
    """One step of the plan: what it does and why, in words, and the action."""

    says: str
    why: str
    action: Action


def plan_setup(machine: Host, facts: Needs, recipe: HostRecipe | None) -> tuple[SetupStep, ...]:
    """Decide what to do, from what was read; touches nothing.

    Args:
        machine: the reading.
        facts: what every machine needs.
        recipe: what its distribution has to offer; None if we do not know it.

    Returns:
        the steps in the order in which they must be done; none if nothing is missing.

    Raises:
        MachineError: something is missing that setup must not or cannot bring.
    """
    if machine.forbidden:
        raise MachineError(
            "the Docker Engine runs, but this user may not talk to it", "sudo usermod -aG docker $USER, log in again"
        )
    if machine.remote and machine.engine is None:
        raise MachineError(
            f"no engine answers at DOCKER_HOST={machine.remote}", "start it there, or: unset DOCKER_HOST"
        )
    missing = machine.missing(facts.needs)
    if missing and recipe is None:
        raise MachineError(_by_hand(machine, facts, missing), "install them, then: invoke doctor")
    packages = apt.select_packages(recipe.packages, missing) if recipe else ()
    _refuse_replacing(machine, facts, missing, packages)
    return (
        *_repair(machine, recipe, packages),
        *_configure_engine(machine),
        *(_packages(machine, recipe, packages) if recipe and packages else ()),
        *(() if machine.arm else _emulator(machine, facts)),
        *_start_engine(machine, replaced="engine" in missing),
    )


def _by_hand(machine: Host, facts: Needs, missing: tuple[NeedName, ...]) -> str:
    listed = "\n".join(f"  - {facts.needs[name].hand}: {facts.needs[name].why}" for name in missing)
    return f"setup does not know {machine.title or 'this system'} ({machine.machine}); it needs:\n{listed}"


def _refuse_replacing(
    machine: Host, facts: Needs, missing: tuple[NeedName, ...], packages: tuple[HostPackage, ...]
) -> None:
    """Raise MachineError rather than replace somebody's engine, or one that is at work."""
    present = machine.have.get("engine")
    if "engine" not in missing or present is None:
        return
    wanted = facts.needs["engine"].minimum
    if machine.engine_package not in {package.name for package in packages}:
        origin = f"package {machine.engine_package}" if machine.engine_package else "not from a package"
        raise MachineError(
            f"Docker Engine {present} ({origin}) is older than {wanted}", "upgrade it the way it was installed"
        )
    if machine.engine and machine.engine.running:
        raise MachineError(
            f"Docker Engine {present} is older than {wanted}, and {machine.engine.running} containers run in it",
            "stop them (docker stop $(docker ps -q)), then: ./inv setup",
        )


def _repair(machine: Host, recipe: HostRecipe | None, packages: tuple[HostPackage, ...]) -> Iterator[SetupStep]:
    ours = {package.name for package in recipe.packages} if recipe else set()
    if machine.unfinished & ours or (packages and (machine.journal or machine.unfinished)):
        yield SetupStep(
            "finish the interrupted installation: dpkg --configure -a",
            "packages were left half configured",
            Configure(),
        )


def _configure_engine(machine: Host) -> Iterator[SetupStep]:
    """Plan the image store: written before the engine is installed, so that its first start already has it."""
    if machine.remote or (machine.engine and machine.engine.containerd_store):
        return
    merged = enable_image_store(machine.daemon_json)
    if machine.engine and machine.engine.running:
        raise MachineError(
            f"the engine works without the containerd image store, and {machine.engine.running} containers run in it",
            'stop them, then ./inv setup; or set "features": {"containerd-snapshotter": true} in '
            f"{inspect.DAEMON_JSON} and restart the engine yourself",
        )
    if merged != machine.daemon_json:
        hidden = "; images of the old store are hidden until it is switched back" if machine.engine else ""
        yield SetupStep(
            f"switch the containerd image store on in {inspect.DAEMON_JSON}",
            f"without it no OCI archive can be written{hidden}",
            Write(inspect.DAEMON_JSON, merged),
        )


def enable_image_store(text: str | None) -> str:
    """Return the engine's configuration with the containerd image store switched on and everything else kept.

    Args:
        text: the file as it is; None if there is none. If the store is on in it, it is returned unchanged.

    Raises:
        MachineError: it is not a JSON object; file, line and column are named.
    """
    try:
        settings = json.loads(text) if text and text.strip() else {}
    except json.JSONDecodeError as error:
        place = f"{inspect.DAEMON_JSON}:{error.lineno}:{error.colno}"
        raise MachineError(
            f"{place}: not JSON: {error.msg}; the engine cannot read it either", f"mend {inspect.DAEMON_JSON}"
        ) from error
    features = settings.get("features", {}) if isinstance(settings, dict) else None
    if not isinstance(features, dict):
        raise MachineError(
            f"{inspect.DAEMON_JSON}:1:1: not an object whose 'features' is one", f"mend {inspect.DAEMON_JSON}"
        )
    if text and features.get("containerd-snapshotter") is True:
        return text
    return json.dumps({**settings, "features": {**features, "containerd-snapshotter": True}}, indent=2) + "\n"


def _packages(machine: Host, recipe: HostRecipe, packages: tuple[HostPackage, ...]) -> Iterator[SetupStep]:
    if any(package.suite for package in packages):
        if machine.site is None:
            raise MachineError(
                f"no source of apt names {recipe.codename}, so its mirror is not known",
                "add one under /etc/apt/sources.list.d",
            )
        added = ", ".join(f"{suite.name} ({suite.why})" for suite in recipe.suites)
        for path, text, why in (
            (
                apt.PREFERENCES,
                apt.render_preferences(recipe),
                "first, so that nothing else can come from the added suites",
            ),
            (apt.SOURCES, apt.render_sources(recipe, machine.site), f"on your own mirror: {added}"),
        ):
            if machine.files.get(path) != text:
                yield SetupStep(f"write {path}", why, Write(path, text))
    names = tuple(package.name for package in packages)
    yield SetupStep(
        f"apt-get install {' '.join(names)}", "; ".join(package.why for package in packages), Install(names)
    )
    for service in (package.service for package in packages if package.service):
        yield SetupStep(
            f"switch the service {service} off",
            "the package starts it by itself; ours runs on demand",
            Disable(service),
        )


def _emulator(machine: Host, facts: Needs) -> Iterator[SetupStep]:
    """Plan the registration: one that serves containers and is new enough is left alone."""
    known, minimum = machine.emulation, facts.needs["emulator"].minimum
    old = known.running is not None and not inspect.is_recent(known.running, minimum)
    if known.serves_containers and not old:
        return
    if not known.mounted:
        yield SetupStep(
            f"mount binfmt_misc on {binfmt.FOLDER}", "the kernel's table of foreign programs is not there", Mount()
        )
    stale = tuple(entry.name for entry in known.entries if old or not entry.serves_containers)
    told = f" in place of {', '.join(stale)}" if stale else ""
    why = (
        f"QEMU {known.running} is older than {minimum}"
        if old
        else "flag F: containers can use it though its file is not in them"
    )
    yield SetupStep(f"register QEMU for aarch64 programs{told}", why, Register(stale))


def _start_engine(machine: Host, *, replaced: bool) -> Iterator[SetupStep]:
    if machine.engine is None:
        yield SetupStep(
            "start the Docker Engine" + ("" if machine.systemd else f", log in {ENGINE_LOG}"),
            "it does not run",
            Start(),
        )
    elif replaced or not (machine.engine.containerd_store or machine.remote):
        yield SetupStep("restart the Docker Engine", "to take up what changed; no container runs", Start(again=True))
