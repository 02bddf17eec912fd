"""Fixtures of the tests of requests."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from armwright.request import cpu_names


@pytest.fixture(scope="session", autouse=True)
def _cpu_names_once() -> Iterator[None]:
    """Load the names of CPUs once per project: a command needs them once, these tests hundreds of times."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(cpu_names, "load_cpu_names", functools.cache(cpu_names.load_cpu_names))
        yield
