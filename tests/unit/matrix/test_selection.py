"""Selecting combos by options: defaults, aliases, globs, typing errors, and refused and unverified combos."""

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
    because: it was never run there
  - unverified: {backend: acl, target: v1}
    because: seen only once
  - refuse: {backend: openblas, target: v1}
    because: it is not needed there
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """Return the small matrix."""
    return published(tmp_path_factory.mktemp("small"), SMALL)


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    """Return the small matrix with unverified combos; no combo for v1 is known to work."""
    return published(tmp_path_factory.mktemp("doubtful"), SMALL + UNVERIFIED)


def published(folder: Path, text: str) -> Matrix:
    tree = Tree(folder / "project")
    tree.publish(text)
    return tree.load()


def ids(matrix: Matrix, **options: object) -> list[str]:
    return [combo.id for combo in select_combos(matrix, Selector(**options))]  # type: ignore[arg-type]


def refusal(matrix: Matrix, **options: object) -> InputError:
    with pytest.raises(InputError) as refused:
        select_combos(matrix, Selector(**options))  # type: ignore[arg-type]
    assert refused.value.code == 2
    return refused.value


def test_default_is_the_newest_versions_in_matrix_order(small: Matrix) -> None:
    selected = ids(small)
    assert selected == [combo.id for combo in small.combos if combo.id in set(selected)]
    assert "pytorch-2.9.1-generic-acl" in selected
    assert "pytorch-2.10.0-n1-acl" in selected
    assert "pytorch-2.9.1-n1-acl" not in selected


ON = "pytorch-2.10.0-{}-acl"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"target": "n1", "backend": "acl"}, ["pytorch-2.10.0-n1-acl"]),
        ({"framework": "pytorch", "target": "generic", "backend": "openblas"}, ["pytorch-2.9.1-generic-openblas"]),
        ({"version": "2.9.1", "target": "n1", "backend": "acl"}, ["pytorch-2.9.1-n1-acl"]),
        ({"version": "2.10.0", "backend": "acl"}, [ON.format(target) for target in ("n1", "v1", "a64fx")]),
        ({"target": "graviton2", "backend": "acl"}, ["pytorch-2.10.0-n1-acl"]),
        ({"target": "Fugaku", "backend": "BLAS"}, ["pytorch-2.10.0-a64fx-openblas"]),
        ({"framework": "TORCH", "target": "N1", "backend": "ACL"}, ["pytorch-2.10.0-n1-acl"]),
        ({"target": "n1", "backend": "acl", "every": True}, ["pytorch-2.10.0-n1-acl", "pytorch-2.9.1-n1-acl"]),
        ({"combo": "pytorch-2.10.0-n1-acl"}, ["pytorch-2.10.0-n1-acl"]),
        ({"combo": "pytorch-*-n1-acl"}, ["pytorch-2.10.0-n1-acl", "pytorch-2.9.1-n1-acl"]),
        ({"combo": "*-2.9.[01]-[nv]1-acl"}, ["pytorch-2.9.1-n1-acl", "pytorch-2.9.1-v1-acl"]),
        ({"combo": "PyTorch-2.10.0-N1-ACL"}, ["pytorch-2.10.0-n1-acl"]),
        ({"combo": "pytorch-*-generic-acl"}, ["pytorch-2.9.1-generic-acl"]),  # 2.10.0 is refused
        ({"target": "?1", "backend": "a*"}, [ON.format("n1"), ON.format("v1")]),
        ({"target": "neoverse-*", "backend": "acl"}, [ON.format("n1"), ON.format("v1")]),
        (
            {"target": "v1, graviton2", "backend": "acl"},
            [ON.format("n1"), ON.format("v1")],
        ),  # in the order of the matrix
        ({"target": "n1,neoverse-n1,n*", "backend": "acl"}, [ON.format("n1")]),  # without duplicates
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
def test_options_select_combos(small: Matrix, options: dict[str, object], expected: list[str]) -> None:
    assert ids(small, **options) == expected


