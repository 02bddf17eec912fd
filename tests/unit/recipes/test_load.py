"""Loading recipes/: every mistake is reported at its place, and the package names no framework or target."""

from __future__ import annotations

import ast
import re

import pytest

from armwright.matrix.matrix import Matrix
from tests.support import ROOT, Tree

PYTORCH = "recipes/frameworks/pytorch/framework.yaml"
ACL, OPENBLAS = (f"recipes/frameworks/pytorch/{name}.yaml" for name in ("acl", "openblas"))
N1, M1, THUNDERX2 = (f"recipes/targets/{name}.yaml" for name in ("n1", "m1", "thunderx2"))
DEBIAN = "recipes/bases/debian-13.yaml"
WRITTEN = ("backends", "bases", "frameworks", "hosts", "targets")  # folders of recipes/ that people write


def test_recipes_load_with_a_reason_for_every_drop(matrix: Matrix) -> None:
    assert {"generic", "n1", "v1", "a64fx"} <= set(matrix.recipes.targets)
    assert {"openblas", "acl"} <= set(matrix.recipes.backends)
    for framework in matrix.recipes.frameworks.values():
        assert all(len(drop.reason) >= 8 for drop in framework.drop)
        assert all(version in framework.versions for version in matrix.axes.frameworks[framework.name])


