"""From a command's words to combos: defaults, other names, globs, typing errors, refusals, what only a name builds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armwright.matrix.matrix import Matrix
from armwright.matrix.selection import Selector, allowed, match_combos, reasons, select_combos
from armwright.system.errors import InputError
from tests.support import SMALL, Tree

UNVERIFIED = """\
  - unverified: {version: ["2.9.1"], target: a64fx}
    because: nobody ran it on one
  - unverified: {backend: acl, target: v1}
    because: seen only once
  - refuse: {backend: openblas, target: v1}
    because: nobody wants it there
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """The small matrix."""
    return published(tmp_path_factory.mktemp("small"), SMALL)


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """The small matrix with unverified combos; on v1 nothing is known to work."""
    return published(tmp_path_factory.mktemp("doubtful"), SMALL + UNVERIFIED)


def published(folder: Path, text: str) -> Matrix:
    tree = Tree(folder / "project")
    tree.publish(text)
    return tree.load()


def ids(matrix: Matrix, **words: object) -> list[str]:
    return [combo.id for combo in select_combos(matrix, Selector(**words))]  # type: ignore[arg-type]


def refusal(matrix: Matrix, **words: object) -> InputError:
    with pytest.raises(InputError) as refused:
        select_combos(matrix, Selector(**words))  # type: ignore[arg-type]
    assert refused.value.code == 2
    return refused.value


def test_nothing_said_means_the_newest_possible_version_of_everything_in_the_matrix_s_order(small: Matrix) -> None:
    found = ids(small)
    assert found == [combo.id for combo in small.combos if combo.id in set(found)]
    assert "pytorch-2.9.1-generic-acl" in found
    assert "pytorch-2.10.0-n1-acl" in found
    assert "pytorch-2.9.1-n1-acl" not in found


ON = "pytorch-2.10.0-{}-acl"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"target": "n1", "backend": "acl"}, ["pytorch-2.10.0-n1-acl"]),
        ({"framework": "pytorch", "target": "generic", "backend": "openblas"}, ["pytorch-2.9.1-generic-openblas"]),
        ({"version": "2.9.1", "target": "n1", "backend": "acl"}, ["pytorch-2.9.1-n1-acl"]),
        ({"version": "2.10.0", "backend": "acl"}, [ON.format(one) for one in ("n1", "v1", "a64fx")]),
        ({"target": "graviton2", "backend": "acl"}, ["pytorch-2.10.0-n1-acl"]),
        ({"target": "Fugaku", "backend": "BLAS"}, ["pytorch-2.10.0-a64fx-openblas"]),
        ({"framework": "TORCH", "target": "N1", "backend": "ACL"}, ["pytorch-2.10.0-n1-acl"]),
        ({"target": "n1", "backend": "acl", "every": True}, ["pytorch-2.10.0-n1-acl", "pytorch-2.9.1-n1-acl"]),
        ({"combo": "pytorch-2.10.0-n1-acl"}, ["pytorch-2.10.0-n1-acl"]),
        ({"combo": "pytorch-*-n1-acl"}, ["pytorch-2.10.0-n1-acl", "pytorch-2.9.1-n1-acl"]),
        ({"combo": "*-2.9.[01]-[nv]1-acl"}, ["pytorch-2.9.1-n1-acl", "pytorch-2.9.1-v1-acl"]),
        ({"combo": "PyTorch-2.10.0-N1-ACL"}, ["pytorch-2.10.0-n1-acl"]),
        ({"combo": "pytorch-*-generic-acl"}, ["pytorch-2.9.1-generic-acl"]),  # 2.10.0 is refused and left out
        ({"target": "?1", "backend": "a*"}, [ON.format("n1"), ON.format("v1")]),
        ({"target": "neoverse-*", "backend": "acl"}, [ON.format("n1"), ON.format("v1")]),
        ({"target": "v1, graviton2", "backend": "acl"}, [ON.format("n1"), ON.format("v1")]),  # the matrix's order
        ({"target": "n1,neoverse-n1,n*", "backend": "acl"}, [ON.format("n1")]),  # each only once
        ({"framework": "py*", "target": "n1", "backend": "*blas"}, ["pytorch-2.10.0-n1-openblas"]),
        ({"version": "2.*", "target": "n1", "backend": "acl"}, ["pytorch-2.10.0-n1-acl", "pytorch-2.9.1-n1-acl"]),
        (
            {"version": "2.9.1,2.10.0", "target": "generic,n1", "backend": "acl"},
            ["pytorch-2.10.0-n1-acl", "pytorch-2.9.1-generic-acl", "pytorch-2.9.1-n1-acl"],
        ),
        (
            {"combo": "*-v1-acl, pytorch-2.9.1-n1-acl"},
            [ON.format("v1"), "pytorch-2.9.1-n1-acl", "pytorch-2.9.1-v1-acl"],
        ),
    ],
)
def test_words_select(small: Matrix, words: dict[str, object], expected: list[str]) -> None:
    assert ids(small, **words) == expected


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"target": "n9"}, ["--target 'n9' is not known: did you mean 'n1'?"]),
        ({"target": "graviton22"}, ["did you mean 'graviton2'? allowed: a64fx, generic, n1, v1"]),
        ({"backend": "mkl"}, ["--backend 'mkl' is not known", "acl", "openblas"]),
        ({"target": "n9", "backend": "mkl"}, ["--target 'n9'", "--backend 'mkl'"]),
        ({"framework": "pytroch", "target": "n9"}, ["--framework 'pytroch'", "did you mean 'pytorch'?", "--target"]),
        ({"version": "2.10"}, ["--version '2.10' is not known: did you mean '2.10.0'?"]),
        ({"version": "2.8.0", "target": "n9"}, ["--version '2.8.0'", "--target 'n9'"]),
        ({"framework": "tf", "version": "9"}, ["--framework 'tf'", "--version '9'"]),
        (
            {"target": "n1,n9,q*", "version": "3.*"},
            ["'n9' is not known", "'q*' matches nothing", "'3.*' matches nothing"],
        ),
        ({"target": "n1,"}, ["--target '' is not known"]),
        ({"combo": "*-n1-acl,*-n9-*,pytorch-2.10.0-n1-alc"}, ["'*-n9-*'", "did you mean 'pytorch-2.10.0-n1-acl'?"]),
    ],
)
def test_every_unknown_word_is_named_at_once_with_the_nearest_right_one(
    small: Matrix, words: dict[str, str], told: list[str]
) -> None:
    problem = refusal(small, **words)
    assert all(one in problem.what for one in told), problem.what
    assert problem.next_step in {"invoke list", "invoke list --all"}


