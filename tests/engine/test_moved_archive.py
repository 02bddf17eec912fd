"""A locked package that left the archive comes from a snapshot; without one the checkout gets a lock of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from armwright.assembly import assemble
from armwright.fetch import debian_roots, debian_sources, resolve
from armwright.plan import locks, render
from armwright.system.errors import FailedError, InputError, MachineError
from tests.archive import DebianArchive, Served, at, serve
from tests.openpgp import SigningKey, make_key
from tests.small_project import BASE, BEGIN, COMBO, MOVED, NEWER, PACKAGES, TOOL, SmallProject, use_mirror

WHOLE = (*PACKAGES, TOOL)
LATER = at("2026-11-24T09:00:00")
CREDENTIALS = "builder:pass@word"
HIDDEN = "pass%40word"  # as it is in an address


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return make_key("Archive")


@pytest.fixture
def archive(tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch) -> DebianArchive:
    """An archive as the lock names it; this host trusts its key."""
    (tmp_path / "keyrings").mkdir()
    (tmp_path / "keyrings" / "debian-archive-keyring.gpg").write_bytes(key.keyring)
    monkeypatch.setattr(debian_sources, "KEYRINGS", str(tmp_path / "keyrings"))
    archive = DebianArchive(tmp_path / "archive", key)
    archive.publish(WHOLE, BEGIN)
    return archive


@pytest.fixture
def served(archive: DebianArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The archive is this host's mirror, with a password, and has snapshots."""
    with serve(archive.folder, CREDENTIALS) as server:
        use_mirror(server.site, tmp_path, monkeypatch)
        monkeypatch.setenv(debian_sources.SNAPSHOT_VARIABLE, server.snapshot)
        yield server


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return SmallProject(tmp_path / "project")


def ensure(project: SmallProject, tmp_path: Path) -> Path:
    matrix = project.load()
    held = locks.read_base_lock(project.root, BASE)
    return debian_roots.ensure_root(
        project.root / "build/cache", matrix.recipes.bases[BASE], held, "root", tmp_path / "log"
    )


def refresh(project: SmallProject, tmp_path: Path, *, own: bool = False) -> list[str]:
    base = project.load().recipes.bases[BASE]
    return resolve.refresh_base_lock(project.root, project.root / "build/cache", base, tmp_path / "log", own=own)


def test_root_is_the_same_before_and_after_the_archive_moved(
    project: SmallProject, archive: DebianArchive, served: Served, tmp_path: Path
) -> None:
    before = ensure(project, tmp_path).read_bytes()
    assert not any("snapshot" in path for path in served.requested)
    archive.publish(MOVED, LATER)
    other = SmallProject(tmp_path / "other")
    assert ensure(other, tmp_path).read_bytes() == before
    fetched = [path for path in served.requested if path.startswith("/snapshot/") and path.endswith(".deb")]
    assert len(fetched) == 1  # the others come from the mirror
    assert fetched[0].endswith("/netbase_6.4_all.deb")
    assert HIDDEN not in (tmp_path / "log").read_text()


def test_mirror_that_is_out_of_date_serves_a_lock_but_makes_none(
    project: SmallProject, archive: DebianArchive, served: Served, tmp_path: Path
) -> None:
    archive.valid = 1
    archive.publish(WHOLE, BEGIN)
    assert ensure(project, tmp_path).exists()
    with pytest.raises(MachineError, match="index has expired"):
        refresh(project, tmp_path)
    assert served.requested


def test_suite_that_left_the_mirror_comes_from_a_snapshot(
    project: SmallProject, archive: DebianArchive, served: Served, tmp_path: Path
) -> None:
    (archive.folder / "debian").rename(archive.folder / "gone")
    assert ensure(project, tmp_path).exists()
    assert served.requested


