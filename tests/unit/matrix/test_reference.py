"""The page of the matrix: counts, targets, combinations with reasons, data types."""

from __future__ import annotations

from armwright.matrix.reference import make_matrix_page
from tests.support import SMALL, Tree


def test_combinations_are_counted_and_refusals_have_reasons(tree: Tree) -> None:
    tree.publish(SMALL)
    page = make_matrix_page(tree.load())
    assert "14 of 16 combinations are known to work, 2 are refused, and 0 are unverified" in page
    assert "| `pytorch` `2.10.0` | n1, v1, a64fx; refused (1): generic | n1, v1, a64fx; refused (1): generic |" in page
    assert "| `pytorch` `2.9.1` | all | all |" in page
    assert "\n1. its wheel dies with an illegal instruction at import on Armv8.0 CPUs\n" in page


def test_a_combination_that_never_works_lists_its_reasons_only(tree: Tree) -> None:
    tree.publish(SMALL + "  - unverified: {version: '==2.9.1'}\n    because: it has never been run\n")
    page = make_matrix_page(tree.load())
    assert "6 of 16 combinations are known to work, 2 are refused, and 8 are unverified" in page
    assert "| `pytorch` `2.9.1` | unverified (2) | unverified (2) |" in page


def test_only_published_targets_are_listed(tree: Tree) -> None:
    tree.publish(SMALL)
    page = make_matrix_page(tree.load())
    assert "| `n1` | Arm Neoverse N1 | neoverse-n1, graviton2," in page
    assert "thunderx2" not in page
    assert "neoverse-n2" not in page.partition("## Combinations")[0]


def test_data_types_are_grouped_by_state_and_targets(tree: Tree) -> None:
    tree.publish(SMALL)
    page = make_matrix_page(tree.load())
    assert "### PyTorch 2.10.0 over `acl`" in page
    table = page.partition("### PyTorch 2.9.1 over `acl`")[2].partition("###")[0]
    assert "| `bf16` | fast | v1 | " in table
    assert "| `bf16` | slow | generic, n1, a64fx | " in table
    assert "| `fp16` | not run | generic | " in table
    assert "| `fp32` | fast | all | " in table