def test_all_refused_tells_each_reason_once_and_a_nearest_that_can_be_built(small: Matrix) -> None:
    problem = refusal(small, version="2.10.0", target="generic")
    assert problem.what.startswith(
        "refused: pytorch-2.10.0-generic-openblas, pytorch-2.10.0-generic-acl: its wheel dies"
    )
    assert problem.what.count("its wheel dies") == 1
    assert problem.next_step == "invoke build --combo pytorch-2.9.1-generic-openblas"
    assert ids(small, combo=problem.next_step.rpartition(" ")[2])


def test_all_refused_with_nothing_near_says_where_the_reasons_are(tree: Tree) -> None:
    tree.publish(SMALL + "  - refuse: {framework: pytorch}\n    because: not this year\n")
    problem = refusal(tree.load())
    assert problem.next_step == "invoke list --all"
    assert " and 10 more: not this year" in problem.what  # of 14: the other two are told the wheel's reason


def test_match_keeps_the_refused_ones(small: Matrix) -> None:
    found = match_combos(small, Selector(target="generic", backend="acl", every=True))
    assert [combo.version for combo in found] == ["2.10.0", "2.9.1"]
    assert [combo.refusal is None for combo in found] == [False, True]


def test_an_unverified_version_is_left_out_for_an_older_or_newer_one_that_is_known_to_work(doubtful: Matrix) -> None:
    assert ids(doubtful, target="a64fx", backend="acl") == ["pytorch-2.10.0-a64fx-acl"]
    assert ids(doubtful, target="a64fx", backend="acl", every=True) == ["pytorch-2.10.0-a64fx-acl"]
    assert ids(doubtful, target="a64fx", backend="acl", version="2.*") == ["pytorch-2.10.0-a64fx-acl"]
    assert ids(doubtful, combo="*-a64fx-acl") == ["pytorch-2.10.0-a64fx-acl"]


