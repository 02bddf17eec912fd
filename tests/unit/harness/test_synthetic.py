"""The synthetic trees of benchmarks/matrix.py: they load, and contain combos of every state."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from armwright.matrix import matrix
from tests.support import ROOT


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("matrix_benchmark", ROOT / "benchmarks" / "matrix.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its data classes look up their own module
    spec.loader.exec_module(module)
    return module


def test_a_tree_holds_combos_of_every_state(benchmark: ModuleType, tmp_path: Path) -> None:
    benchmark.make_tree(tmp_path, 2)
    combos = matrix.load_matrix(tmp_path).combos
    assert len(combos) == 2 * benchmark.EACH
    kinds = Counter("refused" if combo.refusal else "unverified" if combo.unverified else "sound" for combo in combos)
    assert min(kinds[kind] for kind in ("refused", "unverified", "sound")) > benchmark.EACH // 10


def test_sizes_are_whole_frameworks_and_double(benchmark: ModuleType) -> None:
    assert all(size % benchmark.EACH == 0 for size in benchmark.SIZES)
    assert all(later == 2 * earlier for earlier, later in zip(benchmark.SIZES, benchmark.SIZES[1:], strict=False))
    assert benchmark.SIZES[-1] == 10_000
