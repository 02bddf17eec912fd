"""The installer of wheels is the one of the recipe, or nothing is built with it."""

from __future__ import annotations

import re
import shutil
import stat
from pathlib import Path

import pytest

from armwright.fetch import installer
from armwright.system import process
from armwright.system.errors import MachineError
from tests.support import ROOT


def test_the_recipe_has_the_locked_version() -> None:
    locked = re.search(r"^uv==(\S+)", (ROOT / "requirements" / "run.lock").read_text(), re.MULTILINE)
    assert locked is not None
    assert installer.load_installer(ROOT).version == locked[1]


def test_this_environment_has_the_recipes_program() -> None:
    path = installer.find_installer(ROOT)
    assert process.capture([str(path), "--version"]).split()[1] == installer.load_installer(ROOT).version


def test_another_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "uv"
    shutil.copy(installer.find_installer(ROOT), path)
    monkeypatch.setattr(process, "require_program", lambda _: str(path))
    assert installer.find_installer(ROOT) == path
    with path.open("ab") as program:
        program.write(b"planted")
    assert path.stat().st_mode & stat.S_IXUSR
    with pytest.raises(MachineError, match=r"is not uv .*nothing was built with it") as refused:
        installer.find_installer(ROOT)
    assert refused.value.next_step == "rm -r .venv && ./inv doctor"
