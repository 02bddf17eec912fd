"""The command `setup`: prepares a bare machine for builds."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from armwright.engine.address import find_engine_address
from armwright.host import inspect, needs
from armwright.host.actions import perform
from armwright.host.setup import SetupStep, plan_setup
from armwright.system import console
from armwright.system.errors import MachineError

_ENGINE = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")  # variables that name an engine


def run(*, dry_run: bool = False) -> None:
    """Install and start what is missing; print each step before it runs.

    Args:
        dry_run: only print the steps.

    Raises:
        MachineError: setup cannot prepare this machine; the message says what to do instead.
        InputError: a recipe in recipes/hosts/ is wrong.
    """
    steps, root = _plan()
    if not steps:
        console.say("setup: everything is installed and running; nothing to do", console.GOOD)
        return
    if not root and not dry_run:
        raise MachineError(f"these steps need root:\n{_list_steps(steps)}", make_root_command(os.environ))
    for step in steps:
        console.step(step.text)
        console.detail(step.why)
        if not dry_run:
            perform(step.action)
    if dry_run:
        console.say("setup: dry run, nothing was changed")
        return
    left, _ = _plan()
    if left:
        raise MachineError(f"all steps are done, but the machine still needs:\n{_list_steps(left)}", "invoke doctor")
    console.say("setup: done", console.GOOD)


def make_root_command(environment: Mapping[str, str]) -> str:
    """Return the command that runs setup as root for the engine of this user: sudo drops what names it."""
    address = find_engine_address(environment)
    if address.origin == "default":
        return "sudo ./inv setup"
    folder = environment.get("DOCKER_CONFIG") or str(Path.home() / ".docker")
    named = {"DOCKER_CONFIG": folder, **{name: environment[name] for name in _ENGINE if environment.get(name)}}
    return f"sudo env {' '.join(f'{name}={shlex.quote(value)}' for name, value in named.items())} ./inv setup"


def _plan() -> tuple[tuple[SetupStep, ...], bool]:
    """Return the steps that this machine needs, and whether this process may run them."""
    machine = inspect.inspect_host()
    recipe = needs.load_host_recipe(machine.id, machine.version)
    return plan_setup(machine, needs.load_needs(), recipe), machine.root


def _list_steps(steps: Sequence[SetupStep]) -> str:
    return "\n".join(f"  - {step.text}" for step in steps)
