"""Makes the unit tier fast: one thread for numpy, as a process runs on each CPU, and less garbage collection."""

from __future__ import annotations

import gc
import importlib
import os

_NAME = "OPENBLAS_NUM_THREADS"  # OpenBLAS reads it when numpy is imported; the tests see the environment as it was
_before = os.environ.get(_NAME)
os.environ[_NAME] = "1"
importlib.import_module("numpy")
if _before is None:
    del os.environ[_NAME]
else:
    os.environ[_NAME] = _before


def pytest_collection_finish() -> None:
    """Leave the modules and tests out of the searches for garbage; they stay until the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
