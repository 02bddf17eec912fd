"""TensorFlow's part of the smoke run, tested without TensorFlow: LeNet, library versions."""

from __future__ import annotations

import importlib.util
import io
import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import worker

from armwright.matrix.matrix import Matrix
from armwright.plan.plan import make_plan
from tests.support import ROOT

Array = npt.NDArray[Any]

SMOKE = ROOT / "scripts" / "smoke"
LENET = SMOKE / "lenet"
NEWEST, OLDER = "tensorflow-2.21.0-n1", "tensorflow-2.15.1-n1"


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def arrays(name: str) -> dict[str, Array]:
    with np.load(LENET / name, allow_pickle=False) as archive:
        return dict(archive)


# --- its operators in NumPy, images NHWC and kernels HWIO, and strict about everything else


def conv2d(images: Array, kernel: Array, *, strides: int, padding: str) -> Array:
    assert (strides, padding) == (1, "VALID")
    views = np.lib.stride_tricks.sliding_window_view(images, kernel.shape[:2], axis=(1, 2))
    maps: Array = np.einsum("nhwcij,ijco->nhwo", views, kernel)
    return maps


def max_pool2d(maps: Array, *, ksize: int, strides: int, padding: str) -> Array:
    assert (ksize, strides, padding) == (2, 2, "VALID")
    count, height, width, channels = maps.shape
    pooled: Array = maps.reshape(count, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))
    return pooled


class Answer(np.ndarray[Any, Any]):
    """An array with the interface of a tensor."""

    def numpy(self) -> Array:
        return np.asarray(self)


def in_numpy() -> ModuleType:
    module = ModuleType("tensorflow")
    nn = SimpleNamespace(conv2d=conv2d, max_pool2d=max_pool2d, bias_add=np.add, relu=lambda maps: np.maximum(maps, 0))
    vars(module).update(
        __file__="/nowhere/site/tensorflow/__init__.py", __version__="2.21.0", Tensor=np.ndarray, nn=nn,
        float32=np.float32, float16=np.float16, bfloat16=np.void, function=lambda call: call, reshape=np.reshape,
        cast=lambda array, number: np.asarray(array).astype(number).view(Answer), matmul=np.matmul,
    )  # fmt: skip
    return module


class Context:
    """Replaces tensorflow.python.eager.context: returns the graphs that ran while metadata was enabled."""

    def __init__(self) -> None:
        self.watching = False
        self.graphs: list[Any] = []

    def enable_run_metadata(self) -> None:
        self.watching = True

    def disable_run_metadata(self) -> None:
        self.watching = False

    def export_run_metadata(self) -> object:
        assert self.watching
        return SimpleNamespace(partition_graphs=self.graphs)


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Context:
    """Provide a module named tensorflow that computes with NumPy."""
    watched = Context()
    eager = ModuleType("tensorflow.python.eager")
    vars(eager)["context"] = watched
    monkeypatch.setitem(sys.modules, "tensorflow", in_numpy())
    monkeypatch.setitem(sys.modules, "tensorflow.python", ModuleType("tensorflow.python"))
    monkeypatch.setitem(sys.modules, "tensorflow.python.eager", eager)
    return watched


@pytest.fixture
def lenet(context: Context) -> ModuleType:
    del context
    return loaded(LENET / "tensorflow.py")


@pytest.fixture
def kit(context: Context) -> ModuleType:
    del context
    return loaded(SMOKE / "frameworks" / "tensorflow.py")


def worst(lenet: ModuleType, weights: Mapping[str, Array]) -> float:
    """Return the largest error from the expected logits as a multiple of the manifest's tolerance."""
    some = 60  # digits
    prepared = loaded(LENET / "workload.py").prepare({"images": arrays("inputs.npz")["images"][:some]})
    tolerance = json.loads((LENET / "manifest.json").read_text(encoding="utf-8"))["dtypes"]["fp32"]
    expected = {"logits": arrays("expected.npz")["logits"][:some]}
    return worker.compare(lenet.forward(weights, prepared, "fp32"), expected, tolerance)[1]


def test_the_lenet_computes_the_expected_logits(lenet: ModuleType) -> None:
    assert worst(lenet, arrays("weights.npz")) < 1 / 20


