"""The plan: pure, the same everywhere, and its digest moves when, and only when, the image would."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan, Source, make_plan
from armwright.system.errors import InputError
from tests.support import ROOT, Tree, parse_stages

N1 = "pytorch-2.10.0-n1-acl"
PYTORCH = "recipes/frameworks/pytorch/framework.yaml"
ACL = "recipes/frameworks/pytorch/acl.yaml"
HOME = "image/opt/armwright"


def planned(matrix: Matrix, combo: str) -> Plan:
    return make_plan(matrix, matrix.by_id[combo])


def described(plan: Plan) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(plan.files[f"{HOME}/image.json"])
    return document


def test_the_digest_is_the_same_in_any_folder_and_environment(matrix: Matrix, tree: Tree, tmp_path: Path) -> None:
    for path in tree.root.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    code = (
        "import sys; from pathlib import Path; from armwright.matrix.matrix import load_matrix; "
        "from armwright.plan.plan import make_plan; "
        ""
        "loaded = load_matrix(Path(sys.argv[1])); print(make_plan(loaded, loaded.by_id[sys.argv[2]]).inputs)"
    )
    environment = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "LD_LIBRARY_PATH"}},
        "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C", "HOME": str(tmp_path),
        "SOURCE_DATE_EPOCH": "1", "PIP_INDEX_URL": "https://mirror.example/simple", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    command = [sys.executable, "-c", code, str(tree.root), N1]
    elsewhere = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert elsewhere.stdout.strip() == planned(matrix, N1).inputs


def test_a_digest_is_named_in_the_reference_and_not_in_the_tag(matrix: Matrix) -> None:
    plan = planned(matrix, N1)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", plan.inputs)
    assert plan.tag == "pytorch:2.10.0-n1-acl"
    assert plan.reference == f"pytorch:2.10.0-n1-acl-{plan.inputs[7:19]}"


def test_the_two_sources_of_a_base_give_two_digests(matrix: Matrix) -> None:
    combo = matrix.by_id[N1]
    assert make_plan(matrix, combo, "registry").inputs != make_plan(matrix, combo, "archive").inputs


MOVES = [
    ("scripts/entrypoint.py", "import", "import  "),
    ("scripts/machine.py", "import", "import  "),
    ("scripts/smoke/smoke.py", "import", "import  "),
    ("scripts/smoke/frameworks/pytorch.py", "import", "import  "),
    ("scripts/smoke/lenet/workload.py", "import", "import  "),
    ("scripts/smoke/runs.py", "import", "import  "),
    ("scripts/smoke/lenet/pytorch.py", "import", "import  "),
    ("scripts/smoke/lenet/manifest.json", "{", "{ "),
    ("dockerfiles/image.j2", "USER", "STOPSIGNAL SIGINT\nUSER"),
    ("dockerfiles/provider-wheel.j2", "uv pip install --quiet", "uv pip install --verbose"),
    ("recipes/locks/pytorch-2.10.0.txt", "==", "==9"),
    ("recipes/locks/debian-13.yaml", "created: '20", "created: '19"),
    (PYTORCH, "torch/test]", "torch/tests]"),
    (PYTORCH, '"*.so.*"', '"*.so.1"'),
    (PYTORCH, 'value: "{cpus}"', 'value: "2"'),
    (ACL, 'implementations: ["*:acl", acl]', 'implementations: ["*:acl"]'),
    (ACL, 'otherwise: "this CPU has no', 'otherwise: "the CPU has no'),
    (PYTORCH, "oneDNN: 3.7.1", "oneDNN: 3.7.2"),
    ("recipes/targets/n1.yaml", "title: ", "title: the "),
    ("recipes/targets/n1.yaml", "floor: [fp, ", "floor: [sve, fp, "),
    ("recipes/backends/acl.yaml", "title: ", "title: the "),
    ("recipes/bases/debian-13.yaml", "usr/share/man", "usr/share/men"),
]


@pytest.mark.parametrize(("file", "old", "new"), MOVES, ids=[f"{file}: {new[:20]!r}" for file, _, new in MOVES])
def test_what_changes_the_image_changes_its_digest(matrix: Matrix, tree: Tree, file: str, old: str, new: str) -> None:
    tree.edit(file, old, new)
    assert tree.plan(N1).inputs != planned(matrix, N1).inputs


def test_another_build_of_a_base_package_changes_the_digest(matrix: Matrix, tree: Tree) -> None:
    path = tree.root / "recipes/locks/debian-13.yaml"
    path.write_text(re.sub(r"(sha256: [0-9a-f]{60})[0-9a-f]{4}", r"\g<1>0000", path.read_text(), count=1))
    assert tree.plan(N1).inputs != planned(matrix, N1).inputs


@pytest.mark.parametrize("name", ["weights.npz", "expected.npz", "inputs.npz"])
def test_one_changed_byte_in_a_workload_changes_the_digest(matrix: Matrix, tree: Tree, name: str) -> None:
    path = tree.root / "scripts/smoke/lenet" / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert tree.plan(N1).inputs != planned(matrix, N1).inputs


STAYS = [
    ("matrix.yaml", "illegal instruction", "unlawful instruction"),
    ("matrix.yaml", "targets: [generic, n1,", "targets: [n1, generic,"),
    ("recipes/targets/v1.yaml", "title: ", "title: the "),
    ("recipes/targets/n1.yaml", "graviton2", "graviton2x"),
    ("recipes/targets/n1.yaml", "note: ", "note: nearly "),
    ("recipes/backends/openblas.yaml", "title: ", "title: the "),
    ("recipes/locks/pytorch-2.9.1.txt", "==", "==9"),
    ("scripts/overlays/pytorch-openblas/armwright_openblas.py", "import", "import  "),
    (ACL, 'implementations: ["brgconv*:sve_512"]', 'implementations: ["brgconv:*"]'),
]


@pytest.mark.parametrize(("file", "old", "new"), STAYS, ids=[f"{file}: {new[:20]!r}" for file, _, new in STAYS])
def test_what_does_not_change_the_image_leaves_its_digest(
    matrix: Matrix, tree: Tree, file: str, old: str, new: str
) -> None:
    tree.edit(file, old, new)
    assert tree.plan(N1).inputs == planned(matrix, N1).inputs


def test_a_new_version_leaves_the_digests_of_the_others(matrix: Matrix, tree: Tree) -> None:
    recipe = (tree.root / PYTORCH).read_text()
    entry = re.search(r'  "2\.10\.0":\n(?:    .*\n)+', recipe)
    assert entry
    tree.edit(PYTORCH, entry[0], entry[0].replace("2.10.0", "2.10.1") + entry[0])
    tree.edit("matrix.yaml", '["2.10.0",', '["2.10.1", "2.10.0",')
    tree.edit("matrix.yaml", '"==2.10.0"', '">=2.10"')
    shutil.copy(tree.root / "recipes/locks/pytorch-2.10.0.txt", tree.root / "recipes/locks/pytorch-2.10.1.txt")
    assert tree.load().newest("pytorch", "n1", "acl") is not None
    assert tree.plan("pytorch-2.10.0-v1-acl").inputs == planned(matrix, "pytorch-2.10.0-v1-acl").inputs


def test_the_image_describes_itself(matrix: Matrix) -> None:
    image = described(planned(matrix, N1))
    assert image["schema"] == 1
    assert image["combo"] == N1
    assert image["target"]["floor"] == matrix.recipes.targets["n1"].floor
    assert image["target"]["parts"] == ["0x41:0xd0c"]
    assert (image["python"], image["base"], image["provider"]) == ("3.13", "debian-13", "wheel")
    assert image["packages"]["torch"] == image["version"] == "2.10.0"
    assert image["backend"]["versions"]["OpenBLAS"] == "0.3.30"
    assert image["fast_math"]["feature"] == "bf16"
    assert {variable["name"] for variable in image["environment"]} >= {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
    assert image["smoke"]["workloads"] == matrix.recipes.frameworks["pytorch"].workloads


def test_the_image_describes_every_data_type_on_its_target(matrix: Matrix) -> None:
    def states(combo: str) -> dict[str, str]:
        dtypes = described(planned(matrix, combo))["dtypes"]
        assert all(dtype["note"] for dtype in dtypes)
        return {dtype["name"]: dtype["state"] for dtype in dtypes}

    everywhere = ["fp32", "bf16", "fp16", "int8", "bf16-fast-math"]
    assert list(states(N1)) == list(states("pytorch-2.10.0-v1-acl")) == everywhere
    assert (states(N1)["fp32"], states(N1)["bf16"], states(N1)["bf16-fast-math"]) == ("fast", "slow", "not run")
    assert (states("pytorch-2.10.0-v1-acl")["bf16"], states("pytorch-2.10.0-v1-openblas")["bf16"]) == ("fast", "slow")


def test_a_fixed_variable_is_in_the_image_and_its_entrypoint(tree: Tree) -> None:
    fixed = '  - {name: LEVEL, value: "9", fixed: true, reason: a test wants it}\n'
    recipe = tree.root / "recipes/targets/n1.yaml"
    recipe.write_text(recipe.read_text(encoding="utf-8") + f"environment:\n{fixed}", encoding="utf-8")
    plan = tree.plan(N1)
    assert "ENV LEVEL=9" in parse_stages(plan.files["Dockerfile"])[-1].instructions
    known = {"name": "LEVEL", "value": "9", "fixed": True, "reason": "a test wants it"}
    assert any(known.items() <= variable.items() for variable in described(plan)["environment"])
    variables = [step for step in parse_stages(plan.files["Dockerfile"])[-1].instructions if step.startswith("ENV")]
    assert not any("OMP_NUM_THREADS" in step for step in variables)  # it depends on the machine


def test_an_image_names_the_nearest_images_below_its_floor(
    matrix: Matrix,
) -> None:
    def images(combo: str) -> list[str]:
        return [fallback["image"] for fallback in described(planned(matrix, combo))["fallbacks"]]

    assert images(N1) == ["pytorch:2.9.1-generic-acl"]
    assert images("pytorch-2.10.0-v1-acl") == ["pytorch:2.10.0-n1-acl", "pytorch:2.9.1-generic-acl"]
    assert images("pytorch-2.9.1-v1-openblas") == ["pytorch:2.9.1-n1-openblas", "pytorch:2.9.1-generic-openblas"]
    assert images("pytorch-2.9.1-generic-acl") == []


def test_the_kernels_an_image_must_show_are_those_of_its_target(matrix: Matrix) -> None:
    def rules(combo: str, source: str, operation: str, dtype: str = "fp32") -> list[list[str]]:
        return [
            rule["implementations"]
            for rule in described(planned(matrix, combo))["smoke"]["kernels"]
            if (rule["source"], rule["operation"]) == (source, operation) and dtype in (rule["dtypes"] or [dtype])
        ]

    assert rules(N1, "onednn", "convolution") == [["*:acl", "acl"]]
    assert rules("pytorch-2.10.0-a64fx-acl", "onednn", "convolution") == [["brgconv*:sve_512"]]
    assert rules("pytorch-2.10.0-a64fx-acl", "openblas", "core") == [["a64fx", "armv8sve"]]
    assert rules("pytorch-2.10.0-n1-openblas", "onednn", "*") == [[]]
    assert rules(N1, "onednn", "convolution", "bf16") == []  # it has no bfloat16 instructions
    assert rules("pytorch-2.10.0-v1-acl", "onednn", "convolution", "bf16") == [["*:acl", "acl"]]
    kernels = described(planned(matrix, N1))["smoke"]["kernels"]
    assert not any("{" in str(rule["implementations"]) or {"needs", "lacks"} & rule.keys() for rule in kernels)


def test_the_image_knows_the_digest_of_every_file_that_proves_it(matrix: Matrix) -> None:
    plan = planned(matrix, N1)
    known = set(described(plan)["smoke"]["files"])
    ours = {name.removeprefix(f"{HOME}/") for name in plan.files if name.startswith(HOME)}
    assert known == ours - {"image.json"}
    assert {"entrypoint.py", "machine.py", "smoke/smoke.py", "smoke/kernels.py", "smoke/worker.py"} <= known
    assert {"smoke/onednn.py", "smoke/runs.py", "smoke/checks.py", "smoke/screen.py"} <= known
    assert {"smoke/lenet/weights.npz", "smoke/lenet/manifest.json", "smoke/lenet/pytorch.py"} <= known
    assert "smoke/lenet/workload.py" in known


def test_labels_say_what_the_image_is(matrix: Matrix) -> None:
    plan = planned(matrix, N1)
    labels = next(text for text in parse_stages(plan.files["Dockerfile"])[-1].instructions if text.startswith("LABEL"))
    for name, value in {
        "org.armwright.combo": N1,
        "org.armwright.target": "n1",
        "org.armwright.backend": "acl",
        "org.armwright.provider": "wheel",
        "org.armwright.floor": "fp,asimd,atomics,fphp,asimdhp,asimddp",
        "org.armwright.python": "3.13",
        "org.armwright.inputs": plan.inputs,
        "org.opencontainers.image.version": "2.10.0",
        "org.opencontainers.image.created": plan.lock.created,
        "org.opencontainers.image.title": "PyTorch 2.10.0 for Arm Neoverse N1",
    }.items():
        assert f'{name}="{value}"' in labels


@pytest.mark.parametrize("version", ["2.10.0", "2.9.1"])
@pytest.mark.parametrize("source", ["archive", "registry"])
def test_combos_of_a_version_share_the_base_and_the_packages(matrix: Matrix, version: str, source: Source) -> None:
    shared = set()
    for combo in matrix.combos:
        if combo.version == version and combo.refusal is None:
            plan = make_plan(matrix, combo, source)
            parts = parse_stages(plan.files["Dockerfile"])
            names = [stage.name for stage in parts]
            assert names.index("base") < names.index("packages") < names.index("own")
            before = parts[: names.index("own")]
            shared.add((repr(before), plan.files["requirements.txt"], plan.lock.created))
    assert len(shared) == 1


def test_a_backends_switch_is_only_in_the_site_directory(matrix: Matrix) -> None:
    combo = matrix.by_id["pytorch-2.10.0-n1-openblas"]
    for source, site in (
        ("archive", "usr/local/lib/python3.13/dist-packages"),
        ("registry", "usr/local/lib/python3.13/site-packages"),
    ):
        names = make_plan(matrix, combo, source).files  # type: ignore[arg-type]
        assert f"image/{site}/armwright_openblas.py" in names
        assert f"image/{site}/armwright_openblas-1.dist-info/entry_points.txt" in names
    assert not any("openblas" in name for name in planned(matrix, N1).files)


def test_byte_code_beside_an_overlay_never_becomes_an_input(matrix: Matrix, tree: Tree) -> None:
    combo = "pytorch-2.10.0-n1-openblas"
    cache = tree.root / "scripts/overlays/pytorch-openblas/__pycache__"
    cache.mkdir()
    (cache / "armwright_openblas.cpython-313.pyc").write_bytes(b"x")
    assert tree.plan(combo).inputs == planned(matrix, combo).inputs


def test_a_lock_of_another_version_is_refused(tree: Tree) -> None:
    shutil.copy(tree.root / "recipes/locks/pytorch-2.9.1.txt", tree.root / "recipes/locks/pytorch-2.10.0.txt")
    with pytest.raises(InputError, match=r"the lock of pytorch 2\.10\.0 pins torch 2\.9\.1"):
        tree.plan(N1)
