"""The search of an image for what its builder left: what is read, what is not a leftover, what is remembered."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

from armwright.assembly import assemble
from armwright.host import traces
from armwright.plan.plan import FILE_TIME, Plan
from armwright.proof import check_leftovers, image_tree
from armwright.system.errors import FailedError
from tests import proofs
from tests.support import Tree

COMBO = "pytorch-2.10.0-n1-acl"
NAME = "builder7"
NOTE = {"usr/share/note": f"built on {NAME}\n".encode()}


class SearchedImage(proofs.OneImage):
    """An engine with one image, which counts how often its whole file tree is read."""

    searches = 0

    @contextmanager
    def export(self, _: str) -> Iterator[IO[bytes]]:
        self.searches += 1
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, data in self.files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mtime = len(data), FILE_TIME
                archive.addfile(entry, io.BytesIO(data))
        stream.seek(0)
        yield stream


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has a name, and nothing else that tells it."""
    monkeypatch.setattr(traces, "list_traces", lambda *_: {NAME: "this machine's name"})
    monkeypatch.setattr(traces, "list_authorities", lambda _: {})
    monkeypatch.setattr(assemble, "fetch_context", lambda *_: None)


@pytest.fixture
def plan(tree: Tree) -> Plan:
    return tree.plan(COMBO)


def search(tree: Tree, plan: Plan, engine: Any, recorded: str | None = proofs.DIGEST) -> list[str]:  # noqa: ANN401 - a fake
    checks = check_leftovers.check_leftovers(tree.root, engine, plan, engine.image, recorded)
    assert [check.name for check in checks] == [f"leftover {kind}" for kind in check_leftovers.KINDS.values()]
    return [check.found for check in checks if check.state == "fail"]


def make_engine(plan: Plan, changes: Mapping[str, bytes | None] | None = None) -> Any:  # noqa: ANN401 - a fake
    return SearchedImage(plan, changes)


def test_each_leftover_is_named_with_its_place(tree: Tree, plan: Plan) -> None:
    assert search(tree, plan, make_engine(plan, NOTE)) == ["usr/share/note: this machine's name"]


def test_layers_that_were_searched_are_not_searched_again(tree: Tree, plan: Plan) -> None:
    engine = make_engine(plan)
    assert search(tree, plan, engine) == search(tree, plan, engine) == []
    assert engine.searches == 1


def test_an_edited_tree_of_searched_layers_is_not_believed(tree: Tree, plan: Plan) -> None:
    engine = make_engine(plan)
    search(tree, plan, engine)
    (known,) = (path for path in (tree.root / "build" / "leftovers").iterdir() if path.suffix != ".sha256")
    good = known.read_bytes()
    image_tree.write_manifest(known, {"planted": "file"})
    assert search(tree, plan, engine) == []
    assert engine.searches == 2
    assert known.read_bytes() == good


def test_an_image_with_a_leftover_is_searched_every_time(tree: Tree, plan: Plan) -> None:
    engine = make_engine(plan, NOTE)
    assert search(tree, plan, engine) == search(tree, plan, engine) != []
    assert engine.searches == 2


@pytest.mark.parametrize("recorded", [None, "sha256:other"])
def test_an_image_of_another_build_is_searched_whole(tree: Tree, plan: Plan, recorded: str | None) -> None:
    search(tree, plan, make_engine(plan))
    assert search(tree, plan, make_engine(plan, NOTE), recorded) != []


def test_other_layers_are_searched(tree: Tree, plan: Plan) -> None:
    search(tree, plan, make_engine(plan))
    engine = make_engine(plan, NOTE)
    engine.image = replace(engine.image, layers=("other", "b", "c"))
    assert search(tree, plan, engine) != []


def test_own_files_are_searched_every_time(tree: Tree, plan: Plan) -> None:
    search(tree, plan, make_engine(plan))
    changed = replace(plan, files={**plan.files, "image/opt/armwright/note": NAME.encode()})
    assert search(tree, changed, make_engine(plan)) == ["opt/armwright/note: this machine's name"]


@pytest.mark.parametrize("folder", ["scripts", "build/contexts"])
def test_text_that_the_image_is_made_of_is_no_leftover(tree: Tree, plan: Plan, folder: str) -> None:
    path = tree.root / folder / COMBO / "packages.tar"
    path.parent.mkdir(parents=True)
    path.write_bytes(NAME.encode())
    assert search(tree, plan, make_engine(plan, NOTE)) == []


def test_packages_that_are_not_here_are_fetched_to_be_read(
    tree: Tree, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []

    def fetch(root: Path, wanted: Plan) -> None:
        fetched.append(wanted)
        context = root / "build" / "contexts" / COMBO
        context.mkdir(parents=True)
        (context / "Dockerfile").write_bytes(plan.files["Dockerfile"])
        (context / "packages.tar").write_bytes(NAME.encode())
        (context / "uv").touch()

    monkeypatch.setattr(assemble, "fetch_context", fetch)
    assert search(tree, plan, make_engine(plan)) == []
    assert fetched == []
    assert search(tree, plan, make_engine(plan, NOTE), None) == search(tree, plan, make_engine(plan, NOTE), None) == []
    assert fetched == [plan]


def test_the_texts_to_look_for_are_no_source(tree: Tree, plan: Plan) -> None:
    engine = make_engine(plan, {"usr/share/note": b"127.0.0.1 buildkitsandbox\n"})
    assert search(tree, plan, engine) == ["usr/share/note: the name of BuildKit's container"]


def test_the_error_says_where_and_how_to_build_again(tree: Tree, plan: Plan) -> None:
    secret = {"etc/apt/sources.list": b"deb http://user:secret@mirror.example/debian trixie main\n"}
    engine = make_engine(plan, secret)
    with pytest.raises(FailedError, match="something of the machine that built it") as refused:
        check_leftovers.require_no_leftovers(tree.root, engine, plan, engine.image)
    assert "etc/apt/sources.list" in refused.value.what
    assert "secret" not in refused.value.what
    assert refused.value.next_step == f"docker image rm {plan.reference} && invoke build --combo {COMBO}"
