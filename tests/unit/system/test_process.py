"""Programs: their output is logged, and a failure shows its tail and the command that shows the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from armwright.system import process
from armwright.system.errors import FailedError, MachineError


def test_stream_failure_shows_the_tail_and_how_to_read_the_log(tmp_path: Path) -> None:
    log = tmp_path / "a log"
    with pytest.raises(FailedError, match=r"(?s)^'sh -c .*' exited with 3:.*\| line 40$") as failed:
        process.stream(["sh", "-c", "for n in $(seq 40); do echo line $n; done; exit 3"], log)
    assert failed.value.what.count("  | ") == process.TAIL_LINES
    assert failed.value.next_step == f"less '{log}'"
    assert log.read_text().splitlines() == [f"line {number}" for number in range(1, 41)]


def test_stream_logs_what_the_callback_returns(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process.stream(["printf", "a\\nb\\n"], log, lambda line: line.upper() if line == "a" else None)
    assert log.read_text() == "A\n"


def test_capture_failure_shows_the_output() -> None:
    with pytest.raises(FailedError, match=r"exited with 1:\n  \| cause"):
        process.capture(["sh", "-c", "echo cause >&2; exit 1"])
    assert process.capture(["sh", "-c", "echo output; exit 1"], check=False) == "output\n"


def test_slow_program_is_killed() -> None:
    with pytest.raises(FailedError, match="'sleep' did not finish within 0 s"):
        process.capture(["sleep", "600"], timeout=0.05)


def test_absent_program_is_a_machine_error() -> None:
    with pytest.raises(MachineError, match="the program 'no-such-program' is not installed") as absent:
        process.capture(["no-such-program"])
    assert absent.value.next_step == "./inv setup"
