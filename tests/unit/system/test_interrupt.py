"""Interrupts across threads: programs end with their children, nothing new begins, and cleaning up goes on as usual."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from armwright.system import interrupt, process
from armwright.system.errors import FailedError

PATIENCE = 20  # seconds for what happens at once
DEAF = f"trap '' INT; echo deaf; for second in $(seq {3 * PATIENCE}); do sleep 1; done"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def wait(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def started(log: Path, script: str) -> tuple[ThreadPoolExecutor, Future[None]]:
    """Run a script in another thread; return when it has said something."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(process.stream, ["sh", "-c", script], log)
    wait(lambda: log.exists() and log.read_text())
    return pool, future


def test_a_program_in_another_thread_is_interrupted_with_its_children(log: Path) -> None:
    pool, future = started(log, "sleep 600 & echo $!; wait")
    child = int(log.read_text())
    with interrupt.stopping():
        pool.shutdown()
    with pytest.raises(KeyboardInterrupt):
        future.result()
    wait(lambda: not _alive(child))


def test_a_program_that_fails_because_it_was_stopped_is_an_interrupt_and_no_failure(log: Path) -> None:
    pool, future = started(log, "trap 'exit 7' INT; echo here; while :; do sleep 0.1; done")
    with interrupt.stopping():
        pool.shutdown()
    assert isinstance(future.exception(), KeyboardInterrupt)


def test_whatever_fails_because_it_was_stopped_is_an_interrupt() -> None:
    begun, told = threading.Event(), threading.Event()

    def work() -> None:
        with interrupt.stoppable(lambda _: told.set()):
            begun.set()
            told.wait(PATIENCE)
            raise FailedError("the container died from signal 9")

    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    begun.wait(PATIENCE)
    with interrupt.stopping():
        pool.shutdown()
    assert isinstance(future.exception(), KeyboardInterrupt)


def test_a_program_that_does_not_listen_is_killed_when_the_patience_ends(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupt, "PATIENCE", 0.2)
    pool, future = started(log, DEAF)
    with interrupt.stopping():
        pool.shutdown()
    assert isinstance(future.exception(), KeyboardInterrupt)


def test_a_second_interrupt_kills_at_once(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupt, "_stopping", threading.Event())  # it stays set: the process is about to end
    monkeypatch.setattr(interrupt, "PATIENCE", 600.0)
    pool, future = started(log, DEAF)
    with pytest.raises(KeyboardInterrupt, match="second"), interrupt.stopping():  # noqa: PT012 - as it happens
        assert not future.done()
        raise KeyboardInterrupt("second")
    assert isinstance(future.exception(PATIENCE), KeyboardInterrupt)
    pool.shutdown()
    with pytest.raises(KeyboardInterrupt):
        process.capture(["true"])


def test_while_everything_is_stopped_no_program_begins_and_afterwards_they_do_again(log: Path) -> None:
    with interrupt.stopping():
        with pytest.raises(KeyboardInterrupt):
            process.stream(["touch", str(log.with_name("begun"))], log)
        with pytest.raises(KeyboardInterrupt):
            process.capture(["touch", str(log.with_name("begun"))])
        with pytest.raises(KeyboardInterrupt), process.turn("anything"):
            log.with_name("begun").touch()
    assert not log.with_name("begun").exists()
    process.stream(["true"], log)


def test_what_begins_just_when_everything_is_stopped_is_stopped_too() -> None:
    told: list[float] = []
    with interrupt.stopping(), pytest.raises(KeyboardInterrupt), interrupt.stoppable(told.append):
        pytest.fail("it began")
    assert told == [0]


def test_a_failure_that_has_nothing_to_do_with_an_interrupt_stays_a_failure(log: Path) -> None:
    with pytest.raises(FailedError):
        process.stream(["false"], log)
    with pytest.raises(ValueError, match="a mistake"), interrupt.stoppable(lambda _: None):
        raise ValueError("a mistake")


def test_what_has_ended_is_not_stopped() -> None:
    told: list[float] = []
    with interrupt.stoppable(told.append):
        pass
    with interrupt.stopping():
        pass
    assert told == []


def test_one_thread_at_a_time_has_a_turn_and_another_name_is_another_turn() -> None:
    inside, other = threading.Event(), threading.Event()

    def second() -> None:
        with process.turn("one"):
            other.set()

    with ThreadPoolExecutor(2) as pool:
        with process.turn("one"):
            future = pool.submit(second)
            with process.turn("two"):
                inside.set()
            assert not other.wait(0.1)
        future.result(PATIENCE)
    assert inside.is_set()
    assert other.is_set()


def _alive(number: int) -> bool:
    path = Path(f"/proc/{number}/stat")
    try:
        return path.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_interrupt_in_the_middle_of_what_must_be_whole_comes_after_it() -> None:
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
