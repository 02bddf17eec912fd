"""One commit gives one digest: in another clone, after the archive moved, under another umask, on an empty engine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from armwright.engine.client import Engine, Image
from armwright.fetch import debian_sources
from armwright.matrix.matrix import Matrix
from armwright.plan import locks
from armwright.plan.plan import FILE_TIME
from tests.archive import DebianArchive, at, serve
from tests.engines import STORE, start_engine
from tests.openpgp import make_key
from tests.small_project import BASE, BEGIN, MOVED, PACKAGES, SmallProject, use_mirror

LATER = at("2026-11-24T09:00:00")
PATIENCE = 60.0  # seconds for an engine to start
CREDENTIALS = "builder:password"
Clone = Callable[[str], SmallProject]


@pytest.fixture
def clone(matrix: Matrix, tools: Path, tmp_path: Path) -> Clone:
    """Make a clone of the project, with the same lock and the real build tools."""
    held = locks.read_base_lock(matrix.root, BASE).tools
    return lambda name: SmallProject(tmp_path / name / "armwright", held, tools)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DebianArchive:
    """An archive as the lock names it; this host trusts its key."""
    key = make_key("Archive")
    (tmp_path / "keyrings").mkdir()
    (tmp_path / "keyrings" / "debian-archive-keyring.gpg").write_bytes(key.keyring)
    monkeypatch.setattr(debian_sources, "KEYRINGS", str(tmp_path / "keyrings"))
    archive = DebianArchive(tmp_path / "archive", key)
    archive.publish(PACKAGES, BEGIN)
    return archive


@contextmanager
def empty_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Run another engine, with nothing in its store and its cache; commands use it while the work inside is done."""
    folder = Path(tempfile.mkdtemp(prefix="engine-"))  # pytest's folders are too long for the path of a socket
    try:
        with start_engine(folder, STORE) as started, monkeypatch.context() as patch:
            patch.setenv("DOCKER_HOST", started.host)
            yield Engine()
    finally:
        shutil.rmtree(folder)


def copy_image(image: Image) -> tuple[str, tuple[str, ...]]:
    """Return an image's digest and those of its layers."""
    return image.digest, image.layers


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a second engine")
def test_two_clones_and_a_moved_archive_give_one_digest(
    clone: Clone, archive: DebianArchive, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(archive.folder) as server:
        use_mirror(server.site, tmp_path, monkeypatch)
        plan, first = clone("one").build(engine, monkeypatch)
        assert not any("snapshot" in path for path in server.requested)
    archive.publish(MOVED, LATER)
    umask = os.umask(0o077)
    try:
        with serve(archive.folder, CREDENTIALS) as server, empty_engine(monkeypatch) as other:
            use_mirror(server.site, tmp_path, monkeypatch)
            monkeypatch.setenv(debian_sources.SNAPSHOT_VARIABLE, server.snapshot)
            again, second = clone("two").build(other, monkeypatch)
            assert any("snapshot" in path for path in server.requested)
    finally:
        os.umask(umask)
    assert (again.inputs, again.lock) == (plan.inputs, plan.lock)
    assert copy_image(second) == copy_image(first)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a second engine")
def test_time_of_a_lock_moves_no_layer_and_no_digest(
    clone: Clone, archive: DebianArchive, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(archive.folder) as server:
        use_mirror(server.site, tmp_path, monkeypatch)
        project = clone("one")
        _, before = project.build(engine, monkeypatch)
        project.lock(PACKAGES, LATER)
        _, after = project.build(engine, monkeypatch)  # with the cache of the build before
        with empty_engine(monkeypatch) as other:
            _, fresh = project.build(other, monkeypatch)
        archive.publish(MOVED, LATER)
        project.lock(MOVED[:-1], LATER)
        _, moved = project.build(engine, monkeypatch)
    assert before.layers == after.layers
    assert before.digest != after.digest  # the label has the lock's time
    assert copy_image(fresh) == copy_image(after)
    assert moved.layers[0] != after.layers[0]
    assert moved.layers[1:] == after.layers[1:]  # packages stay, whatever the base does


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a second engine")
def test_layers_of_another_time_in_the_cache_are_not_used(
    clone: Clone, archive: DebianArchive, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(archive.folder) as server:
        use_mirror(server.site, tmp_path, monkeypatch)
        project = clone("one")
        with monkeypatch.context() as patch:
            patch.setattr("armwright.plan.plan.FILE_TIME", FILE_TIME - 1_000_000)
            _, older = project.build(engine, monkeypatch)
        _, first = project.build(engine, monkeypatch)
        with empty_engine(monkeypatch) as other:
            _, fresh = project.build(other, monkeypatch)
    assert not set(older.layers) & set(first.layers)
    assert copy_image(first) == copy_image(fresh)