@pytest.mark.parametrize(
    ("options", "messages"),
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
def test_all_unknown_names_are_reported_with_suggestions(
    small: Matrix, options: dict[str, str], messages: list[str]
) -> None:
    problem = refusal(small, **options)
    assert all(message in problem.what for message in messages), problem.what
    assert problem.next_step in {"invoke list", "invoke list --all"}


def test_refusal_names_each_reason_once_and_the_nearest(small: Matrix) -> None:
    problem = refusal(small, version="2.10.0", target="generic")
    assert problem.what.startswith(
        "refused: pytorch-2.10.0-generic-openblas, pytorch-2.10.0-generic-acl: its wheel dies"
    )
    assert problem.what.count("its wheel dies") == 1
    assert problem.next_step == "invoke build --combo pytorch-2.9.1-generic-openblas"
    assert ids(small, combo=problem.next_step.rpartition(" ")[2])


def test_refusal_without_a_nearest_combo_points_to_the_list(tree: Tree) -> None:
    tree.publish(SMALL + "  - refuse: {framework: pytorch}\n    because: not this year\n")
    problem = refusal(tree.load())
    assert problem.next_step == "invoke list --all"
    assert " and 10 more: not this year" in problem.what  # of 14 combos; the other two have the reason about the wheel


def test_match_includes_refused_combos(small: Matrix) -> None:
    matched = match_combos(small, Selector(target="generic", backend="acl", every=True))
    assert [combo.version for combo in matched] == ["2.10.0", "2.9.1"]
    assert [combo.refusal is None for combo in matched] == [False, True]


def test_unverified_version_gives_way_to_a_working_one(doubtful: Matrix) -> None:
    assert ids(doubtful, target="a64fx", backend="acl") == ["pytorch-2.10.0-a64fx-acl"]
    assert ids(doubtful, target="a64fx", backend="acl", every=True) == ["pytorch-2.10.0-a64fx-acl"]
    assert ids(doubtful, target="a64fx", backend="acl", version="2.*") == ["pytorch-2.10.0-a64fx-acl"]
    assert ids(doubtful, combo="*-a64fx-acl") == ["pytorch-2.10.0-a64fx-acl"]


@pytest.mark.parametrize(
    "options",
    [
        {"version": "2.9.1", "target": "a64fx", "backend": "acl"},
        {"version": "2.9.1,2.10.0", "target": "a64fx", "backend": "acl"},
        {"combo": "pytorch-2.9.1-a64fx-acl"},
        {"combo": "PyTorch-2.9.1-A64FX-ACL,pytorch-2.10.0-n1-acl"},
    ],
)
def test_unverified_combo_is_selected_by_version_or_id(doubtful: Matrix, options: dict[str, str]) -> None:
    assert "pytorch-2.9.1-a64fx-acl" in ids(doubtful, **options)


def test_error_about_unverified_combos_has_the_build_command(doubtful: Matrix) -> None:
    problem = refusal(doubtful, target="v1", backend="acl")
    assert problem.what.startswith("unverified: pytorch-2.10.0-v1-acl, pytorch-2.9.1-v1-acl: seen only once")
    command = problem.what.rpartition("; built only by name: ")[2]
    assert command == "invoke build --combo pytorch-2.10.0-v1-acl,pytorch-2.9.1-v1-acl"
    assert ids(doubtful, combo=command.rpartition(" ")[2]) == ["pytorch-2.10.0-v1-acl", "pytorch-2.9.1-v1-acl"]
    assert problem.next_step == "invoke build --combo pytorch-2.10.0-n1-acl"  # images for n1 run on v1 too


def test_unverified_combo_is_next_if_nothing_near_works(tree: Tree) -> None:
    tree.publish(SMALL + "  - unverified: {framework: pytorch}\n    because: written today\n")
    assert refusal(tree.load(), target="n1", backend="acl").next_step == "invoke build --combo pytorch-2.10.0-n1-acl"


def test_refused_and_unverified_combos_are_reported_together(doubtful: Matrix) -> None:
    what = refusal(doubtful, target="v1").what
    assert [line.split(":")[0] for line in what.split("\n       ")] == ["refused", "unverified"]


def test_reasons_leave_out_combos_that_are_built(doubtful: Matrix) -> None:
    assert reasons(match_combos(doubtful, Selector(target="n1", every=True))) == []


def test_combo_cannot_be_combined_with_other_selectors(small: Matrix) -> None:
    problem = refusal(small, combo="*", target="n1", version="2.10.0")
    assert "--combo selects by id and cannot be combined with --version, --target" in problem.what


def test_glob_without_a_match_suggests_a_near_id(small: Matrix) -> None:
    assert "did you mean 'pytorch-2.10.0-n1-acl'?" in refusal(small, combo="pytorch-2.10.0-n1-alc").what
    assert f"there are {len(small.combos)}" in refusal(small, combo="[").what


def test_unpublished_target_is_not_selected(tree: Tree) -> None:
    tree.publish(SMALL.replace("targets: [generic, n1, v1,", "targets: [generic, v1,"))
    problem = refusal(tree.load(), target="graviton2")
    assert "--target 'graviton2' is not known" in problem.what
    assert "did you mean 'graviton3'? allowed: a64fx, generic, v1" in problem.what


VALUES = st.one_of(
    st.just(""),
    st.sampled_from([
        "n1", "acl", "pytorch", "2.10.0", "generic", "graviton2", "*", "pytorch-*-n1-*", "[!a]*", "N1", "2.*", "n1,v1",
        "2.9.1", "pytorch-2.9.1-v1-acl", ",", "n1,*",
    ]),
    st.text(max_size=30),
)  # fmt: skip


@given(st.builds(Selector, VALUES, VALUES, VALUES, VALUES, VALUES, st.booleans()))
@settings(max_examples=200, deadline=None)
def test_any_options_give_buildable_combos_or_an_error(doubtful: Matrix, selector: Selector) -> None:
    try:
        combos = select_combos(doubtful, selector)
    except InputError as error:
        problem = error
    else:
        assert combos
        assert all(combo.refusal is None and allowed(selector, combo) for combo in combos)
        assert all(combo.unverified is None or selector.names(combo) for combo in combos)
        assert len({combo.id for combo in combos}) == len(combos)
        return
    assert problem.what
    assert problem.next_step
