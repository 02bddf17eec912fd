"""Checks from outside that an image is what its plan builds, before anything in it runs.

A report is printed by the image itself, and an image that was changed can print any report. So what the engine and the
plan know is compared first: labels, configuration, layers, Armwright's own files byte by byte, and the digest that the
build recorded. Only what no plan can know is left to the proof: whether the image computes right answers, and with
which kernels.
"""

from __future__ import annotations

import io
import json
import shlex
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armwright.assembly.record import read_record
from armwright.engine.client import Engine, Image
from armwright.plan.image_facts import HOME
from armwright.plan.plan import Plan
from armwright.proof.evidence import Check
from armwright.proof.image_tree import CONTEXT
from armwright.system.errors import FailedError, some

NAMED = 5  # files that a check names; the others are counted
# Settings compared one by one, or without meaning: the engine fills in ArgsEscaped and Image.
_COMPARED = frozenset({"Labels", "Env", "User", "Entrypoint", "Cmd", "ArgsEscaped", "Image"})
_DEFAULTS = {"WorkingDir": "/"}


@dataclass(frozen=True)
class PlannedImage:
    """What the last stage of a plan's Dockerfile sets in the image."""

    labels: Mapping[str, str]
    environment: Mapping[str, str]
    user: str
    entrypoint: Sequence[str]
    command: Sequence[str]
    layers: int


def check_image(engine: Engine, plan: Plan, image: Image, recorded: str | None, reference: str = "") -> list[Check]:
    """Compare an image with its plan; no program in it runs.

    Args:
        engine: the engine that has the image.
        plan: the plan.
        image: the engine's facts about the image.
        recorded: the digest that the build of this plan recorded; None if there is no record.
        reference: the image's name, if it is not the plan's.

    Raises:
        FailedError: the image's files cannot be read.
    """
    return [
        *check_settings(plan, image),
        _check_files(engine, reference or plan.reference, plan),
        _check_digest(recorded, image.digest),
    ]


def check_settings(plan: Plan, image: Image) -> list[Check]:
    """Compare the labels, the configuration and the number of layers of an image with its plan."""
    planned = read_planned_image(plan.files["Dockerfile"].decode())
    layers = len(image.layers)
    return [
        _compare("image labels", planned.labels, image.labels),
        _check_configuration(planned, image),
        _make_check("image layers", f"{planned.layers} layers", f"{layers} layers", holds=layers == planned.layers),
    ]


def require_planned_image(root: Path, engine: Engine, plan: Plan, image: Image) -> None:
    """Check that an image is what its plan builds.

    Raises:
        FailedError: it is not; each difference is named, with what was expected and found.
    """
    checks = check_image(engine, plan, image, read_record(root, plan))
    failures = [f"\n  {check.failure}" for check in checks if check.state == "fail"]
    if failures:
        raise FailedError(
            f"{plan.reference} is not what its plan builds; it was not started:{''.join(failures)}",
            f"docker image rm {plan.reference} && invoke build --combo {plan.combo.id}",
        )


def read_planned_image(dockerfile: str) -> PlannedImage:
    """Read the last stage of a Dockerfile that dockerfiles/image.j2 rendered; no other Dockerfile is understood."""
    layers, configuration = split_last_stage(dockerfile)
    labels: dict[str, str] = {}
    environment: dict[str, str] = {}
    settings: dict[str, str] = {}
    for line in configuration:
        instruction, _, arguments = line.partition(" ")
        if instruction == "LABEL":
            labels |= _parse_pairs(arguments)
        elif instruction == "ENV":
            environment |= _parse_pairs(arguments)
        else:
            settings[instruction] = arguments
    entrypoint, command = json.loads(settings.get("ENTRYPOINT", "[]")), json.loads(settings.get("CMD", "[]"))
    return PlannedImage(labels, environment, settings.get("USER", ""), entrypoint, command, len(layers))


def split_last_stage(dockerfile: str) -> tuple[list[str], list[str]]:
    """Return the lines of a Dockerfile's last stage that make layers, and those that configure the image."""
    lines = [line for line in dockerfile.splitlines() if line.strip() and not line.startswith("#")]
    begin = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
    stage = "\n".join(lines[begin + 1 :]).replace("\\\n", " ").splitlines()
    layers = [line for line in stage if line.startswith("COPY ")]
    return layers, [line for line in stage if line not in layers]


def _parse_pairs(arguments: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in shlex.split(arguments))
    return {name: value for name, _, value in pairs}


def _check_configuration(planned: PlannedImage, image: Image) -> Check:
    settings = image.configuration
    environment = dict(variable.partition("=")[::2] for variable in settings.get("Env") or [])
    found = _describe_configuration(
        environment, settings.get("User") or "", settings.get("Entrypoint") or [], settings.get("Cmd") or []
    )
    others = {
        key: str(value)
        for key, value in settings.items()
        if key not in _COMPARED and value and value != _DEFAULTS.get(key)
    }
    expected = _describe_configuration(planned.environment, planned.user, planned.entrypoint, planned.command)
    return _compare("image configuration", expected, found | others)


def _describe_configuration(
    environment: Mapping[str, str], user: str, entrypoint: Sequence[str], command: Sequence[str]
) -> dict[str, str]:
    variables = {f"ENV {name}": value for name, value in environment.items()}
    return {**variables, "USER": user, "ENTRYPOINT": json.dumps(list(entrypoint)), "CMD": json.dumps(list(command))}


def _check_files(engine: Engine, reference: str, plan: Plan) -> Check:
    """Compare Armwright's own files: its folder, to which nothing may be added, and its files elsewhere."""
    planned = {name.removeprefix(CONTEXT): data for name, data in plan.files.items() if name.startswith(CONTEXT)}
    elsewhere = [f"/{name}" for name in planned if not name.startswith(f"{HOME}/")]
    found: dict[str, bytes | None] = {}
    for path, archive in engine.read(reference, [f"/{HOME}", *elsewhere]).items():
        found |= _unpack(path, archive)
    differences = [f"missing {name}" for name in sorted(planned.keys() - found.keys())]
    differences += [f"added {name}" for name in sorted(found.keys() - planned.keys())]
    differences += [f"changed {name}" for name, data in planned.items() if name in found and found[name] != data]
    expected = f"{len(planned)} unchanged, nothing else in /{HOME}"
    return _make_check("image files", expected, some(differences, NAMED) or expected, holds=not differences)


def _unpack(path: str, data: bytes) -> dict[str, bytes | None]:
    """Return the content of each file in a tar of one path; None for a link or a device, which has no content."""
    parent = path.strip("/").rpartition("/")[0]
    contents: dict[str, bytes | None] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            if not member.isdir():
                contents[f"{parent}/{member.name}".strip("/")] = file.read() if file else None
    return contents


def _check_digest(recorded: str | None, digest: str) -> Check:
    if recorded is None:
        expected, found = "the digest that a build in this checkout recorded", "no record: it was not built here"
        return _make_check("image digest", expected, found, holds=False)
    return _make_check("image digest", recorded, digest, holds=recorded == digest)


def _compare(name: str, expected: Mapping[str, str], found: Mapping[str, str]) -> Check:
    different = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    if not different:
        return _make_check(name, "as planned", "as planned", holds=True)
    return _make_check(name, _list_values(different, expected), _list_values(different, found), holds=False)


def _list_values(keys: Iterable[str], values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={values[key]!r}" if key in values else f"no {key}" for key in keys)


def _make_check(name: str, expected: str, found: str, *, holds: bool) -> Check:
    return Check(name=name, state="pass" if holds else "fail", expected=expected, found=found)
