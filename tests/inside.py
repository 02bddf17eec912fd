"""What the tests of the proof inside an image share: an image, a machine, workloads and a worker, all made up."""

from __future__ import annotations

import json
import platform
import textwrap
from pathlib import Path
from typing import Any

import pytest
import runs
import worker
from machine import Cpus, Emulation, Machine, Processor

FEATURES = frozenset({"fp", "asimd", "aes", "atomics", "fphp", "asimdhp", "asimddp"})
PYTHON = ".".join(platform.python_version_tuple()[:2])
TARGET: dict[str, Any] = {
    "name": "n1",
    "title": "Arm Neoverse N1",
    "floor": ["fp", "asimd", "atomics", "asimddp"],
    "parts": ["0x41:0xd0c"],
    "vector_bytes": None,
}
TRACE = (
    "onednn_verbose,v1,primitive,exec,cpu,convolution,indirect_gemm:acl,forward_inference,src:f32:a:blocked:acdb::f0 "
    "wei:f32:a:blocked:Acdb4a::f0 dst:f32:a:blocked:acdb::f0,{attributes},alg:convolution_direct,mb8_ic1oc6,0.1"
)
RULE: dict[str, Any] = {
    "id": "convolution-fp32", "source": "onednn", "operation": "convolution",
    "implementations": ["*:acl"], "types": "f32", "dtypes": ["fp32"],
    "optional": False, "reason": "a test",
}  # fmt: skip
RULES = [
    RULE,
    {**RULE, "id": "convolution-fast-math", "types": "f32 as bf16", "dtypes": ["bf16-fast-math"]},
    {**RULE, "id": "nothing-bf16", "operation": "*", "implementations": [], "types": "*", "dtypes": ["bf16"]},
    {**RULE, "id": "convolution-operator", "source": "profiler", "implementations": ["aten::*"], "types": "*",
     "dtypes": None},
    {**RULE, "id": "core", "source": "openblas", "operation": "core", "implementations": ["neoversen1"], "types": "*",
     "dtypes": None},
]  # fmt: skip
FAST_MATH = {"name": "ONEDNN_DEFAULT_FPMATH_MODE", "value": "BF16", "feature": "bf16", "reason": "a test"}
NUMERICS = {"ONEDNN_DEFAULT_FPMATH_MODE": ["", "STRICT"], "OPENBLAS_CORETYPE": ["VORTEX"]}
IMAGE: dict[str, Any] = {
    "combo": "pytorch-2.10.0-n1-acl", "dialect": "pytorch", "title": "PyTorch 2.10.0", "distribution": "torch",
    "version": "2.10.0", "python": PYTHON, "target": TARGET, "fast_math": FAST_MATH,
    "backend": {"name": "acl", "versions": {"oneDNN": "3.7.1"}},
    "dtypes": [
        {"name": "fp32", "state": "fast", "note": "by a made-up library"},
        {"name": "bf16", "state": "slow", "note": "right and not fast"},
        {"name": "int8", "state": "not run", "note": "this CPU has no 8-bit instructions"},
        {"name": "bf16-fast-math", "state": "fast", "note": "by a made-up library"},
    ],
    "smoke": {"workloads": ["lenet", "vgg"], "kernels": RULES, "files": {}, "numerics": NUMERICS},
}  # fmt: skip
TOLERANCE = {"absolute": 0.1, "relative": 0, "reason": "a test"}
MANIFEST: dict[str, Any] = {
    "name": "lenet", "metric": {"name": "accuracy", "minimum": 0.97, "reason": "a test"},
    "operations": ["convolution"], "dtypes": dict.fromkeys(("fp32", "bf16", "bf16-fast-math"), TOLERANCE),
}  # fmt: skip
RUN: dict[str, Any] = {
    "samples": 100, "metric": {"name": "accuracy", "value": 0.98, "minimum": 0.97}, "largest_error": 1e-6,
    "worst": 0.2, "operators": {"convolution": {"aten::convolution": 2}}, "seconds": 0.5,
    "answers": f"sha256:{'0' * 64}", "numbers": {},
}  # fmt: skip
# A worker without a framework: it prints and answers like the real one, for any run.
GOOD_WORKER = f"""
fast_math = os.environ.get("ONEDNN_DEFAULT_FPMATH_MODE") == "BF16"
runs = []
for name in names:
    workload, dtype = name.split(":")
    print("{worker.MARKER}" + workload + " " + dtype, flush=True)
    if dtype != "bf16":
        print({TRACE!r}.format(attributes="attr-fpmath:bf16" if fast_math else ""))
    runs.append({{"workload": workload, "dtype": dtype, **{RUN!r}}})
    print("{worker.MARKER}", flush=True)
print("Core: neoversen1", file=sys.stderr)
versions = {{"torch": "2.10.0", "oneDNN": "3.7.1"}}
os.write(sink, json.dumps({{"versions": versions, "runs": runs, "peak_memory_bytes": 123_000_000}}).encode())
"""


def seen(*parts: str, features: frozenset[str] = FEATURES, vectors: int | None = None) -> Machine:
    return Machine(
        "aarch64",
        Processor(features, parts),
        vectors,
        Cpus(2, "all"),
        Emulation(emulated=True, name="QEMU", model="neoverse-n1"),
    )


N1 = seen("0x41:0xd0c")


class Bench:
    """A folder with workloads and a worker, in place of the image's own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setattr(worker, "HERE", folder)
        monkeypatch.setattr(runs, "HERE", folder)
        monkeypatch.delenv(FAST_MATH["name"], raising=False)
        for name in IMAGE["smoke"]["workloads"]:
            self.describe(name)
        self.work(GOOD_WORKER)

    def describe(self, name: str, **changes: Any) -> None:  # noqa: ANN401 - fields of a JSON document
        """Write a workload's manifest; a field that is None is left out."""
        (self.folder / name).mkdir(exist_ok=True)
        fields = {**MANIFEST, "name": name, **changes}
        document = {key: value for key, value in fields.items() if value is not None}
        (self.folder / name / "manifest.json").write_text(json.dumps(document), encoding="utf-8")

    def work(self, script: str) -> None:
        """Put a script in the worker's place; it gets the arguments of the real one."""
        head = "import json, os, sys\nsink, names = int(sys.argv[2]), sys.argv[3:]\n"
        (self.folder / "worker.py").write_text(head + textwrap.dedent(script), encoding="utf-8")
