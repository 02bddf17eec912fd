"""The sabotage harness itself: when a sabotage is caught, what the table says, and that the list holds together."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from armwright.matrix.matrix import Matrix
from armwright.plan.plan import make_plan
from armwright.proof import check_plan
from tests.sabotage import ledger
from tests.sabotage.__main__ import chosen, main
from tests.sabotage.ledger import Outcome, Row, judge
from tests.sabotage.ways import SABOTAGES

N1 = "pytorch-2.10.0-n1-acl"
OUTSIDE = ("image labels", "image configuration", "image layers", "image files", "image digest")


def test_it_is_caught_when_the_check_meant_for_it_says_why() -> None:
    row = judge("weights", "answers*", "largest error", Outcome({"files": "x", "answers lenet": "largest error 2"}))
    assert (row.problem, row.caught, row.words, row.others) == (
        "", "answers lenet", "largest error 2", ("files",),
    )  # fmt: skip
    assert ledger.bugs([row]) == []


@pytest.mark.parametrize(
    ("failed", "problem"),
    [
        ({}, "it passes: no check failed"),
        ({"files": "largest error 2"}, "caught only by files"),
        ({"answers lenet": "no answer"}, "caught, but not for the reason"),
    ],
)
def test_it_is_a_bug_when_it_passes_or_when_something_else_catches_it(failed: dict[str, str], problem: str) -> None:
    row = judge("weights", "answers*", "largest error", Outcome(failed))
    assert row.problem.startswith(problem)
    assert ledger.bugs([row]) == [row]
    assert ledger.lines([row])[0][1] == "fail"


def test_of_several_checks_that_are_meant_the_one_with_the_right_words_counts() -> None:
    row = judge("w", "answers*", "error", Outcome({"answers a": "nothing", "answers b": "error 2"}))
    assert (row.caught, row.others, row.problem) == ("answers b", ("answers a",), "")


def test_a_sabotage_that_could_not_be_tried_is_a_bug_too() -> None:
    row = ledger.broken("weights", "answers*", "there is no such file")
    assert ledger.bugs([row]) == [row]
    assert "could not be tried: there is no such file" in row.problem


ROWS = [
    Row("one", "files", "files", "changed", ("layers",), "", ("cpu", "user")),
    Row("two", "layers", "layers", "4", (), "", ("cpu",)),
    Row("three", "files", "files", "changed", ("layers", "user")),
]


def test_the_table_turned_round_says_what_each_check_caught() -> None:
    assert ledger.by_check(ROWS) == [
        ["files", "2", "0", "one; three"], ["layers", "1", "2", "two"], ["user", "0", "1", "-"],
    ]  # fmt: skip


def test_checks_that_nothing_made_fail_are_named() -> None:
    assert ledger.untouched(ROWS) == ["cpu"]


def test_there_are_more_than_enough_for_the_combos_that_people_take(matrix: Matrix) -> None:
    for combo in (N1, "pytorch-2.10.0-v1-acl", "pytorch-2.10.0-n1-openblas", "tensorflow-2.15.1-n1-acl"):
        assert combo in matrix.by_id
        assert sum(one.breaks(combo) for one in SABOTAGES.values()) >= 25
    assert {one.door for one in SABOTAGES.values() if one.breaks(N1)} == {
        "outside", "proof", "settle", "evidence", "stage",
    }  # fmt: skip


def test_every_sabotage_breaks_a_combo_that_is_published(matrix: Matrix) -> None:
    sound = [combo.id for combo in matrix.combos if combo.sound]
    assert [name for name, one in SABOTAGES.items() if not any(map(one.breaks, sound))] == []


@pytest.mark.parametrize("name", [name for name, one in SABOTAGES.items() if one.door in {"proof", "outside"}])
def test_the_check_that_is_meant_exists(matrix: Matrix, name: str) -> None:
    sabotage = SABOTAGES[name]
    combo = next(combo for combo in matrix.combos if combo.sound and sabotage.breaks(combo.id))
    asked = check_plan.demands(make_plan(matrix, combo))
    runs = [
        f"{head} {run[0]} {run[1]}"
        for run, numbers in asked.runs.items()
        if numbers
        for head in ("answers", numbers["name"])
    ]
    known = OUTSIDE if sabotage.door == "outside" else [*asked.checks, *runs, "report"]
    assert [check for check in known if fnmatchcase(check, sabotage.check)]


@pytest.mark.parametrize("name", [name for name, one in SABOTAGES.items() if one.door in {"evidence", "stage"}])
def test_a_document_is_edited_and_an_image_is_not(name: str) -> None:
    sabotage = SABOTAGES[name]
    assert sabotage.edit is not None
    assert (sabotage.lines, sabotage.cpu, sabotage.whole) == ((), "", False)


def test_sabotages_are_chosen_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(chosen(N1, "one weight changed")) == ["one weight changed"]
    assert set(chosen(N1, "evidence: *")) == {name for name in SABOTAGES if name.startswith("evidence: ")}
    assert "a CPU without vectors of its length" not in chosen(N1, "")
    assert main(["--combo", N1, "--only", "one wieght changed"]) == 2
    assert "did you mean 'one weight changed'" in capsys.readouterr().err.replace("\n", " ")


def test_the_list_names_each_with_its_door_and_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--combo", N1, "--list"]) == 0
    assert "one weight changed, and its hash" in capsys.readouterr().out
