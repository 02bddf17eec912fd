"""Process 1: passes signals on to the user's program, and reaps the processes that it leaves behind.

The kernel drops every signal that process 1 does not handle: a server without a handler would ignore SIGTERM until the
engine kills it. So the program runs below a process 1 of ours, as under the engine's `--init`, which Kubernetes lacks.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

# A fault of this program itself; the kernel delivers it even if it is blocked.
_FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS}
_LIBC = 32  # the C library keeps the signals from here to SIGRTMIN for itself: pthread(7)
_STDIN = 0


def fork() -> None:
    """Fork, and return in the child; the parent exits as the child does, 128 and the number after a signal."""
    signals = {*range(1, _LIBC), *range(signal.SIGRTMIN, signal.NSIG)} - _FAULTS
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    child = os.fork()
    if child:
        os._exit(_follow(child, signals))
    os.setpgid(0, 0)  # keys such as Ctrl-C reach only the child's group; its parent passes nothing on twice
    with suppress(OSError):  # no terminal
        os.tcsetpgrp(_STDIN, os.getpgrp())
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _follow(child: int, signals: set[int]) -> int:
    """Pass signals on and reap, until the child ends; return its exit code."""
    while True:
        number = signal.sigwait(signals)
        if number != signal.SIGCHLD:
            with suppress(ProcessLookupError):
                os.kill(child, number)
            continue
        for ended, status in iter(_reap, (0, 0)):
            if ended == child:
                return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _reap() -> tuple[int, int]:
    """Return an ended process and its status; two zeros if there is none."""
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0, 0