def test_lenet_computes_in_the_data_type_and_returns_fp32(lenet: ModuleType) -> None:
    prepared = loaded(LENET / "workload.py").prepare({"images": arrays("inputs.npz")["images"][:5]})
    answers = {dtype: lenet.forward(arrays("weights.npz"), prepared, dtype)["logits"] for dtype in ("fp32", "fp16")}
    assert {answer.dtype for answer in answers.values()} == {np.dtype(np.float32)}
    assert 1e-4 < np.abs(answers["fp32"] - answers["fp16"]).max() < 1


def test_the_weights_come_in_the_frameworks_layout(lenet: ModuleType) -> None:
    weights = arrays("weights.npz")
    turned = lenet.to_tensorflow_layout(weights)
    assert {name: array.shape for name, array in turned.items()} == {
        "conv1.weight": (5, 5, 1, 6),
        "conv1.bias": (6,),
        "conv2.weight": (5, 5, 6, 16),
        "conv2.bias": (16,),
        "fc1.weight": (400, 120),
        "fc1.bias": (120,),
        "fc2.weight": (120, 84),
        "fc2.bias": (84,),
        "fc3.weight": (84, 10),
        "fc3.bias": (10,),
    }
    assert turned["conv2.weight"][1, 2, 3, 4] == weights["conv2.weight"][4, 3, 1, 2]
    row, column, channel = 1, 2, 3
    assert turned["fc1.weight"][(row * 5 + column) * 16 + channel, 7] == weights["fc1.weight"][7, channel * 25 + 7]


def test_the_order_of_the_flattened_maps_is_noticed(lenet: ModuleType) -> None:
    weights = arrays("weights.npz")
    maps = weights["fc1.weight"].reshape(120, 16, 25)
    assert worst(lenet, weights | {"fc1.weight": maps.transpose(0, 2, 1).reshape(120, 400)}) > 1000


# --- what it reads out of the library


def library(*structures: tuple[tuple[int, ...], bytes], text: bytes = b"") -> io.BytesIO:
    """Make a library: data with dnnl_version_t structures whose address is in a relocation, as in the wheels."""
    data, strings, relocations = bytearray(16), bytearray(b"first\0"), bytearray()
    data_at, strings_at = 0x20000, 0x1000
    for (major, minor, patch, runtimes), commit in structures:
        relocations += struct.pack("<QQq", data_at + len(data) + 16, 0x403, strings_at + len(strings))
        data += struct.pack("<3I4xQ2I", major, minor, patch, 0, runtimes, 0)
        strings += commit + b"\0"
    parts = [
        (1, 3, data_at, bytes(data)),
        (1, 2, strings_at, bytes(strings) + text),
        (4, 2, 0x9000, bytes(relocations)),
    ]
    body, rows = bytes(64), struct.pack("<2I4Q24x", 0, 0, 0, 0, 0, 0)
    for kind, flags, address, part in parts:
        rows += struct.pack("<2I4Q24x", 1, kind, flags, address, len(body), len(part))
        body += part
    header = bytearray(body[:64])
    struct.pack_into("<Q", header, 40, len(body))
    struct.pack_into("<2H", header, 58, 64, len(parts) + 1)
    return io.BytesIO(bytes(header) + body[64:] + rows)


ALIKE = ((12, 9, 0, 8), b"threads")  # numbers like a version's, before a text that names no commit


@pytest.mark.parametrize(
    ("structures", "versions"),
    [
        ([((3, 7, 0, 8), b"N/A")], {"3.7.0"}),
        ([ALIKE, ((3, 2, 1, 2), b"8d263e693366ef8db40acc569cc7d8edf644556d"), ALIKE], {"3.2.1"}),
        ([((3, 7, 0, 8), b"N/A"), ((3, 2, 1, 8), b"N/A")], {"3.7.0", "3.2.1"}),
        ([ALIKE], set()),
        ([((0, 7, 0, 8), b"N/A")], set()),
        ([((3, 7, 0, 5), b"N/A")], set()),
        ([((3, 7, 0, 8), b"N/Applicable")], set()),
        ([], set()),
    ],
)
def test_onednns_version_is_read_out_of_a_stripped_library(
    kit: ModuleType, structures: list[tuple[tuple[int, ...], bytes]], versions: set[str]
) -> None:
    assert kit.find_onednn_versions(library(*structures)) == versions


