"""Fixtures of every tier, and the path to the modules that run inside an image."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from armwright import matrix as matrices
from armwright.matrix import Matrix
from tests.support import ROOT, Tree

sys.path.insert(0, str(ROOT / "scripts" / "smoke"))  # inside an image these are top-level modules


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "project")


@pytest.fixture(scope="session")
def matrix() -> Matrix:
    """The project's own matrix."""
    return matrices.load(ROOT)