@pytest.mark.parametrize(
    "words",
    [
        {"version": "2.9.1", "target": "a64fx", "backend": "acl"},
        {"version": "2.9.1,2.10.0", "target": "a64fx", "backend": "acl"},
        {"combo": "pytorch-2.9.1-a64fx-acl"},
        {"combo": "PyTorch-2.9.1-A64FX-ACL,pytorch-2.10.0-n1-acl"},
    ],
)
def test_an_unverified_combo_is_selected_by_its_version_or_its_id_without_a_wildcard(
    doubtful: Matrix, words: dict[str, str]
) -> None:
    assert "pytorch-2.9.1-a64fx-acl" in ids(doubtful, **words)


def test_when_only_unverified_ones_match_the_error_holds_the_very_command_that_builds_them(doubtful: Matrix) -> None:
    problem = refusal(doubtful, target="v1", backend="acl")
    assert problem.what.startswith("unverified: pytorch-2.10.0-v1-acl, pytorch-2.9.1-v1-acl: seen only once")
    command = problem.what.rpartition("; built only by name: ")[2]
    assert command == "invoke build --combo pytorch-2.10.0-v1-acl,pytorch-2.9.1-v1-acl"
    assert ids(doubtful, combo=command.rpartition(" ")[2]) == ["pytorch-2.10.0-v1-acl", "pytorch-2.9.1-v1-acl"]
    assert problem.next_step == "invoke build --combo pytorch-2.10.0-n1-acl"  # n1's images run on v1 too


def test_where_nothing_near_is_known_to_work_the_unverified_one_comes_next(tree: Tree) -> None:
    tree.publish(SMALL + "  - unverified: {framework: pytorch}\n    because: written today\n")
    assert refusal(tree.load(), target="n1", backend="acl").next_step == "invoke build --combo pytorch-2.10.0-n1-acl"


def test_refused_and_unverified_ones_are_told_together_each_with_its_own_word(doubtful: Matrix) -> None:
    what = refusal(doubtful, target="v1").what
    assert [line.split(":")[0] for line in what.split("\n       ")] == ["refused", "unverified"]


def test_reasons_speak_of_nothing_that_is_built(doubtful: Matrix) -> None:
    assert reasons(match_combos(doubtful, Selector(target="n1", every=True))) == []


def test_combo_is_not_joined_with_the_other_selectors(small: Matrix) -> None:
    problem = refusal(small, combo="*", target="n1", version="2.10.0")
    assert "--combo selects by id and cannot be combined with --version, --target" in problem.what


def test_a_glob_that_matches_nothing_tells_a_near_id(small: Matrix) -> None:
    assert "did you mean 'pytorch-2.10.0-n1-acl'?" in refusal(small, combo="pytorch-2.10.0-n1-alc").what
    assert f"there are {len(small.combos)}" in refusal(small, combo="[").what


def test_a_target_that_is_known_and_not_published_is_not_selected(tree: Tree) -> None:
    tree.publish(SMALL.replace("targets: [generic, n1, v1,", "targets: [generic, v1,"))
    problem = refusal(tree.load(), target="graviton2")
    assert "--target 'graviton2' is not known" in problem.what
    assert "did you mean 'graviton3'? allowed: a64fx, generic, v1" in problem.what


WORDS = st.one_of(
    st.just(""),
    st.sampled_from([
        "n1", "acl", "pytorch", "2.10.0", "generic", "graviton2", "*", "pytorch-*-n1-*", "[!a]*", "N1", "2.*", "n1,v1",
        "2.9.1", "pytorch-2.9.1-v1-acl", ",", "n1,*",
    ]),
    st.text(max_size=30),
)  # fmt: skip


@given(st.builds(Selector, WORDS, WORDS, WORDS, WORDS, WORDS, st.booleans()))
@settings(max_examples=200, deadline=None)
def test_any_words_give_combos_that_can_be_built_or_a_refusal_in_words(doubtful: Matrix, words: Selector) -> None:
    try:
        found = select_combos(doubtful, words)
    except InputError as error:
        problem = error
    else:
        assert found
        assert all(combo.refusal is None and allowed(words, combo) for combo in found)
        assert all(combo.unverified is None or words.names(combo) for combo in found)
        assert len({combo.id for combo in found}) == len(found)
        return
    assert problem.what
    assert problem.next_step
