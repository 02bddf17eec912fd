"""Many combos: some at a time, each for itself. One's failure is not the others', unless the machine cannot go on."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from armwright.assembly import buildx
from armwright.engine.client import Engine
from armwright.matrix.matrix import Combo, Matrix
from armwright.pipeline import build_combo as builds
from armwright.pipeline import summary
from armwright.pipeline.build_combo import BuildOptions, ComboResult
from armwright.plan.plan import make_plan
from armwright.proof import evidence, smoke, state, wording
from armwright.system import console, interrupt, process
from armwright.system.errors import ArmwrightError, InputError, MachineError

LEAST_FREE = 6_000_000_000  # bytes: two roots, the wheels, their unpacked trees and the image; seen: 4.5 GB
MEMORY = 1_500_000_000  # bytes for one combo, twice the most seen: 0.7 GB for a proof, 0.8 to strip a library of 815 MB
STEP = 0.5  # seconds in which an interrupt is noticed at the latest
LISTED = 12  # combos that a plan names before it counts them


def build_combos(matrix: Matrix, combos: Sequence[Combo], options: BuildOptions) -> list[ComboResult]:
    """Build and prove combos.

    Args:
        matrix: the loaded matrix.
        combos: what to build; none of them is refused.
        options: how.

    Returns:
        a result for each combo, in order.

    Raises:
        InputError: a lock is wrong; nothing was started.
        MachineError: the engine does not answer or the disk is full; nothing was started.
        KeyboardInterrupt: passed on when everything that ran has ended.
    """
    with process.alone(matrix.root / "build" / ".turn", lambda: console.say("another run works here: waiting for it")):
        plans = [make_plan(matrix, combo, options.source) for combo in combos]
        engine = Engine()
        results = [ComboResult(combo) for combo in combos]
        jobs = options.jobs or jobs_for(_cores(engine), _memory(engine))
        names = engine.names()
        states: list[str] = [state.plan_state(matrix.root, one, names) for one in plans]
        _announce(combos, states, options, jobs)
        _check(matrix.root, engine, options, results, states)
        ended = threading.Event()

        def work(result: ComboResult) -> None:
            if not ended.is_set() and result.problem is None:
                with console.voice(result.combo.id if len(results) > 1 else "", brief=_brief(results, options)):
                    _work(matrix, engine, options, result, ended)
                    _tell(matrix.root, result, among=len(results), whole=not _brief(results, options))

        try:
            in_threads(work, results, jobs)
        except KeyboardInterrupt:
            for result in results:
                if result.began and not result.ended:
                    result.outcome, result.ended = "interrupted", time.monotonic()
            console.say(f"interrupted: {summary.count_outcomes(results)}", "yellow")
            raise
        return results


def parse_jobs(word: str) -> int:
    """Return how many combos are worked on at once: 0 for as many as there is room for.

    Raises:
        InputError: it is not a number from 1 on.
    """
    if word and not (word.isdecimal() and int(word)):
        raise InputError(f"--jobs {word!r} is not a number from 1 on", "invoke build --help")
    return int(word or 0)


def jobs_for(cores: int, memory: int) -> int:
    """Return for how many combos at once a machine has room: one for each core, as far as the memory goes."""
    return max(1, min(cores, memory // MEMORY))


def in_threads(work: Callable[[ComboResult], None], results: Sequence[ComboResult], jobs: int) -> None:
    """Work on results, at most so many at once; they begin in order.

    Raises:
        KeyboardInterrupt: passed on; what ran was stopped and has ended, the others did not begin.
    """

    def begin(result: ComboResult) -> None:
        interrupt.check_interrupted()
        work(result)

    pool = ThreadPoolExecutor(max_workers=jobs)
    try:
        with interrupt.deferred():  # a pool forgets a thread in whose start it is interrupted, and does not wait for it
            waiting = {pool.submit(begin, result) for result in results}
        while waiting:  # in steps: a signal that comes just before a thread begins to wait does not wake it
            done, waiting = wait(waiting, timeout=STEP, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
    except BaseException:
        with interrupt.stopping():
            pool.shutdown(cancel_futures=True)
        raise
    finally:
        pool.shutdown()


def _brief(results: Sequence[ComboResult], options: BuildOptions) -> bool:
    return len(results) > wording.FEW and not options.verbose


def _work(matrix: Matrix, engine: Engine, options: BuildOptions, result: ComboResult, ended: threading.Event) -> None:
    """Make a combo; where it fails, say whether the run has ended for the others too."""
    result.began = time.monotonic()
    try:
        builds.build_combo(matrix, result.combo, engine, options, result)
    except ArmwrightError as problem:
        result.problem = problem
    except OSError as error:
        result.problem = MachineError(f"this machine said no: {error}", "invoke doctor")
    if result.problem is not None:
        result.outcome = "failed"
        if not options.keep_going or (isinstance(result.problem, MachineError) and not _serves(matrix.root, engine)):
            ended.set()
    result.ended = time.monotonic()


def _serves(root: Path, engine: Engine) -> bool:
    """Say whether a machine that could not do one combo can do others: its engine answers and its disk has room."""
    try:
        engine.names()
        _require_room(root, engine)
    except MachineError:
        return False
    return True


def _tell(root: Path, result: ComboResult, *, among: int, whole: bool) -> None:
    """Say what happened to a combo as soon as it did: its whole proof, or a line."""
    with console.block():
        if whole and result.proof:
            wording.print_proof(result.proof)
            if not result.problem:
                console.detail(f"evidence: {evidence.evidence_path(root, result.combo.id).relative_to(root)}")
        if among > 1 and result.problem:
            console.say(f"failed: {summary.first_line(result)}", "red")
        elif among > 1:
            console.say(f"{result.outcome}{f': {wording.proof_line(result.proof)}' if result.proof else ''}", "green")


def _announce(combos: Sequence[Combo], states: Sequence[str], options: BuildOptions, jobs: int) -> None:
    """Say what is going to be done."""
    together = f", {jobs} at a time" if jobs > 1 and len(combos) > 1 else ""
    console.step(f"plan: {len(combos)} image(s), {states.count('not built')} to build{together}")
    built, build = ("built: prove it", "build and prove it") if options.smoke else ("built: nothing to do", "build")
    what = {"proven": "proven: nothing to do", "built": built, "not built": build}
    if len(combos) <= LISTED:
        for combo, state in zip(combos, states, strict=True):
            console.detail(f"{combo.id}  {what[state]}")
    else:
        for state, words in what.items():
            console.detail(f"{states.count(state):3}  {words}")


def _check(
    root: Path, engine: Engine, options: BuildOptions, results: Sequence[ComboResult], states: Sequence[str]
) -> None:
    """Refuse what cannot end well before anything is started."""
    if "not built" in states:
        _require_room(root, engine)
    if options.builder:
        buildx.require_builder(options.builder)
    if options.smoke:
        unproven = [result for result, state in zip(results, states, strict=True) if state != "proven"]
        _require_runners(unproven, keep_going=options.keep_going)


def _require_room(root: Path, engine: Engine) -> None:
    """Check that there is room for a build, on the disk of the project and on the engine's, where that is a local one.

    Raises:
        MachineError: there is not.
    """
    for folder in [root, *(path for path in [engine.folder] if path.exists())]:
        free = shutil.disk_usage(folder).free
        if free < LEAST_FREE:
            raise MachineError(
                f"the disk of {folder} has {free / 1e9:.1f} GB free and a build needs {LEAST_FREE / 1e9:.0f} GB; "
                "nothing was started",
                "docker system prune, then the same command again",
            )


def _require_runners(results: Sequence[ComboResult], *, keep_going: bool) -> None:
    """Check that this machine can run what is to be proven; told to keep going, leave out what it cannot.

    Raises:
        MachineError: it cannot run one of them, or none of them.
    """
    problems: dict[str, MachineError] = {}
    for target in {result.combo.target.name: result.combo.target for result in results}.values():
        try:
            smoke.require_runner(target)
        except MachineError as problem:
            problems[target.name] = problem
    left_out = [result for result in results if result.combo.target.name in problems]
    if left_out and (not keep_going or len(left_out) == len(results)):
        raise problems[left_out[0].combo.target.name]
    for result in left_out:
        result.outcome, result.problem = "failed", problems[result.combo.target.name]


def _cores(engine: Engine) -> int:
    """Return how many CPUs the engine has: it may have a machine of its own."""
    return int(engine.info.get("NCPU") or 1)


def _memory(engine: Engine) -> int:
    """Return the memory that is free for new programs, in bytes; the engine's whole where the system does not say."""
    meminfo = Path("/proc/meminfo")
    lines = meminfo.read_text(encoding="ascii").splitlines() if meminfo.is_file() else []
    whole = int(engine.info.get("MemTotal") or 0)
    free = (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    return min(whole, next(free, whole))
