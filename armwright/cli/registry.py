"""The command `registry`: the local registry, its start and end, what it holds, and its garbage."""

from __future__ import annotations

from pathlib import Path

from armwright.publish import destination, garbage, local_registry
from armwright.publish.garbage import CollectedGarbage
from armwright.publish.local_registry import RegistryStatus
from armwright.system import console
from armwright.system.errors import InputError, nearest, some

ACTIONS = ("start", "stop", "show", "gc")
_LISTED = 5  # removed images that are listed; the others are counted


def run(root: Path, action: str, port: str = "", *, superseded: bool = False, as_json: bool = False) -> None:
    """Execute an action and print the registry's state.

    Args:
        root: the project's root.
        action: start, stop, show or gc.
        port: the port to start it on; empty for the one on which it ran last.
        superseded: gc: also remove images that were replaced.
        as_json: print one JSON document instead of a line.

    Raises:
        InputError: the action or the port is invalid, or images go to a registry that is not the local one.
        MachineError: see `start_registry`, `stop_registry`, `read_registry_status` and `collect_garbage`.
        FailedError: see `collect_garbage`.
    """
    home = root.resolve() / local_registry.HOME
    _check(root, action, port, superseded=superseded)
    if action == "start":
        status, started = local_registry.start_registry(home, int(port) if port else None)
        line = _describe(root, status, started=started)
    elif action == "stop":
        stopped = local_registry.stop_registry(home)
        status = local_registry.read_registry_status(home)
        line = f"registry: {'stopped' if stopped else 'was not running'}; its data stays in {home}"
    elif action == "gc":
        with console.progress("collect garbage of the local registry") as progress:
            collected = garbage.collect_garbage(home, progress.update, superseded=superseded)
        status = local_registry.read_registry_status(home)
        line = _describe_garbage(collected)
    else:
        status = local_registry.read_registry_status(home)
        line = _describe(root, status)
    if not as_json:
        console.result(line)
    elif action == "gc":
        console.document({**vars(collected), "images": list(collected.images)})
    else:
        console.document({**status.document(), "destination": str(destination.choose_destination(root))})


def _check(root: Path, action: str, port: str, *, superseded: bool) -> None:
    if action not in ACTIONS:
        raise InputError(f"registry has no action '{action}': {nearest(action, ACTIONS)}", "invoke registry show")
    if port and not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 2**16):  # noqa: PLR2004
        raise InputError(f"{port!r} is not a port", f"invoke registry start --port {local_registry.PORT}")
    if superseded and action != "gc":
        raise InputError(f"--superseded belongs to gc, not to {action}", "invoke registry gc --superseded")
    to = destination.choose_destination(root, option=destination.VARIABLE)
    if action == "gc" and not destination.is_local(root, to):
        raise InputError(
            f"images go to {to} ({destination.VARIABLE}), and only the registry itself can collect its garbage: this "
            "needs its storage, which no request reaches",
            f"env -u {destination.VARIABLE} invoke registry gc",
            hint="that is for the local registry; on another one, use its own retention rules",
        )


def _describe(root: Path, status: RegistryStatus, *, started: bool = False) -> str:
    to = destination.choose_destination(root)
    elsewhere = "" if destination.is_local(root, to) else f"; images go to {to} ({destination.VARIABLE})"
    if not status.running:
        return f"registry: not running; start it with: invoke registry start{elsewhere}"
    held = ", ".join(status.repositories) or "nothing yet"
    verb = "started" if started else "runs"
    return f"registry: {verb} on {status.address} (process {status.pid}); holds {held}{elsewhere}"


def _describe_garbage(collected: CollectedGarbage) -> str:
    parts = [f"{collected.blobs} blobs", f"{collected.uploads} unfinished uploads"]
    if collected.images:
        parts.insert(0, f"{len(collected.images)} images ({some(collected.images, _LISTED)})")
    removed = f"removed {', '.join(parts)}"
    return f"registry: {removed}: {console.megabytes(collected.freed)} freed, {console.megabytes(collected.kept)} kept"
