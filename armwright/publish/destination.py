"""The one place that knows where images go: an option, ARMWRIGHT_REGISTRY, or the local registry on its port."""

from __future__ import annotations

import os
from pathlib import Path

from armwright.publish import local_registry
from armwright.publish.reference import Destination, parse_destination

VARIABLE = "ARMWRIGHT_REGISTRY"


def choose_destination(root: Path, given: str = "", option: str = "--to") -> Destination:
    """Return where images go.

    Args:
        root: the project's root.
        given: the value of the option; empty if it was not given.
        option: the option's name, for messages.

    Returns:
        what the option says, else what ARMWRIGHT_REGISTRY says, else the local registry on the port on which it runs
        or was last started, 127.0.0.1:5000 if it never was.

    Raises:
        InputError: the option's or the variable's value is not REGISTRY[/PATH…].
    """
    if given:
        return parse_destination(given, option)
    variable = os.environ.get(VARIABLE, "")
    if variable:
        return parse_destination(variable, VARIABLE)
    return Destination(local_registry.read_registry_address(root.resolve() / local_registry.HOME))


def is_local(root: Path, destination: Destination) -> bool:
    """Return whether a destination is the local registry of this checkout."""
    address = local_registry.read_registry_address(root.resolve() / local_registry.HOME)
    return destination.host in {address, address.replace(local_registry.HOST, "localhost")}


def share_command(combo: str) -> str:
    """Return the command that stages a combo; it starts the local registry unless images go elsewhere."""
    stage = f"./inv stage --combo {combo}"
    return stage if os.environ.get(VARIABLE) else f"./inv registry start && {stage}"
