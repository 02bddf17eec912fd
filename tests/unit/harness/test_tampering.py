"""Tamperings: each is caught by the check meant for it, or is known not to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan
from armwright.system.errors import FailedError, InputError
from tests.hostile.corpus import HEADINGS
from tests.sabotage import requests
from tests.sabotage.catalog import EVERY, SABOTAGES, TAMPERINGS
from tests.sabotage.ledger import Outcome
from tests.sabotage.tampering import Tampering, Workplace, expect_error, try_tampering

OPEN = {  # what nothing catches yet, with the reason
    "a record that names another image": "a record has no seal; not stopped, by trust.md",
    "a library in a folder that is named as a declared one": "paths of declarations are matched from the right",
}


def parameters() -> list[object]:
    """Return the names; one that nothing catches yet must fail, so that the list here stays true."""
    return [
        pytest.param(name, marks=pytest.mark.xfail(reason=OPEN[name], strict=True)) if name in OPEN else name
        for name in TAMPERINGS
    ]


@pytest.fixture(scope="module")
def plan(matrix: Matrix, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return Workplace.make(matrix, tmp_path_factory.mktemp("workplace")).plan


@pytest.mark.parametrize("name", parameters())
def test_what_was_done_is_caught_by_the_check_meant_for_it(
    name: str, matrix: Matrix, plan: Plan, tmp_path: Path
) -> None:
    row = try_tampering(name, TAMPERINGS[name], Workplace(matrix, plan, tmp_path))
    assert not row.problem, row.found


@pytest.mark.parametrize("body", [requests.FENCE_IN_A_LIST, requests.COMMENT_IN_A_LIST])
def test_a_hidden_form_is_hidden_in_markdown(body: str) -> None:
    tokens = MarkdownIt("commonmark").parse(body)
    shown = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
    assert shown == [*HEADINGS.values()]
    assert not any(token.type == "inline" and "Neoverse V1" in token.content for token in tokens)


def test_no_name_is_used_twice() -> None:
    assert len(EVERY) == len(SABOTAGES) + len(TAMPERINGS)


def test_every_open_case_is_a_tampering() -> None:
    assert set(OPEN) <= set(TAMPERINGS)


def test_an_error_of_another_class_is_not_the_one_that_is_meant() -> None:
    def refuse() -> None:
        raise InputError("no")

    assert expect_error("arrival", InputError, refuse).failed == {"arrival": "no"}
    assert expect_error("arrival", FailedError, refuse).failed == {"InputError": "no"}
    assert expect_error("arrival", FailedError, lambda: None).failed == {}


def test_a_tampering_that_cannot_be_tried_is_a_bug(matrix: Matrix, tmp_path: Path) -> None:
    def fail(_: Workplace) -> Outcome:
        raise AssertionError("the good one is refused")

    row = try_tampering("any", Tampering("cache", "seal", ".", fail), Workplace.make(matrix, tmp_path))
    assert "could not be tried: AssertionError: the good one is refused" in row.problem
