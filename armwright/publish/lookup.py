"""Looks up whether a registry has an image, over HTTP: no engine is needed, and a silent registry costs a second."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from armwright.plan.plan import Plan
from armwright.publish.destination import choose_destination, is_local
from armwright.publish.reference import Destination
from armwright.publish.registry_client import RegistryClient
from armwright.system.errors import ArmwrightError, FailedError, MachineError

_TIMEOUT = (1.0, 5.0)  # seconds to connect, seconds to answer


def find_staged(destination: Destination, plan: Plan) -> str:
    """Return the name under which a registry has a plan's image, which is proven if it is staged; empty if it has none.

    A registry that cannot be reached, or that docker has no login for, counts as one that does not have the image. The
    immutable name is looked up; the name for people is returned if it is the same image, else the immutable one.
    """
    framework, _, tag = plan.reference.partition(":")
    repository = destination.repository(framework)
    try:
        client = RegistryClient(destination.host, timeout=_TIMEOUT, retries=0)
        digest = client.find_digest(repository, tag)
        if digest is None:
            return ""
        moving = client.find_digest(repository, plan.tag.partition(":")[2])
    except (MachineError, FailedError):
        return ""
    return destination.name(plan.tag if moving == digest else plan.reference)


@dataclass(frozen=True)
class RegistryReading:
    """Whether the registry that images go to answers.

    Attributes:
        found: its host; if it does not answer, also why.
        answers: whether it does.
        fix: the command that helps; empty if it answers.
    """

    found: str
    answers: bool
    fix: str = ""


def read_destination(root: Path) -> RegistryReading:
    """Ask the registry that images go to whether it is there; no credentials are sent."""
    try:
        to = choose_destination(root)
    except ArmwrightError as error:
        return RegistryReading(error.what, answers=False, fix=error.next_step)
    try:
        RegistryClient(to.host, timeout=_TIMEOUT, retries=0)
    except (MachineError, FailedError) as error:
        if is_local(root, to):
            return RegistryReading(to.host, answers=False, fix="invoke registry start")
        return RegistryReading(error.what, answers=False, fix=error.next_step)
    return RegistryReading(to.host, answers=True)
