"""Turns: what only one thread, or one process, may do at a time."""

from __future__ import annotations

import contextlib
import fcntl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from armwright.system import interrupt

_guard = threading.Lock()
_turns: dict[tuple[str, int], threading.Semaphore] = {}


@contextlib.contextmanager
def turn(name: str, places: int = 1) -> Iterator[None]:
    """Let at most `places` threads of this process do the work of this name at once; the others wait.

    Args:
        name: names the work.
        places: how many threads may do it at once; must be the same wherever the name is used.

    Raises:
        KeyboardInterrupt: everything is being stopped.
    """
    with _guard:
        free = _turns.setdefault((name, places), threading.Semaphore(places))
    with free:
        interrupt.check_interrupted()
        yield


@contextlib.contextmanager
def alone(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let one process at a time do the work inside; the others wait.

    Args:
        path: the file to lock; its folder is created.
        waiting: called once if another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def alone_if_free(path: Path) -> Iterator[bool]:
    """Do the work inside as the only process, unless another process does it now; yield whether none does.

    Args:
        path: the file that `alone` locks; nothing is written. If it does not exist, no process ever had the turn.
    """
    with contextlib.ExitStack() as stack:
        free = True
        try:
            fcntl.flock(stack.enter_context(path.open("rb")), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            pass
        except BlockingIOError:
            free = False
        yield free
