"""The command `setup`: prepares a bare machine for builds."""

from __future__ import annotations

from collections.abc import Sequence

from armwright.host import inspect, needs
from armwright.host.actions import perform
from armwright.host.setup import SetupStep, plan_setup
from armwright.system import console
from armwright.system.errors import MachineError


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
        raise MachineError(f"these steps need root:\n{_list_steps(steps)}", "sudo ./inv setup")
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


def _plan() -> tuple[tuple[SetupStep, ...], bool]:
    """Return the steps that this machine needs, and whether this process may run them."""
    machine = inspect.inspect_host()
    recipe = needs.load_host_recipe(machine.id, machine.version)
    return plan_setup(machine, needs.load_needs(), recipe), machine.root


def _list_steps(steps: Sequence[SetupStep]) -> str:
    return "\n".join(f"  - {step.text}" for step in steps)
