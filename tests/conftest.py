"""What several test files need: the project's data, a copy of it to spoil, and the modules that run inside an image."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from armwright import matrix as matrices
from armwright.errors import InputError
from armwright.matrix import Matrix
from armwright.plan import Plan, Source, plan

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts" / "smoke"))  # inside an image these are top-level modules


class Tree:
    """A copy of the project's data in a folder of its own, to be changed at will."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("recipes", "dockerfiles", "scripts"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "matrix.yaml", root)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace the first occurrence of a text; a text that is not there is a mistake of the test."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} no longer holds {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def load(self) -> Matrix:
        return matrices.load(self.root)

    def mistakes(self) -> list[str]:
        """Load, and return the lines that say what is wrong."""
        with pytest.raises(InputError) as refused:
            self.load()
        return [line.strip() for line in refused.value.what.splitlines()[1:]]

    def plan(self, combo: str, source: Source = "archive") -> Plan:
        matrix = self.load()
        return plan(matrix, matrix.by_id[combo], source)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "project")


@pytest.fixture(scope="session")
def matrix() -> Matrix:
    """The project's own matrix."""
    return matrices.load(ROOT)
