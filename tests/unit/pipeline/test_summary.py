"""The end of a build: a row per combo, the counts, each error with its cause and the next command."""

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
STEPS = [BuildStep("a long step", 12.3, cached=False), BuildStep("exporting to image", 9.6, cached=False)]


@pytest.fixture
def results(matrix: Matrix) -> list[ComboResult]:
    """Results of a proven combo, a failed one, and one that did not begin."""
    proven = ComboResult(matrix.by_id[ONE], "proven", IMAGE, {"build": 41.7}, STEPS, began=100.0, ended=160.0)
    error = FailedError("the proof failed:\n  kernels: expected acl, found ref", "docker run --rm -it IMAGE")
    failed = ComboResult(matrix.by_id[OTHER], "failed", error=error, began=120.0, ended=190.4)
    return [proven, failed, ComboResult(matrix.by_id[THIRD])]


def test_each_combo_has_a_row_with_its_outcome(results: list[ComboResult], capsys: pytest.CaptureFixture[str]) -> None:
    summary.print_summary(results)
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["combo", ONE, OTHER, THIRD]
    assert all(
        word in rows[1] for word in ("proven", "132.2 MB", "527.4 MB", "build 42 (export 10)", "sha256:aaaaaaaaaaaa")
    )
    assert all(word in rows[2] for word in ("failed", "the proof failed:"))
    assert "kernels" not in rows[2]  # a row has the first line of the error; all of it is below
    assert "not started" in rows[3]


def test_each_error_is_printed_whole_with_the_next_command(
    results: list[ComboResult], capsys: pytest.CaptureFixture[str]
) -> None:
    code = summary.print_summary(results)
    printed = capsys.readouterr().err
    assert code == 1
    assert f"error: {OTHER}: the proof failed:\n  kernels: expected acl, found ref\nnext:  docker run --rm" in printed
    assert "run the same command again to continue" in printed


def test_the_counts_include_the_time_and_what_was_skipped(results: list[ComboResult], matrix: Matrix) -> None:
    refused = matrix.by_id["pytorch-2.10.0-generic-acl"]
    counts = "3 images in 90 s: 1 proven, 1 failed, 1 not started"
    assert summary.count_outcomes(results) == counts
    assert summary.count_outcomes(results, [refused, refused]) == f"{counts}; skipped: 2 refused"


def test_a_build_in_which_nothing_began_took_no_time(results: list[ComboResult]) -> None:
    assert summary.count_outcomes(results[2:]) == "1 image in 0 s: 1 not started"


def test_the_exit_code_is_that_of_the_first_error(results: list[ComboResult]) -> None:
    assert summary.print_summary(results[:1]) == 0
    results[2].error = MachineError("the disk is full")
    assert summary.print_summary(results) == 1
    assert summary.print_summary(results[2:]) == 3


def test_a_verbose_summary_has_the_steps_of_buildkit(
    results: list[ComboResult], capsys: pytest.CaptureFixture[str]
) -> None:
    summary.print_summary(results[:1], verbose=True)
    assert "12.3 s  a long step" in capsys.readouterr().err
    results[1].steps = STEPS
    summary.print_summary(results)
    assert "a long step" not in capsys.readouterr().err
    summary.print_summary(results, verbose=True)
    assert f"{OTHER}:  12.3 s  a long step" in capsys.readouterr().err


def test_the_commands_to_run_and_share_follow_a_proven_image(
    results: list[ComboResult], capsys: pytest.CaptureFixture[str]
) -> None:
    summary.print_summary(results)
    printed = capsys.readouterr().err
    assert f"digest  {IMAGE.digest}" in printed
    assert "pytorch:2.9.1-n1-acl" in printed
    summary.print_summary(results[1:])
    assert "docker run --rm --platform" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        ("no kernel", "no kernel"),
        ("left:\n  a: b\n  c: d", "left: a: b"),
        ("line one\nline two", "line one"),
        ("left:", "left:"),
    ],
)
def test_a_cause_has_the_first_item_of_its_list(what: str, cause: str) -> None:
    assert summary.describe_cause(FailedError(what)) == cause
