"""The matrix: published and refused combos with their reasons, and growth by data alone."""

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
    """Return a copy of the project with a small matrix."""
    tree.publish(SMALL)
    return tree


def ruled(tree: Tree, *rules: str) -> Matrix:
    """Load the small matrix with more rules before its own."""
    tree.publish(
        SMALL.replace("rules:\n", "rules:\n" + "".join(f"  - {{{rule}, because: for a test}}\n" for rule in rules))
    )
    return tree.load()


def test_ids_are_unique_and_safe_as_file_names(matrix: Matrix) -> None:
    ids = [combo.id for combo in matrix.combos]
    assert len(ids) == len(set(ids)) == len(matrix.by_id)
    assert all(re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", combo) for combo in ids)
    assert {"pytorch-2.10.0-n1-acl", "pytorch-2.9.1-generic-openblas"} <= set(ids)


def test_every_combo_that_is_not_refused_has_a_plan(matrix: Matrix) -> None:
    possible = [combo for combo in matrix.combos if combo.refusal is None]
    assert len({plan.make_plan(matrix, combo).inputs for combo in possible}) == len(possible) >= 14


@pytest.mark.parametrize("backend", ["acl", "openblas"])
def test_pytorch_2_9_1_is_nearest_to_2_10_on_generic(matrix: Matrix, backend: str) -> None:
    refused = matrix.by_id[f"pytorch-2.10.0-generic-{backend}"]
    assert refused.refusal is not None
    assert "illegal instruction" in refused.refusal
    near = matrix.nearest_working(refused)
    assert near is not None
    assert near.id == f"pytorch-2.9.1-generic-{backend}"


def test_only_combos_with_a_refusing_rule_are_refused(tree: Tree) -> None:
    matrix = tree.load()
    assert [combo.id for combo in matrix.combos if combo.refusal] == [
        "pytorch-2.10.0-generic-openblas",
        "pytorch-2.10.0-generic-acl",
    ]
    assert all(combo.is_known_to_work for combo in matrix.combos if combo.refusal is None)


@pytest.mark.parametrize(("target", "version"), [("generic", "2.9.1"), ("n1", "2.10.0"), ("a64fx", "2.10.0")])
def test_newest_version_depends_on_the_target(tree: Tree, target: str, version: str) -> None:
    newest = tree.load().newest("pytorch", target, "acl")
    assert newest is not None
    assert newest.version == version


def test_versions_are_sorted_as_versions_not_as_text(matrix: Matrix) -> None:
    versions = matrix.versions("pytorch")
    assert versions.index("2.10.0") < versions.index("2.9.1")


def test_two_mistakes_are_reported_together_with_places(tree: Tree) -> None:
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
    ("old", "new", "message"),
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
def test_mistake_in_the_matrix_suggests_the_nearest_name(tree: Tree, old: str, new: str, message: str) -> None:
    tree.edit(MATRIX, old, new)
    mistakes = tree.mistakes()
    assert any(message in mistake for mistake in mistakes), mistakes
    assert all(mistake.startswith("matrix.yaml:") for mistake in mistakes)


@pytest.mark.parametrize("rule", ["{target: v1}", "{backend: acl}", "{framework: pytorch, version: '<2.9'}"])
def test_rule_that_matches_no_published_combo_is_refused(tree: Tree, rule: str) -> None:
    small = SMALL.replace(", v1, ", ", ").replace("[openblas, acl]", "[openblas]")
    tree.publish(f"{small}  - refuse: {rule}\n    because: for a test\n")
    (mistake,) = tree.mistakes()
    assert mistake.endswith("this rule matches no published combo")


def test_missing_matrix_file_is_a_mistake(tree: Tree) -> None:
    (tree.root / MATRIX).unlink()
    assert "matrix.yaml:1:1: cannot be read" in tree.mistakes()[0]


def test_mistakes_in_recipes_and_matrix_are_reported_together(tree: Tree) -> None:
    tree.edit(MATRIX, "targets: [generic,", "targets: [generik,")
    tree.edit("recipes/targets/v1.yaml", "title:", "titel:")
    assert [mistake.split(":")[0] for mistake in tree.mistakes()] == ["matrix.yaml"] + ["recipes/targets/v1.yaml"] * 2


def test_rule_without_an_axis_matches_all_its_values(tree: Tree) -> None:
    tree.edit(MATRIX, "rules:\n", "rules:\n  - refuse: {target: v1}\n    because: no such CPU is available\n")
    combos = tree.load().combos
    assert all(combo.refusal == "no such CPU is available" for combo in combos if combo.target.name == "v1")
    assert any(combo.refusal is None for combo in combos)


def test_unverified_combo_is_not_the_newest_working_one(tree: Tree) -> None:
    matrix = ruled(tree, 'unverified: {version: ["2.10.0"], target: n1}')
    combo = matrix.by_id["pytorch-2.10.0-n1-acl"]
    assert (combo.refusal, combo.unverified, combo.is_known_to_work) == (None, "for a test", False)
    newest = matrix.newest("pytorch", "n1", "acl")
    assert newest is not None
    assert newest.id == "pytorch-2.9.1-n1-acl"


def test_refused_and_unverified_combo_has_both_reasons(tree: Tree) -> None:
    matrix = ruled(tree, "unverified: {target: generic}", 'refuse: {version: ">=2.10", target: [generic, v1]}')
    combo = matrix.by_id["pytorch-2.10.0-generic-acl"]
    assert (combo.refusal, combo.unverified) == ("for a test", "for a test")


def test_named_version_sorts_last_and_is_in_no_range(tree: Tree) -> None:
    recipe = (tree.root / PYTORCH).read_text()
    entry = re.search(r'  "2\.9\.1":\n(?:    .*\n)+', recipe)
    assert entry
    tree.edit(PYTORCH, entry[0], entry[0] + entry[0].replace('"2.9.1":', "1.x-compat:\n    upstream: 2.9.1"))
    small = SMALL.replace('["2.10.0", "2.9.1"]', '[1.x-compat, "2.9.1", "2.10.0"]')
    for version, refused in (('"<9"', ["2.10.0", "2.9.1"]), ("[1.x-compat]", ["1.x-compat"])):
        tree.publish(small.replace('version: "==2.10.0", target: generic', f"version: {version}, target: v1"))
        matrix = tree.load()
        assert matrix.versions("pytorch") == ["2.10.0", "2.9.1", "1.x-compat"]
        assert [combo.version for combo in matrix.combos if combo.refusal and combo.backend == "acl"] == refused


def test_without_a_working_combo_there_is_no_nearest(tree: Tree) -> None:
    matrix = ruled(tree, "refuse: {framework: pytorch}")
    assert matrix.nearest_working(matrix.combos[0]) is None
    assert matrix.newest("pytorch", "n1", "acl") is None


@pytest.mark.parametrize(
    ("rules", "refused", "nearest"),
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
def test_nearest_keeps_the_backend_then_version_then_target(
    tree: Tree, rules: list[str], refused: str, nearest: str
) -> None:
    matrix = ruled(tree, *rules)
    near = matrix.nearest_working(matrix.by_id[f"pytorch-{refused}"])
    assert near is not None
    assert near.id == f"pytorch-{nearest}"


def test_fallback_targets_skip_unpublished_targets(tree: Tree) -> None:
    matrix = tree.load()
    assert matrix.fallback_targets(matrix.recipes.targets["v1"]) == ["n1", "generic"]
    tree.edit(MATRIX, "targets: [generic, n1, v1,", "targets: [generic, v1,")
    matrix = tree.load()
    assert matrix.fallback_targets(matrix.recipes.targets["v1"]) == ["generic"]


def test_new_target_is_a_recipe_and_a_name_in_the_matrix(tree: Tree) -> None:
    recipe = (tree.root / "recipes/targets/n1.yaml").read_text()
    recipe = recipe.replace("name: n1", "name: kunpeng920").replace("Arm Neoverse N1", "HiSilicon Kunpeng 920")
    recipe = re.sub(r"aliases: .*", "aliases: [taishan-v110]", recipe).replace("0x41:0xd0c", "0x48:0xd01")
    (tree.root / "recipes/targets/kunpeng920.yaml").write_text(recipe)
    tree.edit(MATRIX, "targets: [generic,", "targets: [generic, kunpeng920,")
    combo_plan = tree.plan("pytorch-2.10.0-kunpeng920-acl")
    assert b"HiSilicon Kunpeng 920" in combo_plan.files["Dockerfile"]
    assert combo_plan.tag == "pytorch:2.10.0-kunpeng920-acl"


def test_new_version_is_an_entry_and_a_lock(tree: Tree) -> None:
    recipe = (tree.root / PYTORCH).read_text()
    entry = re.search(r'  "2\.9\.1":\n(?:    .*\n)+', recipe)
    assert entry
    tree.edit(PYTORCH, entry[0], entry[0] + entry[0].replace("2.9.1", "2.9.0"))
    tree.edit(MATRIX, '"2.9.1"]', '"2.9.1", "2.9.0"]')
    old = locks.wheel_lock_path(tree.root, "pytorch", "2.9.1").read_text()
    locks.wheel_lock_path(tree.root, "pytorch", "2.9.0").write_text(old.replace("torch==2.9.1", "torch==2.9.0"))
    combo_plan = tree.plan("pytorch-2.9.0-n1-acl")
    assert b"torch==2.9.0" in combo_plan.files["requirements.txt"]


def test_new_backend_is_a_recipe_and_a_file_of_the_framework(tree: Tree) -> None:
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


def test_new_framework_is_a_recipe_a_lock_and_workloads(tree: Tree) -> None:
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
    combo_plan = tree.plan("other-2.10.0-n1-acl")
    programs = [name for name in combo_plan.files if name.endswith(("/pytorch.py", "/other.py"))]
    folders = ["frameworks", *tree.load().by_id["other-2.10.0-n1-acl"].workloads]
    assert sorted(programs) == sorted(f"image/opt/armwright/smoke/{folder}/other.py" for folder in folders)


def test_backend_without_a_file_of_the_framework_is_refused(tree: Tree) -> None:
    (tree.root / "recipes/backends/onednn.yaml").write_text("name: onednn\ntitle: oneDNN without ACL\n")
    tree.edit(MATRIX, "backends: [openblas,", "backends: [onednn, openblas,")
    refusal = tree.load().by_id["pytorch-2.10.0-n1-onednn"].refusal
    assert refusal == "PyTorch has no recipe for the backend onednn"


def test_rule_that_names_no_axis_is_refused(tree: Tree) -> None:
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
