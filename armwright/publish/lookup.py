"""Looks up whether a registry has an image, over HTTP: no engine is needed, and a silent registry costs a second."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from armwright.assembly.record import read_record
from armwright.engine.client import Image
from armwright.engine.containers import PLATFORM
from armwright.plan.plan import Plan
from armwright.proof import check_image
from armwright.publish import arrival
from armwright.publish.destination import choose_destination, is_local
from armwright.publish.reference import Destination
from armwright.publish.registry_client import RegistryClient
from armwright.system.errors import ArmwrightError, FailedError, MachineError, some

_TIMEOUT = (1.0, 5.0)  # seconds to connect, seconds to answer
_NAMED = 2  # differences that a note names; the others are counted


class StagedName(NamedTuple):
    """What a registry has under a plan's immutable name, as far as it was compared.

    Attributes:
        name: the name to pull; empty if the registry has no image, or another one.
        note: what was not compared, or why the image is not the plan's; empty if its digest is the proven one.
    """

    name: str = ""
    note: str = ""


def find_staged(root: Path, destination: Destination, plan: Plan) -> StagedName:
    """Look up the image of a plan in a registry.

    A registry that cannot be reached, or that docker has no login for, counts as one that does not have the image. The
    name for people is returned if it is the same image, else the immutable one.

    Args:
        root: the project's root. If the plan was built here, the image must have the recorded digest; otherwise its
            labels, configuration and layers are compared with the plan, as the registry gives them.
        destination: the registry.
        plan: the plan.
    """
    framework, _, tag = plan.reference.partition(":")
    repository, name = destination.repository(framework), destination.name(plan.reference)
    try:
        client = RegistryClient(destination.host, timeout=_TIMEOUT, retries=0)
        digest = client.fetch_digest(repository, tag)
        if digest is None:
            return StagedName()
        moving = client.find_digest(repository, plan.tag.partition(":")[2])
        known = read_record(root, plan)
        if known is None:
            differences = _compare_settings(client, repository, digest, plan)
        else:
            differences = [f"it has the digest {digest}, and {known} was built here"] if digest != known else []
            differences = differences or arrival.find_missing_blobs(client, repository, digest, set())
    except (MachineError, FailedError):
        return StagedName()
    if differences:
        return StagedName("", f"{name} is not the image of this plan: {some(differences, _NAMED)}")
    unrecorded = f"{name} was compared by its labels, configuration and layers; no build of it is recorded here"
    return StagedName(destination.name(plan.tag if moving == digest else plan.reference), "" if known else unrecorded)


def _compare_settings(client: RegistryClient, repository: str, digest: str, plan: Plan) -> list[str]:
    """List how an image in a registry differs from its plan, as far as can be seen there."""
    try:
        manifest = json.loads(client.read_manifest(repository, digest))
        config = json.loads(client.read_blob(repository, manifest["config"]["digest"]))
        settings, layers = config["config"], config["rootfs"]["diff_ids"]
        image = Image(
            digest, settings.get("Labels") or {}, 0, 0, f"{config['os']}/{config['architecture']}",
            tuple(settings.get("Entrypoint") or ()), settings, tuple(layers),
        )  # fmt: skip
        missing = arrival.find_missing_blobs(client, repository, digest, set())
        found = [check.failure for check in check_image.check_settings(plan, image) if check.state == "fail"]
    except (ValueError, LookupError, TypeError, AttributeError):
        return ["what the registry gives is not an image"]
    found += [] if image.platform == PLATFORM else [f"it is for {image.platform}"]
    return [*found, *missing]


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
