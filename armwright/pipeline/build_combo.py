"""One combo, from its plan to a proven image: fetch, assemble, prove, name. What is done is not done again."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from armwright.assembly import buildx
from armwright.assembly.buildx import Step
from armwright.engine.client import Engine, Image
from armwright.fetch import debian_roots, downloads, wheels
from armwright.matrix.matrix import Combo, Matrix
from armwright.plan import locks, render
from armwright.plan.plan import COMPRESSION, Plan, Source, plan
from armwright.proof import check_image, prove, verify
from armwright.proof.evidence import Evidence
from armwright.recipes.source_builds import Download
from armwright.system import console, process
from armwright.system.errors import ArmwrightError, FailedError

Outcome = Literal["proven", "built", "proven before", "built before", "failed", "interrupted", "not started"]


@dataclass(frozen=True)
class Options:
    """How to build.

    Attributes:
        smoke: prove what was built.
        keep_going: a failed combo does not end the run.
        builder: a buildx builder other than the engine's own.
        source: where the base comes from.
        locked: never make a base's lock anew, even if the archive moved on.
        verbose: show BuildKit's words as they come, and every proof as a whole.
        jobs: combos that are worked on at once; 0: as many as the machine has room for.
    """

    smoke: bool = True
    keep_going: bool = False
    builder: str = ""
    source: Source = "archive"
    locked: bool = False
    verbose: bool = False
    jobs: int = 0


@dataclass
class Result:
    """What happened to one combo.

    Attributes:
        combo: the combo.
        outcome: how far it came.
        image: its image in the engine.
        seconds: of each part of the work.
        steps: BuildKit's, where it was built.
        proof: where it was proven or could not be.
        problem: why it failed.
        began: when the work began, on a clock of its own; 0.0 before.
        ended: when it ended, well or badly.
    """

    combo: Combo
    outcome: Outcome = "not started"
    image: Image | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    proof: Evidence | None = None
    problem: ArmwrightError | None = None
    began: float = 0.0
    ended: float = 0.0


def make(matrix: Matrix, combo: Combo, engine: Engine, options: Options, result: Result) -> None:
    """Build and prove a combo.

    Args:
        matrix: the loaded matrix.
        combo: what to make; it is not refused.
        engine: the engine that gets the image.
        options: how.
        result: is filled while the work goes on, so that it tells how far it came if it fails.

    Raises:
        ArmwrightError: one of them; the combo failed.
    """
    root = matrix.root
    one = plan(matrix, combo, options.source)  # a combo before this one may have made the base's lock anew
    image = engine.find(one.reference)
    if image is None:
        log_of(root, combo).unlink(missing_ok=True)
        with _timed(result, "fetch"):
            one = _fetch(matrix, one, options)
        result.steps = _assemble(root, one, options, result)
        image = engine.find(one.reference)
        if image is None:
            raise FailedError(f"the build ended well, but the engine has no image {one.reference}", "invoke doctor")
        check_image.record(root, one, image.digest)
        result.outcome = "built"
    else:
        result.outcome = "built before"
    result.image = image
    if not options.smoke:
        return
    if state(root, one, {one.reference: image.digest}) == "proven":
        result.outcome = "proven before"
        engine.tag(one.reference, one.tag)
        return
    with prove.slot(), _timed(result, "smoke"):
        result.proof = prove.settle(root, engine, one)
    prove.require_proven(result.proof)
    result.outcome, result.image = "proven", engine.find(one.reference) or image


def state(root: Path, one: Plan, names: dict[str, str]) -> Literal["proven", "built", "not built"]:
    """Say how far a plan has come: its evidence is valid for the image in the store, the image is there, or neither.

    Args:
        root: the project's root.
        one: the plan.
        names: every name in the engine's store with its digest.
    """
    digest = names.get(one.reference)
    if digest is None:
        return "not built"
    return "built" if verify.doubt(root, one, digest) else "proven"


def fetch(root: Path, one: Plan) -> None:
    """Write a plan's context, build/contexts/<id>, with its downloads linked in.

    Raises:
        StaleLockError: the archive no longer has a locked package.
        InputError, MachineError, FailedError: a download failed, with the cause.
    """
    cache, log = root / "build" / "cache", log_of(root, one.combo)
    context = context_of(root, one.combo)
    parts: dict[str, Path] = {}
    requirements = one.files["requirements.txt"]
    if one.source == "archive":
        with process.turn("roots"):
            image = debian_roots.ensure(cache, one.base, one.lock, "root", log)
            tools = debian_roots.ensure(cache, one.base, one.lock, "tools", log)
            if one.compiles:
                parts["builder.tar"] = debian_roots.ensure(cache, one.base, one.lock, "builder", log).tar
        parts |= {"root.tar": image.tar, "root.status": image.status, "tools.tar": tools.tar}
    with process.turn(f"wheels {hashlib.sha256(requirements).hexdigest()}"):
        parts["wheels"] = wheels.ensure(cache, one.base, requirements.decode(), log)
    for file in one.downloads:
        with process.turn(f"download {file.sha256}"):
            parts[f"downloads/{file.file}"] = downloads.ensure(cache, file, _elsewhere(one.combo, file))
    parts["uv"] = Path(process.require("uv"))
    render.write(context, one.files)
    for name, path in parts.items():
        (context / name).parent.mkdir(exist_ok=True)
        _link(path, context / name)


def _elsewhere(combo: Combo, file: Download) -> str:
    """Say what helps where a file's host cannot be reached."""
    command = f"./inv build --framework {combo.framework.name} --version {combo.version}"
    command += f" --target {combo.target.name} --backend {combo.backend}"
    own = f", or here with --wheel {file.file}" if file.file.endswith(".whl") else ""
    state = "it stays unverified until this was done " if combo.unverified else ""
    return f"{state}on a machine that reaches {file.place}: {command}{own}"


