"""The contract of all workloads, workloads that share arrays, and the models of TensorFlow 1.x."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import worker

from armwright.matrix.matrix import Matrix
from armwright.plan.image_facts import HOME, _read_scripts
from armwright.plan.plan import Plan
from armwright.recipes.patterns import DTYPES
from tests.support import ROOT, Tree

N1 = "pytorch-2.10.0-n1-acl"
SMOKE = ROOT / "scripts" / "smoke"
MODELS = ("frozengraph/frozen.pb", "savedmodel/model/variables/variables.data-00000-of-00001")


Weight = npt.NDArray[np.float32]


class Kit:
    """A framework in numpy."""

    PROFILED = frozenset({"convolution"})

    def profiled(self, call: Callable[[], Any]) -> tuple[Any, dict[str, dict[str, int]]]:
        return call(), {}


@pytest.fixture
def sharing(tree: Tree) -> Tree:
    """The project with a second workload, `second`, over the data of lenet."""
    folder = tree.root / "scripts/smoke/second"
    (folder / "model/variables").mkdir(parents=True)
    (folder / "__pycache__").mkdir()
    (folder / "manifest.json").write_text('{"name": "second", "shares": "lenet"}\n')
    (folder / "pytorch.py").write_text(
        "def forward(weights, inputs, dtype):\n"
        "    return {'logits': weights['fc3.bias'] + inputs['images'].sum(axis=(1, 2, 3))[:, None]}\n"
    )
    (folder / "other.py").write_text("")
    (folder / "model/saved.pb").write_bytes(b"model")
    (folder / "model/variables/variables.data-00000-of-00001").write_bytes(b"weights")
    (folder / "__pycache__/pytorch.cpython-313.pyc").write_bytes(b"")
    return tree


def list_workloads(tree: Tree, names: str) -> None:
    """Make PyTorch run only these workloads."""
    path = tree.root / "recipes/frameworks/pytorch/framework.yaml"
    text, replaced = re.subn(
        r"^workloads: \[.*\]$", f"workloads: {names}", path.read_text(), count=1, flags=re.MULTILINE
    )
    assert replaced == 1
    path.write_text(text)


def smoke_files(plan: Plan) -> set[str]:
    head = f"image/{HOME}/smoke/"
    return {name.removeprefix(head) for name in plan.files if name.startswith(head)}


@pytest.mark.parametrize("workloads", ["[lenet, second]", "[second]"])
def test_image_has_all_files_of_shared_workloads(sharing: Tree, workloads: str) -> None:
    list_workloads(sharing, workloads)
    files = smoke_files(sharing.plan(N1))
    assert {name for name in files if name.startswith("second/")} == {
        "second/manifest.json", "second/pytorch.py", "second/model/saved.pb",
        "second/model/variables/variables.data-00000-of-00001",
    }  # fmt: skip
    shared = {name for name in files if name.startswith("lenet/")}
    assert shared >= {
        f"lenet/{name}" for name in ("weights.npz", "inputs.npz", "expected.npz", "manifest.json", "workload.py")
    }
    assert ("lenet/pytorch.py" in shared) == ("lenet" in workloads)


def test_changed_model_byte_changes_the_digest(sharing: Tree) -> None:
    list_workloads(sharing, "[lenet, second]")
    before = sharing.plan(N1)
    (sharing.root / "scripts/smoke/second/model/saved.pb").write_bytes(b"Model")
    _read_scripts.cache_clear()  # one process plans a tree that does not change
    assert before.inputs != sharing.plan(N1).inputs
    known = json.loads(before.files[f"image/{HOME}/image.json"])["smoke"]["files"]
    assert "smoke/second/model/saved.pb" in known


def test_skipped_dialect_needs_no_program(sharing: Tree) -> None:
    list_workloads(sharing, "[lenet, second]")
    folder = sharing.root / "scripts/smoke/second"
    (folder / "pytorch.py").unlink()
    skip = {"dialect": "pytorch", "reason": "its operators are not there"}
    (folder / "manifest.json").write_text(json.dumps({"name": "second", "shares": "lenet", "skips": [skip]}))
    _read_scripts.cache_clear()
    assert {"second/manifest.json", "lenet/pytorch.py"} <= smoke_files(sharing.plan(N1))


def test_sharing_workload_is_compared_with_the_shared_answers(sharing: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    smoke = sharing.root / "scripts" / "smoke"
    monkeypatch.setattr(worker, "HERE", smoke)
    second = worker.run("second", "fp32", "pytorch", Kit())  # type: ignore[arg-type]
    assert (second["metric"]["name"], second["metric"]["minimum"]) == ("accuracy", 0.97)
    assert second["worst"] > 1
    right = "import numpy\ndef forward(weights, inputs, dtype):\n    return {{'logits': numpy.load({!r})['logits']}}\n"
    (smoke / "second/pytorch.py").write_text(right.format(str(smoke / "lenet/expected.npz")))
    second = worker.run("second", "fp32", "pytorch", Kit())  # type: ignore[arg-type]
    assert (second["samples"], second["worst"]) == (360, 0.0)


def in_1x_order(name: str, array: Weight) -> Weight:
    """Convert a weight to the layout of 1.x, by a different method from the script that wrote the files."""
    if name == "fc1.weight":
        array = array.reshape(120, 16, 5, 5)
    turned: Weight = np.einsum("ochw->hwco", array) if array.ndim == 4 else array.T
    return turned


@pytest.mark.parametrize("file", MODELS)
def test_the_1x_models_hold_every_weight_of_the_lenet(file: str) -> None:
    data = (SMOKE / file).read_bytes()
    with np.load(SMOKE / "lenet/weights.npz", allow_pickle=False) as weights:
        missing = [name for name, array in weights.items() if in_1x_order(name, array).tobytes() not in data]
    assert missing == []


def test_the_1x_models_hold_nothing_that_1x_does_not_know() -> None:
    """The full comparison needs the wheel of 1.15.5; these are the operators that 2.15.1 would have added."""
    for path in ("frozengraph/frozen.pb", "savedmodel/model/saved_model.pb"):
        data = (SMOKE / path).read_bytes()
        assert b"Conv2D" in data
        assert b"serve" in data or path.startswith("frozen")
        for later in (b"VarHandleOp", b"ReadVariableOp", b"StatefulPartitionedCall", b"_FusedConv2D"):
            assert later not in data
    assert b"explicit_paddings" not in (SMOKE / MODELS[0]).read_bytes().partition(b"MaxPool")[2].partition(b"Conv2D")[0]


def test_the_1x_models_stay_small() -> None:
    files = [path for name in ("frozengraph", "savedmodel") for path in (SMOKE / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files if path.suffix != ".pyc") < 600_000


# --- the contract that every workload keeps: docs/how-to/add-a-workload.md

MANIFESTS = {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in SMOKE.glob("*/manifest.json")}
WHOLE = sorted(name for name, manifest in MANIFESTS.items() if "shares" not in manifest)
DIALECTS = {"pytorch", "tensorflow", "tensorflow1"}
TEXT = r"\S.{7,}"


def matched(value: Any, **fields: Any) -> None:  # noqa: ANN401 - JSON
    """Check an object's fields: a type, or a pattern of a text; a name that ends with `_` is optional."""
    assert set(value) <= {name.rstrip("_") for name in fields}
    for name, kind in fields.items():
        if name.rstrip("_") in value or not name.endswith("_"):
            actual = value[name.rstrip("_")]
            assert re.fullmatch(kind, actual, re.DOTALL) if isinstance(kind, str) else isinstance(actual, kind), name


