"""From a plan to an image in the engine: downloads, the build context, and one BuildKit build."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from armwright.assembly import buildx
from armwright.assembly.buildx import BuildStep
from armwright.fetch import debian_roots, downloads, wheels
from armwright.matrix.matrix import Combo, Matrix
from armwright.plan import locks, render
from armwright.plan.plan import COMPRESSION, Plan, make_plan
from armwright.recipes.source_builds import Download
from armwright.system import console, process


def fetch_context(root: Path, plan: Plan) -> None:
    """Write a plan's context, build/contexts/<id>, with its downloads linked in.

    Raises:
        StaleLockError: the archive no longer has a locked package.
        InputError, MachineError, FailedError: a download failed, with the cause.
    """
    cache, log = root / "build" / "cache", log_path(root, plan.combo)
    context = context_path(root, plan.combo)
    parts: dict[str, Path] = {}
    requirements = plan.files["requirements.txt"]
    if plan.source == "archive":
        with process.turn("roots"):
            image = debian_roots.ensure_root(cache, plan.base, plan.lock, "root", log)
            tools = debian_roots.ensure_root(cache, plan.base, plan.lock, "tools", log)
            if plan.compiles:
                parts["builder.tar"] = debian_roots.ensure_root(cache, plan.base, plan.lock, "builder", log).tar
        parts |= {"root.tar": image.tar, "root.status": image.status, "tools.tar": tools.tar}
    with process.turn(f"wheels {hashlib.sha256(requirements).hexdigest()}"):
        parts["wheels"] = wheels.ensure_wheels(cache, plan.base, requirements.decode(), log)
    for file in plan.downloads:
        with process.turn(f"download {file.sha256}"):
            parts[f"downloads/{file.file}"] = downloads.ensure_download(cache, file, _where_to_build(plan.combo, file))
    parts["uv"] = Path(process.require_program("uv"))
    render.write_context(context, plan.files)
    for name, path in parts.items():
        (context / name).parent.mkdir(exist_ok=True)
        _link(path, context / name)


def _where_to_build(combo: Combo, file: Download) -> str:
    """Say what helps where a file's host cannot be reached."""
    command = f"./inv build --framework {combo.framework.name} --version {combo.version}"
    command += f" --target {combo.target.name} --backend {combo.backend}"
    own = f", or here with --wheel {file.file}" if file.file.endswith(".whl") else ""
    state = "it stays unverified until this was done " if combo.unverified else ""
    return f"{state}on a machine that reaches {file.place}: {command}{own}"


def context_path(root: Path, combo: Combo) -> Path:
    """Return a combo's context."""
    return root / "build" / "contexts" / combo.id


def log_path(root: Path, combo: Combo) -> Path:
    """Return a combo's log."""
    return root / "build" / "logs" / f"{combo.id}.log"


def build_turn(plan: Plan) -> AbstractContextManager[None]:
    """Return this plan's turn to build; combos of one version take turns.

    They differ in kilobytes, and what they share is sent and assembled once. Two at once would each send all of it.
    """
    return process.turn(f"build {_family(plan)}")


def assemble(root: Path, plan: Plan, builder: str = "", *, verbose: bool = False) -> list[BuildStep]:
    """Build a plan's context into the engine.

    Args:
        root: the project's root.
        plan: the plan; its context is written.
        builder: a buildx builder other than the engine's own.
        verbose: show BuildKit's output as it comes.

    Returns:
        BuildKit's steps.

    Raises:
        FailedError: the build failed; the tail of its log is in the message.
    """
    if plan.compiles and not builder and debian_roots.get_build_architecture() != debian_roots.TARGET:
        console.say(f"{plan.combo.id}: an emulator compiles here, for hours or days; an Arm machine is meant", "yellow")
    return buildx.run_build(
        context_path(root, plan.combo), log_path(root, plan.combo), name=plan.reference, epoch=plan.lock.epoch,
        compression=COMPRESSION, builder=builder, verbose=verbose, family=_family(plan),
    )  # fmt: skip


def _family(plan: Plan) -> str:
    return f"{plan.combo.framework.name}-{plan.combo.version}-{plan.source}"


def fetch_or_refresh(matrix: Matrix, one: Plan, *, locked: bool) -> Plan:
    """Fetch; where the archive moved on, make the base's lock anew, say what moved, and plan again."""
    try:
        fetch_context(matrix.root, one)
    except debian_roots.StaleLockError as stale:
        if locked:
            raise
        one = _refresh_and_replan(matrix, one, stale)
        fetch_context(matrix.root, one)
    return one


def _refresh_and_replan(matrix: Matrix, plan: Plan, stale: debian_roots.StaleLockError) -> Plan:
    """Make the base's lock anew, once for all combos of this run, and plan again."""
    with process.turn("roots"):
        fresh = make_plan(matrix, plan.combo, plan.source)
        if fresh.lock != plan.lock:
            return fresh  # another combo did it while this one waited
        console.say(f"{stale.what}; the lock is made anew", "yellow")
        moved = debian_roots.refresh_lock(
            matrix.root, matrix.root / "build" / "cache", plan.base, log_path(matrix.root, plan.combo)
        )
        for line in moved or ["nothing moved: another run made it anew already"]:
            console.detail(line)
        console.detail(
            f"git diff {locks.base_lock_path(matrix.root, plan.base.name).relative_to(matrix.root)} shows it"
        )
        return make_plan(matrix, plan.combo, plan.source)


def _link(source: Path, destination: Path) -> None:
    """Put a download into a context without copying it where the file system can."""
    if source.is_dir():
        destination.mkdir()
        for path in source.iterdir():
            _link(path, destination / path.name)
        return
    try:
        os.link(source, destination)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK}:
            raise
        shutil.copy2(source, destination)