@pytest.mark.parametrize("block", [40, 57, 1 << 20])
def test_acls_version_is_found_wherever_the_reading_is_cut(
    kit: ModuleType, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(kit, "_BLOCK", block)
    for before in range(60):
        file = io.BytesIO(bytes(before) + b"arm_compute_version=v23.05.1 Build options: n/a Git hash=n/a" + bytes(90))
        assert kit.find_acl_versions(file) == {"23.05.1"}
    assert kit.find_acl_versions(io.BytesIO(b"arm_compute_version_of_nothing" * 9)) == set()


def test_a_library_without_a_version_names_none(
    kit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tensorflow_cpu_aws-2.15.1.dist-info").mkdir()
    monkeypatch.setattr(kit, "_PACKAGE", tmp_path / "tensorflow")
    monkeypatch.setattr(kit, "_LIBRARY", tmp_path / "libtensorflow_cc.so.2")
    assert kit.versions() == {"tensorflow-cpu-aws": "2.21.0"}
    texts = b"arm_compute_version=v24.12 Build"
    kit._LIBRARY.write_bytes(library(((3, 7, 0, 8), b"N/A"), text=texts).read())
    assert kit.versions() == {"tensorflow-cpu-aws": "2.21.0", "Arm Compute Library": "24.12", "oneDNN": "3.7.0"}
    kit._LIBRARY.write_bytes(library(((3, 7, 0, 8), b"N/A"), ((3, 2, 1, 8), b"N/A")).read())
    assert kit.versions() == {"tensorflow-cpu-aws": "2.21.0", "oneDNN": "3.2.1 or 3.7.0"}


# --- the operators that ran


def graph(*operators: str) -> object:
    return SimpleNamespace(node=[SimpleNamespace(op=name) for name in operators])


def test_only_operators_that_name_an_implementation_are_counted(kit: ModuleType, context: Context) -> None:
    context.graphs = [
        graph("_Arg", "_FusedConv2D", "MaxPool", "_FusedConv2D", "MatMul", "Relu", "DepthwiseConv2dNative"),
        graph("_MklNativeFusedConv2D", "_MklNativeFusedMatMul", "_MklNativeMaxPool", "_Retval"),
        graph("Conv2DBackpropInput", "Conv2DBackpropFilter", "MklDequantize", "BatchMatMulV2", "SparseMatMul"),
    ]
    assert kit.profiled(lambda: "answer") == (
        "answer",
        {
            "convolution": {
                "_FusedConv2D": 2, "DepthwiseConv2dNative": 1, "_MklNativeFusedConv2D": 1, "Conv2DBackpropInput": 1,
            },
            "matmul": {"MatMul": 1, "_MklNativeFusedMatMul": 1, "BatchMatMulV2": 1},
        },
    )  # fmt: skip
    assert not context.watching


def test_watching_ends_when_the_call_fails(kit: ModuleType, context: Context) -> None:
    def fail() -> None:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        kit.profiled(fail)
    assert not context.watching


# --- the recipe


@pytest.mark.parametrize("combo", [NEWEST, OLDER])
@pytest.mark.parametrize(("backend", "switch"), [("eigen", "0"), ("acl", "1")])
def test_the_switch_is_part_of_the_image_too(matrix: Matrix, combo: str, backend: str, switch: str) -> None:
    files = make_plan(matrix, matrix.by_id[f"{combo}-{backend}"]).files
    assert f"\nENV TF_ENABLE_ONEDNN_OPTS={switch}\n".encode() in files["Dockerfile"]


def test_image_names_every_required_distribution(matrix: Matrix) -> None:
    packages = json.loads(make_plan(matrix, matrix.by_id[f"{OLDER}-acl"]).files["image/opt/armwright/image.json"])[
        "packages"
    ]
    assert {"tensorflow-cpu-aws", "keras", "numpy", "tensorboard", "ml-dtypes"} <= packages.keys()
    assert {"grpcio", "google-auth", "libclang", "setuptools", "tensorboard-data-server"} <= packages.keys()


@pytest.mark.parametrize(("combo", "instead"), [(f"{NEWEST}-openblas", "acl"), ("pytorch-2.10.0-n1-eigen", "acl")])
def test_unsupported_backend_is_refused_with_an_alternative(matrix: Matrix, combo: str, instead: str) -> None:
    refused = matrix.by_id[combo]
    assert refused.refusal
    nearest = matrix.nearest_working(refused)
    assert nearest is not None
    assert (nearest.framework.name, nearest.target.name, nearest.backend) == (refused.framework.name, "n1", instead)
