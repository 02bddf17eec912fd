"""Builds many combos, several at once. A failed combo does not fail the others, unless the machine cannot continue."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from armwright.assembly import record
from armwright.engine.client import Engine
from armwright.host import disks
from armwright.matrix.matrix import Combo, Matrix
from armwright.pipeline import build_combo, preflight, summary
from armwright.pipeline.build_combo import BuildOptions, ComboResult
from armwright.plan import locks
from armwright.plan.plan import make_plan
from armwright.proof import evidence, wording
from armwright.proof.state import find_plan_state
from armwright.publish import given_name
from armwright.system import console, files, interrupt, turns
from armwright.system.errors import ArmwrightError, MachineError

INTERRUPT_CHECK = 0.5  # seconds after which an interrupt is noticed at the latest
LISTED = 12  # combos that the plan lists; with more it counts them


def build_combos(matrix: Matrix, combos: Sequence[Combo], options: BuildOptions) -> list[ComboResult]:
    """Build and prove combos.

    Args:
        matrix: the loaded matrix.
        combos: what to build; none of them is refused.
        options: how to build.

    Returns:
        one result per combo, in the same order.

    Raises:
        InputError: a lock is wrong; nothing was started.
        MachineError: the engine does not answer or the disk is full; nothing was started.
        KeyboardInterrupt: passed on when everything that ran has ended.
    """
    waiting = "another build is running in this checkout; waiting for it to finish"
    disks.require_writable(matrix.root)
    with turns.alone(matrix.root / "build" / ".turn", lambda: console.say(waiting)):
        if options.locked:
            locks.remove_own_locks(matrix.root)
        plans = [make_plan(matrix, combo, options.source) for combo in combos]
        preflight.warn_of_own_locks(matrix.root, plans)
        engine = Engine()
        jobs = options.jobs or preflight.compute_default_jobs(engine)
        names = engine.names()
        _remove_left(matrix.root, engine, names)
        states: list[str] = [find_plan_state(matrix.root, plan, names) for plan in plans]
        settled = "not built" not in states  # nothing is fetched, so no base's lock is refreshed
        results = [ComboResult(plan.combo, plan=plan if settled else None) for plan in plans]
        _print_plan(combos, states, options, jobs)
        preflight.check_machine(matrix.root, engine, options, results, states)
        stopped = threading.Event()

        def work(result: ComboResult) -> None:
            if not stopped.is_set() and result.error is None:
                with console.prefix(result.combo.id if len(results) > 1 else "", verbose=options.verbose):
                    _build(matrix, engine, options, result, stopped)
                    _print_result(matrix.root, result, options, total=len(results))

        try:
            run_in_threads(work, results, jobs)
        except KeyboardInterrupt:
            for result in results:
                if result.began and not result.ended:
                    result.outcome, result.ended = "interrupted", time.monotonic()
            console.say(f"interrupted: {summary.count_outcomes(results)}", console.DOUBTFUL)
            raise
        return results


def _remove_left(root: Path, engine: Engine, names: Iterable[str]) -> None:
    """Remove what killed runs of this checkout left: names, files, containers. No other build of it may run."""
    record.remove_unrecorded(root, engine, names)
    given_name.restore_name(root, engine)
    files.remove_unfinished(root / "build")
    if left := engine.remove_abandoned():
        console.say(f"removed {left} container(s) that a killed run left")


def run_in_threads(work: Callable[[ComboResult], None], results: Sequence[ComboResult], jobs: int) -> None:
    """Call `work` with each result in threads, at most `jobs` at once; they begin in order.

    Raises:
        KeyboardInterrupt: passed on; what ran was stopped and has ended, the others did not begin.
    """

    def begin(result: ComboResult) -> None:
        interrupt.check_interrupted()
        work(result)

    pool = ThreadPoolExecutor(max_workers=jobs)
    try:
        with interrupt.deferred():  # a pool that is interrupted while it starts a thread does not wait for it later
            waiting = {pool.submit(begin, result) for result in results}
        while waiting:  # with a timeout: a signal just before the thread begins to wait does not wake it
            done, waiting = wait(waiting, timeout=INTERRUPT_CHECK, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
    except BaseException:
        with interrupt.stopping():
            pool.shutdown(cancel_futures=True)
        raise
    finally:
        pool.shutdown()


def _build(
    matrix: Matrix, engine: Engine, options: BuildOptions, result: ComboResult, stopped: threading.Event
) -> None:
    """Build a combo; if it fails, decide whether the other combos are still begun."""
    result.began = time.monotonic()
    try:
        build_combo.build_combo(matrix, result.combo, engine, options, result)
    except ArmwrightError as error:
        result.error = error
    except OSError as error:
        result.error = MachineError(f"operating system error: {error}", "invoke doctor")
    if result.error is not None:
        result.outcome = "failed"
        machine_failed = isinstance(result.error, MachineError) and not preflight.can_continue(matrix.root, engine)
        if machine_failed or not options.keep_going:
            stopped.set()
    result.ended = time.monotonic()


def _print_plan(combos: Sequence[Combo], states: Sequence[str], options: BuildOptions, jobs: int) -> None:
    """Print what the build is going to do."""
    at_once = f", {jobs} at a time" if jobs > 1 and len(combos) > 1 else ""
    images = summary.count_images(len(combos))
    console.step(f"plan: {images}, {states.count('not built')} to build{at_once}")
    built, not_built = ("built: prove it", "build and prove it") if options.smoke else ("built: nothing to do", "build")
    actions = {"proven": "proven: nothing to do", "built": built, "not built": not_built}
    if len(combos) <= LISTED:
        for combo, state in zip(combos, states, strict=True):
            console.detail(f"{combo.id}  {actions[state]}")
    else:
        for state, action in actions.items():
            console.detail(f"{states.count(state):3}  {action}")


def _print_result(root: Path, result: ComboResult, options: BuildOptions, *, total: int) -> None:
    """Print what happened to a combo when it ends: the summary of its proof, or one line if the run has many combos."""
    in_full = result.proof is not None and (options.verbose or total <= wording.FEW)
    with console.block():
        if result.proof and in_full:
            file = "" if result.error else str(evidence.evidence_path(root, result.combo.id).relative_to(root))
            wording.print_proof(result.proof, file, verbose=options.verbose)
        if total > 1 and result.error:
            console.say(f"failed: {summary.describe_cause(result.error)}", console.BAD)
        elif total > 1 and not in_full:
            proof = f": {wording.describe_proof(result.proof)}" if result.proof else ""
            console.say(f"{result.outcome}{proof}", console.GOOD)
