"""The smoke run: start an image on its CPU, real or emulated, and read its report."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence

from pydantic import ValidationError

from armwright.engine.client import Engine, Image
from armwright.host import binfmt
from armwright.plan.image_facts import HOME
from armwright.proof import evidence
from armwright.proof.evidence import Evidence, Report
from armwright.recipes.targets import Target
from armwright.system.errors import FailedError, InputError, MachineError

TIMEOUT = 900  # seconds; an emulated import of a framework takes up to a minute and a half on 2 cores
SMOKE = f"/{HOME}/smoke/smoke.py"  # inside an image
REFUSED = 78  # the entrypoint's exit code for a CPU below the floor


def run_smoke(engine: Engine, reference: str, image: Image, target: Target, words: Sequence[str] = ()) -> Evidence:
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
    report = _parse_report(reference, ran.code, ran.out, ran.err)
    combo = image.labels["org.armwright.combo"]
    if report.combo != combo:
        raise FailedError(f"{reference} is labelled {combo}, but its report is of {report.combo}", "invoke list")
    smaller = _run_on_baseline(engine, reference, image, target, report) if emulator else None
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


def _run_on_baseline(engine: Engine, reference: str, image: Image, target: Target, report: Report) -> Report | None:
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
    return _parse_report(reference, ran.code, ran.out, ran.err)


def require_runner(target: Target) -> str:
    """Check that this machine can run the image of a target.

    Returns:
        the emulator, e.g. "QEMU 10.0.2"; empty on an Arm machine.

    Raises:
        MachineError: no emulator serves containers, or it does not know the target's CPU.
    """
    if platform.machine() == "aarch64":
        return ""
    emulation = binfmt.read_emulation()
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


def _parse_report(reference: str, code: int, out: str, err: str) -> Report:
    words = (err.strip() or out.strip() or "nothing").splitlines()
    if code == REFUSED:
        raise FailedError(f"{reference} refused to start: {words[-1]}", "invoke smoke runs it on its own CPU")
    if code == InputError.code and "usage: docker run IMAGE smoke" in err:
        what = f"{reference} does not know these words: {words[-1]}"
        raise InputError(what, f"docker run --rm {reference} smoke --help")
    if code > 128:  # noqa: PLR2004 - the shell's convention: 128 and the signal's number
        raise FailedError(f"{reference} died from signal {code - 128}: {words[-1]}", "invoke doctor")
    try:
        report = evidence.parse_report(json.loads(out))
    except (json.JSONDecodeError, ValidationError) as error:
        raise FailedError(
            f"{reference} gave no report (exit {code}); its last words: {words[-1]}",
            f"docker run --rm {reference} smoke",
        ) from error
    if any(check.state == "fail" for check in report.checks) != (code != 0):
        what = f"the report of {reference} and its exit code {code} disagree"
        raise FailedError(what, f"docker run --rm {reference} smoke")
    return report
