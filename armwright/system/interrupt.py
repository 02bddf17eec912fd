"""Interrupts across threads: Ctrl-C stops what every thread runs, and nothing new starts until all of it has ended.

Python raises KeyboardInterrupt in the main thread only. Work in other threads registers how it can be stopped, and then
raises a KeyboardInterrupt itself, so that it cleans up in the same way as the main thread.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

PATIENCE = 10.0  # seconds between asking a program to stop and killing it
Stop = Callable[[float], None]  # stops something; takes the seconds that it may use to end by itself

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_guard = threading.Lock()
_stopping = threading.Event()
_running: list[Stop] = []


def is_ignored(number: int) -> bool:
    """Return whether this process ignores a signal, because it was started so: by nohup, or by a script's `&`."""
    return signal.getsignal(number) is signal.SIG_IGN


def handle_signals() -> None:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt as SIGINT does; those that are ignored stay ignored."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if not is_ignored(number):
            signal.signal(number, signal.default_int_handler)


def check_interrupted() -> None:
    """Raise KeyboardInterrupt while everything is being stopped; called before anything starts."""
    if _stopping.is_set():
        raise KeyboardInterrupt


@contextlib.contextmanager
def stoppable(stop: Stop) -> Iterator[None]:
    """Register how the work inside can be stopped.

    Args:
        stop: called from another thread, possibly twice, and possibly when the work has ended already.

    Raises:
        KeyboardInterrupt: the work was stopped, whether it then failed or succeeded.
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
    """Let the work inside finish: an interrupt that arrives meanwhile is raised afterwards.

    Raises:
        KeyboardInterrupt: an interrupt arrived.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread gets interrupts
        yield
        return
    seen: list[int] = []
    numbers = [number for number in _SIGNALS if not is_ignored(number)]
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
    """Stop all registered work; nothing new starts inside. Wait for the threads inside.

    A second interrupt while waiting kills what still runs.
    """
    with _guard:
        _stopping.set()
        stops = list(_running)
    helpers = [threading.Thread(target=stop, args=(PATIENCE,), daemon=True) for stop in stops]
    try:
        for helper in helpers:
            helper.start()
        yield
        for helper in helpers:
            helper.join()
    except BaseException:
        with _guard:
            stops = list(_running)
        for stop in stops:
            stop(0)
        raise  # _stopping stays set: this process is about to end
    _stopping.clear()