def skips(manifest: dict[str, Any]) -> None:
    for skip in manifest.get("skips", []):
        matched(
            skip, dialect_="|".join(sorted(DIALECTS)), dtypes_=list, state_="fast|slow", backend_="[a-z]+", reason=TEXT
        )
        assert "dtypes" in skip or set(skip) == {"dialect", "reason"}  # or its module would be left out
        assert set(skip.get("dtypes", [])) <= set(DTYPES)


@pytest.mark.parametrize("name", WHOLE)
def test_manifest_has_a_description_and_tolerances(name: str) -> None:
    manifest = MANIFESTS[name]
    matched(
        manifest, name=re.escape(name), title=TEXT, task=TEXT, data=TEXT, metric=dict, operations=list, dtypes=dict,
        skips_=list,
    )  # fmt: skip
    matched(manifest["metric"], name=r"\S.*", minimum=(int, float), reason=TEXT)
    assert all(re.fullmatch(r"[a-z_]+", operation) for operation in manifest["operations"])
    assert "fp32" in manifest["dtypes"]
    assert set(manifest["dtypes"]) <= set(DTYPES)
    for tolerance in manifest["dtypes"].values():
        number = (int, float)
        matched(tolerance, absolute=number, relative=number, reason=TEXT, minimum_=number, samples_=int)
        assert tolerance["absolute"] >= 0 <= tolerance["relative"] < 1
        assert tolerance.get("samples", 1) >= 1
    skips(manifest)


