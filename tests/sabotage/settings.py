"""Sabotages of an image's configuration: variables, labels, entrypoint, user, and the CPU it runs on."""

from __future__ import annotations

from collections.abc import Mapping

from tests.sabotage import changes
from tests.sabotage.changes import OURS
from tests.sabotage.model import Sabotage

CORES = ("pytorch-*-n1-*", "pytorch-*-v1-*", "pytorch-*-a64fx-*")  # targets for which OpenBLAS has kernels of its own
OTHER = "pytorch-2.10.0-v1-acl"
PRINTER = 'ENTRYPOINT ["/usr/bin/python3", "-c", "print(open(\'/report.json\').read())"]'
PASS_EVERY_CPU = (
    "import os, sys\nos.environ['ARMWRIGHT_STARTED'] = '1'\n"
    f"os.execv(sys.executable, [sys.executable, '-I', '{OURS}/smoke/smoke.py', *sys.argv[2:]])\n"
)

SETTINGS: Mapping[str, Sabotage] = {
    "OpenBLAS forced to generic kernels": Sabotage(
        "proof", "kernels blas-core*", "armv8", lines=("ENV OPENBLAS_CORETYPE=ARMV8",), combos=CORES,
    ),
    "OpenBLAS forced to another architecture's kernels": Sabotage(
        "proof", "kernels blas-core*", ".", lines=("ENV OPENBLAS_CORETYPE=Haswell",), combos=CORES,
    ),
    "TensorFlow's oneDNN switched off by a variable": Sabotage(
        "outside", "image configuration", "TF_ENABLE_ONEDNN_OPTS='0'", lines=("ENV TF_ENABLE_ONEDNN_OPTS=0",),
        combos=("tensorflow-*-acl",),
    ),
    "the openblas overlay switched off by a variable": Sabotage(
        "proof", "kernels no-onednn*", ":acl", lines=("ENV TORCH_DEVICE_BACKEND_AUTOLOAD=0",),
        combos=("pytorch-*-openblas",),
    ),
    "the openblas overlay without its detours": Sabotage(
        "proof", "kernels no-onednn*", "in detours fp32", changes.module(
            "armwright_openblas.py", "torch._C._jit_pass_optimize_for_inference", "torch._C.unused",
        ),
        combos=("pytorch-*-openblas",),
    ),
    "the start-up hook switched off by a variable": Sabotage(
        "outside", "image configuration", "ARMWRIGHT_STARTED", lines=("ENV ARMWRIGHT_STARTED=1",)
    ),
    "fast math on": Sabotage(
        "proof", "precision", "BF16", lines=("ENV ONEDNN_DEFAULT_FPMATH_MODE=BF16",), combos=("*-acl",),
    ),
    "oneDNN limited to Advanced SIMD": Sabotage(
        "outside", "image configuration", "ONEDNN_MAX_CPU_ISA", lines=("ENV ONEDNN_MAX_CPU_ISA=ADVANCED_SIMD",),
    ),
    "one OpenMP thread": Sabotage(
        "outside", "image configuration", "OMP_NUM_THREADS='1'", lines=("ENV OMP_NUM_THREADS=1",)
    ),
    "a preloaded library": Sabotage(
        "outside", "image configuration", "LD_PRELOAD", lines=("ENV LD_PRELOAD=/usr/lib/libfake.so",)
    ),
    "modules from another folder": Sabotage(
        "outside", "image configuration", "PYTHONPATH", lines=("ENV PYTHONPATH=/fake",)
    ),
    "the user root": Sabotage("proof", "user", "uid 0", lines=("USER 0:0",)),
    "a health check": Sabotage(
        "outside", "image configuration", "Healthcheck", lines=("HEALTHCHECK CMD true",)
    ),
    "the label of another combo": Sabotage(
        "proof", "report", "is labelled", lines=(f"LABEL org.armwright.combo={OTHER}",), combos=("*-n1-*",)
    ),
    "the label of other inputs": Sabotage(
        "outside", "image labels", "inputs=", lines=(f"LABEL org.armwright.inputs=sha256:{'0' * 64}",)
    ),
    "the label of another target": Sabotage(
        "outside", "image labels", "target='v1'", lines=("LABEL org.armwright.target=v1",), combos=("*-n1-*",)
    ),
    "an extra label": Sabotage("outside", "image labels", "checked", lines=("LABEL org.armwright.checked=yes",)),
    "an entrypoint that prints nothing": Sabotage(
        "proof", "report", r"gave no report \(exit code 0\); .*: nothing$",
        lines=('ENTRYPOINT ["/usr/bin/true"]',),
    ),
    "a missing entrypoint": Sabotage(
        "proof", "report", "entrypoint.py|no such file",
        lines=('ENTRYPOINT ["/usr/bin/python3", "-I", "/gone/entrypoint.py"]',),
    ),
    "an entrypoint that prints another combo's report": Sabotage(
        "proof", "report", f"report is for {OTHER}", changes.replayed("/report.json", combo=OTHER), (PRINTER,),
        combos=("*-n1-*",),
    ),
    "an entrypoint that prints a good report": Sabotage(
        "outside", "image configuration", "ENTRYPOINT", changes.replayed("/report.json"), (PRINTER,)
    ),
    "an entrypoint that accepts every CPU": Sabotage(
        "proof", "floor", "missing: .*atomics", changes.script("entrypoint.py", PASS_EVERY_CPU), cpu="cortex-a53",
        combos=("*-n1-*",),
    ),
    "another CPU with the same features": Sabotage("proof", "cpu", "A76", cpu="cortex-a76", combos=("*-n1-*",)),
    "a CPU with more features": Sabotage("proof", "cpu", "Neoverse V1", cpu="neoverse-v1", combos=("*-n1-*",)),
    "a CPU below the floor": Sabotage("proof", "report", "refused to start", cpu="cortex-a53", combos=("*-n1-*",)),
    "a CPU without SVE": Sabotage(
        "proof", "report", "refused to start: .*needs sve", cpu="neoverse-n1", combos=("*-v1-*",)
    ),
}  # fmt: skip
