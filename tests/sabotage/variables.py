"""Sabotages by environment variables: in the image's configuration, or set when Python starts."""

from __future__ import annotations

from collections.abc import Mapping

from tests.sabotage import changes
from tests.sabotage.forgeries import CORES
from tests.sabotage.model import Sabotage

CONFIGURATION = "image configuration"


def computed(name: str, value: str, combos: str = "*") -> Sabotage:
    """Set a variable that changes what is computed, so that the proof itself must notice it."""
    return Sabotage("proof", "precision", name, lines=(f"ENV {name}={value}",), combos=(combos,))


def started(name: str, value: str, *, worker: bool) -> str:
    """Return a module that sets a variable when Python starts: always, or for the worker of the smoke run only."""
    test = "any(argument.endswith('worker.py') for argument in sys.orig_argv)" if worker else "True"
    return f"import os, sys; {test} and os.environ.update({name}={value!r})\n"


def configured(name: str, value: str) -> Sabotage:
    """Set a variable that changes which code runs, so that no program of the image may start."""
    return Sabotage("outside", CONFIGURATION, f"ENV {name}=", lines=(f"ENV {name}={value}",))


VARIABLES: Mapping[str, Sabotage] = {
    "fast math by oneDNN's older variable": computed("DNNL_DEFAULT_FPMATH_MODE", "BF16", "*-acl"),
    "any math by oneDNN's variable": computed("ONEDNN_DEFAULT_FPMATH_MODE", "ANY", "*-acl"),
    "fast math by the switch of the image": Sabotage(
        "proof", "precision", "BF16", lines=("ENV ARMWRIGHT_BF16=1",), combos=("pytorch-*-v1-acl",)
    ),
    "fast math by TensorFlow's variable": computed("TF_SET_ONEDNN_FPMATH_MODE", "BF16", "tensorflow-*-acl"),
    "oneDNN limited by its older variable": computed("DNNL_MAX_CPU_ISA", "ADVANCED_SIMD", "*-acl"),
    "PyTorch's kernels for any CPU": computed("ATEN_CPU_CAPABILITY", "default", "pytorch-*"),
    "NumPy without half precision": computed("NPY_DISABLE_CPU_FEATURES", "ASIMDHP"),
    "the C library set to another CPU": computed("GLIBC_TUNABLES", "glibc.cpu.name=generic"),
    "XLA compiles everything": computed("TF_XLA_FLAGS", "--tf_xla_auto_jit=2", "tensorflow-*"),
    "fast math set by a .pth file": Sabotage(
        "proof",
        "precision",
        "DNNL_DEFAULT_FPMATH_MODE",
        changes.at_site("math.pth", started("DNNL_DEFAULT_FPMATH_MODE", "BF16", worker=False)),
        combos=("*-acl",),
    ),
    "fast math set for the worker only": Sabotage(
        "proof",
        "kernels convolution-fp32",
        "bf16",
        changes.at_site("math.pth", started("ONEDNN_DEFAULT_FPMATH_MODE", "BF16", worker=True)),
        combos=("pytorch-*-v1-acl",),
    ),
    "OpenBLAS forced to generic kernels for the worker only": Sabotage(
        "proof",
        "kernels blas-core*",
        "armv8",
        changes.at_site("core.pth", started("OPENBLAS_CORETYPE", "ARMV8", worker=True)),
        combos=CORES,
    ),
    "a library that watches the loader": configured("LD_AUDIT", "/usr/lib/libfake.so"),
    "libraries from another folder": configured("LD_LIBRARY_PATH", "/fake"),
    "programs from another folder": Sabotage(
        "outside", CONFIGURATION, "ENV PATH='/fake", lines=("ENV PATH=/fake:/usr/local/bin:/usr/bin:/bin",)
    ),
    "a variable of the image without a value": Sabotage("outside", CONFIGURATION, "ENV LANG=''", lines=("ENV LANG=",)),
}
