"""From plans to proven images: fetch, assemble, prove, name. What is done is not done again."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from armwright import buildx, console, evidence, lock, process, render, roots, smoke, wheels
from armwright.buildx import Step
from armwright.engine import Engine, Image
from armwright.errors import ArmwrightError, FailedError, MachineError
from armwright.matrix import Combo, Matrix
from armwright.plan import COMPRESSION, Plan, Source, plan

LEAST_FREE = 6_000_000_000  # bytes: two roots, the wheels, their unpacked trees and the image; seen: 4.5 GB
Outcome = Literal["proven", "built", "proven before", "built before", "failed", "not started"]


@dataclass(frozen=True)
class Options:
    """How to build.

    Attributes:
        smoke: prove what was built.
        keep_going: a failed combo does not end the run.
        builder: a buildx builder other than the engine's own.
        source: where the base comes from.
        locked: never make a base's lock anew, even if the archive moved on.
        verbose: show BuildKit's words as they come.
    """

    smoke: bool = True
    keep_going: bool = False
    builder: str = ""
    source: Source = "archive"
    locked: bool = False
    verbose: bool = False


@dataclass
class Result:
    """What happened to one combo."""

    combo: Combo
    outcome: Outcome
    image: Image | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    problem: ArmwrightError | None = None


def build(matrix: Matrix, combos: Sequence[Combo], options: Options) -> list[Result]:
    """Build and prove combos, one after the other.

    Args:
        matrix: the loaded matrix.
        combos: what to build; none of them is refused.
        options: how.

    Returns:
        a result for each combo, in order.

    Raises:
        InputError: a lock is wrong; nothing was started.
        MachineError: the engine does not answer or the disk is full; nothing was started.
    """
    with process.alone(matrix.root / "build" / ".turn", lambda: console.say("another run works here: waiting for it")):
        return _build_all(matrix, combos, options)


def _build_all(matrix: Matrix, combos: Sequence[Combo], options: Options) -> list[Result]:
    plans = [plan(matrix, combo, options.source) for combo in combos]
    engine = Engine()
    _announce(matrix.root, plans, engine, options)
    results: list[Result] = []
    stopped = False
    for one in plans:
        result = Result(one.combo, "not started")
        results.append(result)
        if stopped:
            continue
        try:
            _build(matrix, one, engine, options, result)
        except ArmwrightError as problem:
            result.outcome, result.problem = "failed", problem
            console.error(problem)
            stopped = not options.keep_going
    return results


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
    doubt = evidence.doubt(evidence.read(root, one.combo.id), combo=one.combo.id, inputs=one.inputs, digest=digest)
    return "built" if doubt else "proven"


def fetch(root: Path, one: Plan) -> None:
    """Write a plan's context, build/contexts/<id>, with its downloads linked in.

    Raises:
        StaleLockError: the archive no longer has a locked package.
        InputError, MachineError, FailedError: a download failed, with the cause.
    """
    cache, log = root / "build" / "cache", log_of(root, one.combo)
    context = context_of(root, one.combo)
    downloads: dict[str, Path] = {}
    if one.source == "archive":
        image = roots.ensure(cache, one.base, one.lock, "root", log)
        tools = roots.ensure(cache, one.base, one.lock, "tools", log)
        downloads |= {"root.tar": image.tar, "root.status": image.status, "tools.tar": tools.tar}
    downloads["wheels"] = wheels.ensure(cache, one.base, one.files["requirements.txt"].decode(), log)
    downloads["uv"] = Path(process.require("uv"))
    render.write(context, one.files)
    for name, path in downloads.items():
        _link(path, context / name)


def context_of(root: Path, combo: Combo) -> Path:
    """Return a combo's context."""
    return root / "build" / "contexts" / combo.id


def log_of(root: Path, combo: Combo) -> Path:
    """Return a combo's log."""
    return root / "build" / "logs" / f"{combo.id}.log"


