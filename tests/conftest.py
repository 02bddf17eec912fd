"""Fixtures of every tier, and the path to the modules that run inside an image."""

from __future__ import annotations

import os
import signal
import socket
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from armwright.engine.client import Engine
from armwright.matrix.matrix import Matrix, load_matrix
from armwright.publish import local_registry
from tests.support import ROOT, Tree

settings.register_profile("ci", derandomize=True)  # there the same examples each time; everywhere else new ones
if os.environ.get("CI"):
    settings.load_profile("ci")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's `&` does that, and every child would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, str(ROOT / "scripts" / "smoke"))  # inside an image these are top-level modules


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "project")


@pytest.fixture(scope="session")
def matrix() -> Matrix:
    """The project's own matrix."""
    return load_matrix(ROOT)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The machine's engine; without one every test here fails, and says so."""
    return Engine()


@pytest.fixture(scope="session")
def prefix(engine: Engine) -> Iterator[str]:
    """A repository of this run's own; all names in it go away at the end."""
    repository = f"armwright-test-{uuid.uuid4().hex[:8]}"
    yield repository
    for name in engine.names():
        if name.startswith(repository):
            engine.untag(name)


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind((local_registry.HOST, 0))
        return int(free.getsockname()[1])
