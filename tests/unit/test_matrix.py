"""The matrix: what is published, what is refused and why, and that growing it takes data only."""

from __future__ import annotations

import re
import shutil

import pytest

from armwright import lock, plan
from armwright.errors import InputError
from armwright.matrix import Matrix
from tests.support import Tree

MATRIX = "matrix.yaml"
PYTORCH = "recipes/frameworks/pytorch.yaml"


def test_the_project_s_matrix_loads_and_every_id_is_unique_and_safe_as_a_file_name(matrix: Matrix) -> None:
    ids = [combo.id for combo in matrix.combos]
    assert len(ids) == len(set(ids)) == len(matrix.by_id)
    assert all(re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", one) for one in ids)
    assert {"pytorch-2.10.0-n1-acl", "pytorch-2.9.1-generic-openblas"} <= set(ids)


def test_every_combo_that_can_exist_has_a_plan(matrix: Matrix) -> None:
    possible = [combo for combo in matrix.combos if combo.refusal is None]
    assert len({plan.plan(matrix, combo).inputs for combo in possible}) == len(possible) >= 14


@pytest.mark.parametrize("backend", ["acl", "openblas"])
def test_pytorch_2_10_is_refused_on_generic_with_its_reason_and_2_9_1_is_the_nearest(
    matrix: Matrix, backend: str
) -> None:
    refused = matrix.by_id[f"pytorch-2.10.0-generic-{backend}"]
    assert refused.refusal is not None
    assert "illegal instruction" in refused.refusal
    near = matrix.instead(refused)
    assert near is not None
    assert near.id == f"pytorch-2.9.1-generic-{backend}"


def test_only_what_a_rule_or_a_missing_recipe_refuses_is_refused(matrix: Matrix) -> None:
    refused = {combo.id for combo in matrix.combos if combo.refusal and combo.version in {"2.10.0", "2.9.1"}}
    assert {one for one in refused if one.endswith(("-acl", "-openblas"))} == {
        "pytorch-2.10.0-generic-acl",
        "pytorch-2.10.0-generic-openblas",
    }


@pytest.mark.parametrize(("target", "version"), [("generic", "2.9.1"), ("n1", "2.10.0"), ("a64fx", "2.10.0")])
def test_a_version_left_out_is_the_newest_that_the_other_axes_allow(matrix: Matrix, target: str, version: str) -> None:
    newest = matrix.newest("pytorch", target, "acl")
    assert newest is not None
    assert newest.version == version


def test_versions_are_ordered_as_versions_and_not_as_words(matrix: Matrix) -> None:
    versions = matrix.versions("pytorch")
    assert versions.index("2.10.0") < versions.index("2.9.1")


def test_two_mistakes_in_the_matrix_are_told_together_with_their_places(tree: Tree) -> None:
    tree.edit(MATRIX, "targets: [generic, n1,", "targets: [generic, n9,")
    tree.edit(MATRIX, "rules:", "rulez:")
    text = (tree.root / MATRIX).read_text().splitlines()
    targets = next(number for number, line in enumerate(text, 1) if "n9" in line)
    rules = next(number for number, line in enumerate(text, 1) if line.startswith("rulez"))
    assert tree.mistakes() == [
        f"matrix.yaml:{targets}:22: unknown target 'n9': did you mean 'n1'? allowed: a64fx, generic, n1, v1",
        f"matrix.yaml:{rules}:1: unknown key 'rulez': did you mean 'rules'? allowed: axes, rules",
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("pytorch: [", "pytorhc: [", "unknown framework 'pytorhc': did you mean 'pytorch'?"),
        ('"2.9.1"]', '"2.9.2"]', "unknown version of pytorch '2.9.2': did you mean '2.9.1'?"),
        ('"2.9.1"]', '"2.10.0"]', "'2.10.0' is given twice"),
        ('["2.10.0", "2.9.1"]', "[2.10]", "'pytorch' must be text: put 2.10 in quotes"),
        ('["2.10.0", "2.9.1"]', "[]", "'pytorch': List should have at least 1 item"),
        ("targets: [generic,", "targets: [generik,", "unknown target 'generik': did you mean 'generic'?"),
        ("targets: [generic,", "targets: [n1,", "'n1' is given twice"),
        ("targets: [generic, n1, v1, a64fx]", "targets: n1", "'targets': Input should be a valid list"),
        ("targets: [generic,", "targets: [{generic: n1},", "'targets' must be text"),
        ("backends: [openblas,", "backends: [openbals,", "unknown backend 'openbals': did you mean 'openblas'?"),
        ("framework: pytorch,", "framework: torhc,", "unknown framework 'torhc'"),
        ("target: generic}", "target: genric}", "unknown target 'genric': did you mean 'generic'?"),
        ("target: generic}", "target: generic, backend: [acl, mkl]}", "unknown backend 'mkl'"),
        ("target: generic}", "tarqet: generic}", "unknown key 'tarqet': did you mean 'target'?"),
        ('version: "==2.10.0"', "version: 2.10", "'version': must be text: put it in quotes"),
        ('version: "==2.10.0"', 'version: "2.10.0"', "write for example '==2.10.0'"),
        ('version: "==2.10.0"', 'version: "==2.11.0"', "this rule refuses nothing that is published"),
        ("because: >-\n      its", "because: |\n      its", "'because'"),  # two lines would end a comment
        ("axes:", "axis:", "'axes' is missing"),
        ("frameworks:", "frameworks: 5\n  frameworkz:", "'frameworks'"),
    ],
)
def test_a_mistake_in_the_matrix_is_told_with_the_nearest_right_word(
    tree: Tree, old: str, new: str, words: str
) -> None:
    tree.edit(MATRIX, old, new)
    found = tree.mistakes()
    assert any(words in one for one in found), found
    assert all(one.startswith("matrix.yaml:") for one in found)