def summarize(results: Sequence[Result]) -> None:
    """Print what happened to each combo, and how to go on."""
    console.table(
        "",
        ["combo", "outcome", "compressed", "unpacked", "seconds", "digest"],
        [
            [
                result.combo.id,
                result.outcome,
                console.megabytes(result.image.compressed) if result.image else "",
                console.megabytes(result.image.unpacked) if result.image and result.image.unpacked else "",
                ", ".join(f"{name} {seconds:.0f}" for name, seconds in result.seconds.items()),
                result.image.digest[:19] if result.image else "",
            ]
            for result in results
        ],
    )
    for line in (line for result in results for line in buildx.summary(result.steps)):
        console.detail(line)
    proven = next((result for result in results if result.outcome.startswith("proven")), None)
    if proven and proven.image:
        console.say(f"digest  {proven.image.digest}")
        played = "" if platform.machine() == "aarch64" else f" -e QEMU_CPU={proven.combo.target.emulator.cpu}"
        console.say(f"run     docker run --rm --platform linux/arm64{played} {proven.combo.tag}")
        console.say(f"share   ./inv registry start && ./inv stage --combo {proven.combo.id}")


def _announce(root: Path, plans: Sequence[Plan], engine: Engine, options: Options) -> None:
    names = engine.names()
    states = {one.combo.id: state(root, one, names) for one in plans}
    todo = [one for one in plans if states[one.combo.id] == "not built"]
    console.step(f"plan: {len(plans)} image(s), {len(todo)} to build")
    for one in plans:
        prove = " and prove it" if options.smoke else "; not proven"
        what = {"proven": "proven: nothing to do", "built": f"built{prove}", "not built": f"build{prove}"}
        console.detail(f"{one.combo.id}  {what[states[one.combo.id]]}")
    for folder in [root, *(path for path in [engine.folder] if path.exists())] if todo else []:
        free = shutil.disk_usage(folder).free
        if free < LEAST_FREE:
            raise MachineError(
                f"the disk of {folder} has {free / 1e9:.1f} GB free and a build needs {LEAST_FREE / 1e9:.0f} GB; "
                "nothing was started",
                "docker system prune, then the same command again",
            )
    if options.builder:
        buildx.require(options.builder)
    if options.smoke and any(state != "proven" for state in states.values()):
        for one in plans:
            smoke.require_runner(one.combo.target)


def _build(matrix: Matrix, one: Plan, engine: Engine, options: Options, result: Result) -> None:
    root = matrix.root
    one = plan(matrix, one.combo, options.source)  # a combo before this one may have made the base's lock anew
    image = engine.find(one.reference)
    result.outcome = "built before"
    if image is None:
        log = log_of(root, one.combo)
        log.unlink(missing_ok=True)
        with _timed(result, "fetch"):
            one = _fetch(matrix, one, options)
        with _timed(result, "build"):
            context = context_of(root, one.combo)
            result.steps = buildx.build(
                context, log, name=one.reference, epoch=one.lock.epoch, compression=COMPRESSION,
                builder=options.builder, verbose=options.verbose,
            )  # fmt: skip
        image = engine.find(one.reference)
        if image is None:
            raise FailedError(f"the build ended well, but the engine has no image {one.reference}", "invoke doctor")
        result.outcome = "built"
    result.image = image
    if not options.smoke:
        return
    if state(root, one, {one.reference: image.digest}) == "proven":
        result.outcome = "proven before"
        engine.tag(one.reference, one.tag)
        return
    with _timed(result, "smoke"):
        proof = smoke.settle(root, engine, one)
    smoke.show(proof)
    smoke.require_proven(proof)
    console.detail(f"evidence: {evidence.path(root, one.combo.id).relative_to(root)}")
    result.outcome, result.image = "proven", engine.find(one.reference) or image


def _fetch(matrix: Matrix, one: Plan, options: Options) -> Plan:
    """Fetch; where the archive moved on, make the base's lock anew, say what moved, and plan again."""
    try:
        fetch(matrix.root, one)
    except roots.StaleLockError as stale:
        if options.locked:
            raise
        console.say(f"{stale.what}; the lock is made anew", "yellow")
        moved = roots.refresh_lock(
            matrix.root, matrix.root / "build" / "cache", one.base, log_of(matrix.root, one.combo)
        )
        for line in moved or ["nothing moved: another run made it anew already"]:
            console.detail(line)
        console.detail(f"git diff {lock.base_path(matrix.root, one.base.name).relative_to(matrix.root)} shows it")
        one = plan(matrix, one.combo, options.source)
        fetch(matrix.root, one)
    return one


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
