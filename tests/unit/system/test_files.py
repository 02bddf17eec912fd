"""Files are written whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
from pathlib import Path

import pytest

from armwright.system.files import has_seal, remove_unfinished, seal, write_whole


def test_new_file_gets_its_folder_and_permissions(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, "text", 0o600)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("text", 0o600)


def test_existing_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    write_whole(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half of it, then \udc80")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_planted_link_is_not_followed(tmp_path: Path) -> None:
    path, victim = tmp_path / "file", tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "file.armwright-new").symlink_to(victim)
    write_whole(path, "new")
    assert (path.read_text(), victim.read_text()) == ("new", "mine")


def test_files_that_killed_processes_left_are_removed(tmp_path: Path) -> None:
    left = tmp_path / "made" / "a.json.x.armwright-new"
    written = tmp_path / "made" / "b.json.x.armwright-new"
    left.parent.mkdir()
    left.touch()
    with written.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        remove_unfinished(tmp_path)
        assert [path.name for path in left.parent.iterdir()] == [written.name]
    remove_unfinished(tmp_path)
    assert list(left.parent.iterdir()) == []


def test_changed_file_of_a_cache_has_no_seal(tmp_path: Path) -> None:
    path = tmp_path / "root.tar"
    path.write_bytes(b"a tar")
    assert not has_seal(path)
    seal(path)
    assert has_seal(path)
    with path.open("ab") as file:
        file.write(b"more")
    assert not has_seal(path)
    path.unlink()
    assert not has_seal(path)


def test_renamed_file_with_its_seal_has_no_seal(tmp_path: Path) -> None:
    path, other = tmp_path / "root.tar", tmp_path / "other.tar"
    path.write_bytes(b"a tar")
    seal(path)
    digest = hashlib.sha256(b"a tar").hexdigest()
    assert (tmp_path / "root.tar.sha256").read_text() == f"{digest}  root.tar\n"  # as sha256sum prints it
    path.rename(other)
    (tmp_path / "root.tar.sha256").rename(tmp_path / "other.tar.sha256")
    assert not has_seal(other)
