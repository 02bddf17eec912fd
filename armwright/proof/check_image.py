"""Is it the image that the plan makes? Asked from outside, before anything in it runs.

A report is the image's own word, and an image that was changed can print any report. So what the engine and the plan
know is compared first: labels, configuration, layers, our own files byte by byte, and the digest that the build left.
What remains for the proof itself is what no plan can know: whether it computes, through which kernels, and right.
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
from armwright.system.errors import FailedError, some

NAMED = 5  # files that a sentence names before it counts
CONTEXT = "image/"  # in a context, what lands in the image as it is
_SAID = frozenset({"Labels", "Env", "User", "Entrypoint", "Cmd", "ArgsEscaped", "Image"})  # the last two say nothing
_USUAL = {"WorkingDir": "/"}  # where a container starts when nothing is said


@dataclass(frozen=True)
class PlannedImage:
    """What the last stage of a plan's Dockerfile makes of an image."""

    labels: Mapping[str, str]
    environment: Mapping[str, str]
    user: str
    entrypoint: Sequence[str]
    command: Sequence[str]
    layers: int


def check_image(engine: Engine, plan: Plan, image: Image, made: str | None, reference: str = "") -> list[Check]:
    """Compare an image with its plan; no program of it runs.

    Args:
        engine: the engine that has it.
        plan: the plan.
        image: what the engine knows about it.
        made: the digest that the build of this plan left behind (`recorded`); None where there is no record.
        reference: its name, where it is not the plan's.

    Raises:
        FailedError: its files cannot be read.
    """
    meant = planned_image(plan.files["Dockerfile"].decode())
    return [
        _compared("image labels", meant.labels, image.labels),
        _configuration(meant, image),
        _check(
            "image layers", len(image.layers) == meant.layers, f"{meant.layers} layers", f"{len(image.layers)} layers"
        ),
        _files(engine, reference or plan.reference, plan),
        _digest(made, image.digest),
    ]


def require_planned_image(root: Path, engine: Engine, plan: Plan, image: Image) -> None:
    """Refuse an image that is not what its plan makes.

    Raises:
        FailedError: each difference is named, with what was expected and found.
    """
    wrong = [check for check in check_image(engine, plan, image, read_record(root, plan)) if check.state == "fail"]
    if wrong:
        lines = "".join(f"\n  {check.name}: expected {check.expected}, found {check.found}" for check in wrong)
        raise FailedError(
            f"{plan.reference} is not what its plan makes; it was not started:{lines}",
            f"docker rmi {plan.reference}, then invoke build --combo {plan.combo.id}",
        )


def planned_image(dockerfile: str) -> PlannedImage:
    """Read what the last stage of a rendered Dockerfile says: our own template, dockerfiles/image.j2, and no other."""
    layers, configuration = last_stage(dockerfile)
    labels: dict[str, str] = {}
    environment: dict[str, str] = {}
    said: dict[str, str] = {}
    for line in configuration:
        instruction, _, words = line.partition(" ")
        if instruction == "LABEL":
            labels |= _pairs(words)
        elif instruction == "ENV":
            environment |= _pairs(words)
        else:
            said[instruction] = words
    entrypoint, command = json.loads(said.get("ENTRYPOINT", "[]")), json.loads(said.get("CMD", "[]"))
    return PlannedImage(labels, environment, said.get("USER", ""), entrypoint, command, len(layers))


def last_stage(dockerfile: str) -> tuple[list[str], list[str]]:
    """Take the last stage of a Dockerfile apart: the lines that make layers, and those that configure."""
    lines = [line for line in dockerfile.splitlines() if line.strip() and not line.startswith("#")]
    begin = max(number for number, line in enumerate(lines) if line.startswith("FROM "))
    stage = "\n".join(lines[begin + 1 :]).replace("\\\n", " ").splitlines()
    layers = [line for line in stage if line.startswith("COPY ")]
    return layers, [line for line in stage if line not in layers]


def _pairs(words: str) -> dict[str, str]:
    found = (word.partition("=") for word in shlex.split(words))
    return {name: value for name, _, value in found}


def _configuration(meant: PlannedImage, image: Image) -> Check:
    seen = image.configuration
    others = {key: str(value) for key, value in seen.items() if key not in _SAID and value and value != _USUAL.get(key)}
    expected = _told(meant.environment, meant.user, meant.entrypoint, meant.command)
    environment = dict(word.partition("=")[::2] for word in seen.get("Env") or [])
    found = _told(environment, seen.get("User") or "", seen.get("Entrypoint") or [], seen.get("Cmd") or [])
    return _compared("image configuration", expected, found | others)


def _told(
    environment: Mapping[str, str], user: str, entrypoint: Sequence[str], command: Sequence[str]
) -> dict[str, str]:
    variables = {f"ENV {name}": value for name, value in environment.items()}
    return {**variables, "USER": user, "ENTRYPOINT": json.dumps(list(entrypoint)), "CMD": json.dumps(list(command))}


def _files(engine: Engine, reference: str, plan: Plan) -> Check:
    """Compare our own files: all of our folder, where nothing may be added either, and what lands elsewhere."""
    meant = {name.removeprefix(CONTEXT): data for name, data in plan.files.items() if name.startswith(CONTEXT)}
    elsewhere = [f"/{name}" for name in meant if not name.startswith(f"{HOME}/")]
    found: dict[str, bytes | None] = {}
    for path, archive in engine.read(reference, [f"/{HOME}", *elsewhere]).items():
        found |= _taken_apart(path, archive)
    wrong = [f"missing {name}" for name in sorted(meant.keys() - found.keys())]
    wrong += [f"added {name}" for name in sorted(found.keys() - meant.keys())]
    wrong += [f"changed {name}" for name, data in meant.items() if name in found and found[name] != data]
    expected = f"{len(meant)} files as in the plan, and no other in /{HOME}"
    return _check("image files", not wrong, expected, some(wrong, NAMED) or "they are")


def _taken_apart(path: str, data: bytes) -> dict[str, bytes | None]:
    """Return what a tar of one path holds: the content of files; None for what is neither file nor folder."""
    parent = path.strip("/").rpartition("/")[0]
    found: dict[str, bytes | None] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if not member.isdir():
                found[f"{parent}/{member.name}".strip("/")] = content.read() if content else None
    return found


def _digest(made: str | None, digest: str) -> Check:
    if made is None:
        return Check(
            name="image digest", state="not run", expected="what the build made", found="no build of it on record here"
        )
    return _check("image digest", made == digest, made, digest)


def _compared(name: str, expected: Mapping[str, str], found: Mapping[str, str]) -> Check:
    wrong = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
    if not wrong:
        return _check(name, True, "as in the plan", "they are")  # noqa: FBT003 - the outcome itself
    return _check(name, False, _listed(wrong, expected), _listed(wrong, found))  # noqa: FBT003 - as above


def _listed(keys: Iterable[str], values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={values[key]!r}" if key in values else f"no {key}" for key in keys)


def _check(name: str, holds: bool, expected: str, found: str) -> Check:  # noqa: FBT001 - the outcome itself
    return Check(name=name, state="pass" if holds else "fail", expected=expected, found=found)
