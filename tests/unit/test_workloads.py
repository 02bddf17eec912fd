"""Workloads that share another one's digits, and the files of TensorFlow 1.x models, which hold the LeNet's weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import worker

from armwright.plan import HOME, Plan, _read_scripts
from tests.support import ROOT, Tree

N1 = "pytorch-2.10.0-n1-acl"
SMOKE = ROOT / "scripts" / "smoke"
MODELS = ("frozengraph/frozen.pb", "savedmodel/model/variables/variables.data-00000-of-00001")


Weight = npt.NDArray[np.float32]


class Kit:
    """A framework in numpy."""

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
        "def forward(weights, images):\n    return weights['fc3.bias'] + images.sum(axis=(1, 2, 3))[:, None]\n"
    )
    (folder / "other.py").write_text("")
    (folder / "model/saved.pb").write_bytes(b"model")
    (folder / "model/variables/variables.data-00000-of-00001").write_bytes(b"weights")
    (folder / "__pycache__/pytorch.cpython-313.pyc").write_bytes(b"")
    return tree


def smoke_files(one: Plan) -> set[str]:
    head = f"image/{HOME}/smoke/"
    return {name.removeprefix(head) for name in one.files if name.startswith(head)}


@pytest.mark.parametrize("workloads", ["[lenet, second]", "[second]"])
def test_an_image_has_every_file_of_a_workload_and_of_the_one_it_shares_with(sharing: Tree, workloads: str) -> None:
    sharing.edit("recipes/frameworks/pytorch.yaml", "workloads: [lenet]", f"workloads: {workloads}")
    found = smoke_files(sharing.plan(N1))
    assert {name for name in found if name.startswith("second/")} == {
        "second/manifest.json", "second/pytorch.py", "second/model/saved.pb",
        "second/model/variables/variables.data-00000-of-00001",
    }  # fmt: skip
    shared = {name for name in found if name.startswith("lenet/")}
    assert shared >= {
        f"lenet/{name}" for name in ("weights.npz", "inputs.npz", "expected.npz", "manifest.json", "prepare.py")
    }
    assert ("lenet/pytorch.py" in shared) == ("lenet" in workloads)


def test_one_changed_byte_of_a_model_moves_the_digest_and_is_known_to_the_image(sharing: Tree) -> None:
    sharing.edit("recipes/frameworks/pytorch.yaml", "workloads: [lenet]", "workloads: [lenet, second]")
    before = sharing.plan(N1)
    (sharing.root / "scripts/smoke/second/model/saved.pb").write_bytes(b"Model")
    _read_scripts.cache_clear()  # one process plans a tree that does not change
    assert before.inputs != sharing.plan(N1).inputs
    known = json.loads(before.files[f"image/{HOME}/image.json"])["smoke"]["files"]
    assert "smoke/second/model/saved.pb" in known


def test_a_sharing_workload_is_held_against_the_other_one_s_answers(
    sharing: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke = sharing.root / "scripts" / "smoke"
    monkeypatch.setattr(worker, "HERE", smoke)
    second = worker.run("second", "pytorch", Kit())  # type: ignore[arg-type]
    assert second["minimum_accuracy"] == 0.97
    assert second["worst"] > 1
    right = "import numpy\ndef forward(weights, images):\n    return numpy.load({!r})['logits']\n"
    (smoke / "second/pytorch.py").write_text(right.format(str(smoke / "lenet/expected.npz")))
    second = worker.run("second", "pytorch", Kit())  # type: ignore[arg-type]
    assert (second["samples"], second["worst"]) == (360, 0.0)


def in_1x_order(name: str, array: Weight) -> Weight:
    """Turn a weight as 1.x wants it, in another way than the script that wrote the files."""
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
    """The full comparison needs the wheel of 1.15.5; this is what 2.15.1 would have added."""
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


def test_a_sharing_workload_names_one_that_is_there() -> None:
    shared: dict[str, str] = {}
    for path in SMOKE.glob("*/manifest.json"):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        assert manifest["name"] == path.parent.name
        shared[path.parent.name] = manifest.get("shares", path.parent.name)
    assert {"frozengraph": "lenet", "savedmodel": "lenet"}.items() <= shared.items()
    assert all((Path(SMOKE, name) / "expected.npz").is_file() for name in shared.values())
