"""The proof: run an image on its CPU, real or emulated, take its report, and write evidence when it holds."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from pydantic import ValidationError

from armwright.engine.client import Engine, Image
from armwright.host import binfmt
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import HOME, Plan
from armwright.proof import check_image, evidence, verify, wording
from armwright.proof.evidence import Evidence, Report
from armwright.recipes.targets import Target
from armwright.system import console, process
from armwright.system.errors import FailedError, InputError, MachineError

TIMEOUT = 900  # seconds; an emulated import of a framework takes up to a minute and a half on 2 cores
SMOKE = f"/{HOME}/smoke/smoke.py"  # inside an image
REFUSED = 78  # the entrypoint's exit code for a CPU below the floor


def slot() -> AbstractContextManager[None]:
    """Return a place among the proofs that run at once: to be entered, which may take until another has ended.

    There is one for each CPU: of two, a proof alone leaves nearly the half idle (top, on 2 cores), and more proofs than
    CPUs wait for one another's threads.
    """
    return process.turn("proof", places=os.cpu_count() or 1)


def settle(root: Path, engine: Engine, one: Plan, words: Sequence[str] = ()) -> Evidence:
    """Prove the image of a plan: it gets evidence and its name when it is proven, and loses both when a check fails.

    Args:
        root: the project's root.
        engine: the engine that has the image.
        one: the plan.
        words: options of the smoke run; when they leave something out, evidence and name stay as they are.

    Returns:
        the proof, which may have failed.

    Raises:
        FailedError: there is no report, or it is not of this plan's image.
        MachineError: see `prove`.
    """
    target = one.combo.target
    image = find(engine, one.reference)
    try:
        check_image.require(root, engine, one, image)
    except FailedError:
        _withdraw(root, engine, one, image)
        raise
    with console.progress(f"prove {one.combo.id} on {target.title} ({target.emulator.cpu})"):
        try:
            proof = prove(engine, one.reference, image, target, words)
        except FailedError:
            _withdraw(root, engine, one, image)
            raise
    if proof.proves:
        doubt = verify.doubt_of(proof, one, image.digest)
        if doubt:
            raise FailedError(f"{one.reference}: {doubt}", f"docker rmi {one.reference}, then the same command again")
        conclude(root, proof)
        engine.tag(one.reference, one.tag)
    elif proof.failed:
        _withdraw(root, engine, one, image)
    return proof


def _withdraw(root: Path, engine: Engine, one: Plan, image: Image) -> None:
    """Take back what an earlier proof gave: it no longer holds."""
    evidence.path(root, one.combo.id).unlink(missing_ok=True)
    if engine.names().get(one.tag) == image.digest:
        engine.untag(one.tag)


def prove(engine: Engine, reference: str, image: Image, target: Target, words: Sequence[str] = ()) -> Evidence:
    """Run an image's own smoke run on the target's CPU.

    Args:
        engine: the engine that has the image.
        reference: the image, by name or digest.
        image: what the engine knows about it.
        target: the CPU it is for.
        words: options of the smoke run.

    Returns:
        evidence, proven or not; it is not written.

    Raises:
        FailedError: the container gave no report: a refusal, a crash, or somebody else's entrypoint.
        MachineError: the emulator is missing or too old.
    """
    emulator = require_runner(target)
    environment = {"QEMU_CPU": target.emulator.cpu} if emulator else {}
    ran = engine.run(reference, ["smoke", "--json", *words], environment, TIMEOUT)
    report = _report(reference, ran.code, ran.out, ran.err)
    combo = image.labels["org.armwright.combo"]
    if report.combo != combo:
        raise FailedError(f"{reference} is labelled {combo}, but its report is of {report.combo}", "invoke list")
    smaller = _on_smaller(engine, reference, image, target, report) if emulator else None
    after = engine.find(reference)  # the run unpacked it: now its unpacked size is known
    if after is None or after.digest != image.digest:
        raise FailedError(f"{reference} became another image during the proof", "the same command again")
    return Evidence(
        combo=combo,
        image=image.digest,
        inputs=image.labels["org.armwright.inputs"],
        platform=image.platform,
        engine=engine.version,
        emulator=f"{emulator}, {target.emulator.cpu}: {target.emulator.note}" if emulator else "",
        match=target.emulator.match if emulator else "real",
        compressed_bytes=after.compressed,
        unpacked_bytes=after.unpacked,
        report=report,
        smaller=smaller,
    )


def _on_smaller(engine: Engine, reference: str, image: Image, target: Target, report: Report) -> Report | None:
    """Run the workloads on the CPU that has nothing above the target's floor, past the entrypoint, which refuses it.

    What is run is what was run on the target's CPU, but for the data types that this one skips.
    """
    smaller = target.emulator.smaller
    if smaller is None:
        return None
    runs = [run for run in report.runs if run.dtype not in smaller.skips]
    if not runs:
        return None
    python = list(image.entrypoint[:1])
    words = ["-I", SMOKE, "--below-floor", "--json"]
    words += [f"--workload={name}" for name in dict.fromkeys(run.workload for run in runs)]
    words += [f"--dtype={name}" for name in dict.fromkeys(run.dtype for run in runs)]
    ran = engine.run(reference, words, {"QEMU_CPU": smaller.cpu}, TIMEOUT, entrypoint=python)
    return _report(reference, ran.code, ran.out, ran.err)


def require_runner(target: Target) -> str:
    """Check that this machine can run the image of a target.

    Returns:
        the emulator, e.g. "QEMU 10.0.2"; empty on an Arm machine.

    Raises:
        MachineError: no emulator serves containers, or it does not know the target's CPU.
    """
    if platform.machine() == "aarch64":
        return ""
    emulation = binfmt.look()
    if not emulation.serves_containers:
        raise MachineError(
            "no emulator for aarch64 is registered that serves containers; nothing was started", "./inv setup"
        )
    known = binfmt.cpus()
    for cpu in target.emulator.models:
        if cpu not in known:
            what = f"the emulator (QEMU {emulation.running}) does not know the CPU {cpu}; nothing was started"
            raise MachineError(what, "./inv setup")
    return f"QEMU {emulation.running}"


def find(engine: Engine, reference: str) -> Image:
    """Find an image of ours in the engine.

    Raises:
        InputError: the engine has none by that name, or it is somebody else's.
    """
    image = engine.find(reference)
    if image is None:
        raise InputError(f"the engine has no image {reference!r}", f"docker pull {reference}, or invoke list")
    missing = [name for name in ("combo", "target", "inputs") if f"org.armwright.{name}" not in image.labels]
    if missing:
        raise InputError(
            f"{reference} was not made by Armwright: it has no label org.armwright.{missing[0]}; it was not started",
            "invoke list shows the images that can be built",
        )
    return image


def built(engine: Engine, plans: Sequence[Plan]) -> None:
    """Refuse plans whose images are not there.

    Raises:
        InputError: they are named.
    """
    absent = [one.combo.id for one in plans if engine.find(one.reference) is None]
    if absent:
        raise InputError(f"not built: {', '.join(absent)}", f"invoke build --combo {absent[0]}")


def target_of(matrix: Matrix, image: Image) -> Target:
    """Return the target an image says it is for.

    Raises:
        InputError: no recipe knows it.
    """
    name = image.labels["org.armwright.target"]
    if name not in matrix.recipes.targets:
        raise InputError(f"the image is for the target {name!r}, which no recipe here knows", "invoke list --all")
    return matrix.recipes.targets[name]


def conclude(root: Path, proof: Evidence) -> Path:
    """Write the evidence of a proven image.

    Raises:
        FailedError: it is not proven.
    """
    require_proven(proof)
    return evidence.write(root, proof)


def require_proven(proof: Evidence) -> None:
    """Raise FailedError if an image is not proven; each failed check is named with what was expected and found."""
    if not proof.proves:
        raise FailedError(
            f"{proof.combo} is not proven:\n" + "\n".join(f"  {line}" for line in wording.failures(proof)),
            f"docker run --rm -it {proof.image[:19]} shows the image; build/logs/{proof.combo}.log its making",
        )


def _report(reference: str, code: int, out: str, err: str) -> Report:
    words = (err.strip() or out.strip() or "nothing").splitlines()
    if code == REFUSED:
        raise FailedError(f"{reference} refused to start: {words[-1]}", "invoke smoke runs it on its own CPU")
    if code == InputError.code and "usage: docker run IMAGE smoke" in err:
        what = f"{reference} does not know these words: {words[-1]}"
        raise InputError(what, f"docker run --rm {reference} smoke --help")
    if code > 128:  # noqa: PLR2004 - the shell's convention: 128 and the signal's number
        raise FailedError(f"{reference} died from signal {code - 128}: {words[-1]}", "invoke doctor")
    try:
        report = evidence.load(json.loads(out))
    except (json.JSONDecodeError, ValidationError) as wrong:
        raise FailedError(
            f"{reference} gave no report (exit {code}); its last words: {words[-1]}",
            f"docker run --rm {reference} smoke",
        ) from wrong
    if any(check.state == "fail" for check in report.checks) != (code != 0):
        what = f"the report of {reference} and its exit code {code} disagree"
        raise FailedError(what, f"docker run --rm {reference} smoke")
    return report
