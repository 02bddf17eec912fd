"""PyTorch over OpenBLAS: oneDNN and NNPACK off for the whole process, whatever the user's code does.

No environment variable does this. PyTorch calls the entry points of the group `torch.backends` at the end of
`import torch` (device backend autoload, from 2.5 on).
"""


def switch() -> None:
    """Turn oneDNN and NNPACK off; convolutions become columns and matrix products by OpenBLAS."""
    import torch  # noqa: PLC0415 - torch itself calls this at the end of its import

    torch.backends.mkldnn.set_flags(_enabled=False)
    torch.backends.nnpack.set_flags(_enabled=False)
