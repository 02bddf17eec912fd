"""The name for a push: whenever the run is killed, the next one restores what the name was, and nothing else."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from armwright.engine.address import EngineAddress
from armwright.engine.client import Image
from armwright.publish import given_name
from armwright.system import turns
from armwright.system.errors import FailedError

NAME = "127.0.0.1:5000/staging/pytorch:2.10.0-n1-acl-0123456789ab"
FOREIGN = "ghcr.io/acme/tool:1"
MINE, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
LABELS = {"org.armwright.inputs": f"sha256:{'0123456789ab':0<64}"}
IMAGE = Image(MINE, LABELS, compressed=1, unpacked=1, platform="linux/arm64")


class Killed(BaseException):
    """The process ends here."""


class Names:
    """An engine with two images. After the call of a number, no call gets through: the process was killed."""

    def __init__(self, before: str | None, kill: int = 0) -> None:
        self.names = {NAME: before} if before else {}
        self.images = {MINE: IMAGE, OTHER: replace(IMAGE, digest=OTHER)}
        self.address, self.kill, self.calls = EngineAddress(), kill, 0

    def find(self, reference: str) -> Image | None:
        with self.called():
            return self.images.get(self.names.get(reference, reference))

    def tag(self, digest: str, name: str) -> None:
        with self.called():
            self.names[name] = digest

    def untag(self, name: str) -> None:
        with self.called():
            self.names.pop(name)

    def push(self) -> None:
        with self.called():
            assert self.names[NAME] == MINE

    @contextlib.contextmanager
    def called(self) -> Iterator[None]:
        self.calls += 1
        if 0 < self.kill < self.calls:
            raise Killed
        yield
        if self.calls == self.kill:
            raise Killed


def push(root: Path, names: Names, work: Callable[[], None] | None = None) -> None:
    engine: Any = names
    with given_name.staging_turn(root, engine), given_name.give_name(root, engine, MINE, NAME):
        (work or names.push)()


def refuse() -> None:
    raise FailedError("refused", "invoke doctor")


def restore(root: Path, names: Names) -> None:
    engine: Any = names
    given_name.restore_name(root, engine)


def make_left(root: Path, before: str | None) -> Names:
    """Return an engine in which the name was left, because the process was killed during the push."""
    names = Names(before, kill=3)
    with pytest.raises(Killed):
        push(root, names)
    names.kill = 0
    assert names.names[NAME] == MINE
    return names


def list_journals(root: Path) -> list[str]:
    return [path.name for path in root.glob("build/staging/*") if path.name != ".turn"]


@pytest.mark.parametrize("before", [None, OTHER, MINE])
def test_the_name_is_given_for_the_push_only(tmp_path: Path, before: str | None) -> None:
    engine = Names(before)
    push(tmp_path, engine)
    assert engine.names.get(NAME) == before
    assert list_journals(tmp_path) == []


def test_a_push_that_fails_restores_the_name(tmp_path: Path) -> None:
    engine = Names(OTHER)
    with pytest.raises(FailedError, match="refused"):
        push(tmp_path, engine, refuse)
    assert engine.names[NAME] == OTHER
    assert list_journals(tmp_path) == []


@pytest.mark.parametrize(
    ("before", "kill"), [*((None, number) for number in range(1, 6)), *((OTHER, number) for number in range(1, 7))]
)
def test_whenever_it_is_killed_the_next_run_restores(tmp_path: Path, before: str | None, kill: int) -> None:
    """The calls are: find, tag, push, find, and those that restore the name."""
    engine = Names(before, kill)
    with pytest.raises(Killed):
        push(tmp_path, engine)
    engine.kill = 0
    if engine.names.get(NAME) != before:
        assert given_name.find_left_name(tmp_path, engine.address) is not None
    restore(tmp_path, engine)
    assert engine.names.get(NAME) == before
    assert given_name.find_left_name(tmp_path, engine.address) is None
    assert list_journals(tmp_path) == []


@pytest.mark.parametrize("kill", [1, 2, 3])
def test_a_restore_that_is_killed_is_done_by_the_next(tmp_path: Path, kill: int) -> None:
    engine = make_left(tmp_path, OTHER)
    engine.kill = engine.calls + kill
    with pytest.raises(Killed):
        restore(tmp_path, engine)
    engine.kill = 0
    restore(tmp_path, engine)
    assert engine.names[NAME] == OTHER
    assert list_journals(tmp_path) == []


def test_the_next_staging_restores_before_it_begins(tmp_path: Path) -> None:
    names = make_left(tmp_path, OTHER)
    engine: Any = names
    (tmp_path / "build/staging/0.json.x.armwright-new").touch()
    with given_name.staging_turn(tmp_path, engine):
        assert engine.names[NAME] == OTHER
        assert list_journals(tmp_path) == []


@pytest.mark.parametrize(("before", "undo"), [(None, f"docker image rm {NAME}"), (OTHER, f"docker tag {OTHER} {NAME}")])
def test_a_left_name_is_told_with_the_command(tmp_path: Path, before: str | None, undo: str) -> None:
    engine = make_left(tmp_path, before)
    left = given_name.find_left_name(tmp_path, engine.address)
    assert left is not None
    assert left.name == NAME
    command, _, removal = left.undo.partition("; ")
    assert command == undo
    (tmp_path / removal.removeprefix("rm ")).unlink()
    assert given_name.find_left_name(tmp_path, engine.address) is None


def test_the_name_of_a_running_staging_is_not_restored(tmp_path: Path) -> None:
    engine = make_left(tmp_path, None)
    with turns.alone(tmp_path / "build" / "staging" / ".turn"):
        restore(tmp_path, engine)
        assert given_name.find_left_name(tmp_path, engine.address) is None
        assert engine.names[NAME] == MINE
    restore(tmp_path, engine)
    assert NAME not in engine.names


def test_a_name_that_somebody_moved_since_stays(tmp_path: Path) -> None:
    engine = make_left(tmp_path, None)
    engine.names[NAME] = OTHER
    restore(tmp_path, engine)
    assert engine.names[NAME] == OTHER
    assert list_journals(tmp_path) == []


def test_an_earlier_image_that_is_gone_is_not_missed(tmp_path: Path) -> None:
    engine = make_left(tmp_path, OTHER)
    del engine.images[OTHER]
    restore(tmp_path, engine)
    assert NAME not in engine.names
    assert list_journals(tmp_path) == []


def test_names_in_another_engine_wait_for_that_engine(tmp_path: Path) -> None:
    engine, other = make_left(tmp_path, None), Names(MINE)
    other.address = EngineAddress("tcp://arm:2376")
    restore(tmp_path, other)
    assert other.names[NAME] == MINE
    assert given_name.find_left_name(tmp_path, other.address) is None
    assert given_name.find_left_name(tmp_path, engine.address) is not None


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", json.dumps({"name": NAME}),
        json.dumps({"name": NAME, "digest": MINE, "before": None, "more": 1}),
        json.dumps({"name": FOREIGN, "digest": MINE, "before": OTHER}),
        json.dumps({"name": FOREIGN, "digest": OTHER, "before": MINE}),
    ],
)  # fmt: skip
def test_a_file_that_no_staging_wrote_moves_no_name(tmp_path: Path, text: str) -> None:
    engine = make_left(tmp_path, None)
    engine.names |= {FOREIGN: MINE, "tool:1": OTHER}
    before = dict(engine.names)
    (name,) = list_journals(tmp_path)
    (tmp_path / "build" / "staging" / name).write_text(text)
    restore(tmp_path, engine)
    assert engine.names == before
    assert list_journals(tmp_path) == []
