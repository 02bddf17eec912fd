"""The sabotage harness: the verdict on an outcome, the tables, and the consistency of the catalog."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from armwright.matrix.matrix import Matrix
from armwright.plan.plan import make_plan
from armwright.proof import check_plan
from armwright.proof.check_leftovers import KINDS
from armwright.system.console import BAD
from armwright.system.table_layout import Cell
from tests.sabotage import ledger
from tests.sabotage.__main__ import main, select_sabotages
from tests.sabotage.catalog import SABOTAGES
from tests.sabotage.ledger import Outcome, Row, judge

N1 = "pytorch-2.10.0-n1-acl"
OUTSIDE = ("image labels", "image configuration", "image layers", "image files", "image digest")


def by_checkpoint(*checkpoints: str) -> list[str]:
    return [name for name, sabotage in SABOTAGES.items() if sabotage.checkpoint in checkpoints]


def test_the_meant_check_with_the_right_reason_counts() -> None:
    row = judge("weights", "answers*", "largest error", Outcome({"files": "x", "answers lenet": "largest error 2"}))
    assert (row.problem, row.caught, row.found, row.others) == (
        "", "answers lenet", "largest error 2", ("files",),
    )  # fmt: skip
    assert ledger.find_bugs([row]) == []


@pytest.mark.parametrize(
    ("failed", "problem"),
    [
        ({}, "no check failed"),
        ({"files": "largest error 2"}, "caught only by files"),
        ({"answers lenet": "no answer"}, "caught for another reason"),
    ],
)
def test_anything_else_is_a_bug(failed: dict[str, str], problem: str) -> None:
    row = judge("weights", "answers*", "largest error", Outcome(failed))
    assert row.problem.startswith(problem)
    assert ledger.find_bugs([row]) == [row]
    assert ledger.table_rows([row])[0][1] == Cell("bug", BAD)


def test_of_several_meant_checks_the_matching_one_counts() -> None:
    row = judge("w", "answers*", "error", Outcome({"answers a": "nothing", "answers b": "error 2"}))
    assert (row.caught, row.others, row.problem) == ("answers b", ("answers a",), "")


def test_a_sabotage_that_cannot_be_tried_is_a_bug() -> None:
    row = ledger.make_untried_row("weights", "answers*", "there is no such file")
    assert ledger.find_bugs([row]) == [row]
    assert "could not be tried: there is no such file" in row.problem


ROWS = [
    Row("one", "files", "files", "changed", ("layers",), "", ("cpu", "user")),
    Row("two", "layers", "layers", "4", (), "", ("cpu",)),
    Row("three", "files", "files", "changed", ("layers", "user")),
]


def test_sabotages_are_grouped_by_check() -> None:
    assert ledger.group_by_check(ROWS) == [
        ["files", "2", "0", "one; three"], ["layers", "1", "2", "two"], ["user", "0", "1", "-"],
    ]  # fmt: skip


def test_checks_that_never_failed_are_named() -> None:
    assert ledger.find_untested(ROWS) == ["cpu"]


def test_the_main_combos_have_enough_sabotages(matrix: Matrix) -> None:
    for combo in (N1, "pytorch-2.10.0-v1-acl", "pytorch-2.10.0-n1-openblas", "tensorflow-2.15.1-n1-acl"):
        assert combo in matrix.by_id
        assert sum(sabotage.breaks(combo) for sabotage in SABOTAGES.values()) >= 25
    assert {sabotage.checkpoint for sabotage in SABOTAGES.values() if sabotage.breaks(N1)} == {
        "outside", "leftovers", "proof", "settle", "evidence", "stage",
    }  # fmt: skip


def test_every_sabotage_breaks_a_combo_that_is_published(matrix: Matrix) -> None:
    sound = [combo.id for combo in matrix.combos if combo.is_known_to_work]
    assert [name for name, sabotage in SABOTAGES.items() if not any(map(sabotage.breaks, sound))] == []


@pytest.mark.parametrize("name", by_checkpoint("proof", "outside", "leftovers"))
def test_the_meant_check_exists(matrix: Matrix, name: str) -> None:
    sabotage = SABOTAGES[name]
    combo = next(combo for combo in matrix.combos if combo.is_known_to_work and sabotage.breaks(combo.id))
    required = check_plan.read_requirements(make_plan(matrix, combo))
    runs = [
        f"{head} {run[0]} {run[1]}"
        for run, numbers in required.runs.items()
        if numbers
        for head in ("answers", numbers["name"])
    ]
    outside = {"outside": OUTSIDE, "leftovers": tuple(f"leftover {kind}" for kind in KINDS.values())}
    known = outside.get(sabotage.checkpoint, [*required.checks, *runs, "report"])
    assert [check for check in known if fnmatchcase(check, sabotage.check)]


@pytest.mark.parametrize("name", by_checkpoint("evidence", "stage"))
def test_a_sabotage_of_evidence_changes_no_image(name: str) -> None:
    sabotage = SABOTAGES[name]
    assert sabotage.edit is not None
    assert (sabotage.lines, sabotage.cpu, sabotage.whole) == ((), "", False)


def test_sabotages_are_chosen_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(select_sabotages(N1, "one weight changed")) == ["one weight changed"]
    assert set(select_sabotages(N1, "evidence: *")) == {name for name in SABOTAGES if name.startswith("evidence: ")}
    assert "a CPU without SVE" not in select_sabotages(N1, "")
    assert main(["--combo", N1, "--only", "one wieght changed"]) == 2
    assert "did you mean 'one weight changed'" in capsys.readouterr().err.replace("\n", " ")


def test_the_list_names_each_sabotage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--combo", N1, "--list"]) == 0
    assert "one weight changed, and its hash" in capsys.readouterr().out
