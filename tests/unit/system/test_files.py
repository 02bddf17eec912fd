"""A file is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from armwright.system.files import write_whole


def test_a_file_and_its_folder_are_made_with_the_asked_permissions(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, "text", 0o600)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("text", 0o600)


def test_a_file_that_is_there_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    write_whole(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half of it, then \udc80")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
