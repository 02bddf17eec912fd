"""The texts that data may hold: closed patterns of a whole value, so that no line break or shell word slips in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, StringConstraints


def _no_way_up(path: str) -> str:
    if ".." in Path(path).parts:
        raise ValueError("'..' is not allowed in a path")
    return path


def _never_max(cpu: str) -> str:
    """Refuse the model `max`: OpenBLAS picks SME kernels there, whose products are wrong under QEMU 10 and 11."""
    if cpu.split(",", maxsplit=1)[0] == "max":
        raise ValueError("never the model 'max': name a real CPU")
    return cpu


Dtype = Literal["fp32", "bf16", "fp16", "int8", "bf16-fast-math"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$", max_length=40)]
# Upstream's, 2.10.0, or a name of ours that says what it is: 1.x-compat.
# Digits are written out: \d stands for those of every script.
VersionName = Annotated[
    str, StringConstraints(pattern=r"^[0-9]+(\.([0-9]+|x)){1,3}([a-z]+[0-9]*)?(-[a-z]+)?$", max_length=24)
]
Requirement = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*(\s*[<>=!~]=?\s*[0-9][0-9.]*\s*,?)*$")
]
Feature = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+$")]
CpuPart = Annotated[str, StringConstraints(pattern=r"^(0x[0-9a-f]{2}:(0x[0-9a-f]{3}|\*)|\*)$")]
Flags = Annotated[str, StringConstraints(pattern=r"^-m(cpu|arch|tune)=[a-z0-9.+-]+( -m[a-z-]+(=[a-z0-9.+-]+)?)*$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]
Setting = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.{},:=/-]*$")]
# A path or glob inside an image's tree: never absolute, never upwards, no shell word and no option (`-f`) in it.
Glob = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_*.+][A-Za-z0-9_*.+-]*(/[A-Za-z0-9_*.+-]+)*$"),
    AfterValidator(_no_way_up),
]
Absolute = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9_.+-]+)+$"), AfterValidator(_no_way_up)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=160)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https://[a-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~+-]+)+$")]
# One word for a program; the template puts it between single quotes.
Option = Annotated[str, StringConstraints(pattern=r"^--?[A-Za-z][A-Za-z0-9_-]*(=[A-Za-z0-9_./:=+*-]+)?$")]
# One line: it is rendered into comments.
Reason = Annotated[str, StringConstraints(min_length=8, pattern=r"^[^\x00-\x1f\x7f]*$")]
Sentence = Annotated[str, StringConstraints(min_length=2, pattern=r"^[^\x00-\x1f\x7f]*$")]
EmulatedCpu = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*(,[a-z0-9-]+=[a-z0-9]+)*$"), AfterValidator(_never_max)
]
