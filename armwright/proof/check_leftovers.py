"""Checks that an image has nothing of the machine that built it, before anything in it runs.

All combos of a version share their base and their packages. Layers that were searched on this machine are not searched
again: the last layer of an image with the digest that its build recorded has Armwright's own files, which are compared
byte by byte and searched here as the plan has them.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from armwright.assembly.record import read_record
from armwright.audit import file_tree, leftovers
from armwright.audit.file_tree import Tree
from armwright.audit.leftovers import Leftover, LeftoverRules, Traces
from armwright.engine.client import Engine, Image
from armwright.host import traces
from armwright.plan import render
from armwright.plan.plan import FILE_TIME, Plan
from armwright.proof import image_tree
from armwright.proof.evidence import Check
from armwright.proof.image_tree import CONTEXT
from armwright.system import turns
from armwright.system.errors import FailedError, some
from armwright.system.files import has_seal, seal

NAMED = 5  # leftovers that a check names; the others are counted
KINDS = {"file": "files", "text": "text", "owner": "owners", "mode": "modes", "time": "times"}
SOURCES = ("dockerfiles", "scripts")  # not the recipes, which have the texts to look for
BUNDLE = "etc/ssl/certs/ca-certificates.crt"


def require_no_leftovers(root: Path, engine: Engine, plan: Plan, image: Image) -> dict[str, str]:
    """Check that an image has nothing of the machine that built it, and return its manifest.

    Raises:
        FailedError: it has; what and where is named, but never a password.
    """
    found, shared = _search(root, engine, plan, image, read_record(root, plan))
    failures = [f"\n  {check.failure}" for check in _make_checks(found) if check.state == "fail"]
    if failures:
        raise FailedError(
            f"{plan.reference} has something of the machine that built it; it was not started:{''.join(failures)}",
            f"docker image rm {plan.reference} && invoke build --combo {plan.combo.id}",
        )
    return image_tree.make_manifest(engine, plan, image, shared)


def check_leftovers(root: Path, engine: Engine, plan: Plan, image: Image, recorded: str | None) -> list[Check]:
    """Look for what a builder could leave in an image; no program in it runs.

    Args:
        root: the project's root.
        engine: the engine that has the image.
        plan: the plan. Text from the packages and wheels in its context is not a leftover.
        image: the engine's facts about the image.
        recorded: the digest that the build of this plan recorded; None if there is no record.

    Returns:
        one check for each kind: files, text, owners, modes and times.

    Raises:
        FailedError: the image cannot be read.
        ArmwrightError: text was found, and the packages and wheels that may explain it cannot be fetched.
    """
    return _make_checks(_search(root, engine, plan, image, recorded)[0])


def _search(root: Path, engine: Engine, plan: Plan, image: Image, recorded: str | None) -> tuple[list[Leftover], Tree]:
    """Return the leftovers in an image, and its file tree without Armwright's own files."""
    rules = leftovers.load_rules(root)
    looked_for = rules.select_traces(traces.list_traces(root, rules.variables))
    known = _searched_path(root, rules, looked_for, image)
    with turns.turn(f"leftovers {known.name}"):
        shared = image_tree.read_manifest(known) if recorded == image.digest and has_seal(known) else None
        if shared is not None:
            found = list(_search_plan(plan, rules, looked_for))
        else:
            tree: dict[str, str] = {}
            everything = Traces(looked_for, _list_authorities(engine, image))
            with engine.export(image.digest) as archive:
                entries = file_tree.collect_tree(file_tree.list_entries(archive, rules.engine), tree)
                found = list(leftovers.find_leftovers(entries, rules, everything, FILE_TIME))
            shared = image_tree.drop_own(plan, tree)
        if plan.source == "registry":  # its owners, modes and times are the public image's
            found = [leftover for leftover in found if leftover.kind == "text"]
        if any(leftover.found for leftover in found):
            from armwright.assembly import assemble  # noqa: PLC0415 - a build with nothing to do stays quick

            assemble.ensure_context(root, plan)
        context = render.context_path(root, plan.combo)
        found = [leftover for leftover in found if not (leftover.found and is_source(root, context, leftover.found))]
        if not found and recorded == image.digest:
            image_tree.write_manifest(known, shared)
            seal(known)
    return found, shared


def is_source(root: Path, context: Path, text: bytes) -> bool:
    """Return whether a text is in what an image is made of, and so not of the machine that built it.

    Args:
        root: the project's root; the host of a machine may be called `pytorch`, and its checkout `/armwright`.
        context: a build context, with the packages and wheels.
        text: the text to look for.
    """
    return any(text in data for data in _read_sources(root, context))


def _read_sources(root: Path, context: Path) -> Iterator[bytes]:
    for folder in SOURCES:
        for path in (root / folder).rglob("*"):
            if path.is_file():
                yield path.read_bytes()
    for path in context.glob("*.tar"):
        yield path.read_bytes()
    for path in context.glob("wheels/*.whl"):
        with zipfile.ZipFile(path) as wheel:
            yield from map(wheel.read, wheel.namelist())


def _search_plan(plan: Plan, rules: LeftoverRules, looked_for: Mapping[str, str]) -> Iterator[Leftover]:
    for name, data in plan.files.items():
        if name.startswith(CONTEXT):
            yield from leftovers.search_text(name.removeprefix(CONTEXT), data, rules.texts, Traces(looked_for, {}))


def _list_authorities(engine: Engine, image: Image) -> dict[str, str]:
    archive = engine.read(image.digest, [f"/{BUNDLE}"]).get(f"/{BUNDLE}", b"")
    return traces.list_authorities(archive.decode(errors="replace"))


def _searched_path(root: Path, rules: LeftoverRules, looked_for: Mapping[str, str], image: Image) -> Path:
    """Return the file with the tree of an image's shared layers, once they were searched for the same things."""
    parts = [rules.model_dump(), dict(looked_for), image.layers[:-1]]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return root / "build" / "leftovers" / digest


def _make_checks(found: list[Leftover]) -> list[Check]:
    return [_make_check(kind, [leftover for leftover in found if leftover.kind == kind]) for kind in KINDS]


def _make_check(kind: str, found: list[Leftover]) -> Check:
    lines = [f"{leftover.path}: {leftover.what}" for leftover in found]
    expected = f"no {KINDS[kind]} of the machine that built it"
    return Check(
        name=f"leftover {KINDS[kind]}",
        state="fail" if found else "pass",
        expected=expected,
        found=some(lines, NAMED) or expected,
    )
