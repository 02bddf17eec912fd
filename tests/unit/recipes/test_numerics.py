"""The variables that change numbers: every image's own are allowed, and what 0.1.0 overlooked is not."""

from __future__ import annotations

import json

import checks  # scripts/smoke/checks.py, as in an image
import pytest

from armwright.matrix.matrix import Matrix
from armwright.plan.plan import make_plan
from armwright.proof.check_image import read_planned_image

IMAGE_FILE = "image/opt/armwright/image.json"
OVERLOOKED = {
    "DNNL_DEFAULT_FPMATH_MODE": "BF16",
    "ONEDNN_MAX_CPU_ISA": "ADVANCED_SIMD",
    "OPENBLAS_CORETYPE": "ARMV8",
    "ATEN_CPU_CAPABILITY": "default",
    "TF_SET_ONEDNN_FPMATH_MODE": "BF16",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
    "NPY_DISABLE_CPU_FEATURES": "ASIMDHP",
    "LD_PRELOAD": "/app/libfast.so",
    "GLIBC_TUNABLES": "glibc.cpu.name=generic",
    "PYTHONPATH": "/app",
}


def test_the_variables_of_every_image_are_allowed(matrix: Matrix) -> None:
    for combo in matrix.combos:
        if combo.refusal is None:
            plan = make_plan(matrix, combo)
            allowed = json.loads(plan.files[IMAGE_FILE])["smoke"]["numerics"]
            configured = read_planned_image(plan.files["Dockerfile"].decode()).environment
            chosen = {variable.name: variable.value for variable in combo.environment}
            assert checks.precision(allowed, {**configured, **chosen})["state"] == "pass", combo.id


@pytest.mark.parametrize("name", OVERLOOKED)
def test_other_variables_are_not(matrix: Matrix, name: str) -> None:
    allowed = matrix.recipes.numerics.list_allowed({})
    assert checks.precision(allowed, {name: OVERLOOKED[name]})["found"].startswith(f"{name}=")


def test_every_name_is_listed_once_with_its_source(matrix: Matrix) -> None:
    names = [variable.name for variable in matrix.recipes.numerics.variables]
    assert len(names) == len(set(names))
    fast = [combo.framework_backend.fast_math for combo in matrix.combos if combo.refusal is None]
    assert {variable.name for variable in fast if variable} <= set(names)
