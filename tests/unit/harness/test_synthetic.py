"""The synthetic projects of benchmarks/matrix.py: they load and contain combos of every state."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

from armwright.matrix.matrix import load_matrix
from benchmarks.matrix import EACH, SIZES, make_tree


def test_a_tree_has_combos_of_every_state(tmp_path: Path) -> None:
    make_tree(tmp_path, 2)
    combos = load_matrix(tmp_path).combos
    assert len(combos) == 2 * EACH
    kinds = Counter("refused" if combo.refusal else "unverified" if combo.unverified else "known" for combo in combos)
    assert min(kinds[kind] for kind in ("refused", "unverified", "known")) > EACH // 10


def test_sizes_are_whole_frameworks_and_double() -> None:
    assert all(size % EACH == 0 for size in SIZES)
    assert all(later == 2 * earlier for earlier, later in pairwise(SIZES))
    assert SIZES[-1] == 10_000
