"""Files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from armwright.system.files import write_whole


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
