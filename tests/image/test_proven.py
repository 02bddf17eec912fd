"""What the evidence of each image says: its CPU, its kernels, its answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from armwright.engine.client import Engine
from armwright.proof import evidence, smoke

N1, V1, A64FX = "pytorch-2.10.0-n1-acl", "pytorch-2.10.0-v1-acl", "pytorch-2.10.0-a64fx-acl"
OPENBLAS, GENERIC = "pytorch-2.10.0-n1-openblas", "pytorch-2.9.1-generic-acl"
ALL = (N1, V1, A64FX, OPENBLAS, GENERIC)
Images = Mapping[str, Any]


@pytest.mark.parametrize("combo", ALL)
def test_evidence_fits_the_image_and_names_the_machine(proven: Images, combo: str) -> None:
    built = proven[combo]
    target = built.plan.combo.target
    assert (
        evidence.explain_mismatch(built.evidence, combo=combo, inputs=built.plan.inputs, digest=built.image.digest)
        is None
    )
    assert built.image.labels["org.armwright.inputs"] == built.plan.inputs
    emulator = smoke.require_runner(target)
    if emulator:
        assert built.evidence.emulator.startswith(f"{emulator}, {target.emulator.cpu}: ")
        assert built.evidence.report.cpu.emulator == f"QEMU {target.emulator.cpu}"
    assert set(target.floor) <= set(built.evidence.report.cpu.features)


@pytest.mark.parametrize("combo", ALL)
def test_answers_are_right_far_within_what_is_tolerated(proven: Images, combo: str) -> None:
    report = proven[combo].evidence.report
    (lenet,) = [run for run in report.runs if (run.workload, run.dtype) == ("lenet", "fp32")]
    assert lenet.metric.value >= 0.97
    assert lenet.samples >= 300
    assert 0 < lenet.largest_error < 1e-4  # no framework agrees to the last bit with what none computed
    assert all(run.worst <= 1 for run in report.runs)


@pytest.mark.parametrize(("combo", "family"), [(N1, ":acl"), (V1, ":acl"), (A64FX, ":sve_512"), (GENERIC, ":acl")])
def test_convolutions_ran_on_the_kernels_meant_for_the_cpu(proven: Images, combo: str, family: str) -> None:
    ran = kernels(proven[combo], "onednn", "convolution")
    assert ran
    assert all(name.endswith(family) for name in ran)
    assert kernels(proven[combo], "profiler", "convolution") == {"aten::mkldnn_convolution"}


@pytest.mark.parametrize("combo", ALL)
def test_no_convolution_or_product_ran_on_a_reference_kernel(proven: Images, combo: str) -> None:
    rows = [kernel for run in proven[combo].evidence.report.runs for kernel in run.kernels]
    products = [kernel for kernel in rows if kernel.operation in {"convolution", "matmul", "inner_product"}]
    assert not [kernel for kernel in products if kernel.source == "onednn" and "ref" in kernel.implementation]


def test_the_openblas_image_ran_no_onednn_at_all(proven: Images) -> None:
    report = proven[OPENBLAS].evidence.report
    rows = [*report.loaded, *(kernel for run in report.runs for kernel in run.kernels)]
    assert not [kernel for kernel in rows if kernel.source == "onednn"]
    assert kernels(proven[OPENBLAS], "profiler", "convolution") == {"aten::_slow_conv2d_forward"}


@pytest.mark.parametrize(
    ("combo", "cores"),
    [(N1, {"neoversen1"}), (OPENBLAS, {"neoversen1"}), (V1, {"neoversev1"}), (A64FX, {"a64fx", "armv8sve"})],
)
def test_openblas_chose_the_core_of_the_cpu(proven: Images, combo: str, cores: set[str]) -> None:
    assert kernels(proven[combo], "openblas", "core") <= cores
    assert kernels(proven[combo], "openblas", "core")


@pytest.mark.usefixtures("another_cpu")
@pytest.mark.parametrize("cpu", ["neoverse-n1", "a64fx"])
def test_the_generic_image_is_right_on_newer_cpus_too(proven: Images, engine: Engine, cpu: str) -> None:
    ran = engine.run(proven[GENERIC].reference, ["smoke", "--json"], {"QEMU_CPU": cpu}, timeout=600)
    report = evidence.parse_report(json.loads(ran.out))
    assert report.cpu.emulator == f"QEMU {cpu}"
    assert [(check.name, check.found) for check in report.checks if check.state != "pass"] == []
    assert ran.code == 0


def kernels(image: Any, source: str, operation: str) -> set[str]:  # noqa: ANN401 - conftest.Proven
    """Return what computed an operation in fp32, or what was chosen when the libraries were loaded."""
    report = image.evidence.report
    rows = [*report.loaded, *(kernel for run in report.runs if run.dtype == "fp32" for kernel in run.kernels)]
    return {kernel.implementation for kernel in rows if (kernel.source, kernel.operation) == (source, operation)}