def test_floor_of_a_fallback_is_part_of_the_floor(matrix: Matrix) -> None:
    fallbacks = {name: target.fallback for name, target in matrix.recipes.targets.items() if target.fallback}
    assert fallbacks
    for name, fallback in fallbacks.items():
        assert set(matrix.recipes.targets[fallback].floor) < set(matrix.recipes.targets[name].floor)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (N1, "title:", "titel:", ":2:1: unknown key 'titel': did you mean 'title'?"),
        (N1, "name: n1", "name: N1", ":1:7: 'name'"),
        (N1, "name: n1", "name: n2", ":1:7: the recipe 'n2' must be in n2.yaml"),
        (N1, "cpu: neoverse-n1", "cpu: max", "the model 'max' is not allowed"),
        (N1, "cpu: neoverse-n1", "cpu: 'max,sve=off'", "the model 'max' is not allowed"),
        (N1, "cpu: neoverse-n1", "cpu: 'neoverse-n1 -d all'", "'cpu'"),
        (N1, "fallback: generic", "fallback: genric", "unknown name 'genric': did you mean 'generic'?"),
        (N1, "fallback: generic", "fallback: v1", "the floor of 'v1' must be a part of the floor of 'n1'"),
        (N1, "fallback: generic", "fallback: n1", "the floor of 'n1' must be a part of the floor of 'n1'"),
        (N1, 'parts: ["0x41:0xd0c"]', "parts: [0x41]", "'parts' must be text: put 0x41 in quotes"),
        (N1, "note: an exact model", 'note: "an exact\\nRUN curl evil"', "'note'"),
        (N1, "match: exact", "match: superset", "'match: superset' needs a baseline CPU"),
        (THUNDERX2, "match: superset", "match: subset", "'match: superset' needs a baseline CPU"),
        (THUNDERX2, "cpu: cortex-a72", "cpu: max", "the model 'max' is not allowed"),
        (N1, "flags: -mcpu=neoverse-n1", "flags: '-mcpu=n1; id'", "'flags'"),
        (N1, "acl: arch=armv8.2-a", "acl: arch=armv8.2-a debug=1", "'acl'"),
        (M1, "value: NEOVERSEN1", "value: '{cpus}'", "a value that depends on the machine cannot be fixed"),
        (M1, "name: OPENBLAS_CORETYPE", "name: OMP_NUM_THREADS", "a framework sets OMP_NUM_THREADS already"),
        (N1, "title: Arm Neoverse N1", 'title: "Arm\\nRUN curl evil"', ":2:8: 'title'"),
        (DEBIAN, 'python: "3.13"', "python: 3.13", ":3:9: 'python' must be text: put 3.13 in quotes"),
        (DEBIAN, "site: /usr", "site: usr", "'site'"),
        (DEBIAN, "site: /usr", "site: /../usr", "'..' is not allowed in a path"),
        (DEBIAN, "reason: the interpreter", 'reason: "the\\ninterpreter"', "'reason'"),
        (DEBIAN, "reason: the interpreter", "reason: short", "'reason'"),
        (DEBIAN, "@sha256:", "@sha256:0", "'image'"),
        (PYTORCH, "base: debian-13", "base: debian-31", "unknown name 'debian-31': did you mean 'debian-13'?"),
        (PYTORCH, "provider: wheel", "provider: weel", "'provider'"),
        (PYTORCH, "requires: [torch==2.10.0, numpy]", "requires: ['torch @ https://x']", "'requires'"),
        (PYTORCH, "requires: [torch==2.10.0, numpy]", "requires: [--pre]", "'requires'"),
        (PYTORCH, "name: OPENBLAS_NUM_THREADS", "name: TF_X\n    vlaue: x", "unknown key 'vlaue'"),
        (ACL, "targets: [a64fx]", "targets: [a64f]", "unknown name 'a64f': did you mean 'a64fx'?"),
        (ACL, 'versions: ["2.5.1"]', 'versions: ["2.5.2"]', "unknown version '2.5.2': did you mean '2.5.1'?"),
        (ACL, "name: ONEDNN_DEFAULT_FPMATH_MODE", "name: 'A B'", "'name'"),
        (ACL, "value: BF16", "value: 'BF16; true'", "'value'"),
        (ACL, "optional: true", "optional: 'true'", "'optional'"),
        (ACL, "  profiler:", "  profilr:", "'profilr'"),
        (ACL, "    convolution:\n      - id: convolution-fp32", "    conv?:\n      - id: convolution-fp32", "'conv?'"),
        (ACL, "dtypes: [fp32]", "dtypes: [fp64]", "'dtypes'"),
        (ACL, "dtypes: [fp32]", "dtypes: []", "'dtypes'"),
        (ACL, "types: f32", "types: 'f32; id'", "'types'"),
        (ACL, "lacks: [bf16]", "lacks: bf16", "'lacks'"),
        (ACL, "    convolution:\n", '    "conv*":\n', ":34:9: a rule for several operations cannot"),
        (ACL, "  fp16:\n", "  fp61:\n", "'fp61'"),
        (ACL, "    fast: []\n    note: oneDNN", "    quick: []\n    note: oneDNN", "unknown key 'quick'"),
        (OPENBLAS, "    runs: false\n    note: bf16-fast", "    note: bf16-fast", "does not name the variable"),
        (OPENBLAS, "overlay:", "environment:\n  - {name: OMP_NUM_THREADS, value: '1', reason: some reason}\noverlay:",
         ":3:12: the framework sets OMP_NUM_THREADS already"),
        (ACL, "id: convolution-bf16\n        dtypes: [bf16]\n        needs", "id: convolution-fp32\n        needs",
         ":39:13: another rule has the id 'convolution-fp32'"),
        (PYTORCH, "drop:\n", "drop:\n  - {paths: ['numpy-*.dist-info'], reason: only a test}\n",
         "'drop' removes numpy-*.dist-info, but others declare that they require the distribution"),
        (ACL, "          - id: matmul-bf16\n", "          - id: matmul-bf61\n",
         "'matmul-bf61' replaces no rule: did you mean 'matmul-bf16'?"),
        (ACL, "          - id: matmul-bf16\n", "          - id: convolution-bf16-fast-math\n",
         "'convolution-bf16-fast-math' is a rule for convolution by onednn, not for matmul"),
        (ACL, 'versions: ["2.10.0", "2.9.1"]', 'versions: ["2.10.0", "2.5.1"]',
         "an earlier override replaces 'convolution-fp32' for the same images"),
    ],
)  # fmt: skip
def test_mistake_in_a_recipe_is_reported_at_its_place(tree: Tree, file: str, old: str, new: str, message: str) -> None:
    tree.edit(file, old, new)
    mistakes = tree.mistakes()
    assert any(mistake.startswith(f"{file}:") and message in mistake for mistake in mistakes), mistakes


@pytest.mark.parametrize("taken", ["graviton3", "v1"])
def test_name_of_another_target_is_refused(tree: Tree, taken: str) -> None:
    tree.edit(N1, "graviton2", taken)
    assert tree.mistakes() == [f"recipes/targets/v1.yaml:3:10: '{taken}' already means target 'n1'"]


@pytest.mark.parametrize(
    "path",
    ["../etc", "torch/../../etc", "/etc/passwd", "a b", "$(id)", "`id`", "a;b", "a|b", "a&b", "a>b", "'a'", "a\\\\",
     "~", "{a,b}", "-rf", "--no-preserve-root", "a//b", "a/", "", "a\\nRUN b"],
)  # fmt: skip
def test_glob_is_relative_and_without_shell_syntax(tree: Tree, path: str) -> None:
    tree.edit(PYTORCH, "paths: [torch/test]", f'paths: ["{path}"]')
    assert any(f"{PYTORCH}:" in mistake and "'paths'" in mistake for mistake in tree.mistakes())


