"""Process 1 of a container, as a process of this machine: signals, exit codes, orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import init
import pytest

SCRIPTS = Path(init.__file__).parent
# What the entrypoint does: fork, and become the command in the child.
RUN = "import os, sys; sys.path.insert(0, sys.argv[1]); import init; init.fork(); os.execv(sys.argv[2], sys.argv[2:])"
# PR_SET_CHILD_SUBREAPER of linux/prctl.h: orphans become this process's children, as they become those of process 1.
ADOPT = "import ctypes; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); "


def start(code: str, first: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-ISc", first + RUN, str(SCRIPTS), sys.executable, "-ISc", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("", 0), ("raise SystemExit(5)", 5), ("import os; os.kill(os.getpid(), 9)", 137), ("import os; os.abort()", 134)],
)
def test_the_program_s_exit_code_is_the_container_s(code: str, expected: int) -> None:
    with start(code) as process:
        out, _ = process.communicate()
    assert (process.returncode, out) == (expected, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGRTMIN])
def test_a_signal_reaches_a_program_without_a_handler(number: int) -> None:
    ready = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_DFL); print(flush=True); time.sleep(60)"
    with start(ready) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait() == 128 + number


def test_a_handler_of_the_program_decides(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(3)); "
        "print(flush=True); time.sleep(60)"
    )
    with start(code) as process:
        assert process.stdout
        process.stdout.readline()
        process.terminate()
        assert process.wait() == 3
    assert list(tmp_path.iterdir()) == []


def test_the_program_starts_without_blocked_signals() -> None:
    code = "print(next(line for line in open('/proc/self/status') if line.startswith('SigBlk')).split()[1])"
    with start(code) as process:
        assert int(process.communicate()[0], 16) == 0


def test_orphans_are_reaped() -> None:
    """An orphan's end must not be taken for the program's, and no zombie stays."""
    code = (
        "import os, subprocess, sys, time\n"
        "orphan = subprocess.run(['sh', '-c', 'sleep 0.1 & echo $!'], capture_output=True, text=True).stdout.strip()\n"
        "while os.path.exists(f'/proc/{orphan}'): time.sleep(0.05)\n"
        "print('gone'); sys.exit(4)"
    )
    with start(code, ADOPT) as process:
        out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("gone\n", 4)


def test_a_program_has_a_group_of_its_own() -> None:
    with start("import os; print(os.getpgrp() == os.getpid())") as process:
        assert process.communicate()[0] == "True\n"
    assert os.getpgrp() != process.pid
