"""The matrix: what is published, what is refused and why, and that growing it takes data only."""

from __future__ import annotations

import re
import shutil

import pytest

from armwright.matrix.matrix import Matrix
from armwright.plan import locks, plan
from armwright.system.errors import InputError
from tests.support import SMALL, Tree

MATRIX = "matrix.yaml"
PYTORCH = "recipes/frameworks/pytorch/framework.yaml"


@pytest.fixture
def tree(tree: Tree) -> Tree:
    """The project's data with a small matrix."""
    tree.publish(SMALL)
    return tree


def ruled(tree: Tree, *rules: str) -> Matrix:
    """Load the small matrix with more rules before its own."""
    tree.publish(
        SMALL.replace("rules:\n", "rules:\n" + "".join(f"  - {{{rule}, because: for a reason}}\n" for rule in rules))
    )
    return tree.load()


def test_the_project_s_matrix_loads_and_every_id_is_unique_and_safe_as_a_file_name(matrix: Matrix) -> None:
    ids = [combo.id for combo in matrix.combos]
    assert len(ids) == len(set(ids)) == len(matrix.by_id)
    assert all(re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", one) for one in ids)
    assert {"pytorch-2.10.0-n1-acl", "pytorch-2.9.1-generic-openblas"} <= set(ids)


def test_every_combo_that_can_exist_has_a_plan(matrix: Matrix) -> None:
    possible = [combo for combo in matrix.combos if combo.refusal is None]
    assert len({plan.make_plan(matrix, combo).inputs for combo in possible}) == len(possible) >= 14


@pytest.mark.parametrize("backend", ["acl", "openblas"])
def test_pytorch_2_10_is_refused_on_generic_with_its_reason_and_2_9_1_is_the_nearest(
    matrix: Matrix, backend: str
) -> None:
    refused = matrix.by_id[f"pytorch-2.10.0-generic-{backend}"]
    assert refused.refusal is not None
    assert "illegal instruction" in refused.refusal
    near = matrix.nearest_working(refused)
    assert near is not None
    assert near.id == f"pytorch-2.9.1-generic-{backend}"


def test_only_what_a_rule_or_a_missing_recipe_refuses_is_refused(tree: Tree) -> None:
    matrix = tree.load()
    assert [combo.id for combo in matrix.combos if combo.refusal] == [
        "pytorch-2.10.0-generic-openblas",
        "pytorch-2.10.0-generic-acl",
    ]
    assert all(combo.is_known_to_work for combo in matrix.combos if combo.refusal is None)


@pytest.mark.parametrize(("target", "version"), [("generic", "2.9.1"), ("n1", "2.10.0"), ("a64fx", "2.10.0")])
def test_a_version_left_out_is_the_newest_that_the_other_axes_allow(tree: Tree, target: str, version: str) -> None:
    newest = tree.load().newest("pytorch", target, "acl")
    assert newest is not None
    assert newest.version == version


def test_versions_are_ordered_as_versions_and_not_as_words(matrix: Matrix) -> None:
    versions = matrix.versions("pytorch")
    assert versions.index("2.10.0") < versions.index("2.9.1")


def test_two_mistakes_in_the_matrix_are_told_together_with_their_places(tree: Tree) -> None:
    tree.edit(MATRIX, "targets: [generic, n1,", "targets: [generic, n11,")
    tree.edit(MATRIX, "rules:", "rulez:")
    text = (tree.root / MATRIX).read_text().splitlines()
    targets = next(number for number, line in enumerate(text, 1) if "n11" in line)
    rules = next(number for number, line in enumerate(text, 1) if line.startswith("rulez"))
    allowed = ", ".join(sorted(path.stem for path in (tree.root / "recipes/targets").glob("*.yaml")))
    assert tree.mistakes() == [
        f"matrix.yaml:{targets}:22: unknown target 'n11': did you mean 'n1'? allowed: {allowed}",
        f"matrix.yaml:{rules}:1: unknown key 'rulez': did you mean 'rules'? allowed: axes, rules",
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("pytorch: [", "pytorhc: [", "unknown framework 'pytorhc': did you mean 'pytorch'?"),
        ('"2.9.1"]', '"2.9.2"]', "unknown version of pytorch '2.9.2': did you mean '2.9.1'?"),
        ('"2.9.1"]', '"2.10.0"]', "'2.10.0' is given twice"),
        ('["2.10.0", "2.9.1"]', "[2.10]", "'pytorch' must be text: put 2.10 in quotes"),
        ('["2.10.0", "2.9.1"]', '["2.10.0", "2.9.\u0661"]', "'pytorch'"),  # a digit of another script
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
        ('version: "==2.10.0"', 'version: "==2.11.0"', "this rule matches no published combo"),
        ('version: "==2.10.0"', "version: [2.9.1, 2.9.2]", "unknown version '2.9.2': did you mean '2.9.1'?"),
        ('version: "==2.10.0"', "version: []", "'version': must be text"),
        ("- refuse:", "- refuze:", "unknown key 'refuze': did you mean 'refuse'?"),
        ("- refuse:", "- unverified: {target: n1}\n    refuse:", "a rule has either 'refuse' or 'unverified'"),
        ("- refuse:", "- unverified: {target: v9}\n    because: not seen\n  - refuse:", "unknown target 'v9'"),
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


@pytest.mark.parametrize("rule", ["{target: v1}", "{backend: acl}", "{framework: pytorch, version: '<2.9'}"])
def test_a_rule_about_what_is_known_and_not_published_speaks_of_nothing(tree: Tree, rule: str) -> None:
    small = SMALL.replace(", v1, ", ", ").replace("[openblas, acl]", "[openblas]")
    tree.publish(f"{small}  - refuse: {rule}\n    because: for a reason\n")
    (found,) = tree.mistakes()
    assert found.endswith("this rule matches no published combo")


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


def test_an_unverified_combo_can_exist_and_is_not_the_newest_that_is_known_to_work(tree: Tree) -> None:
    matrix = ruled(tree, 'unverified: {version: ["2.10.0"], target: n1}')
    one = matrix.by_id["pytorch-2.10.0-n1-acl"]
    assert (one.refusal, one.unverified, one.is_known_to_work) == (None, "for a reason", False)
    newest = matrix.newest("pytorch", "n1", "acl")
    assert newest is not None
    assert newest.id == "pytorch-2.9.1-n1-acl"


def test_what_is_both_refused_and_unverified_has_both_reasons_and_the_first_rule_s_words(tree: Tree) -> None:
    matrix = ruled(tree, "unverified: {target: generic}", 'refuse: {version: ">=2.10", target: [generic, v1]}')
    one = matrix.by_id["pytorch-2.10.0-generic-acl"]
    assert (one.refusal, one.unverified) == ("for a reason", "for a reason")


def test_a_version_with_a_name_of_ours_sorts_last_and_is_in_no_range(tree: Tree) -> None:
    recipe = (tree.root / PYTORCH).read_text()
    entry = re.search(r'  "2\.9\.1":\n(?:    .*\n)+', recipe)
    assert entry
    tree.edit(PYTORCH, entry[0], entry[0] + entry[0].replace('"2.9.1":', "1.x-compat:\n    upstream: 2.9.1"))
    small = SMALL.replace('["2.10.0", "2.9.1"]', '[1.x-compat, "2.9.1", "2.10.0"]')
    for version, refused in (('"<9"', ["2.10.0", "2.9.1"]), ("[1.x-compat]", ["1.x-compat"])):
        tree.publish(small.replace('version: "==2.10.0", target: generic', f"version: {version}, target: v1"))
        matrix = tree.load()
        assert matrix.versions("pytorch") == ["2.10.0", "2.9.1", "1.x-compat"]
        assert [one.version for one in matrix.combos if one.refusal and one.backend == "acl"] == refused


def test_a_combo_with_no_way_out_has_no_nearest(tree: Tree) -> None:
    matrix = ruled(tree, "refuse: {framework: pytorch}")
    assert matrix.nearest_working(matrix.combos[0]) is None
    assert matrix.newest("pytorch", "n1", "acl") is None


@pytest.mark.parametrize(
    ("rules", "asked", "nearest"),
    [
        ([], "2.10.0-generic-acl", "2.9.1-generic-acl"),
        (['refuse: {version: "==2.10.0", backend: acl}'], "2.10.0-v1-acl", "2.9.1-v1-acl"),
        (["refuse: {backend: acl}"], "2.9.1-v1-acl", "2.9.1-v1-openblas"),
        (
            ["refuse: {backend: openblas}", 'unverified: {version: "==2.9.1", target: v1}'],
            "2.9.1-v1-openblas",
            "2.10.0-v1-acl",
        ),
        (["refuse: {target: v1}"], "2.9.1-v1-acl", "2.9.1-n1-acl"),
        (["refuse: {target: [v1, n1]}"], "2.10.0-v1-acl", "2.9.1-generic-acl"),
    ],
    ids=["another version", "another older version", "another backend", "both", "a fallback", "the next fallback"],
)
def test_the_nearest_that_is_known_to_work_keeps_first_the_backend_then_the_version_then_the_target(
    tree: Tree, rules: list[str], asked: str, nearest: str
) -> None:
    matrix = ruled(tree, *rules)
    near = matrix.nearest_working(matrix.by_id[f"pytorch-{asked}"])
    assert near is not None
    assert near.id == f"pytorch-{nearest}"


def test_a_chain_of_fallbacks_skips_what_is_not_published(tree: Tree) -> None:
    matrix = tree.load()
    assert matrix.fallback_targets(matrix.recipes.targets["v1"]) == ["n1", "generic"]
    tree.edit(MATRIX, "targets: [generic, n1, v1,", "targets: [generic, v1,")
    matrix = tree.load()
    assert matrix.fallback_targets(matrix.recipes.targets["v1"]) == ["generic"]


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
    old = locks.wheel_lock_path(tree.root, "pytorch", "2.9.1").read_text()
    locks.wheel_lock_path(tree.root, "pytorch", "2.9.0").write_text(old.replace("torch==2.9.1", "torch==2.9.0"))
    one = tree.plan("pytorch-2.9.0-n1-acl")
    assert b"torch==2.9.0" in one.files["requirements.txt"]


def test_a_new_backend_is_a_recipe_and_an_entry_of_the_framework(tree: Tree) -> None:
    (tree.root / "recipes/backends/onednn.yaml").write_text("name: onednn\ntitle: oneDNN without ACL\n")
    recipe = """kernels:
  onednn:
    convolution:
      - id: convolution
        implementations: ["brg*"]
        reason: oneDNN without ACL computes convolutions
"""
    (tree.root / "recipes/frameworks/pytorch/onednn.yaml").write_text(recipe)
    tree.edit(MATRIX, "backends: [openblas,", "backends: [onednn, openblas,")
    assert b"oneDNN without ACL" in tree.plan("pytorch-2.10.0-v1-onednn").files["Dockerfile"]


def test_a_new_framework_is_a_recipe_a_lock_and_its_workloads(tree: Tree) -> None:
    folder = tree.root / "recipes/frameworks"
    shutil.copytree(folder / "pytorch", folder / "other")
    recipe = (tree.root / PYTORCH).read_text()
    recipe = recipe.replace("name: pytorch", "name: other").replace("aliases: [torch]", "aliases: []")
    (folder / "other/framework.yaml").write_text(recipe)
    tree.edit(MATRIX, "    pytorch: [", '    other: ["2.10.0"]\n    pytorch: [')
    for source in (tree.root / "scripts/smoke").glob("*/pytorch.py"):
        shutil.copy(source, source.with_name("other.py"))
    shutil.copy(
        locks.wheel_lock_path(tree.root, "pytorch", "2.10.0"), locks.wheel_lock_path(tree.root, "other", "2.10.0")
    )
    one = tree.plan("other-2.10.0-n1-acl")
    programs = [name for name in one.files if name.endswith(("/pytorch.py", "/other.py"))]
    folders = ["frameworks", *tree.load().by_id["other-2.10.0-n1-acl"].workloads]
    assert sorted(programs) == sorted(f"image/opt/armwright/smoke/{folder}/other.py" for folder in folders)


def test_a_backend_that_a_framework_has_no_recipe_for_is_refused_with_that_reason(tree: Tree) -> None:
    (tree.root / "recipes/backends/onednn.yaml").write_text("name: onednn\ntitle: oneDNN without ACL\n")
    tree.edit(MATRIX, "backends: [openblas,", "backends: [onednn, openblas,")
    refusal = tree.load().by_id["pytorch-2.10.0-n1-onednn"].refusal
    assert refusal == "PyTorch has no recipe for the backend onednn"


def test_a_rule_that_names_no_axis_is_refused(tree: Tree) -> None:
    tree.edit("matrix.yaml", '{framework: pytorch, version: "==2.10.0", target: generic}', "{}")
    assert any("must name at least one axis" in line for line in tree.mistakes())


def test_two_combos_with_one_id_are_refused(tree: Tree) -> None:
    for kind, name, taken in (("targets", "n1-x", "n1"), ("backends", "x-acl", "acl")):
        recipe = (tree.root / f"recipes/{kind}/{taken}.yaml").read_text(encoding="utf-8")
        renamed = [line for line in recipe.splitlines() if not line.startswith("aliases")]
        text = "\n".join(renamed).replace(f"name: {taken}", f"name: {name}", 1)
        (tree.root / f"recipes/{kind}/{name}.yaml").write_text(text, encoding="utf-8")
        tree.edit("matrix.yaml", f"{kind}: [", f"{kind}: [{name}, ")
    with pytest.raises(InputError, match=r"two combos have the id pytorch-2\.10\.0-n1-x-acl"):
        tree.load()
