"""Many combos: how many at once, what a failure ends and what it does not, and what an interrupt leaves.

What is done to a combo is replaced here; that it is done for real is the engine tier's.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from armwright.matrix.matrix import Combo, Matrix
from armwright.pipeline import build_all, build_combo, summary
from armwright.pipeline.build_combo import BuildOptions, ComboResult
from armwright.proof import prove, smoke
from armwright.recipes.targets import Target
from armwright.system import interrupt
from armwright.system.errors import FailedError, InputError, MachineError
from tests.support import SMALL, Tree

COMBOS = [f"pytorch-2.9.1-{target}-{backend}" for target in ("n1", "v1", "a64fx") for backend in ("acl", "openblas")]
FAILED = FailedError("it broke\nhere", "look there")
PATIENCE = 20  # seconds for what happens at once
Make = Callable[[Combo], None]


class NoEngine:
    """An engine that has nothing."""

    info: Mapping[str, Any] = {"NCPU": 2, "MemTotal": 8_000_000_000}
    folder = Path("/nonexistent")

    def names(self) -> dict[str, str]:
        return {}


@pytest.fixture
def matrix(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Matrix:
    tree.publish(SMALL)
    monkeypatch.setattr(build_all, "Engine", NoEngine)
    monkeypatch.setattr(build_all, "LEAST_FREE", 0)
    monkeypatch.setattr(smoke, "require_runner", lambda _: "")
    return tree.load()


@pytest.fixture
def run(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[ComboResult]]:
    """Build the six combos with a stand-in for what is done to each."""

    def built(make: Make, **options: Any) -> list[ComboResult]:  # noqa: ANN401 - options of any kind
        def made(_matrix: Matrix, combo: Combo, _engine: object, _options: BuildOptions, result: ComboResult) -> None:
            make(combo)
            result.outcome = "proven"

        monkeypatch.setattr(build_combo, "build_combo", made)
        return build_all.build_combos(matrix, [matrix.by_id[combo] for combo in COMBOS], BuildOptions(**options))

    return built


def breaking(problems: Mapping[str, Exception]) -> Make:
    def make(combo: Combo) -> None:
        if combo.id in problems:
            raise problems[combo.id]

    return make


def outcomes(results: list[ComboResult]) -> list[str]:
    return [result.outcome for result in results]


def test_results_are_in_the_order_of_the_matrix_whatever_ends_first(run: Callable[..., list[ComboResult]]) -> None:
    second_ended = threading.Event()

    def make(combo: Combo) -> None:
        if combo.id == COMBOS[0]:
            assert second_ended.wait(PATIENCE)
        if combo.id == COMBOS[1]:
            second_ended.set()

    results = run(make, jobs=2)
    assert [result.combo.id for result in results] == COMBOS
    assert outcomes(results) == ["proven"] * 6
    assert results[1].ended <= results[0].ended


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_as_many_as_asked_for_are_worked_on_at_once_and_no_more(
    run: Callable[..., list[ComboResult]], jobs: int
) -> None:
    full = threading.Barrier(jobs, timeout=PATIENCE)
    guard = threading.Lock()
    now: set[str] = set()
    most = 0

    def make(combo: Combo) -> None:
        nonlocal most
        with guard:
            now.add(combo.id)
            most = max(most, len(now))
        full.wait()
        with guard:
            now.remove(combo.id)

    assert outcomes(run(make, jobs=jobs)) == ["proven"] * 6  # 6 is a multiple of each
    assert most == jobs


def test_a_failure_keeps_the_others_from_beginning(run: Callable[..., list[ComboResult]]) -> None:
    results = run(breaking({COMBOS[1]: FAILED}), jobs=1)
    assert outcomes(results) == ["proven", "failed", *["not started"] * 4]
    assert summary.print_summary(results) == 1


def test_what_runs_beside_a_failure_is_done_to_its_end(run: Callable[..., list[ComboResult]]) -> None:
    begun, failed = threading.Event(), threading.Event()

    def make(combo: Combo) -> None:
        if combo.id == COMBOS[0]:
            assert begun.wait(PATIENCE)
            failed.set()
            raise FAILED
        begun.set()
        assert failed.wait(PATIENCE)

    assert outcomes(run(make, jobs=2))[:2] == ["failed", "proven"]


def test_told_to_keep_going_a_failure_is_nobody_elses(run: Callable[..., list[ComboResult]]) -> None:
    problems = {COMBOS[1]: InputError("a lock is stale"), COMBOS[3]: FAILED}
    results = run(breaking(problems), jobs=2, keep_going=True)
    assert outcomes(results) == ["proven", "failed", "proven", "failed", "proven", "proven"]
    assert summary.print_summary(results) == 2  # the first problem's, in the order of the matrix


def test_an_engine_that_is_gone_ends_the_run_for_all(
    run: Callable[..., list[ComboResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: NoEngine) -> dict[str, str]:
        raise MachineError("the engine does not answer")

    def make(combo: Combo) -> None:
        if combo.id == COMBOS[1]:
            monkeypatch.setattr(NoEngine, "names", gone)
            raise MachineError("the engine went away")

    results = run(make, jobs=1, keep_going=True)
    assert outcomes(results) == ["proven", "failed", *["not started"] * 4]
    assert summary.print_summary(results) == 3


def test_a_disk_that_is_full_ends_the_run_for_all_in_a_sentence(
    run: Callable[..., list[ComboResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(combo: Combo) -> None:
        if combo.id == COMBOS[1]:
            monkeypatch.setattr(build_all, "LEAST_FREE", 1 << 60)
            raise OSError(28, "No space left on device")

    results = run(make, jobs=1, keep_going=True)
    assert outcomes(results) == ["proven", "failed", *["not started"] * 4]
    assert summary.print_summary(results) == 3
    assert isinstance(results[1].problem, MachineError)
    assert "this machine said no: [Errno 28] No space left on device" in results[1].problem.what


def test_a_host_that_one_combo_cannot_reach_is_nobody_elses_failure(run: Callable[..., list[ComboResult]]) -> None:
    gone = breaking({COMBOS[1]: MachineError("a host cannot be reached")})
    assert outcomes(run(gone, jobs=1, keep_going=True)) == ["proven", "failed", *["proven"] * 4]
    assert outcomes(run(gone, jobs=1)) == ["proven", "failed", *["not started"] * 4]


def test_a_mistake_of_ours_stops_everything_and_comes_out(run: Callable[..., list[ComboResult]]) -> None:
    begun = []

    def make(combo: Combo) -> None:
        begun.append(combo.id)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(make, jobs=1)
    assert len(begun) < len(COMBOS)


def test_an_interrupt_stops_what_runs_and_nothing_else_begins(
    run: Callable[..., list[ComboResult]], capsys: pytest.CaptureFixture[str]
) -> None:
    both = threading.Barrier(2, timeout=PATIENCE)
    begun, stopped, cleaned = [], [], []

    def make(combo: Combo) -> None:
        begun.append(combo.id)
        told = threading.Event()

        def stop(_: float) -> None:
            stopped.append(combo.id)
            told.set()

        try:
            with interrupt.stoppable(stop):
                if both.wait() == 0:
                    os.kill(os.getpid(), signal.SIGINT)
                assert told.wait(PATIENCE)
        finally:
            cleaned.append(combo.id)

    with pytest.raises(KeyboardInterrupt):
        run(make, jobs=2)
    assert sorted(begun) == sorted(stopped) == sorted(cleaned) == COMBOS[:2]
    assert "2 interrupted, 4 not started" in capsys.readouterr().err
    interrupt.check_interrupted()  # and afterwards things begin again


def test_what_is_next_when_everything_is_stopped_does_not_begin(matrix: Matrix) -> None:
    begun: list[ComboResult] = []
    with pytest.raises(KeyboardInterrupt), interrupt.stopping():
        build_all.in_threads(begun.append, [ComboResult(matrix.by_id[COMBOS[0]])], 1)
    assert begun == []


def test_an_emulator_without_a_target_s_cpu_is_that_target_s_failure_when_told_to_keep_going(
    run: Callable[..., list[ComboResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def require(target: Target) -> str:
        if target.name == "v1":
            raise MachineError("the emulator does not know the CPU")
        return ""

    monkeypatch.setattr(smoke, "require_runner", require)
    results = run(breaking({}), jobs=1, keep_going=True)
    assert outcomes(results) == ["proven", "proven", "failed", "failed", "proven", "proven"]
    assert summary.print_summary(results) == 3
    with pytest.raises(MachineError, match="does not know the CPU"):
        run(breaking(dict.fromkeys(COMBOS, AssertionError("it was started"))), jobs=1)


def test_without_any_emulator_nothing_is_started_even_when_told_to_keep_going(
    run: Callable[..., list[ComboResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def require(_: Target) -> str:
        raise MachineError("no emulator")

    monkeypatch.setattr(smoke, "require_runner", require)
    with pytest.raises(MachineError, match="no emulator"):
        run(breaking(dict.fromkeys(COMBOS, AssertionError("it was started"))), keep_going=True)
    assert outcomes(run(breaking({}), keep_going=True, smoke=False)) == ["proven"] * 6


@pytest.mark.parametrize(
    ("cores", "memory", "jobs"),
    [(1, 64, 1), (8, 64, 8), (8, 2.5, 2), (8, 0.5, 1), (64, 16, 16)],
)
def test_one_for_each_core_as_far_as_the_memory_goes(cores: int, memory: float, jobs: int) -> None:
    assert build_all.jobs_for(cores, int(memory * build_all.MEMORY)) == jobs


@pytest.mark.parametrize("word", ["0", "-1", "two", "1.5", " 2", "²"])
def test_a_number_of_jobs_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="is not a number from 1 on"):
        build_all.parse_jobs(word)


def test_a_number_of_jobs_is_taken_and_none_means_by_the_machine() -> None:
    assert [build_all.parse_jobs(word) for word in ("", "1", "16")] == [0, 1, 16]


def test_a_few_combos_are_named_in_the_plan_and_many_are_counted(
    run: Callable[..., list[ComboResult]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(breaking({}), jobs=2)
    told = capsys.readouterr().err
    assert "plan: 6 image(s), 6 to build, 2 at a time" in told
    assert all(f"{combo}  build and prove it" in told for combo in COMBOS)
    monkeypatch.setattr(build_all, "LISTED", 5)
    run(breaking({}), jobs=1)
    told = capsys.readouterr().err
    assert f"{COMBOS[0]}  build" not in told
    assert "  6  build and prove it" in told
    assert "  0  proven: nothing to do" in told


@pytest.mark.parametrize(("cpus", "at_once"), [(1, 1), (2, 2), (5, 5)])
def test_a_proof_has_a_cpu_to_itself(monkeypatch: pytest.MonkeyPatch, cpus: int, at_once: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    entered = threading.Event()

    def another() -> None:
        with prove.proof_slot():
            entered.set()

    late = threading.Thread(target=another)
    with contextlib.ExitStack() as stack:
        places = [stack.enter_context(contextlib.ExitStack()) for _ in range(at_once)]
        for place in places:
            place.enter_context(prove.proof_slot())  # would wait for ever if they shared a place
        late.start()
        assert not entered.wait(0.2)
        places[-1].close()  # whichever ends first makes room, not the one that began first
        assert entered.wait(10)
    late.join(10)
