"""The end of a run: a row for each combo, the counts, and every failure with its cause and the next command."""

from __future__ import annotations

import pytest

from armwright.assembly.buildx import BuildStep
from armwright.engine.client import Image
from armwright.matrix.matrix import Matrix
from armwright.pipeline import summary
from armwright.pipeline.build_combo import ComboResult
from armwright.system.errors import FailedError, MachineError

ONE, OTHER, THIRD = (f"pytorch-2.9.1-{target}-acl" for target in ("n1", "v1", "a64fx"))
IMAGE = Image("sha256:" + "a" * 64, {}, 132_200_000, 527_400_000, "linux/arm64")
STEPS = [BuildStep("a long step", 12.3, cached=False)]


@pytest.fixture
def results(matrix: Matrix) -> list[ComboResult]:
    """One that is proven, one that failed, one that did not begin."""
    proven = ComboResult(matrix.by_id[ONE], "proven", IMAGE, {"build": 41.7}, STEPS, began=100.0, ended=160.0)
    problem = FailedError("the proof failed:\n  kernels: expected acl, found ref", "docker run --rm -it IMAGE")
    failed = ComboResult(matrix.by_id[OTHER], "failed", problem=problem, began=120.0, ended=190.4)
    return [proven, failed, ComboResult(matrix.by_id[THIRD])]


def test_each_combo_has_a_row_with_what_happened_to_it(
    results: list[ComboResult], capsys: pytest.CaptureFixture[str]
) -> None:
    summary.print_summary(results)
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["combo", ONE, OTHER, THIRD]
    assert all(word in rows[1] for word in ("proven", "132.2 MB", "527.4 MB", "build 42", "sha256:aaaaaaaaaaaa"))
    assert all(word in rows[2] for word in ("failed", "the proof failed:"))
    assert "kernels" not in rows[2]  # a row has the first line; the whole is below
    assert "not started" in rows[3]


def test_every_failure_is_told_whole_with_its_combo_and_the_next_command(
    results: list[ComboResult], capsys: pytest.CaptureFixture[str]
) -> None:
    code = summary.print_summary(results)
    told = capsys.readouterr().err
    assert code == 1
    assert f"error: {OTHER}: the proof failed:\n  kernels: expected acl, found ref\nnext:  docker run --rm" in told
    assert "the same command goes on from here" in told


def test_the_counts_say_how_long_it_took_and_what_was_left_out(results: list[ComboResult], matrix: Matrix) -> None:
    refused = matrix.by_id["pytorch-2.10.0-generic-acl"]
    told = "3 image(s) in 90 s: 1 proven, 1 failed, 1 not started"
    assert summary.count_outcomes(results) == told
    assert summary.count_outcomes(results, [refused, refused]) == f"{told}; left out: 2 refused"


def test_a_run_in_which_nothing_began_took_no_time(results: list[ComboResult]) -> None:
    assert summary.count_outcomes(results[2:]) == "1 image(s) in 0 s: 1 not started"


def test_the_exit_code_is_the_first_problem_s(results: list[ComboResult]) -> None:
    assert summary.print_summary(results[:1]) == 0
    results[2].problem = MachineError("the disk is full")
    assert summary.print_summary(results) == 1
    assert summary.print_summary(results[2:]) == 3


def test_buildkit_s_steps_are_shown_for_a_single_build_or_when_asked_for(
    results: list[ComboResult], capsys: pytest.CaptureFixture[str]
) -> None:
    summary.print_summary(results)
    assert "12.3 s  a long step" in capsys.readouterr().err
    results[1].steps = STEPS
    summary.print_summary(results)
    assert "a long step" not in capsys.readouterr().err
    summary.print_summary(results, verbose=True)
    assert f"{OTHER}:  12.3 s  a long step" in capsys.readouterr().err


def test_an_image_that_is_proven_is_told_how_to_run(
    results: list[ComboResult], capsys: pytest.CaptureFixture[str]
) -> None:
    summary.print_summary(results)
    told = capsys.readouterr().err
    assert f"digest  {IMAGE.digest}" in told
    assert "pytorch:2.9.1-n1-acl" in told
    summary.print_summary(results[1:])
    assert "docker run --rm --platform" not in capsys.readouterr().err
