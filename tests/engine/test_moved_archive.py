"""If the archive no longer has a locked package, a build refreshes the lock; with --locked it changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from armwright.assembly import assemble
from armwright.fetch import debian_roots
from armwright.plan import locks
from armwright.plan.locks import Deb
from armwright.plan.plan import Plan, make_plan
from tests.support import ROOT, Tree

COMBO = "pytorch-2.10.0-n1-acl"
GONE = Deb(version="1.0-gone", sha256="0" * 64)


@pytest.fixture
def stale(tree: Tree) -> Plan:
    """A plan whose lock names a package that the archive no longer has."""
    (ROOT / "build" / "cache").mkdir(parents=True, exist_ok=True)
    (tree.root / "build").mkdir()
    (tree.root / "build" / "cache").symlink_to(ROOT / "build" / "cache")  # nothing is downloaded twice
    held = locks.read_base_lock(tree.root, "debian-13")
    locks.write_base_lock(tree.root, "debian-13", held.model_copy(update={"root": {**held.root, "netbase": GONE}}))
    return tree.plan(COMBO)


def test_build_refreshes_the_lock_and_continues(stale: Plan, tree: Tree) -> None:
    fresh = assemble.fetch_or_refresh(tree.load(), stale, locked=False)
    held = locks.read_base_lock(tree.root, "debian-13")
    assert "netbase" in held.root
    assert held.root["netbase"] != GONE
    assert (fresh.lock, fresh.inputs) == (held, make_plan(tree.load(), fresh.combo).inputs)
    assert fresh.inputs != stale.inputs
    assert {path.name for path in assemble.context_path(tree.root, fresh.combo).iterdir()} >= {
        "root.tar",
        "tools.tar",
        "wheels",
    }


def test_locked_build_fails_and_keeps_the_lock(stale: Plan, tree: Tree) -> None:
    before = locks.base_lock_path(tree.root, "debian-13").read_bytes()
    with pytest.raises(debian_roots.StaleLockError, match=r"no longer has netbase 1\.0-gone"):
        assemble.fetch_or_refresh(tree.load(), stale, locked=True)
    assert locks.base_lock_path(tree.root, "debian-13").read_bytes() == before
    assert not Path(assemble.context_path(tree.root, stale.combo)).exists()
