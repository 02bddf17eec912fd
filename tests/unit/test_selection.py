"""From a command's words to combos: defaults, other names, typing errors, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armwright.errors import InputError
from armwright.matrix import Matrix
from armwright.selection import Selector, match, select
from tests.support import Tree


def ids(matrix: Matrix, **words: object) -> list[str]:
    return [combo.id for combo in select(matrix, Selector(**words))]  # type: ignore[arg-type]


def refusal(matrix: Matrix, **words: object) -> InputError:
    with pytest.raises(InputError) as refused:
        select(matrix, Selector(**words))  # type: ignore[arg-type]
    assert refused.value.code == 2
    return refused.value


def test_nothing_said_means_the_newest_possible_version_of_everything_in_the_matrix_s_order(matrix: Matrix) -> None:
    found = ids(matrix)
    assert found == [combo.id for combo in matrix.combos if combo.id in set(found)]
    assert "pytorch-2.9.1-generic-acl" in found
    assert "pytorch-2.10.0-n1-acl" in found
    assert "pytorch-2.9.1-n1-acl" not in found


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"target": "n1", "backend": "acl"}, ["pytorch-2.10.0-n1-acl"]),
        ({"framework": "pytorch", "target": "generic", "backend": "openblas"}, ["pytorch-2.9.1-generic-openblas"]),
        ({"version": "2.9.1", "target": "n1", "backend": "acl"}, ["pytorch-2.9.1-n1-acl"]),
        ({"version": "2.10.0", "backend": "acl"}, [f"pytorch-2.10.0-{one}-acl" for one in ("n1", "v1", "a64fx")]),
        ({"target": "graviton2", "backend": "acl"}, ["pytorch-2.10.0-n1-acl"]),
        ({"target": "Fugaku", "backend": "BLAS"}, ["pytorch-2.10.0-a64fx-openblas"]),
        ({"framework": "TORCH", "target": "N1", "backend": "ACL"}, ["pytorch-2.10.0-n1-acl"]),
        (
            {"target": "n1", "backend": "acl", "every": True},
            ["pytorch-2.10.0-n1-acl", "pytorch-2.9.1-n1-acl"],
        ),
        ({"combo": "pytorch-2.10.0-n1-acl"}, ["pytorch-2.10.0-n1-acl"]),
        ({"combo": "pytorch-*-n1-acl"}, ["pytorch-2.10.0-n1-acl", "pytorch-2.9.1-n1-acl"]),
        ({"combo": "*-2.9.[01]-[nv]1-acl"}, ["pytorch-2.9.1-n1-acl", "pytorch-2.9.1-v1-acl"]),
        ({"combo": "PyTorch-2.10.0-N1-ACL"}, ["pytorch-2.10.0-n1-acl"]),
        ({"combo": "pytorch-*-generic-acl"}, ["pytorch-2.9.1-generic-acl"]),  # 2.10.0 is refused and left out
    ],
)
def test_words_select(matrix: Matrix, words: dict[str, object], expected: list[str]) -> None:
    assert ids(matrix, **words) == expected


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"target": "n9"}, ["--target 'n9' is not known: did you mean 'n1'?"]),
        ({"target": "graviton22"}, ["did you mean 'graviton2'?"]),
        ({"backend": "mkl"}, ["--backend 'mkl' is not known", "acl", "openblas"]),
        ({"target": "n9", "backend": "mkl"}, ["--target 'n9'", "--backend 'mkl'"]),
        ({"framework": "pytroch", "target": "n9"}, ["--framework 'pytroch'", "did you mean 'pytorch'?", "--target"]),
        ({"version": "2.10"}, ["--version 2.10 is not known: did you mean '2.10.0'?"]),
        ({"version": "2.8.0", "target": "n9"}, ["--version 2.8.0", "--target 'n9'"]),
        ({"framework": "tf", "version": "9"}, ["--framework 'tf'", "--version 9"]),
    ],
)
def test_every_unknown_word_is_named_at_once_with_the_nearest_right_one(
    matrix: Matrix, words: dict[str, str], told: list[str]
) -> None:
    problem = refusal(matrix, **words)
    assert all(one in problem.what for one in told), problem.what
    assert "nothing was started" in problem.next_step


def test_all_refused_tells_each_reason_and_a_nearest_that_can_be_built(matrix: Matrix) -> None:
    problem = refusal(matrix, version="2.10.0", target="generic")
    for backend in ("openblas", "acl"):
        assert f"pytorch-2.10.0-generic-{backend}: its wheel dies with an illegal instruction" in problem.what
    assert problem.next_step == "the nearest that can: invoke build --combo pytorch-2.9.1-generic-openblas"
    assert ids(matrix, combo=problem.next_step.rpartition(" ")[2])


def test_all_refused_with_nothing_near_says_where_the_reasons_are(tree: Tree) -> None:
    tree.edit("matrix.yaml", "rules:\n", "rules:\n  - refuse: {framework: pytorch}\n    because: not this year\n")
    assert "invoke list --all" in refusal(tree.load()).next_step


def test_match_keeps_the_refused_ones(matrix: Matrix) -> None:
    found = match(matrix, Selector(target="generic", backend="acl", every=True))
    assert [combo.version for combo in found] == ["2.10.0", "2.9.1"]
    assert [combo.refusal is None for combo in found] == [False, True]


def test_combo_is_not_joined_with_the_other_selectors(matrix: Matrix) -> None:
    problem = refusal(matrix, combo="*", target="n1", version="2.10.0")
    assert "--combo selects by id and cannot be joined with --version, --target" in problem.what


def test_a_glob_that_matches_nothing_tells_a_near_id(matrix: Matrix) -> None:
    assert "did you mean 'pytorch-2.10.0-n1-acl'?" in refusal(matrix, combo="pytorch-2.10.0-n1-alc").what
    assert f"there are {len(matrix.combos)}" in refusal(matrix, combo="[").what


def test_a_target_that_is_known_and_not_published_is_not_selected(tree: Tree) -> None:
    tree.edit("matrix.yaml", "targets: [generic, n1, v1,", "targets: [generic, v1,")
    problem = refusal(tree.load(), target="graviton2")
    assert "--target 'graviton2' is not known" in problem.what
    assert "graviton3" in problem.what


WORDS = st.one_of(
    st.just(""),
    st.sampled_from(["n1", "acl", "pytorch", "2.10.0", "generic", "graviton2", "*", "pytorch-*-n1-*", "[!a]*", "N1"]),
    st.text(max_size=30),
)


@given(st.builds(Selector, WORDS, WORDS, WORDS, WORDS, WORDS, st.booleans()))
@settings(max_examples=200, deadline=None)
def test_any_words_give_combos_that_can_exist_or_a_refusal_in_words(matrix: Matrix, words: Selector) -> None:
    try:
        found = select(matrix, words)
    except InputError as refused:
        problem = refused
    else:
        assert found
        assert all(combo.refusal is None for combo in found)
        assert len({combo.id for combo in found}) == len(found)
        return
    assert problem.what
    assert problem.next_step
