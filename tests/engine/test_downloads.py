"""Roots and wheels from the real archive and the real index: with a wrong or stale lock nothing is kept."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from armwright.fetch import debian_roots, wheels
from armwright.matrix.matrix import Matrix
from armwright.plan import locks
from armwright.plan.locks import BaseLock, Deb
from armwright.recipes.bases import Base
from armwright.system import scratch
from armwright.system.errors import FailedError, InputError, MachineError
from tests.support import ROOT

SMALL = "netbase"  # four text files and no dependency
WHEEL = "filelock"


@pytest.fixture(scope="module")
def base(matrix: Matrix) -> Base:
    return matrix.recipes.bases["debian-13"]


@pytest.fixture(scope="module")
def right(matrix: Matrix, base: Base) -> Deb:
    """The small package in the project's lock."""
    return locks.read_base_lock(matrix.root, base.name).root[SMALL]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_same_lock_unpacks_to_the_same_content(base: Base, right: Deb, tmp_path: Path, log: Path) -> None:
    contents = []
    for number in (1, 2):
        root = debian_roots.ensure_root(tmp_path / f"cache-{number}", base, _lock(right), "root", log)
        contents.append(root.read_bytes())
        with tarfile.open(root) as archive:
            status = archive.extractfile("var/lib/dpkg/status")
            assert status is not None
            text = status.read().decode()
            assert "etc/services" in archive.getnames()
        assert f"Package: {SMALL}\nStatus: install ok unpacked\n" in text
        assert f"Version: {right.version}" in text
    assert contents[0] == contents[1]


def test_cached_root_is_not_unpacked_again(base: Base, right: Deb, tmp_path: Path, log: Path) -> None:
    first = debian_roots.ensure_root(tmp_path, base, _lock(right), "root", log)
    log.unlink()
    assert debian_roots.ensure_root(tmp_path, base, _lock(right), "root", log) == first
    assert not log.exists()


def test_killed_unpacking_leaves_nothing_that_counts(base: Base, right: Deb, tmp_path: Path, log: Path) -> None:
    cache, given = tmp_path / "cache", tmp_path / "lock.json"
    given.write_text(_lock(right).model_dump_json())
    child = subprocess.Popen([sys.executable, "-c", UNPACK, str(ROOT), str(cache), str(given), str(log)], cwd=ROOT)
    while not any((cache / "roots").glob("unpack-*/apt-*")):  # apt begins
        assert child.poll() is None
        time.sleep(0.01)
    child.kill()
    child.wait()
    (left,) = (cache / "roots").glob("unpack-*")
    while scratch._is_locked(left):  # apt outlives who started it, and keeps the folder until it ends
        time.sleep(0.05)
    assert not any((cache / "roots").glob("*.tar"))
    root = debian_roots.ensure_root(cache, base, _lock(right), "root", log)
    assert [path.name for path in (cache / "roots").iterdir() if path.is_dir()] == []
    with tarfile.open(root) as archive:
        assert "etc/services" in archive.getnames()


def test_package_with_another_hash_is_refused_and_not_kept(base: Base, right: Deb, tmp_path: Path, log: Path) -> None:
    wrong = Deb(version=right.version, sha256="0" * 64)
    with pytest.raises(FailedError, match=f"differ from the lock: {SMALL}; nothing was kept") as refused:
        debian_roots.ensure_root(tmp_path, base, _lock(wrong), "root", log)
    assert refused.value.next_step == "invoke lock --base debian-13"
    assert "only if you trust your mirror" in refused.value.hint
    assert _files(tmp_path / "roots") == []


def test_version_missing_in_the_archive_makes_the_lock_stale(base: Base, right: Deb, tmp_path: Path, log: Path) -> None:
    gone = Deb(version="1.0-gone", sha256=right.sha256)
    with pytest.raises(debian_roots.StaleLockError, match=rf"no longer has {SMALL} 1\.0-gone") as stale:
        debian_roots.ensure_root(tmp_path, base, _lock(gone), "root", log)
    assert stale.value.next_step == "invoke lock --base debian-13"
    assert _files(tmp_path / "roots") == []


def test_wheel_with_another_hash_is_refused_and_not_kept(matrix: Matrix, base: Base, tmp_path: Path, log: Path) -> None:
    text = re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", _wheel(matrix))
    locks.check_wheel_lock(text, "the altered lock")
    with pytest.raises(InputError, match="a wheel on the index differs from the locked one") as refused:
        wheels.ensure_wheels(tmp_path, base, text, log)
    assert refused.value.code == 2
    assert _files(tmp_path / "wheels") == []


def test_wheel_missing_on_the_index_is_an_input_error(matrix: Matrix, base: Base, tmp_path: Path, log: Path) -> None:
    text = re.sub(r"==\S+", "==0.0.0.1", _wheel(matrix))
    with pytest.raises(InputError, match="the index does not have a locked wheel"):
        wheels.ensure_wheels(tmp_path, base, text, log)
    assert _files(tmp_path / "wheels") == []


def test_unreachable_index_is_a_machine_error_and_repeatable(
    matrix: Matrix, base: Base, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as cut:
        cut.setenv("PIP_CONFIG_FILE", "/dev/null")
        cut.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
        cut.delenv("PIP_EXTRA_INDEX_URL", raising=False)
        cut.delenv("PIP_FIND_LINKS", raising=False)
        with pytest.raises(MachineError, match="the package index cannot be reached") as failed:
            wheels.ensure_wheels(tmp_path, base, _wheel(matrix), log)
    assert failed.value.code == 3
    assert _files(tmp_path / "wheels") == []

    folder = wheels.ensure_wheels(tmp_path, base, _wheel(matrix), log)
    (wheel,) = folder.iterdir()
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() in _wheel(matrix)
    log.unlink()
    assert wheels.ensure_wheels(tmp_path, base, _wheel(matrix), log) == folder
    assert not log.exists()


def _lock(deb: Deb) -> BaseLock:
    return BaseLock(created="2026-01-01T00:00:00Z", root={SMALL: deb}, tools={})


def _wheel(matrix: Matrix) -> str:
    """Return the lines of one small pure-python wheel in the project's lock."""
    text = locks.read_wheel_lock(matrix.root, "pytorch", "2.10.0")
    entry = re.search(rf"^{WHEEL}==.*\n(?:    .*\n)+", text, re.MULTILINE)
    assert entry, f"{WHEEL} is no longer in the lock"
    return entry[0]


UNPACK = """
import sys
from pathlib import Path
from armwright.fetch import debian_roots
from armwright.matrix.matrix import load_matrix
from armwright.plan.locks import BaseLock
base = load_matrix(Path(sys.argv[1])).recipes.bases["debian-13"]
lock = BaseLock.model_validate_json(Path(sys.argv[3]).read_text())
debian_roots.ensure_root(Path(sys.argv[2]), base, lock, "root", Path(sys.argv[4]))
"""


def _files(folder: Path) -> list[Path]:
    """Return everything below a folder, including partial files."""
    return sorted(folder.rglob("*"))


def _entry(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> tuple[object, ...]:
    data = archive.extractfile(entry) if entry.isfile() else None
    digest = hashlib.sha256(data.read()).hexdigest() if data else ""
    return entry.type, entry.mode, entry.uid, entry.gid, entry.linkname, digest
