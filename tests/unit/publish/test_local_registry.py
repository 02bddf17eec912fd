"""The files of the local registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from armwright.publish import local_registry
from armwright.system import daemon, process


def test_pid_is_not_written_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_registry, "_refuse_taken", lambda _: None)
    monkeypatch.setattr(process, "require_program", lambda name: name)
    monkeypatch.setattr(daemon, "start_daemon", lambda *_, **__: 4321)
    other = tmp_path / "other"
    other.write_text("a user's own")
    home = tmp_path / "registry"
    home.mkdir()
    (home / "pid").symlink_to(other)
    local_registry._serve(home, 5000)
    assert other.read_text() == "a user's own"
    assert not (home / "pid").is_symlink()
    assert (home / "pid").read_text() == "4321\n"
