"""Combos of one run beside each other: what they share is fetched, refreshed and assembled once, in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from armwright.assembly import assemble, buildx
from armwright.engine.address import EngineAddress
from armwright.fetch import debian_roots, installer, library_cache, resolve, wheels
from armwright.plan import locks, render
from armwright.plan.locks import Deb
from armwright.plan.plan import Plan, make_plan
from tests.support import Tree

ONE, OTHER, THIRD = "pytorch-2.10.0-n1-acl", "pytorch-2.10.0-v1-openblas", "pytorch-2.9.1-v1-acl"
GONE = Deb(version="1.0-gone", sha256="0" * 64)
EXCLUDED = 0.3  # seconds in which a second thread would enter if it were not kept out
ADMITTED = 20.0  # seconds in which a second thread enters that is not kept out


class Room:
    """Counts the threads that are inside at once; the first waits for a second."""

    def __init__(self, patience: float) -> None:
        self.most = 0
        self._patience = patience
        self._inside = 0
        self._guard = threading.Lock()
        self._two = threading.Event()

    def visit(self) -> None:
        with self._guard:
            self._inside += 1
            self.most = max(self.most, self._inside)
        if self.most > 1:
            self._two.set()
        self._two.wait(self._patience)
        with self._guard:
            self._inside -= 1


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Room]:
    """An archive and a package index that need no network."""
    rooms = {"roots": Room(EXCLUDED), "wheels": Room(EXCLUDED)}
    (tmp_path / "file").write_text("content")
    (tmp_path / "wheels").mkdir()

    def root(_cache: Path, _base: object, held: locks.BaseLock, *_: object) -> Path:
        rooms["roots"].visit()
        if GONE in held.root.values():
            raise debian_roots.StaleLockError("the archive no longer has netbase 1.0-gone")
        return tmp_path / "file"

    def folder(*_: object) -> Path:
        rooms["wheels"].visit()
        return tmp_path / "wheels"

    monkeypatch.setattr(debian_roots, "ensure_root", root)
    monkeypatch.setattr(library_cache, "ensure_library_cache", lambda _: tmp_path / "file")
    monkeypatch.setattr(wheels, "ensure_wheels", folder)
    monkeypatch.setattr(installer, "find_installer", lambda _: tmp_path / "file")
    return rooms


def both(work: Callable[[str], Any], *combos: str) -> list[Any]:
    with ThreadPoolExecutor(len(combos)) as pool:
        return list(pool.map(work, combos))


def test_stale_lock_is_refreshed_once_for_two_combos(
    tree: Tree, network: dict[str, Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = locks.read_base_lock(tree.root, "debian-13")
    stale = held.model_copy(update={"root": {**held.root, "netbase": GONE}})
    locks.write_base_lock(tree.root, "debian-13", stale)
    matrix = tree.load()
    plans = {combo: make_plan(matrix, matrix.by_id[combo]) for combo in (ONE, OTHER)}  # both know the old lock
    begun = threading.Barrier(2, timeout=20)
    refreshed = []

    def refresh(*_: object, own: bool) -> list[str]:
        refreshed.append(own)
        locks.write_own_lock(tree.root, "debian-13", held)
        return ["netbase 1.0-gone -> 6.5"]

    def fetch(combo: str) -> Plan:
        begun.wait()
        return assemble.fetch_or_refresh(matrix, plans[combo], locked=False)

    monkeypatch.setattr(resolve, "refresh_base_lock", refresh)
    fresh = both(fetch, ONE, OTHER)
    assert refreshed == [True]
    assert [plan.lock for plan in fresh] == [held, held]
    assert [plan.combo.id for plan in fresh] == [ONE, OTHER]
    assert all((render.context_path(tree.root, plan.combo) / "root.tar").exists() for plan in fresh)
    assert network["roots"].most == 1


def test_combos_of_one_version_take_turns_to_download(tree: Tree, network: dict[str, Room]) -> None:
    matrix = tree.load()
    both(lambda combo: assemble.fetch_context(tree.root, make_plan(matrix, matrix.by_id[combo])), ONE, OTHER)
    assert network["wheels"].most == 1
    assert network["roots"].most == 1
    network["wheels"] = Room(ADMITTED)
    both(lambda combo: assemble.fetch_context(tree.root, make_plan(matrix, matrix.by_id[combo])), ONE, THIRD)
    assert network["wheels"].most == 2


def test_combos_of_one_version_take_turns_to_be_assembled(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = tree.load()
    families = set()

    def most_at_once(room: Room, *combos: str) -> int:

        def visit(*_: object, family: str, **__: object) -> list[buildx.BuildStep]:
            families.add(family)
            room.visit()
            return []

        monkeypatch.setattr(buildx, "run_build", visit)

        def work(combo: str) -> list[buildx.BuildStep]:
            plan = make_plan(matrix, matrix.by_id[combo])
            with assemble.build_turn(plan):
                return assemble.assemble(tree.root, plan, EngineAddress())

        both(work, *combos)
        return room.most

    assert most_at_once(Room(EXCLUDED), ONE, OTHER) == 1
    assert most_at_once(Room(ADMITTED), ONE, THIRD) == 2
    assert families == {"pytorch-2.10.0-archive", "pytorch-2.9.1-archive"}