def test_snapshot_with_another_key_is_accepted_by_the_hashes(
    project: SmallProject, archive: DebianArchive, served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ensure(project, tmp_path).read_bytes()
    trusted, archive.key = archive.key, make_key("Retired")  # its key has left this host's keyring
    archive.publish(WHOLE, BEGIN)
    archive.key = trusted
    archive.publish(MOVED, LATER)
    other = SmallProject(tmp_path / "other")
    assert ensure(other, tmp_path).read_bytes() == before
    assert "no key confirms the signature of 127.0.0.1; the hashes in the lock do" in capsys.readouterr().err
    assert served.requested


def test_snapshot_with_another_file_is_refused_and_not_kept(
    project: SmallProject, archive: DebianArchive, served: Served, tmp_path: Path
) -> None:
    forged = replace(PACKAGES[2], files={"etc/services": "evil 666/tcp\n"})
    archive.publish((*PACKAGES[:2], forged, PACKAGES[3]), BEGIN)
    archive.publish(MOVED, LATER)
    with pytest.raises(FailedError, match="differ from the lock: netbase; nothing was kept"):
        ensure(project, tmp_path)
    assert list((project.root / "build/cache/roots").iterdir()) == []
    assert served.requested


def test_password_of_the_mirror_is_in_no_argument(project: SmallProject, served: Served, tmp_path: Path) -> None:
    seen: list[bytes] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            time.sleep(0.01)
            for place in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.append(place.read_bytes())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        ensure(project, tmp_path)
    finally:
        over.set()
        watcher.join()
    assert any(b"apt-get\0" in line for line in seen)  # or nothing was watched
    assert [line for line in seen if HIDDEN.encode() in line or CREDENTIALS.encode() in line] == []
    assert served.requested
    assert HIDDEN not in (tmp_path / "log").read_text()


def test_without_a_snapshot_the_checkout_gets_its_own_lock(
    project: SmallProject, archive: DebianArchive, served: Served, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv(debian_sources.SNAPSHOT_VARIABLE, "http://127.0.0.1:9/snapshot")
    project.use_wheels(monkeypatch)
    archive.publish(MOVED, LATER)
    tracked = locks.base_lock_path(project.root, BASE)
    before, stale = tracked.read_bytes(), project.plan(COMBO)
    fresh = assemble.fetch_or_refresh(project.load(), stale, locked=False)
    assert tracked.read_bytes() == before
    assert fresh.lock.root["netbase"].version == NEWER.version
    assert fresh.lock.created == "2026-11-24T09:00:00Z"
    assert fresh.inputs != stale.inputs
    assert project.plan(COMBO).inputs == fresh.inputs  # for every command after it
    assert locks.own_lock_path(project.root, BASE).is_file()
    printed = capsys.readouterr().err
    assert "the archive no longer has netbase 6.4; 127.0.0.1: the package mirror cannot be reached" in printed
    assert "netbase 6.4 -> 6.5" in printed
    assert "this checkout builds other images than the project's lock says: 1 package changed" in printed
    assert "`invoke lock --base debian-13` changes the project's lock" in printed
    assert served.requested


def test_own_lock_ends_when_the_projects_lock_changes(
    project: SmallProject, archive: DebianArchive, served: Served, tmp_path: Path
) -> None:
    archive.publish(MOVED, LATER)
    inputs = project.plan(COMBO).inputs
    refresh(project, tmp_path, own=True)
    assert project.plan(COMBO).inputs != inputs
    project.lock(PACKAGES[:3], BEGIN)  # as `git pull` may change it
    assert set(locks.read_base_lock(project.root, BASE).root) == {package.name for package in PACKAGES[:3]}
    refresh(project, tmp_path, own=True)
    locks.remove_own_locks(project.root)
    assert len(locks.read_base_lock(project.root, BASE).root) == 3
    assert served.requested


def test_locked_build_fails_and_changes_nothing(
    project: SmallProject, archive: DebianArchive, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(debian_sources.SNAPSHOT_VARIABLE, "")
    archive.publish(MOVED, LATER)
    before = locks.base_lock_path(project.root, BASE).read_bytes()
    with pytest.raises(debian_roots.StaleLockError, match=r"no longer has netbase 6\.4$") as stale:
        assemble.fetch_or_refresh(project.load(), project.plan(COMBO), locked=True)
    assert stale.value.next_step == "invoke lock --base debian-13"
    assert "ARMWRIGHT_SNAPSHOT" in stale.value.hint
    assert locks.base_lock_path(project.root, BASE).read_bytes() == before
    assert not locks.own_lock_path(project.root, BASE).exists()
    assert not render.context_path(project.root, project.plan(COMBO).combo).exists()
    assert served.requested


def test_clones_resolve_one_archive_to_one_lock(archive: DebianArchive, served: Served, tmp_path: Path) -> None:
    archive.publish(MOVED, LATER)
    texts = set()
    for number in range(3):
        clone = SmallProject(tmp_path / f"clone-{number}")
        assert "netbase 6.4 -> 6.5" in refresh(clone, tmp_path)
        texts.add(locks.base_lock_path(clone.root, BASE).read_bytes())
    (text,) = texts
    assert b"created: '2026-11-24T09:00:00Z'" in text
    assert served.requested


def test_refresh_of_build_tools_alone_moves_no_image(
    project: SmallProject, archive: DebianArchive, served: Served, tmp_path: Path
) -> None:
    before, inputs = locks.read_base_lock(project.root, BASE), project.plan(COMBO).inputs
    archive.publish((*PACKAGES, replace(TOOL, version="1.4")), LATER)
    changes = refresh(project, tmp_path)
    assert changes == [f"build tools for {name}: mawk 1.3 -> 1.4" for name in ("amd64", "arm64")]
    after = locks.read_base_lock(project.root, BASE)
    assert (after.created, after.tools_created) == (before.created, "2026-11-24T09:00:00Z")
    assert (after.date("root"), after.date("tools")) == (before.created, after.tools_created)
    assert project.plan(COMBO).inputs == inputs
    assert served.requested


def test_mirror_that_changed_nothing_writes_nothing(
    project: SmallProject, archive: DebianArchive, served: Served, tmp_path: Path
) -> None:
    path = locks.base_lock_path(project.root, BASE)
    before = path.read_bytes()
    archive.publish(WHOLE, LATER)
    assert refresh(project, tmp_path) == []
    assert path.read_bytes() == before
    assert served.requested


def test_snapshot_variable_takes_addresses_only(project: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    base = project.load().recipes.bases[BASE]
    monkeypatch.setenv(debian_sources.SNAPSHOT_VARIABLE, "http://one.example/a/ https://two.example")
    assert debian_sources.find_snapshots(base) == ["http://one.example/a", "https://two.example"]
    monkeypatch.delenv(debian_sources.SNAPSHOT_VARIABLE)
    assert debian_sources.find_snapshots(base) == base.archive.snapshots
    monkeypatch.setenv(debian_sources.SNAPSHOT_VARIABLE, "yes")
    with pytest.raises(InputError, match="ARMWRIGHT_SNAPSHOT: 'yes' is not an address such as http://snapshot"):
        debian_sources.find_snapshots(base)
