"""The end of a run: a row for each combo, the counts, and every failure with its cause and the next command."""

from __future__ import annotations

import pytest

from armwright.assembly.buildx import Step
from armwright.engine.client import Image
from armwright.matrix.matrix import Matrix
from armwright.pipeline import summary
from armwright.pipeline.build_combo import Result
from armwright.system.errors import FailedError, MachineError

ONE, OTHER, THIRD = (f"pytorch-2.9.1-{target}-acl" for target in ("n1", "v1", "a64fx"))
IMAGE = Image("sha256:" + "a" * 64, {}, 132_200_000, 527_400_000, "linux/arm64")
STEPS = [Step("a long step", 12.3, cached=False)]


@pytest.fixture
def results(matrix: Matrix) -> list[Result]:
    """One that is proven, one that failed, one that did not begin."""
    proven = Result(matrix.by_id[ONE], "proven", IMAGE, {"build": 41.7}, STEPS, began=100.0, ended=160.0)
    problem = FailedError("the proof failed:\n  kernels: expected acl, found ref", "docker run --rm -it IMAGE")
    failed = Result(matrix.by_id[OTHER], "failed", problem=problem, began=120.0, ended=190.4)
    return [proven, failed, Result(matrix.by_id[THIRD])]


def test_each_combo_has_a_row_with_what_happened_to_it(
    results: list[Result], capsys: pytest.CaptureFixture[str]
) -> None:
    summary.tell(results)
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["combo", ONE, OTHER, THIRD]
    assert all(word in rows[1] for word in ("proven", "132.2 MB", "527.4 MB", "build 42", "sha256:aaaaaaaaaaaa"))
    assert all(word in rows[2] for word in ("failed", "the proof failed:"))
    assert "kernels" not in rows[2]  # a row has the first line; the whole is below
    assert "not started" in rows[3]


def test_every_failure_is_told_whole_with_its_combo_and_the_next_command(
    results: list[Result], capsys: pytest.CaptureFixture[str]
) -> None:
    code = summary.tell(results)
    told = capsys.readouterr().err
    assert code == 1
    assert f"error: {OTHER}: the proof failed:\n  kernels: expected acl, found ref\nnext:  docker run --rm" in told
    assert "the same command goes on from here" in told


def test_the_counts_say_how_long_it_took_and_what_was_left_out(results: list[Result], matrix: Matrix) -> None:
    refused = matrix.by_id["pytorch-2.10.0-generic-acl"]
    told = "3 image(s) in 90 s: 1 proven, 1 failed, 1 not started"
    assert summary.counted(results) == told
    assert summary.counted(results, [refused, refused]) == f"{told}; left out: 2 refused"


def test_a_run_in_which_nothing_began_took_no_time(results: list[Result]) -> None:
    assert summary.counted(results[2:]) == "1 image(s) in 0 s: 1 not started"


def test_the_exit_code_is_the_first_problem_s(results: list[Result]) -> None:
    assert summary.tell(results[:1]) == 0
    results[2].problem = MachineError("the disk is full")
    assert summary.tell(results) == 1
    assert summary.tell(results[2:]) == 3


def test_buildkit_s_steps_are_shown_for_a_single_build_or_when_asked_for(
    results: list[Result], capsys: pytest.CaptureFixture[str]
) -> None:
    summary.tell(results)
    assert "12.3 s  a long step" in capsys.readouterr().err
    results[1].steps = STEPS
    summary.tell(results)
    assert "a long step" not in capsys.readouterr().err
    summary.tell(results, verbose=True)
    assert f"{OTHER}:  12.3 s  a long step" in capsys.readouterr().err


def test_an_image_that_is_proven_is_told_how_to_run(results: list[Result], capsys: pytest.CaptureFixture[str]) -> None:
    summary.tell(results)
    told = capsys.readouterr().err
    assert f"digest  {IMAGE.digest}" in told
    assert "pytorch:2.9.1-n1-acl" in told
    summary.tell(results[1:])
    assert "docker run --rm --platform" not in capsys.readouterr().err
