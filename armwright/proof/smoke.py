"""Runs the smoke run of an image: start it on the target's CPU, real or emulated, and parse its report."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import NamedTuple

from armwright.engine.client import Engine, Image
from armwright.engine.containers import ContainerResult
from armwright.engine.probe import EngineReading
from armwright.host import binfmt
from armwright.plan.image_facts import HOME, MARKER
from armwright.proof import answers, check_evidence, evidence
from armwright.proof.answers import Answers, InvalidAnswersError
from armwright.proof.evidence import Evidence, Report
from armwright.recipes.targets import Target
from armwright.system.errors import FailedError, InputError, MachineError

TIMEOUT = 900  # seconds; an emulated import of a framework takes up to a minute and a half on 2 cores
SMOKE = f"/{HOME}/smoke/smoke.py"  # inside an image
_FAR_EMULATOR = "QEMU"  # on another machine; which one it is, only a container can tell
WRITABLE = "/dev/shm"  # noqa: S108 - the only folder of a container that a read-only root leaves writable
SHOWN = 300  # characters of the last line of an output
REFUSED = 78  # the entrypoint's exit code for a CPU below the floor


class SmokeRun(NamedTuple):
    """What a smoke run gave.

    Attributes:
        proof: evidence of a proof that held or failed; no file is written.
        answers: the numbers behind it: "" for the report, "baseline" for that of the baseline CPU.
    """

    proof: Evidence
    answers: dict[str, Answers]


def run_smoke(engine: Engine, reference: str, image: Image, target: Target, options: Sequence[str] = ()) -> SmokeRun:
    """Run the smoke run of an image on the target's CPU, and on its baseline CPU if it has one.

    Args:
        engine: the engine that has the image.
        reference: the image, by name or digest.
        image: the engine's facts about it.
        target: the CPU that the image is for.
        options: options of the smoke run.

    Raises:
        FailedError: the container gave no report: it refused the CPU, crashed, or is not an image of Armwright.
        InputError: the smoke run does not know an option.
        MachineError: the emulator is missing or too old.
    """
    emulator = require_runner(target, engine.reading)
    if emulator == _FAR_EMULATOR:
        emulator = _read_far_emulator(engine, reference)
    environment = {"QEMU_CPU": target.emulator.cpu} if emulator else {}
    arguments = ["smoke", "--json", "--answers", *options]
    report, numbers = _parse_report(reference, engine.run(reference, arguments, environment, TIMEOUT))
    combo = image.labels["org.armwright.combo"]
    if report.combo != combo:
        what = f"{reference} is labelled {combo}, but its report is for {report.combo}"
        raise FailedError(what, f"docker image inspect {reference}")
    below = _run_on_baseline(engine, reference, image, target, report) if emulator else None
    after = engine.find(reference)  # the run unpacked the image: only now is its unpacked size known
    if after is None or after.digest != image.digest:
        what = f"{reference} was replaced by another image during the proof"
        raise FailedError(what, f"docker image inspect {reference}", hint="run the same command again")
    proof = Evidence(
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
        baseline=below[0] if below else None,
    )
    return SmokeRun(proof, {"": numbers, **({"baseline": below[1]} if below else {})})


def _run_on_baseline(
    engine: Engine, reference: str, image: Image, target: Target, report: Report
) -> tuple[Report, Answers] | None:
    """Repeat the runs on the CPU that has nothing above the target's floor, except data types that it skips.

    The run bypasses the entrypoint and the start-up hook, which would refuse that CPU. Of what the hook sets,
    a folder for temporary files is needed: TensorFlow's import fails without one.
    """
    baseline = target.emulator.baseline
    if baseline is None:
        return None
    runs = [run for run in report.runs if run.dtype not in baseline.skips]
    if not runs:
        return None
    python = list(image.entrypoint[:1])
    arguments = ["-I", SMOKE, "--below-floor", "--json", "--answers"]
    arguments += [f"--workload={name}" for name in dict.fromkeys(run.workload for run in runs)]
    arguments += [f"--dtype={name}" for name in dict.fromkeys(run.dtype for run in runs)]
    environment = {"QEMU_CPU": baseline.cpu, MARKER: "1", "TMPDIR": WRITABLE}
    ran = engine.run(reference, arguments, environment, TIMEOUT, entrypoint=python)
    return _parse_report(reference, ran)


def require_runner(target: Target, reading: EngineReading | None = None) -> str:
    """Check that the engine can run the image of a target.

    Args:
        target: the CPU that the image is for.
        reading: what the engine reports; None for an engine on this machine.

    Returns:
        the emulator, for example "QEMU 10.0.2"; "QEMU" for one on another machine, which cannot be read from here;
        empty on an Arm machine.

    Raises:
        MachineError: no emulator is registered for containers, or it does not know the target's CPU.
    """
    if reading and not reading.is_here:
        return "" if reading.runs_arm else _FAR_EMULATOR
    if platform.machine() == "aarch64":
        return ""
    emulation = binfmt.read_emulation()
    if not emulation.serves_containers:
        what = "no aarch64 emulator that works inside containers is registered; nothing was started"
        raise MachineError(what, "./inv setup")
    known = binfmt.list_cpus()
    if not known:
        what = f"the registered emulator {emulation.entries[0].interpreter} did not answer; nothing was started"
        raise MachineError(what, "invoke doctor")
    title = f"QEMU {emulation.running or 'of an unknown version'}"
    for cpu in target.emulator.models:
        if cpu not in known:
            what = f"the emulator ({title}) does not know the CPU {cpu}; nothing was started"
            raise MachineError(what, "./inv setup")
    return title


def _read_far_emulator(engine: Engine, reference: str) -> str:
    """Return the emulator on the engine's machine, as it answers inside a container of an image."""
    version = binfmt.parse_version(engine.run(reference, ["-"], {"QEMU_VERSION": "1"}, 60).out)
    if version is None:
        what = f"the engine at {engine.address} starts aarch64 programs, but not with QEMU, which shows a target's CPU"
        raise MachineError(what, "docker info", hint="run ./inv setup on the engine's machine")
    return f"QEMU {version}"


def _parse_report(reference: str, ran: ContainerResult) -> tuple[Report, Answers]:
    last_line = (ran.err.strip() or ran.out.strip() or "nothing").splitlines()[-1][:SHOWN]
    rerun = f"docker run --rm {reference} smoke"
    if ran.code == REFUSED:
        what = f"{reference} refused to start: {last_line}"
        raise FailedError(what, "invoke list", hint="choose a target whose floor this CPU has")
    if ran.code == InputError.code and "usage: docker run IMAGE smoke" in ran.err:
        raise InputError(f"the smoke run of {reference} rejects an option: {last_line}", f"{rerun} --help")
    if ran.code > 128:  # noqa: PLR2004 - the shell's convention: 128 and the signal's number
        raise FailedError(f"{reference} was killed by signal {ran.code - 128}: {last_line}", "invoke doctor")
    try:
        document = check_evidence.read_json(ran.out)
        numbers = answers.unpack(document.pop("numbers")) if isinstance(document, dict) else {}
        report = evidence.parse_report(document)
    except (ValueError, RecursionError, KeyError, InvalidAnswersError) as error:
        what = f"{reference} gave no report (exit code {ran.code}); the last line of its output: {last_line}"
        raise FailedError(what, rerun) from error
    if any(check.state == "fail" for check in report.checks) != (ran.code != 0):
        raise FailedError(f"the report of {reference} contradicts its exit code {ran.code}", rerun)
    return report, numbers
