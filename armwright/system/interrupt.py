"""Interrupts across threads: what runs anywhere is told to stop, and nothing new begins until all of it has ended.

Python raises KeyboardInterrupt in the main thread only. Work in other threads says here how it is stopped, and ends
with a KeyboardInterrupt of its own, so that it cleans up as it would in the main thread.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

PATIENCE = 10.0  # seconds between asking and killing
Stop = Callable[[float], None]  # how something is stopped, and how many seconds it may take to end by itself

_guard = threading.Lock()
_stopping = threading.Event()
_running: list[Stop] = []


def check_interrupted() -> None:
    """Begin nothing while everything is being stopped.

    Raises:
        KeyboardInterrupt: it is.
    """
    if _stopping.is_set():
        raise KeyboardInterrupt


@contextlib.contextmanager
def stoppable(stop: Stop) -> Iterator[None]:
    """Say how what is done inside is stopped.

    Args:
        stop: called from another thread, perhaps twice, perhaps when there is nothing to stop any more.

    Raises:
        KeyboardInterrupt: it was stopped, whatever came of it.
    """
    with _guard:
        late = _stopping.is_set()
        if not late:
            _running.append(stop)
    if late:
        stop(0)
        raise KeyboardInterrupt
    try:
        yield
    except Exception:
        check_interrupted()  # it failed because it was stopped
        raise
    finally:
        with _guard:
            _running.remove(stop)
    check_interrupted()


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Let what is inside be done whole: an interrupt that comes meanwhile is raised after it.

    Raises:
        KeyboardInterrupt: one came.
    """
    if threading.current_thread() is not threading.main_thread():  # interrupts come in the main thread only
        yield
        return
    seen: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda number, _: seen.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if seen:
        raise KeyboardInterrupt


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """Stop everything that runs; inside, nothing begins. Wait there for the threads to end.

    A second interrupt while one waits ends the patience: what still runs is killed.
    """
    with _guard:
        _stopping.set()
        told = list(_running)
    helpers = [threading.Thread(target=stop, args=(PATIENCE,), daemon=True) for stop in told]
    try:
        for helper in helpers:
            helper.start()
        yield
        for helper in helpers:
            helper.join()
    except BaseException:
        with _guard:
            told = list(_running)
        for stop in told:
            stop(0)
        raise  # and nothing begins any more: this process is about to end
    _stopping.clear()
