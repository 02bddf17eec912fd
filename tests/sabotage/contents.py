"""Sabotages of an image's content: the smoke run's files, programs, libraries, weights and answers."""

from __future__ import annotations

from collections.abc import Mapping

from tests.sabotage import changes, edits
from tests.sabotage.changes import LENET, OURS
from tests.sabotage.model import Sabotage

BYTE_CODE = f"{OURS}/smoke/__pycache__/kernels.cpython-313.pyc"
CONVOLUTION = "kernels convolution*"
ACL_VERSION = b"arm_compute_version=v52.6.0", b"arm_compute_version=v52.5.0"
SHOW = "print(r'''REPORT''')\n"
PRETEND = (
    "import os, sys\n"
    "if any(argument.endswith('smoke.py') for argument in sys.orig_argv):\n"
    f"    {SHOW}    sys.stdout.flush()\n"
    "    os._exit(0)\n"
)
OFF = (
    "import sys; any(argument.endswith('worker.py') for argument in sys.orig_argv) and "
    "__import__('torch')._C._set_mkldnn_enabled(False)\n"
)

CONTENTS: Mapping[str, Sabotage] = {
    "a smoke run that only claims success": Sabotage(
        "proof", "report", r"gave no report \(exit code 0\)", changes.script("smoke/smoke.py", "print('proven')\n")
    ),
    "a smoke run that prints a good report": Sabotage(
        "outside", "image files", "changed opt/armwright/smoke/smoke.py",
        changes.replayed(f"{OURS}/smoke/smoke.py", SHOW),
    ),
    "a smoke run that accepts every kernel": Sabotage(
        "proof", "files", "smoke/kernels.py", changes.appended("smoke/kernels.py", (
            "def judge(*_): return Verdict(True, 'anything', 'anything')\n"
        )),
    ),
    "byte code beside the smoke run's modules": Sabotage(
        "outside", "image files", "added opt/armwright/smoke/__pycache__", lambda _: {BYTE_CODE: b"any"}
    ),
    "a module that shadows one of Python's own": Sabotage(
        "outside", "image files", "added opt/armwright/json.py", changes.script("json.py", "")
    ),
    "a wide tolerance": Sabotage(
        "outside", "image files", "manifest.json", changes.manifest(edits.tolerant)
    ),
    "a workload left out": Sabotage(
        "outside", "image files", "image.json",
        changes.facts(lambda image: image["smoke"].update(workloads=image["smoke"]["workloads"][:1])),
    ),
    "rules that allow every kernel": Sabotage(
        "outside", "image files", "image.json",
        changes.facts(lambda image: [rule.update(implementations=["*"]) for rule in image["smoke"]["kernels"]]),
    ),
    "a kernel without a rule": Sabotage(
        "proof", "kernels known", "reorder", changes.facts(edits.without_reorder), combos=("pytorch-*-acl",)
    ),
    "a good report printed when Python starts": Sabotage(
        "outside", "image layers", "4 layers", changes.combined(
            changes.at_site("pretend.pth", "import pretend\n"), changes.replayed("SITE/pretend.py", PRETEND),
        ),
    ),
    "a program in place of Python": Sabotage(
        "outside", "image layers", "4 layers", changes.combined(
            lambda good: {f"/usr/bin/python{good.plan.base.python}": b"#!/bin/sh\ncat /report.json\n"},
            changes.replayed("/report.json"),
        ),
    ),
    "a start-up hook that decides nothing": Sabotage(
        "outside", "image files", "armwright_start.py",
        changes.module("armwright_start.py", '__import__("start").start_python()', "pass"),
    ),
    "the image rebuilt with one changed library": Sabotage(
        "outside", "image digest", "sha256:",
        changes.patched("numpy.libs/libscipy_openblas64_*", b"OpenBLAS", b"OpenBLAZ"),
        whole=True, combos=("pytorch-*",),
    ),
    "a wide tolerance, proven as the plan's image": Sabotage(
        "settle", "settle", "image files", changes.manifest(edits.tolerant)
    ),
    "oneDNN switched off by an entry point": Sabotage(
        "proof", CONVOLUTION, "no convolution ran", changes.overlay("pytorch-openblas"), combos=("pytorch-*-acl",)
    ),
    "oneDNN switched off by a .pth file": Sabotage(
        "proof", CONVOLUTION, "no convolution ran", changes.at_site("off.pth", OFF), combos=("pytorch-*-acl",)
    ),
    "oneDNN with reference kernels only": Sabotage(
        "proof", CONVOLUTION, "ref", changes.without_acl_convolutions("torch/lib/libarm_compute.so"),
        combos=("pytorch-2.10.0-n1-acl",),
    ),
    "an empty Arm Compute Library": Sabotage(
        "proof", "import", "file too short", changes.emptied("torch/lib/libarm_compute.so"),
        combos=("pytorch-2.10.0-*-acl",),
    ),
    "an empty libtorch_cpu": Sabotage(
        "proof", "import", "file too short", changes.emptied("torch/lib/libtorch_cpu.so"), combos=("pytorch-*",)
    ),
    "an Arm Compute Library of another version": Sabotage(
        "proof", "version Arm Compute Library", "v?52.5.0",
        changes.patched("torch/lib/libarm_compute.so", *ACL_VERSION),
        combos=("pytorch-2.10.0-*-acl",),
    ),
    "an OpenBLAS of another version": Sabotage(
        "proof", "version OpenBLAS", "0.3.29",
        changes.patched("torch/lib/libopenblas-*", b"OpenBLAS 0.3.30", b"OpenBLAS 0.3.29"),
        combos=("pytorch-2.10.0-*",),
    ),
    "another library in place of OpenBLAS": Sabotage(
        "proof", "import", "openblas|symbol",
        changes.swapped("torch/lib/libopenblas-*", "numpy.libs/libscipy_openblas64_*"), combos=("pytorch-2.10.0-*",),
    ),
    "a framework that reports another version": Sabotage(
        "proof", "version torch", "9.9.9", changes.module("torch/version.py", "2.10.0", "9.9.9"),
        combos=("pytorch-2.10.0-*",),
    ),
    "another oneDNN version than planned": Sabotage(
        "proof", "version oneDNN", r"3\.7\.1",
        changes.facts(lambda image: image["backend"]["versions"].update(oneDNN="3.7.2")), combos=("pytorch-2.10.0-*",),
    ),
    "package metadata with another version": Sabotage(
        "outside", "image layers", "4 layers",
        changes.metadata("numpy", "Version: 2.", "Version: 1."), combos=("pytorch-*",),
    ),
    "another NumPy version": Sabotage(
        "outside", "image layers", "4 layers", changes.module("numpy/version.py", 'version = "2.', 'version = "1.'),
        combos=("pytorch-*",),
    ),
    "one weight changed": Sabotage(
        "proof", "files", "weights.npz",
        changes.arrays(("weights.npz", changes.add("conv1.weight", 1.0, 0, 0, 2, 2)), hashes=False),
    ),
    "one weight changed, and its hash": Sabotage(
        "proof", "answers lenet fp32", "largest error",
        changes.arrays(("weights.npz", changes.add("conv1.weight", 1.0, 0, 0, 2, 2)), hashes=True),
    ),
    "the filters of a layer in another order": Sabotage(
        "proof", "answers lenet fp32", "largest error",
        changes.arrays(("weights.npz", changes.reverse("conv2.weight")), hashes=True),
    ),
    "a layer of zeros": Sabotage(
        "proof", "accuracy lenet fp32", r"0\.[0-8]",
        changes.arrays(("weights.npz", changes.zero("fc2.weight")), hashes=True),
    ),
    "inputs in another order": Sabotage(
        "proof", "answers lenet fp32", "largest error",
        changes.arrays(("inputs.npz", changes.reverse("images")), hashes=True),
    ),
    "labels in another order": Sabotage(
        "proof", "accuracy lenet fp32", r"0\.[0-8]",
        changes.arrays(("inputs.npz", changes.reverse("labels")), hashes=True),
    ),
    "expected answers changed": Sabotage(
        "proof", "answers lenet fp32", "largest error",
        changes.arrays(("expected.npz", changes.add("logits", 0.01, 7, 3)), hashes=True),
    ),
    "weights and expected answers changed together": Sabotage(
        "outside", "image files", f"{LENET}/expected.npz", changes.combined(
            changes.arrays(
                ("weights.npz", changes.zero("fc3.bias")), ("expected.npz", changes.zero("logits")), hashes=True,
            ),
        ),
    ),
}  # fmt: skip
