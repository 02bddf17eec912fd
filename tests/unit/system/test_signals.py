"""Signals that a process ignores from its start, as under nohup or in a script's background, stay ignored."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from armwright.system import interrupt
from tests.support import ROOT

PATIENCE = 20  # seconds to wait for what takes milliseconds
# Handles signals as the commands do, and runs a program for a while.
WORK = """
import sys
from pathlib import Path
from armwright.system import interrupt, process
interrupt.handle_signals()
try:
    with interrupt.deferred():
        pass
    process.stream(["sh", "-c", sys.argv[2]], Path(sys.argv[1]))
    print("done")
except KeyboardInterrupt:
    print("interrupted")
"""


def start(log: Path, ignored: str, script: str) -> subprocess.Popen[str]:
    """Start the work with ignored signals, and return when its program runs."""
    shell = f'trap "" {ignored}; exec "$@"' if ignored else 'exec "$@"'
    child = subprocess.Popen(
        ["/bin/sh", "-c", shell, "sh", sys.executable, "-c", WORK, str(log), script],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE
    while not (log.exists() and log.read_text()):
        assert time.monotonic() < deadline, "it did not start"
        time.sleep(0.02)
    return child


@pytest.mark.parametrize(
    ("ignored", "sent", "end"),
    [
        ("HUP", signal.SIGHUP, "done\n"),
        ("INT", signal.SIGINT, "done\n"),
        ("", signal.SIGHUP, "interrupted\n"),
        ("", signal.SIGINT, "interrupted\n"),
        ("HUP", signal.SIGTERM, "interrupted\n"),
    ],
)
def test_ignored_signals_stay_ignored(tmp_path: Path, ignored: str, sent: signal.Signals, end: str) -> None:
    child = start(tmp_path / "log", ignored, "echo here; sleep 2")
    child.send_signal(sent)
    assert child.communicate(timeout=PATIENCE)[0] == end


def test_program_that_ignores_interrupts_too_ends_at_once(tmp_path: Path) -> None:
    child = start(tmp_path / "log", "INT", "echo here; sleep 600")
    began = time.monotonic()
    child.send_signal(signal.SIGTERM)
    assert child.communicate(timeout=PATIENCE)[0] == "interrupted\n"
    assert time.monotonic() - began < interrupt.PATIENCE
