"""Many combos: how many at once, what a failure stops and what it does not, and what an interrupt leaves.

The build of a single combo is replaced here; the engine tier runs the real one.
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

from armwright.engine.probe import EngineReading
from armwright.matrix.matrix import Combo, Matrix
from armwright.pipeline import build_all, build_combo, preflight, summary
from armwright.pipeline.build_combo import BuildOptions, ComboResult
from armwright.proof import prove, smoke
from armwright.publish import given_name
from armwright.recipes.targets import Target
from armwright.system import interrupt
from armwright.system.errors import FailedError, InputError, MachineError
from tests.support import SMALL, Tree

COMBOS = [f"pytorch-2.9.1-{target}-{backend}" for target in ("n1", "v1", "a64fx") for backend in ("acl", "openblas")]
FAILED = FailedError("it broke\nhere", "invoke doctor")
PATIENCE = 20  # seconds to wait for what happens at once
Build = Callable[[Combo], None]


class NoEngine:
    """An engine without images."""

    reading = EngineReading(
        "26.1.5", containerd_store=True, running=0, root=Path("/nonexistent"), cpus=2, memory=8_000_000_000
    )
    folder = Path("/nonexistent")
    address = reading.address

    def names(self) -> dict[str, str]:
        return {}

    def remove_abandoned(self) -> int:
        return 0


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """A small matrix, loaded once: these tests change none of its files."""
    tree = Tree(tmp_path_factory.mktemp("small") / "project")
    tree.publish(SMALL)
    return tree.load()


@pytest.fixture
def matrix(loaded: Matrix, monkeypatch: pytest.MonkeyPatch) -> Matrix:
    monkeypatch.setattr(build_all, "Engine", NoEngine)
    monkeypatch.setattr(preflight, "LEAST_FREE", 0)
    monkeypatch.setattr(smoke, "require_runner", lambda *_: "")
    return loaded


@pytest.fixture
def run(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[ComboResult]]:
    """Build the six combos with a replacement for the build of each."""

    def run_build(build: Build, **options: Any) -> list[ComboResult]:  # noqa: ANN401 - options of any kind
        def replaced(_matrix: Matrix, combo: Combo, _engine: object, _options: object, result: ComboResult) -> None:
            build(combo)
            result.outcome = "proven"

        monkeypatch.setattr(build_combo, "build_combo", replaced)
        return build_all.build_combos(matrix, [matrix.by_id[combo] for combo in COMBOS], BuildOptions(**options))

    return run_build


def failing(errors: Mapping[str, Exception]) -> Build:
    def build(combo: Combo) -> None:
        if combo.id in errors:
            raise errors[combo.id]

    return build


def outcomes(results: list[ComboResult]) -> list[str]:
    return [result.outcome for result in results]


def test_results_are_in_matrix_order_whichever_ends_first(run: Callable[..., list[ComboResult]]) -> None:
    second_ended = threading.Event()

    def build(combo: Combo) -> None:
        if combo.id == COMBOS[0]:
            assert second_ended.wait(PATIENCE)
        if combo.id == COMBOS[1]:
            second_ended.set()

    results = run(build, jobs=2)
    assert [result.combo.id for result in results] == COMBOS
    assert outcomes(results) == ["proven"] * 6
    assert results[1].ended <= results[0].ended


def test_a_name_of_a_killed_staging_is_restored_first(
    run: Callable[..., list[ComboResult]], matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(given_name, "restore_name", lambda root, _: calls.append(root))
    run(lambda combo: calls.append(combo.id), jobs=1)
    assert calls == [matrix.root, *COMBOS]


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_exactly_as_many_combos_as_jobs_run_at_once(run: Callable[..., list[ComboResult]], jobs: int) -> None:
    full = threading.Barrier(jobs, timeout=PATIENCE)
    guard = threading.Lock()
    now: set[str] = set()
    most = 0

    def build(combo: Combo) -> None:
        nonlocal most
        with guard:
            now.add(combo.id)
            most = max(most, len(now))
        full.wait()
        with guard:
            now.remove(combo.id)

    assert outcomes(run(build, jobs=jobs)) == ["proven"] * 6  # 6 is a multiple of each
    assert most == jobs


def test_a_failure_keeps_later_combos_from_starting(run: Callable[..., list[ComboResult]]) -> None:
    results = run(failing({COMBOS[1]: FAILED}), jobs=1)
    assert outcomes(results) == ["proven", "failed", *["not started"] * 4]
    assert summary.print_summary(results) == 1


def test_combos_that_run_beside_a_failure_are_finished(run: Callable[..., list[ComboResult]]) -> None:
    begun, failed = threading.Event(), threading.Event()

    def build(combo: Combo) -> None:
        if combo.id == COMBOS[0]:
            assert begun.wait(PATIENCE)
            failed.set()
            raise FAILED
        begun.set()
        assert failed.wait(PATIENCE)

    assert outcomes(run(build, jobs=2))[:2] == ["failed", "proven"]


def test_with_keep_going_a_failure_stops_no_other_combo(run: Callable[..., list[ComboResult]]) -> None:
    errors = {COMBOS[1]: InputError("a lock is stale"), COMBOS[3]: FAILED}
    results = run(failing(errors), jobs=2, keep_going=True)
    assert outcomes(results) == ["proven", "failed", "proven", "failed", "proven", "proven"]
    assert summary.print_summary(results) == 2  # that of the first error in matrix order


def test_a_stopped_engine_stops_the_run_for_all(
    run: Callable[..., list[ComboResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: NoEngine) -> dict[str, str]:
        raise MachineError("the engine does not answer")

    def build(combo: Combo) -> None:
        if combo.id == COMBOS[1]:
            monkeypatch.setattr(NoEngine, "names", gone)
            raise MachineError("the engine went away")

    results = run(build, jobs=1, keep_going=True)
    assert outcomes(results) == ["proven", "failed", *["not started"] * 4]
    assert summary.print_summary(results) == 3


def test_a_full_disk_stops_the_run_for_all_with_a_message(
    run: Callable[..., list[ComboResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(combo: Combo) -> None:
        if combo.id == COMBOS[1]:
            monkeypatch.setattr(preflight, "LEAST_FREE", 1 << 60)
            raise OSError(28, "No space left on device")

    results = run(build, jobs=1, keep_going=True)
    assert outcomes(results) == ["proven", "failed", *["not started"] * 4]
    assert summary.print_summary(results) == 3
    assert isinstance(results[1].error, MachineError)
    assert "operating system error: [Errno 28] No space left on device" in results[1].error.what


def test_an_unreachable_host_fails_only_the_combo_that_needs_it(run: Callable[..., list[ComboResult]]) -> None:
    gone = failing({COMBOS[1]: MachineError("a host cannot be reached")})
    assert outcomes(run(gone, jobs=1, keep_going=True)) == ["proven", "failed", *["proven"] * 4]
    assert outcomes(run(gone, jobs=1)) == ["proven", "failed", *["not started"] * 4]


def test_a_bug_stops_everything_and_is_raised(run: Callable[..., list[ComboResult]]) -> None:
    begun = []

    def build(combo: Combo) -> None:
        begun.append(combo.id)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(build, jobs=1)
    assert len(begun) < len(COMBOS)


def test_an_interrupt_stops_what_runs_and_starts_nothing_more(
    run: Callable[..., list[ComboResult]], capsys: pytest.CaptureFixture[str]
) -> None:
    both = threading.Barrier(2, timeout=PATIENCE)
    begun, stopped, cleaned = [], [], []

    def build(combo: Combo) -> None:
        begun.append(combo.id)
        stop_called = threading.Event()

        def stop(_: float) -> None:
            stopped.append(combo.id)
            stop_called.set()

        try:
            with interrupt.stoppable(stop):
                if both.wait() == 0:
                    os.kill(os.getpid(), signal.SIGINT)
                assert stop_called.wait(PATIENCE)
        finally:
            cleaned.append(combo.id)

    with pytest.raises(KeyboardInterrupt):
        run(build, jobs=2)
    assert sorted(begun) == sorted(stopped) == sorted(cleaned) == COMBOS[:2]
    assert "2 interrupted, 4 not started" in capsys.readouterr().err
    interrupt.check_interrupted()  # the next run starts as usual


def test_a_combo_does_not_begin_while_everything_is_stopped(matrix: Matrix) -> None:
    begun: list[ComboResult] = []
    with pytest.raises(KeyboardInterrupt), interrupt.stopping():
        build_all.run_in_threads(begun.append, [ComboResult(matrix.by_id[COMBOS[0]])], 1)
    assert begun == []


def test_with_keep_going_only_targets_that_cannot_run_here_fail(
    run: Callable[..., list[ComboResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def require(target: Target, _: object) -> str:
        if target.name == "v1":
            raise MachineError("the emulator does not know the CPU")
        return ""

    monkeypatch.setattr(smoke, "require_runner", require)
    results = run(failing({}), jobs=1, keep_going=True)
    assert outcomes(results) == ["proven", "proven", "failed", "failed", "proven", "proven"]
    assert summary.print_summary(results) == 3
    with pytest.raises(MachineError, match="does not know the CPU"):
        run(failing(dict.fromkeys(COMBOS, AssertionError("it was started"))), jobs=1)


def test_without_an_emulator_nothing_is_started(
    run: Callable[..., list[ComboResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def require(*_: object) -> str:
        raise MachineError("no emulator")

    monkeypatch.setattr(smoke, "require_runner", require)
    with pytest.raises(MachineError, match="no emulator"):
        run(failing(dict.fromkeys(COMBOS, AssertionError("it was started"))), keep_going=True)
    assert outcomes(run(failing({}), keep_going=True, smoke=False)) == ["proven"] * 6


@pytest.mark.parametrize(
    ("cores", "memory", "jobs"),
    [(1, 64, 1), (8, 64, 8), (8, 2.5, 2), (8, 0.5, 1), (64, 16, 16)],
)
def test_there_is_one_job_per_core_as_far_as_memory_allows(cores: int, memory: float, jobs: int) -> None:
    assert preflight.compute_jobs(cores, int(memory * preflight.MEMORY)) == jobs


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", " 2", "²"])
def test_jobs_that_are_not_a_positive_number_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a whole number of at least 1"):
        preflight.parse_jobs(text)


def test_no_number_of_jobs_is_parsed_as_zero() -> None:
    assert [preflight.parse_jobs(text) for text in ("", "1", "16")] == [0, 1, 16]


def test_the_plan_lists_a_few_combos_and_counts_many(
    run: Callable[..., list[ComboResult]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(failing({}), jobs=2)
    printed = capsys.readouterr().err
    assert "plan: 6 images, 6 to build, 2 at a time" in printed
    assert all(f"{combo}  build and prove it" in printed for combo in COMBOS)
    monkeypatch.setattr(build_all, "LISTED", 5)
    run(failing({}), jobs=1)
    printed = capsys.readouterr().err
    assert f"{COMBOS[0]}  build" not in printed
    assert "  6  build and prove it" in printed
    assert "  0  proven: nothing to do" in printed


@pytest.mark.parametrize(("cpus", "at_once"), [(1, 1), (2, 2), (5, 5)])
def test_as_many_proofs_as_cpus_run_at_once(monkeypatch: pytest.MonkeyPatch, cpus: int, at_once: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    entered = threading.Event()

    def wait_for_slot() -> None:
        with prove.proof_slot():
            entered.set()

    late = threading.Thread(target=wait_for_slot)
    with contextlib.ExitStack() as stack:
        slots = [stack.enter_context(contextlib.ExitStack()) for _ in range(at_once)]
        for slot in slots:
            slot.enter_context(prove.proof_slot())  # would wait for ever if two shared a slot
        late.start()
        assert not entered.wait(0.2)
        slots[-1].close()  # the proof that ends first frees its slot, not the one that began first
        assert entered.wait(10)
    late.join(10)
