"""Hostile requests: none crashes, touches a file, is repeated, or gets into what would be built."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from armwright.cli import request
from armwright.cli.request import RequestArguments
from armwright.fetch import package_index
from armwright.matrix.matrix import Matrix
from armwright.pipeline import inventory
from armwright.pipeline.inventory import Inventory
from armwright.plan import plan
from armwright.publish import lookup
from armwright.request import decide
from tests.hostile.corpus import CANARY, ID, Entry, entries
from tests.request_helpers import check_inert, nothing_staged, plan_once, read_tree
from tests.support import Tree

ENTRIES = entries()
GROUPS: dict[str, list[Entry]] = {}
for hostile in ENTRIES:
    GROUPS.setdefault(hostile.group, []).append(hostile)
SECONDS = 10  # a generous bound: the slowest takes a fraction of a second


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """A copy of the project, which no request may change."""
    tree = Tree(tmp_path_factory.mktemp("hostile") / "project")
    before = read_tree(tree.root)
    yield tree.load()
    assert read_tree(tree.root) == before


@pytest.fixture(scope="module")
def inputs(project: Matrix) -> str:
    """The inputs of the plan that a plain request gets."""
    return plan.make_plan(project, project.by_id[ID]).inputs


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder, without engine and registry; using the package index fails the test."""

    def fail(*_: object) -> None:
        raise AssertionError("a request reached the package index")

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(inventory, "take_inventory", lambda matrix: Inventory(matrix, {}))
        monkeypatch.setattr(lookup, "find_staged", lambda _root, _to, plan: nothing_staged(plan))
        monkeypatch.setattr(package_index, "find_package_index", fail)
        monkeypatch.setattr(decide, "make_plan", plan_once())
        current = tmp_path_factory.mktemp("requests")
        monkeypatch.chdir(current)
        yield current


def test_corpus_is_large() -> None:
    assert len(ENTRIES) >= 150
    assert sum(entry.answered for entry in ENTRIES) >= 100


@pytest.mark.parametrize("group", list(GROUPS))
def test_hostile_request_is_refused_or_answered_plainly(
    group: str, project: Matrix, inputs: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for entry in GROUPS[group]:
        out = answer(entry, project, folder, capsys)
        document = json.loads(out)
        check_inert(document["markdown"])
        if entry.answered:
            assert (document["kind"], document["combo"]["id"]) == ("buildable", ID), entry.name
            assert document["combo"]["inputs"] == inputs
        else:
            assert document["kind"] == "malformed", entry.name


def answer(entry: Entry, project: Matrix, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Answer a hostile request as JSON; check the exit code, the time, the output and the folder."""
    file = folder / f"request{entry.suffix}"
    file.write_bytes(entry.content)
    started = time.monotonic()
    code = request.run(project, RequestArguments(file=file.name, as_json=True))
    assert time.monotonic() - started < SECONDS
    out, err = capsys.readouterr()
    assert code == (0 if entry.answered else 2), (entry.name, out)
    assert CANARY not in out + err, entry.name
    file.unlink()
    assert list(folder.iterdir()) == []
    return out