def context_of(root: Path, combo: Combo) -> Path:
    """Return a combo's context."""
    return root / "build" / "contexts" / combo.id


def log_of(root: Path, combo: Combo) -> Path:
    """Return a combo's log."""
    return root / "build" / "logs" / f"{combo.id}.log"


def _assemble(root: Path, one: Plan, options: Options, result: Result) -> list[Step]:
    """Build the context into the engine; combos of one version take turns.

    They differ in kilobytes, and what they share is sent and assembled once. Two at once would each send all of it.
    """
    family = f"{one.combo.framework.name}-{one.combo.version}-{one.source}"
    if one.compiles and not options.builder and debian_roots.build_architecture() != debian_roots.TARGET:
        console.say(f"{one.combo.id}: an emulator compiles here, for hours or days; an Arm machine is meant", "yellow")
    with process.turn(f"build {family}"), _timed(result, "build"):
        return buildx.build(
            context_of(root, one.combo), log_of(root, one.combo), name=one.reference, epoch=one.lock.epoch,
            compression=COMPRESSION, builder=options.builder, verbose=options.verbose, family=family,
        )  # fmt: skip


def _fetch(matrix: Matrix, one: Plan, options: Options) -> Plan:
    """Fetch; where the archive moved on, make the base's lock anew, say what moved, and plan again."""
    try:
        fetch(matrix.root, one)
    except debian_roots.StaleLockError as stale:
        if options.locked:
            raise
        one = _renewed(matrix, one, options, stale)
        fetch(matrix.root, one)
    return one


def _renewed(matrix: Matrix, one: Plan, options: Options, stale: debian_roots.StaleLockError) -> Plan:
    """Make the base's lock anew, once for all combos of this run, and plan again."""
    with process.turn("roots"):
        fresh = plan(matrix, one.combo, options.source)
        if fresh.lock != one.lock:
            return fresh  # another combo did it while this one waited
        console.say(f"{stale.what}; the lock is made anew", "yellow")
        moved = debian_roots.refresh_lock(
            matrix.root, matrix.root / "build" / "cache", one.base, log_of(matrix.root, one.combo)
        )
        for line in moved or ["nothing moved: another run made it anew already"]:
            console.detail(line)
        console.detail(f"git diff {locks.base_path(matrix.root, one.base.name).relative_to(matrix.root)} shows it")
        return plan(matrix, one.combo, options.source)


def _link(source: Path, destination: Path) -> None:
    """Put a download into a context without copying it where the file system can."""
    if source.is_dir():
        destination.mkdir()
        for path in source.iterdir():
            _link(path, destination / path.name)
        return
    try:
        os.link(source, destination)
    except OSError as no_link:
        if no_link.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK}:
            raise
        shutil.copy2(source, destination)


@contextlib.contextmanager
def _timed(result: Result, name: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        result.seconds[name] = time.monotonic() - started
