"""Interrupts across threads: programs end with their children, nothing new starts, and cleanup works as usual."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from armwright.system import interrupt, process, turns
from armwright.system.errors import FailedError

PATIENCE = 20  # seconds to wait for what takes milliseconds
DEAF = f"trap '' INT; echo deaf; for second in $(seq {3 * PATIENCE}); do sleep 1; done"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def start(log: Path, script: str) -> tuple[ThreadPoolExecutor, Future[None]]:
    """Run a script in another thread; return when it has printed something."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(process.stream, ["sh", "-c", script], log)
    wait_for(lambda: log.exists() and log.read_text())
    return pool, future


def test_program_in_a_thread_is_interrupted_with_its_children(log: Path) -> None:
    pool, future = start(log, "sleep 600 & echo $!; wait")
    child = int(log.read_text())
    with interrupt.stopping():
        pool.shutdown()
    with pytest.raises(KeyboardInterrupt):
        future.result()
    wait_for(lambda: not _is_alive(child))


def test_program_that_fails_when_stopped_is_an_interrupt(log: Path) -> None:
    pool, future = start(log, "trap 'exit 7' INT; echo here; while :; do sleep 0.1; done")
    with interrupt.stopping():
        pool.shutdown()
    assert isinstance(future.exception(), KeyboardInterrupt)


def test_work_that_fails_when_stopped_is_an_interrupt() -> None:
    begun, stopped = threading.Event(), threading.Event()

    def work() -> None:
        with interrupt.stoppable(lambda _: stopped.set()):
            begun.set()
            stopped.wait(PATIENCE)
            raise FailedError("the container was killed by signal 9")

    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    begun.wait(PATIENCE)
    with interrupt.stopping():
        pool.shutdown()
    assert isinstance(future.exception(), KeyboardInterrupt)


def test_deaf_program_is_killed_after_patience(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupt, "PATIENCE", 0.2)
    pool, future = start(log, DEAF)
    with interrupt.stopping():
        pool.shutdown()
    assert isinstance(future.exception(), KeyboardInterrupt)


def test_second_interrupt_kills_at_once(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupt, "_stopping", threading.Event())  # it stays set: the process is about to end
    monkeypatch.setattr(interrupt, "PATIENCE", 600.0)
    pool, future = start(log, DEAF)
    with pytest.raises(KeyboardInterrupt, match="second"), interrupt.stopping():  # noqa: PT012 - as it happens
        assert not future.done()
        raise KeyboardInterrupt("second")
    assert isinstance(future.exception(PATIENCE), KeyboardInterrupt)
    pool.shutdown()
    with pytest.raises(KeyboardInterrupt):
        process.capture(["true"])


def test_nothing_starts_while_everything_is_stopped(log: Path) -> None:
    with interrupt.stopping():
        with pytest.raises(KeyboardInterrupt):
            process.stream(["touch", str(log.with_name("begun"))], log)
        with pytest.raises(KeyboardInterrupt):
            process.capture(["touch", str(log.with_name("begun"))])
        with pytest.raises(KeyboardInterrupt), turns.turn("anything"):
            log.with_name("begun").touch()
    assert not log.with_name("begun").exists()
    process.stream(["true"], log)


def test_work_that_starts_during_a_stop_is_stopped() -> None:
    stops: list[float] = []
    with interrupt.stopping(), pytest.raises(KeyboardInterrupt), interrupt.stoppable(stops.append):
        pytest.fail("it started")
    assert stops == [0]


def test_failure_without_interrupt_stays_a_failure(log: Path) -> None:
    with pytest.raises(FailedError):
        process.stream(["false"], log)
    with pytest.raises(ValueError, match="a mistake"), interrupt.stoppable(lambda _: None):
        raise ValueError("a mistake")


def test_work_that_has_ended_is_not_stopped() -> None:
    stops: list[float] = []
    with interrupt.stoppable(stops.append):
        pass
    with interrupt.stopping():
        pass
    assert stops == []


def test_turn_admits_one_thread_per_name() -> None:
    inside, other = threading.Event(), threading.Event()

    def second() -> None:
        with turns.turn("one"):
            other.set()

    with ThreadPoolExecutor(2) as pool:
        with turns.turn("one"):
            future = pool.submit(second)
            with turns.turn("two"):
                inside.set()
            assert not other.wait(0.1)
        future.result(PATIENCE)
    assert inside.is_set()
    assert other.is_set()


def _is_alive(pid: int) -> bool:
    path = Path(f"/proc/{pid}/stat")
    try:
        return path.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_deferred_interrupt_is_raised_afterwards() -> None:
    done = []
    before = signal.getsignal(signal.SIGINT)

    def submit() -> None:
        with interrupt.deferred():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("the rest")

    with pytest.raises(KeyboardInterrupt):
        submit()
    assert done == ["the rest"]
    assert signal.getsignal(signal.SIGINT) is before
