"""PyTorch for the smoke run: its versions and its profiler."""

from __future__ import annotations

import ctypes
import mmap
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.autograd.profiler import profile

PROFILED = frozenset({"convolution"})  # the operations whose operators `profiled` reports
_PACKAGE = Path(torch.__file__).parent
# Operators that identify an implementation; the others are wrappers common to all backends.
_CONVOLUTIONS = re.compile(r"^aten::(mkldnn_convolution|thnn_conv2d|_slow_conv2d_forward|_nnpack_spatial_convolution)$")


def versions() -> dict[str, str]:
    """Return the versions of the framework and of its compute libraries, read from the libraries themselves."""
    versions_by_name = {"torch": torch.__version__.split("+")[0]}
    onednn = re.search(r"MKL-DNN v(\S+)", torch.__config__.show())
    if onednn:
        versions_by_name["oneDNN"] = onednn[1]
    for path in _libraries("libarm_compute[.-]"):
        with path.open("rb") as library, mmap.mmap(library.fileno(), 0, access=mmap.ACCESS_READ) as image:
            acl = re.search(rb"arm_compute_version=v([0-9.]+)", image)
            if acl:
                versions_by_name["Arm Compute Library"] = acl[1].decode()
    for path in _libraries("libopenblas"):
        config = ctypes.CDLL(str(path)).openblas_get_config
        config.restype = ctypes.c_char_p
        versions_by_name["OpenBLAS"] = config().decode().split()[1]
    return versions_by_name


def _libraries(name: str) -> list[Path]:
    """Find a library of the wheel: in torch/lib from 2.10 on, in torch.libs before; its name may contain a hash."""
    folders = (_PACKAGE / "lib", _PACKAGE.with_name("torch.libs"))
    return [path for folder in folders for path in folder.glob(f"{name}*so*")]


def run_detours() -> None:
    """Compute in the ways that reach oneDNN although it is switched off, if nothing else keeps them from it.

    They are `torch.jit.optimize_for_inference`, and dynamic quantisation with its default engine.
    """
    layers = [torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 14 * 14, 5)]
    model, images = torch.nn.Sequential(*layers).eval(), torch.ones(2, 3, 16, 16)
    with torch.no_grad():
        torch.jit.optimize_for_inference(torch.jit.trace(model, images))(images)
        torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, torch.qint8)(images)


def profiled(call: Callable[[], Any]) -> tuple[Any, dict[str, dict[str, int]]]:
    """Run a call under the profiler.

    This is the older profiler: torch.profiler loads the compiler, which needs a writable folder.

    Returns:
        the call's result, and the operators that identify an implementation: operation to operator to calls.
    """
    with profile(use_kineto=False) as recorded:
        result = call()
    names = Counter(event.name for event in recorded.function_events or [])
    # thnn_conv2d wraps _slow_conv2d_forward: counting both would count one convolution twice
    chosen = {name: calls for name, calls in names.items() if _CONVOLUTIONS.match(name) and name != "aten::thnn_conv2d"}
    return result, dict.fromkeys(PROFILED, chosen)
