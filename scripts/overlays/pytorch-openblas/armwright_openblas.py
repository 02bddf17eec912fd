"""Turns oneDNN and NNPACK off when PyTorch is imported, so that OpenBLAS computes without a change to the user's code.

No environment variable does this. PyTorch calls the entry points of the group `torch.backends` at the end of
`import torch` (device backend autoload, from 2.5 on).
"""


def switch() -> None:
    """Turn oneDNN and NNPACK off; convolutions then become matrix products in OpenBLAS."""
    import torch  # noqa: PLC0415 - torch calls this at the end of its import

    torch.backends.mkldnn.set_flags(_enabled=False)
    torch.backends.nnpack.set_flags(_enabled=False)
