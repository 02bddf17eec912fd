"""Turns a plan into an image in the engine: downloads, the build context, and one BuildKit build."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from armwright.assembly import buildx, record
from armwright.assembly.buildx import BuildStep
from armwright.engine.address import EngineAddress
from armwright.fetch import debian_roots, downloads, installer, library_cache, resolve, wheels
from armwright.matrix.matrix import Combo, Matrix
from armwright.plan import locks, render
from armwright.plan.plan import COMPRESSION, Plan, make_plan
from armwright.recipes.source_builds import Download
from armwright.system import console, turns

LISTED = 8  # changed packages that a build lists


def fetch_context(root: Path, plan: Plan) -> None:
    """Download what a plan needs and write its context, build/contexts/<id>, with hard links to the downloads.

    Raises:
        StaleLockError: neither the archive nor a snapshot of it has a locked package.
        ArmwrightError: a download failed; the message has the cause.
    """
    cache, log = root / "build" / "cache", log_path(root, plan.combo)
    context = render.context_path(root, plan.combo)
    parts: dict[str, Path] = {}
    requirements = plan.files["requirements.txt"]
    if plan.source == "archive":
        with turns.turn("roots"):
            roles: tuple[locks.Role, ...] = ("root", "tools", "builder") if plan.compiles else ("root", "tools")
            for role in roles:
                parts[f"{role}.tar"] = debian_roots.ensure_root(cache, plan.base, plan.lock, role, log)
            parts["root.libraries"] = library_cache.ensure_library_cache(parts["root.tar"])
    with turns.turn(f"wheels {hashlib.sha256(requirements).hexdigest()}"):
        parts["wheels"] = wheels.ensure_wheels(cache, plan.base, requirements.decode(), log)
    for file in plan.downloads:
        with turns.turn(f"download {file.sha256}"):
            parts[f"downloads/{file.file}"] = downloads.ensure_download(cache, file, *_advise(plan.combo, file))
    parts["uv"] = installer.find_installer(root)
    render.write_context(context, plan.files)
    for name, path in parts.items():
        (context / name).parent.mkdir(exist_ok=True)
        _link(path, context / name)


def ensure_context(root: Path, plan: Plan) -> None:
    """Write a plan's context if it is not there: nothing was fetched for an image that the engine had.

    Raises:
        ArmwrightError: as `fetch_context`.
    """
    context = render.context_path(root, plan.combo)
    dockerfile, last = context / "Dockerfile", context / "uv"
    if not last.exists() or not dockerfile.exists() or dockerfile.read_bytes() != plan.files["Dockerfile"]:
        fetch_context(root, plan)


def _advise(combo: Combo, file: Download) -> tuple[str, str]:
    """Return the next command and the hint if a file's host cannot be reached."""
    command = f"./inv build --framework {combo.framework.name} --version {combo.version}"
    command += f" --target {combo.target.name} --backend {combo.backend}"
    hint = f"run it on a machine that reaches {file.place}"
    hint += f", or here with --wheel {file.file}" if file.file.endswith(".whl") else ""
    hint += "; until then the combo stays unverified" if combo.unverified else ""
    return command, hint


def log_path(root: Path, combo: Combo) -> Path:
    """Return the path of a combo's log."""
    return root / "build" / "logs" / f"{combo.id}.log"


def build_turn(plan: Plan) -> AbstractContextManager[None]:
    """Return a context manager in which a plan may be built; combos of one version are built one after another.

    Their contexts differ by kilobytes. The first build sends and assembles the shared part; two at once would both.
    """
    return turns.turn(f"build {_family(plan)}")


def assemble(
    root: Path, plan: Plan, address: EngineAddress, builder: str = "", *, verbose: bool = False
) -> list[BuildStep]:
    """Build a plan's context into the engine, under the name for images without a record (`record.unrecorded_name`).

    Args:
        root: the project's root.
        plan: the plan, whose context was written.
        address: the engine.
        builder: a buildx builder; empty for the engine's own.
        verbose: print BuildKit's output as it comes.

    Returns:
        BuildKit's steps.

    Raises:
        FailedError: the build failed; the message has the tail of its log.
    """
    if plan.compiles and not builder and debian_roots.get_build_architecture() != debian_roots.TARGET_ARCHITECTURE:
        what = "compiles under emulation, which takes hours or days; an Arm machine is much faster"
        console.say(f"{plan.combo.id}: {what}", console.DOUBTFUL)
    return buildx.run_build(
        render.context_path(root, plan.combo), log_path(root, plan.combo), name=record.unrecorded_name(root, plan),
        epoch=plan.lock.epoch, compression=COMPRESSION, builder=builder, verbose=verbose, family=_family(plan),
        address=address,
    )  # fmt: skip


def _family(plan: Plan) -> str:
    return f"{plan.combo.framework.name}-{plan.combo.version}-{plan.source}"


def fetch_or_refresh(matrix: Matrix, plan: Plan, *, locked: bool) -> Plan:
    """Fetch a plan's context; if a locked package cannot be fetched any more, use a lock of this checkout's own.

    Args:
        matrix: the loaded matrix.
        plan: the plan.
        locked: raise StaleLockError instead.

    Returns:
        the plan, with the lock that was used.
    """
    try:
        fetch_context(matrix.root, plan)
    except debian_roots.StaleLockError as stale:
        if locked:
            raise
        plan = _refresh_and_replan(matrix, plan, stale)
        fetch_context(matrix.root, plan)
    return plan


def _refresh_and_replan(matrix: Matrix, plan: Plan, stale: debian_roots.StaleLockError) -> Plan:
    """Make this checkout's own lock, once for all combos of this run, and plan again. The project's lock stays."""
    with turns.turn("roots"):
        fresh = make_plan(matrix, plan.combo, plan.source)
        if fresh.lock != plan.lock:
            return fresh  # another combo made it while this one waited
        log, name = log_path(matrix.root, plan.combo), plan.base.name
        console.say(f"{name}: {stale.what}", console.DOUBTFUL)
        moved = resolve.refresh_base_lock(matrix.root, matrix.root / "build" / "cache", plan.base, log, own=True)
        for line in moved[:LISTED]:
            console.detail(line)
        if moved:
            path = locks.own_lock_path(matrix.root, name).relative_to(matrix.root)
            count = f"{len(moved)} packages" if len(moved) > 1 else "1 package"
            console.say(
                f"{name}: this checkout builds other images than the project's lock says: {count} changed, see {path}; "
                f"`invoke lock --base {name}` changes the project's lock",
                console.DOUBTFUL,
            )
        return make_plan(matrix, plan.combo, plan.source)


def _link(source: Path, destination: Path) -> None:
    """Hard-link a download into a context; copy it if the file system cannot."""
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
