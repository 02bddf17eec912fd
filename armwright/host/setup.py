"""Plans how to prepare a bare machine for builds: steps from one reading of the machine, without side effects.

The packages come from recipes/hosts/. Steps that are done already are not planned, so a second run plans nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from armwright.engine.probe import OLD_DRIVERS, EngineReading, explain_unfit
from armwright.host import apt, binfmt, inspect
from armwright.host.actions import ENGINE_LOG, Action, Configure, Disable, Install, Mount, Register, Start, Write
from armwright.host.apt_sources import render_source
from armwright.host.inspect import Host
from armwright.host.needs import HostPackage, HostRecipe, NeedName, Needs
from armwright.system.errors import MachineError


@dataclass(frozen=True)
class SetupStep:
    """One step of the plan: a line for the user, the reason, and the action."""

    text: str
    why: str
    action: Action


def plan_setup(machine: Host, facts: Needs, recipe: HostRecipe | None) -> tuple[SetupStep, ...]:
    """Plan the steps that the machine lacks.

    Args:
        machine: the reading of the machine.
        facts: what every machine needs.
        recipe: the packages of its distribution; None if the distribution is unknown.

    Returns:
        the steps in the order in which they must be done; none if nothing is missing.

    Raises:
        MachineError: something is missing that setup cannot or must not change.
    """
    if machine.silence and not machine.owns_engine:
        raise machine.silence
    if machine.engine and not machine.owns_engine:
        _require_foreign_engine(machine.engine, facts)
    missing = machine.missing(facts.needs)
    if missing and recipe is None:
        raise MachineError(_describe_needs(machine, facts, missing), "invoke doctor", hint="install them first")
    packages = apt.select_packages(recipe.packages, missing) if recipe else ()
    _refuse_replacing(machine, facts, missing, packages)
    return (
        *_plan_repair(machine, recipe, packages),
        *_plan_image_store(machine),
        *(_plan_packages(machine, recipe, packages) if recipe and packages else ()),
        *(_plan_emulator(machine, facts) if machine.emulates else ()),
        *_plan_engine(machine, replaced="engine" in missing),
    )


def _require_foreign_engine(engine: EngineReading, facts: Needs) -> None:
    """Raise MachineError if an engine that setup may not change does not fit."""
    unfit, minimum = explain_unfit(engine), facts.needs["engine"].minimum
    if not inspect.is_recent(engine.version, minimum):
        raise MachineError(
            f"Docker Engine {engine.version} at {engine.address} is older than {minimum}",
            engine.address.leave_command,
            hint="or upgrade it there; setup changes only the engine of this machine's service",
        )
    if unfit:
        raise unfit


def _describe_needs(machine: Host, facts: Needs, missing: tuple[NeedName, ...]) -> str:
    listed = "\n".join(f"  - {facts.needs[name].hand}: {facts.needs[name].why}" for name in missing)
    system = machine.title or "this system"
    return f"setup cannot install packages on {system} ({machine.machine}); a build needs:\n{listed}"


def _refuse_replacing(
    machine: Host, facts: Needs, missing: tuple[NeedName, ...], packages: tuple[HostPackage, ...]
) -> None:
    """Raise MachineError if setup would replace an engine from elsewhere, or one that runs containers."""
    present = machine.have.get("engine")
    if "engine" not in missing or present is None:
        return
    wanted = facts.needs["engine"].minimum
    if machine.engine_package not in {package.name for package in packages}:
        origin = f"package {machine.engine_package}" if machine.engine_package else "not from a package"
        raise MachineError(
            f"Docker Engine {present} ({origin}) is older than {wanted}",
            hint="upgrade it the way it was installed, then run ./inv setup again",
        )
    if machine.engine and machine.engine.running:
        raise MachineError(
            f"Docker Engine {present} is older than {wanted}, and {machine.engine.running} containers are running",
            "docker stop $(docker ps -q)",
            hint="then run ./inv setup again",
        )


def _plan_repair(machine: Host, recipe: HostRecipe | None, packages: tuple[HostPackage, ...]) -> Iterator[SetupStep]:
    known = {package.name for package in recipe.packages} if recipe else set()
    if machine.unfinished & known or (packages and (machine.journal or machine.unfinished)):
        yield SetupStep(
            "finish the interrupted installation: dpkg --configure -a",
            "packages were left half configured",
            Configure(),
        )


def _plan_image_store(machine: Host) -> Iterator[SetupStep]:
    """Plan to enable the image store; before the engine is installed, so that its first start uses it."""
    if not machine.owns_engine:
        return
    if machine.engine and machine.engine.containerd_store:
        unfit = explain_unfit(machine.engine)
        if unfit:
            raise unfit
        return
    merged = enable_image_store(machine.daemon_json)
    if machine.engine and machine.engine.running:
        raise MachineError(
            "the engine does not use the containerd image store and cannot be restarted: "
            f"{machine.engine.running} containers are running",
            "docker stop $(docker ps -q)",
            hint='then run ./inv setup again; or set "features": {"containerd-snapshotter": true} in '
            f"{inspect.DAEMON_JSON} and restart the engine yourself",
        )
    if merged != machine.daemon_json:
        hidden = "; images in the old store are hidden until it is switched back" if machine.engine else ""
        yield SetupStep(
            f"enable the containerd image store in {inspect.DAEMON_JSON}",
            f"the engine can write OCI archives only with it{hidden}",
            Write(inspect.DAEMON_JSON, merged),
        )


def enable_image_store(text: str | None) -> str:
    """Return the engine's configuration with the containerd image store enabled and everything else kept.

    Args:
        text: the content of the file; None if there is none. If it enables the store already, it is returned unchanged.

    Raises:
        MachineError: it is not a JSON object (the message has file, line and column), or it sets a storage driver with
            which the engine would start no container.
    """
    edit, again = f"sudo editor {inspect.DAEMON_JSON}", "then run ./inv setup again"
    try:
        settings = json.loads(text) if text and text.strip() else {}
    except json.JSONDecodeError as error:
        place = f"{inspect.DAEMON_JSON}:{error.lineno}:{error.colno}"
        raise MachineError(
            f"{place}: not JSON: {error.msg}; the engine cannot read it either", edit, hint=again
        ) from error
    features = settings.get("features", {}) if isinstance(settings, dict) else None
    if not isinstance(features, dict):
        raise MachineError(f"{inspect.DAEMON_JSON}:1:1: not an object whose 'features' is one", edit, hint=again)
    if settings.get("storage-driver") in OLD_DRIVERS:
        what = f'{inspect.DAEMON_JSON} sets "storage-driver": "{settings["storage-driver"]}", a driver of the old '
        what += "image store; next to the containerd image store, which images need, no container starts with it"
        raise MachineError(what, edit, hint=f'remove "storage-driver" there, {again}')
    if text and features.get("containerd-snapshotter") is True:
        return text
    return json.dumps({**settings, "features": {**features, "containerd-snapshotter": True}}, indent=2) + "\n"


def _plan_packages(machine: Host, recipe: HostRecipe, packages: tuple[HostPackage, ...]) -> Iterator[SetupStep]:
    if any(package.suite for package in packages):
        yield from _plan_suites(machine, recipe)
    names = tuple(package.name for package in packages)
    yield SetupStep(
        f"apt-get install {' '.join(names)}", "; ".join(package.why for package in packages), Install(names)
    )
    for service in (package.service for package in packages if package.service):
        yield SetupStep(
            f"disable the service {service}",
            "the package starts it; `invoke registry start` starts its own on demand",
            Disable(service),
        )


def _plan_suites(machine: Host, recipe: HostRecipe) -> Iterator[SetupStep]:
    if machine.source is None:
        raise MachineError(
            f"no apt source names {recipe.codename}, so its mirror is unknown",
            "ls /etc/apt/sources.list.d",
            hint=f"add a source for {recipe.codename} there, then run ./inv setup again",
        )
    added = ", ".join(f"{suite.name} ({suite.why})" for suite in recipe.suites)
    files = (
        (apt.PREFERENCES, apt.render_preferences(recipe), "first, so that nothing else comes from the added suites"),
        (apt.SOURCES, render_source(recipe, machine.source), f"from the mirror that this host uses: {added}"),
    )
    for path, text, why in files:
        if machine.files.get(path) != text:
            yield SetupStep(
                f"write {path}", why, Write(path, text, machine.source.mode if path == apt.SOURCES else 0o644)
            )


def _plan_emulator(machine: Host, facts: Needs) -> Iterator[SetupStep]:
    """Plan the registration; keep an emulator that containers can use and that is new enough."""
    emulation, minimum = machine.emulation, facts.needs["emulator"].minimum
    old = emulation.running is not None and not inspect.is_recent(emulation.running, minimum)
    if emulation.serves_containers and not old:
        return
    if not emulation.mounted:
        yield SetupStep(
            f"mount binfmt_misc on {binfmt.FOLDER}", "emulators are registered there, and it is not mounted", Mount()
        )
    stale = tuple(entry.name for entry in emulation.entries if old or not entry.serves_containers)
    instead = f" in place of {', '.join(stale)}" if stale else ""
    why = (
        f"QEMU {emulation.running} is older than {minimum}"
        if old
        else "with flag F, so that containers need no copy of it"
    )
    yield SetupStep(f"register QEMU for aarch64 programs{instead}", why, Register(stale))


def _plan_engine(machine: Host, *, replaced: bool) -> Iterator[SetupStep]:
    if not machine.owns_engine:
        return
    if machine.engine is None:
        log = "" if machine.systemd else f", log in {ENGINE_LOG}"
        yield SetupStep(f"start the Docker Engine{log}", "it is not running", Start())
    elif replaced or not machine.engine.containerd_store:
        yield SetupStep("restart the Docker Engine", "to apply the changes; no container is running", Start(again=True))