def test_a_matrix_that_is_not_there_is_told_and_not_a_traceback(tree: Tree) -> None:
    (tree.root / MATRIX).unlink()
    assert "matrix.yaml:1:1: cannot be read" in tree.mistakes()[0]


def test_mistakes_in_recipes_and_in_the_matrix_come_together(tree: Tree) -> None:
    tree.edit(MATRIX, "targets: [generic,", "targets: [generik,")
    tree.edit("recipes/targets/v1.yaml", "title:", "titel:")
    assert [one.split(":")[0] for one in tree.mistakes()] == ["matrix.yaml"] + ["recipes/targets/v1.yaml"] * 2


def test_a_rule_without_an_axis_means_any_value_of_it(tree: Tree) -> None:
    tree.edit(MATRIX, "rules:\n", "rules:\n  - refuse: {target: v1}\n    because: nobody has one at hand\n")
    combos = tree.load().combos
    assert all(combo.refusal == "nobody has one at hand" for combo in combos if combo.target.name == "v1")
    assert any(combo.refusal is None for combo in combos)


def test_a_combo_with_no_way_out_has_no_nearest(tree: Tree) -> None:
    tree.edit(MATRIX, "rules:\n", "rules:\n  - refuse: {framework: pytorch}\n    because: not this year, please\n")
    matrix = tree.load()
    assert matrix.instead(matrix.combos[0]) is None
    assert matrix.newest("pytorch", "n1", "acl") is None


def test_a_refused_target_leads_to_its_fallback(tree: Tree) -> None:
    tree.edit(MATRIX, "rules:\n", "rules:\n  - refuse: {target: v1}\n    because: nobody has one at hand\n")
    matrix = tree.load()
    near = matrix.instead(matrix.by_id["pytorch-2.10.0-v1-acl"])
    assert near is not None
    assert near.id == "pytorch-2.10.0-n1-acl"


def test_a_chain_of_fallbacks_skips_what_is_not_published(tree: Tree) -> None:
    matrix = tree.load()
    assert matrix.chain(matrix.recipes.targets["v1"]) == ["n1", "generic"]
    tree.edit(MATRIX, "targets: [generic, n1, v1,", "targets: [generic, v1,")
    matrix = tree.load()
    assert matrix.chain(matrix.recipes.targets["v1"]) == ["generic"]


def test_a_new_target_is_a_recipe_and_a_word_in_the_matrix(tree: Tree) -> None:
    recipe = (tree.root / "recipes/targets/n1.yaml").read_text()
    recipe = recipe.replace("name: n1", "name: kunpeng920").replace("Arm Neoverse N1", "HiSilicon Kunpeng 920")
    recipe = re.sub(r"aliases: .*", "aliases: [taishan-v110]", recipe).replace("0x41:0xd0c", "0x48:0xd01")
    (tree.root / "recipes/targets/kunpeng920.yaml").write_text(recipe)
    tree.edit(MATRIX, "targets: [generic,", "targets: [generic, kunpeng920,")
    one = tree.plan("pytorch-2.10.0-kunpeng920-acl")
    assert b"HiSilicon Kunpeng 920" in one.files["Dockerfile"]
    assert one.tag == "pytorch:2.10.0-kunpeng920-acl"