@pytest.mark.parametrize("name", WHOLE)
def test_every_data_type_has_a_tolerance_or_a_skip_reason(name: str) -> None:
    skipped = [skip["dtypes"] for skip in MANIFESTS[name].get("skips", []) if set(skip) == {"dtypes", "reason"}]
    given = [*MANIFESTS[name]["dtypes"], *itertools.chain.from_iterable(skipped)]
    assert sorted(given) == sorted(DTYPES)


@pytest.mark.parametrize("name", WHOLE)
def test_expected_answers_reach_the_metric_in_every_data_type(name: str) -> None:
    folder, manifest = SMOKE / name, MANIFESTS[name]
    workload = worker.load(folder / "workload.py")
    for dtype, tolerance in manifest["dtypes"].items():
        few = tolerance.get("samples")
        inputs, expected = (worker.load_arrays(folder / f"{name}.npz", few) for name in ("inputs", "expected"))
        assert all(array.dtype == np.float64 or array.dtype.kind in "iu" for array in expected.values())
        assert all(np.isfinite(array).all() for array in expected.values())
        least = tolerance.get("minimum", manifest["metric"]["minimum"])
        assert 0 < least <= workload.score(expected, inputs), dtype
        assert worker.compare(expected, expected, tolerance) == (0.0, 0.0)


@pytest.mark.parametrize("name", WHOLE)
def test_prepare_is_deterministic_and_keeps_its_inputs(name: str) -> None:
    folder = SMOKE / name
    inputs, before = (worker.load_arrays(folder / "inputs.npz") for _ in range(2))
    prepare = worker.load(folder / "workload.py").prepare
    first, second = prepare(inputs), prepare(inputs)
    assert first
    for array, again in zip(first.values(), second.values(), strict=True):
        assert array.dtype == np.float32 or array.dtype.kind in "iu"
        assert array.tobytes() == again.tobytes()
    assert {key: array.tobytes() for key, array in inputs.items()} == {
        key: array.tobytes() for key, array in before.items()
    }


def test_sharing_workload_names_another_and_has_no_arrays() -> None:
    sharing = {name: manifest for name, manifest in MANIFESTS.items() if "shares" in manifest}
    assert {"frozengraph", "savedmodel"} <= set(sharing)
    for name, manifest in sharing.items():
        matched(manifest, name=re.escape(name), title=TEXT, task=TEXT, shares="|".join(WHOLE), skips_=list)
        skips(manifest)
        assert not list((SMOKE / name).glob("*.npz"))


def test_listed_workloads_have_a_program_or_a_skip(matrix: Matrix) -> None:
    for combo in matrix.combos:
        for name in combo.workloads:
            skipped = any(
                skip.get("dialect") == combo.dialect and "dtypes" not in skip
                for skip in MANIFESTS[name].get("skips", [])
            )
            assert (SMOKE / name / f"{combo.dialect}.py").is_file() != skipped, (combo.id, name)


def test_all_workloads_together_stay_small() -> None:
    files = [path for name in MANIFESTS for path in (SMOKE / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files if path.suffix != ".pyc") < 3_000_000
