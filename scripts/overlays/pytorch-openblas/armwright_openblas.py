"""Turns oneDNN and NNPACK off when PyTorch is imported, so that OpenBLAS computes without a change to the user's code.

No environment variable does this. PyTorch calls the entry points of the group `torch.backends` at the end of
`import torch` (device backend autoload, from 2.5 on).
"""

from __future__ import annotations


def switch() -> None:
    """Turn oneDNN and NNPACK off; convolutions then become matrix products in OpenBLAS.

    Two parts of PyTorch do not ask the switch: dynamic quantisation, whose default engine is oneDNN's on Arm, and the
    pass of `torch.jit.optimize_for_inference`, which on a CPU only puts oneDNN's operators into a frozen graph.
    """
    import torch  # noqa: PLC0415 - torch calls this at the end of its import

    torch.backends.mkldnn.set_flags(_enabled=False)
    torch.backends.nnpack.set_flags(_enabled=False)
    torch.backends.quantized.engine = "qnnpack"
    torch._C._jit_pass_optimize_for_inference = keep_graph  # noqa: SLF001 - torch.jit looks it up there at each call


def keep_graph(module: object, methods: object = None) -> None:
    """Leave the graphs of a frozen module as they are."""
