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
from hypothesis import HealthCheck, settings

from armwright.engine.client import Engine
from armwright.matrix.matrix import Matrix, load_matrix
from armwright.publish import local_registry
from tests.support import ROOT, Tree

# No test asserts a duration: on a busy machine an example takes seconds.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples in every run; elsewhere new ones.
settings.register_profile("ci", settings.get_profile("project"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "project")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # set by a shell's `&`; every child would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, str(ROOT / "scripts" / "smoke"))  # inside an image these are top-level modules
_DONT_WRITE_BYTECODE = sys.dont_write_bytecode


def pytest_collectstart() -> None:
    """Keep compiled tests, unless the environment says otherwise: modules of an image switch that off on import."""
    sys.dont_write_bytecode = _DONT_WRITE_BYTECODE


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "project")


@pytest.fixture(scope="session")
def matrix() -> Matrix:
    """The project's own matrix."""
    return load_matrix(ROOT)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The machine's engine; without one, every test that uses it fails with that reason."""
    return Engine()


@pytest.fixture(scope="session")
def prefix(engine: Engine) -> Iterator[str]:
    """A repository for this run; all its names are removed at the end."""
    repository = f"armwright-test-{uuid.uuid4().hex[:8]}"
    yield repository
    for name in engine.names():
        if name.startswith(repository):
            engine.untag(name)


@pytest.fixture
def port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as free:
        free.bind((local_registry.HOST, 0))
        return int(free.getsockname()[1])