def test_a_new_version_is_an_entry_and_a_lock(tree: Tree) -> None:
    recipe = (tree.root / PYTORCH).read_text()
    entry = re.search(r'  "2\.9\.1":\n(?:    .*\n)+', recipe)
    assert entry
    tree.edit(PYTORCH, entry[0], entry[0] + entry[0].replace("2.9.1", "2.9.0"))
    tree.edit(MATRIX, '"2.9.1"]', '"2.9.1", "2.9.0"]')
    old = lock.wheels_path(tree.root, "pytorch", "2.9.1").read_text()
    lock.wheels_path(tree.root, "pytorch", "2.9.0").write_text(old.replace("torch==2.9.1", "torch==2.9.0"))
    one = tree.plan("pytorch-2.9.0-n1-acl")
    assert b"torch==2.9.0" in one.files["requirements.txt"]


def test_a_new_backend_is_a_recipe_and_an_entry_of_the_framework(tree: Tree) -> None:
    (tree.root / "recipes/backends/onednn.yaml").write_text("name: onednn\ntitle: oneDNN without ACL\n")
    flavour = """  onednn:
    kernels:
      - {source: onednn, operation: convolution, implementations: ["brg*"], reason: no ACL in it}
"""
    tree.edit(PYTORCH, "\n  acl:\n", f"\n{flavour}  acl:\n")
    tree.edit(MATRIX, "backends: [openblas,", "backends: [onednn, openblas,")
    assert b"oneDNN without ACL" in tree.plan("pytorch-2.10.0-v1-onednn").files["Dockerfile"]


def test_a_new_framework_is_a_recipe_a_lock_and_its_workloads(tree: Tree) -> None:
    recipe = (tree.root / PYTORCH).read_text()
    recipe = recipe.replace("name: pytorch", "name: other").replace("aliases: [torch]", "aliases: []")
    (tree.root / "recipes/frameworks/other.yaml").write_text(recipe)
    tree.edit(MATRIX, "    pytorch: [", '    other: ["2.10.0"]\n    pytorch: [')
    for file in ("frameworks/pytorch.py", "lenet/pytorch.py"):
        source = tree.root / "scripts/smoke" / file
        shutil.copy(source, source.with_name("other.py"))
    shutil.copy(lock.wheels_path(tree.root, "pytorch", "2.10.0"), lock.wheels_path(tree.root, "other", "2.10.0"))
    one = tree.plan("other-2.10.0-n1-acl")
    assert "image/opt/armwright/smoke/frameworks/other.py" in one.files
    assert "image/opt/armwright/smoke/frameworks/pytorch.py" not in one.files


def test_a_backend_that_a_framework_has_no_recipe_for_is_refused_with_that_reason(tree: Tree) -> None:
    (tree.root / "recipes/backends/onednn.yaml").write_text("name: onednn\ntitle: oneDNN without ACL\n")
    tree.edit(MATRIX, "backends: [openblas,", "backends: [onednn, openblas,")
    refusal = tree.load().by_id["pytorch-2.10.0-n1-onednn"].refusal
    assert refusal == "PyTorch has no recipe for the backend onednn"


def test_a_rule_that_names_no_axis_is_refused(tree: Tree) -> None:
    tree.edit("matrix.yaml", '{framework: pytorch, version: "==2.10.0", target: generic}', "{}")
    assert any("names at least one axis" in line for line in tree.mistakes())


def test_two_combos_with_one_id_are_refused(tree: Tree) -> None:
    for kind, name, taken in (("targets", "n1-x", "n1"), ("backends", "x-acl", "acl")):
        recipe = (tree.root / f"recipes/{kind}/{taken}.yaml").read_text(encoding="utf-8")
        renamed = [line for line in recipe.splitlines() if not line.startswith("aliases")]
        text = "\n".join(renamed).replace(f"name: {taken}", f"name: {name}", 1)
        (tree.root / f"recipes/{kind}/{name}.yaml").write_text(text, encoding="utf-8")
        tree.edit("matrix.yaml", f"{kind}: [", f"{kind}: [{name}, ")
    with pytest.raises(InputError, match=r"two combos have the id pytorch-2\.10\.0-n1-x-acl"):
        tree.load()