def test_mistakes_of_several_recipes_are_reported_together(tree: Tree) -> None:
    tree.edit(PYTORCH, "title:", "titel:")
    tree.edit(N1, "title:", "titel:")
    tree.edit(DEBIAN, 'python: "3.13"', "python: 3.13")
    files = [mistake.split(":")[0] for mistake in tree.mistakes()]
    assert files == [DEBIAN, PYTORCH, PYTORCH, N1, N1]  # each: 'title' is missing, and 'titel' is unknown


def test_file_of_an_unknown_backend_is_refused(tree: Tree) -> None:
    (tree.root / ACL).rename(tree.root / "recipes/frameworks/pytorch/acls.yaml")
    (mistake,) = tree.mistakes()
    place = "recipes/frameworks/pytorch/acls.yaml:2:1"
    assert mistake.startswith(f"{place}: unknown backend 'acls': did you mean 'acl'? allowed: acl, ")


def test_framework_outside_a_folder_is_refused(tree: Tree) -> None:
    (tree.root / "recipes/frameworks/other.yaml").write_text("name: other\n")
    assert tree.mistakes() == [
        "recipes/frameworks/other.yaml:1:1: a framework is a folder: move this file to other/framework.yaml"
    ]


def test_framework_without_backends_is_refused(tree: Tree) -> None:
    for file in (tree.root / "recipes/frameworks/pytorch").glob("[!f]*.yaml"):
        file.unlink()
    assert any("the framework has no backend" in mistake for mistake in tree.mistakes())


def test_rule_that_accepts_a_reference_kernel_says_it_is_slow(matrix: Matrix) -> None:
    for combo in (combo for combo in matrix.combos if combo.is_known_to_work):
        support = combo.framework_backend.dtype_support(combo.target, combo.version)
        states = {dtype["name"]: dtype["state"] for dtype in support}
        for rule in combo.framework_backend.kernel_rules(combo.target, combo.version):
            accepted = [pattern for pattern in rule.implementations if rule.source == "onednn"]
            assert not {"*", "gemm:*", "ref*", "*:any"} & set(accepted)
            if any("ref" in pattern for pattern in accepted):
                assert rule.reason.endswith("correct but slow"), rule
                heavy = rule.operation in {"convolution", "matmul", "inner_product"}
                assert not heavy or {states[dtype] for dtype in rule.dtypes or states} == {"slow"}, rule
            else:  # plain C++ is accepted only where it moves or compares numbers
                light = rule.operation in {"reorder", "pooling", "sum"}
                assert light or not any(":any" in pattern for pattern in accepted), rule


def test_lines_of_data_are_at_most_120_characters_wide() -> None:
    files = [ROOT / "matrix.yaml", *(path for name in WRITTEN for path in (ROOT / "recipes" / name).rglob("*.yaml"))]
    wide = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 120
    ]
    assert len(files) > 10
    assert wide == []


def literals(text: str) -> list[tuple[int, str]]:
    """Return the string literals of a module with their lines, without docstrings."""
    tree = ast.parse(text)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def test_literals_are_found_without_docstrings() -> None:
    assert literals('"""pytorch"""\ndef f():\n    """n1"""\n    return "v1"\nx = f"a{1}b"\n') == [
        (4, "v1"),
        (5, "a"),
        (5, "b"),
    ]


_INTERFACE = re.compile(r"/v2/|simple\.v1")  # paths of registries and package indexes, not the CPU v1 or v2


def test_package_code_names_no_framework_or_target(matrix: Matrix) -> None:
    recipes = matrix.recipes
    names = {*recipes.names("frameworks"), *recipes.names("targets")}
    for framework in recipes.frameworks.values():
        names |= {framework.module, framework.distribution}
    names -= {"aarch64", "arm64"}  # aliases of a target, and also names of the architecture
    pattern = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, sorted(names)))})(?![\w-])", re.IGNORECASE)
    named = [
        f"{path.name}:{line}: {text!r}"
        for path in sorted((ROOT / "armwright").glob("*.py"))
        for line, text in literals(path.read_text(encoding="utf-8"))
        if pattern.search(_INTERFACE.sub("", text))
    ]
    assert not named
