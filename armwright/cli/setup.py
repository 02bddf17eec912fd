"""The command `setup`: bring a bare machine to where it can build."""

from __future__ import annotations

from armwright.host import inspect, needs
from armwright.host.actions import perform
from armwright.host.setup import plan_setup
from armwright.system import console
from armwright.system.errors import MachineError


def run(*, dry_run: bool = False) -> None:
    """Bring what is missing, saying each step first.

    Args:
        dry_run: only print the steps.

    Raises:
        MachineError: the machine cannot be brought there by us; says what to do instead.
        InputError: a recipe under recipes/hosts/ is wrong.
    """
    facts = needs.load_needs()
    machine = inspect.inspect_host()
    steps = plan_setup(machine, facts, needs.load_host_recipe(machine.id, machine.version))
    if not steps:
        console.say("setup: everything is here, nothing to do", "green")
        return
    if not machine.root and not dry_run:
        listed = "\n".join(f"  - {step.says}" for step in steps)
        raise MachineError(f"these steps need root:\n{listed}", "sudo ./inv setup")
    for step in steps:
        console.step(step.says)
        console.detail(step.why)
        if not dry_run:
            perform(step.action)
    if dry_run:
        console.say("setup: dry run, nothing was done")
        return
    machine = inspect.inspect_host()
    left = plan_setup(machine, facts, needs.load_host_recipe(machine.id, machine.version))
    if left:
        listed = "\n".join(f"  - {step.says}" for step in left)
        raise MachineError(f"setup did every step, yet the machine still asks for:\n{listed}", "invoke doctor")
    console.say("setup: done", "green")
