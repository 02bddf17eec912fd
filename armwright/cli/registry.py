"""The command `registry`: the local staging registry."""

from __future__ import annotations

from pathlib import Path

from armwright.publish import local_registry
from armwright.system import console
from armwright.system.errors import InputError, nearest

ACTIONS = ("start", "stop", "show")


def run(root: Path, action: str, port: str = "", *, as_json: bool = False) -> None:
    """Do what `invoke registry` was asked for, and say how it ended.

    Args:
        root: the project's root.
        action: start, stop or show.
        port: where to start it.
        as_json: one JSON document instead of words.

    Raises:
        InputError: there is no such action, or no such port.
        MachineError: see `start`, `stop` and `show`.
    """
    home = root.resolve() / local_registry.HOME
    if action not in ACTIONS:
        raise InputError(f"registry has no action '{action}': {nearest(action, ACTIONS)}", "invoke registry show")
    number = int(port) if str(port).isascii() and str(port).isdecimal() else 0
    if not 0 < number < 2**16:
        raise InputError(f"{str(port)!r} is no port", f"invoke registry start --port {local_registry.PORT}")
    stopped = action == "stop" and local_registry.stop_registry(home)
    status, fresh = (
        local_registry.start_registry(home, number)
        if action == "start"
        else (local_registry.read_registry_status(home), False)
    )
    if as_json:
        console.document(status.document())
        return
    if action == "stop":
        console.result(f"registry: {'stopped' if stopped else 'did not run'}; its data stays in {home}")
        return
    runs = f"{'started' if fresh else 'runs'} on {status.address} (process {status.pid})"
    held = f"; holds {', '.join(status.repositories) or 'nothing yet'}" if status.running else ""
    console.result(f"registry: {runs if status.running else 'does not run: invoke registry start'}{held}")
