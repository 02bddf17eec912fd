"""Broken images: some sabotages of each kind; `python -m tests.sabotage` tries all of them.

Each must fail in the check meant for it, and none may pass.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.sabotage.bench import Bench
from tests.sabotage.catalog import SABOTAGES
from tests.sabotage.ledger import Row
from tests.support import ROOT

N1, OPENBLAS = "pytorch-2.10.0-n1-acl", "pytorch-2.10.0-n1-openblas"
SELECTED = {
    "oneDNN switched off by an entry point": N1,
    "oneDNN with reference kernels only": N1,
    "OpenBLAS forced to generic kernels": N1,
    "an empty Arm Compute Library": N1,
    "one weight changed, and its hash": N1,
    "a CPU with more features": N1,
    "the user root": N1,
    "an entrypoint that prints a good report": N1,
    "a wide tolerance, proven as the plan's image": N1,
    "staged: evidence of another image": N1,
    "staged: a kernel table edited manually": N1,
    "the openblas overlay switched off by a variable": OPENBLAS,
    "the openblas overlay without its detours": OPENBLAS,
    "a start-up hook that decides nothing": N1,
}


@pytest.fixture(scope="module")
def rows(
    proven: Mapping[str, Any], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Row]]]:
    """Try all that were asked for, as many at a time as there are CPUs."""
    asked = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    benches = {
        combo: Bench(ROOT, tmp_path_factory.mktemp("sabotage"), combo, proven[combo].evidence)
        for combo in {combo for name, combo in SELECTED.items() if name in asked}
    }
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {
            name: pool.submit(benches[combo].attempt, name, SABOTAGES[name])
            for name, combo in SELECTED.items()
            if name in asked
        }


@pytest.mark.parametrize("name", SELECTED)
def test_what_is_broken_is_caught_by_the_check_meant_for_it(
    name: str, rows: Mapping[str, Future[Row]], record_property: Callable[[str, object], None]
) -> None:
    row = rows[name].result()
    record_property("caught", [name, row.caught, row.found.partition("\n")[0]])
    assert not row.problem


def test_the_selected_sabotages_break_their_combos() -> None:
    assert [name for name, combo in SELECTED.items() if not SABOTAGES[name].breaks(combo)] == []
