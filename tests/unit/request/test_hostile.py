"""Hostile requests: none of them crashes anything, touches a file, comes back, or gets into what would be built."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from armwright.cli import post, request
from armwright.cli.request import RequestArguments
from armwright.fetch import package_index
from armwright.matrix.matrix import Matrix
from armwright.pipeline import inventory
from armwright.pipeline.inventory import Inventory
from armwright.plan import plan
from armwright.publish import lookup
from tests.asking import everything, foreign, nothing_staged
from tests.hostile.corpus import CANARY, ID, Entry, entries
from tests.support import Tree

ENTRIES = entries()
SECONDS = 10  # a generous bound: the slowest takes a fraction of one


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """A copy of the project that must be the same after all of them, as must be the folder where they were read."""
    tree = Tree(tmp_path_factory.mktemp("hostile") / "project")
    before = everything(tree.root)
    yield tree.load()
    assert everything(tree.root) == before


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def _nothing_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine, no registry and no index: whoever asks one of them has let a request through."""

    def no(*_: object) -> None:
        raise AssertionError("it went outside")

    monkeypatch.setattr(inventory, "take_inventory", lambda matrix: Inventory(matrix, {}))
    monkeypatch.setattr(lookup, "find_staged", lambda _, one: nothing_staged(one))
    monkeypatch.setattr(package_index, "of_this_host", no)


def test_there_are_many_of_them_and_their_names_differ() -> None:
    assert len(ENTRIES) >= 150
    assert sum(entry.answered for entry in ENTRIES) >= 100


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_it_is_malformed_or_answered_as_if_it_were_plain(
    entry: Entry, project: Matrix, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / f"request{entry.suffix}"
    file.write_bytes(entry.content)
    started = time.monotonic()
    code = request.run(project, RequestArguments(file=file.name, as_json=True))
    assert time.monotonic() - started < SECONDS
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert (code, said["kind"]) == ((0, "buildable") if entry.answered else (2, "malformed")), said["mistakes"]
    assert foreign(said["markdown"]) == []
    post.check_markdown(said["markdown"])
    assert CANARY not in out + err
    assert [path.name for path in folder.iterdir()] == [file.name]
    if entry.answered:
        assert said["combo"]["id"] == ID
        assert said["combo"]["inputs"] == plan.make_plan(project, project.by_id[ID]).inputs
