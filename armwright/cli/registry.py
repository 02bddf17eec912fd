"""The command `registry`: starts, stops or shows the local staging registry."""

from __future__ import annotations

from pathlib import Path

from armwright.publish import local_registry
from armwright.publish.local_registry import RegistryStatus
from armwright.system import console
from armwright.system.errors import InputError, nearest

ACTIONS = ("start", "stop", "show")


def run(root: Path, action: str, port: str = "", *, as_json: bool = False) -> None:
    """Execute an action and print the registry's state.

    Args:
        root: the project's root.
        action: start, stop or show.
        port: the port to start it on; empty for 5000.
        as_json: print one JSON document instead of a line.

    Raises:
        InputError: the action or the port is invalid.
        MachineError: see `start_registry`, `stop_registry` and `read_registry_status`.
    """
    home = root.resolve() / local_registry.HOME
    if action not in ACTIONS:
        raise InputError(f"registry has no action '{action}': {nearest(action, ACTIONS)}", "invoke registry show")
    number = _parse_port(port)
    if action == "start":
        status, started = local_registry.start_registry(home, number)
        line = _describe(status, started=started)
    elif action == "stop":
        stopped = local_registry.stop_registry(home)
        status = local_registry.read_registry_status(home)
        line = f"registry: {'stopped' if stopped else 'was not running'}; its data stays in {home}"
    else:
        status = local_registry.read_registry_status(home)
        line = _describe(status)
    if as_json:
        console.document(status.document())
    else:
        console.result(line)


def _parse_port(text: str) -> int:
    number = local_registry.PORT if not text else int(text) if text.isascii() and text.isdecimal() else 0
    if not 0 < number < 2**16:
        raise InputError(f"{text!r} is not a port", f"invoke registry start --port {local_registry.PORT}")
    return number


def _describe(status: RegistryStatus, *, started: bool = False) -> str:
    if not status.running:
        return "registry: not running; start it with: invoke registry start"
    held = ", ".join(status.repositories) or "nothing yet"
    verb = "started" if started else "runs"
    return f"registry: {verb} on {status.address} (process {status.pid}); holds {held}"
