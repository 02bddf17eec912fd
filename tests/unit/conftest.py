"""What the unit tier does before its tests: one thread for numpy, because a process runs on each CPU already."""

from __future__ import annotations

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
