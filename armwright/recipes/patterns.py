"""Patterns for the texts in recipes. Each matches a whole value, so line breaks and shell syntax are rejected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, StringConstraints


def _check_no_parent(path: str) -> str:
    if ".." in Path(path).parts:
        raise ValueError("'..' is not allowed in a path")
    return path


def _refuse_max(cpu: str) -> str:
    """Refuse the model `max`: OpenBLAS chooses SME kernels there, which compute wrong products in QEMU 10 and 11."""
    if cpu.split(",", maxsplit=1)[0] == "max":
        raise ValueError("the model 'max' is not allowed: name a real CPU")
    return cpu


Dtype = Literal["fp32", "bf16", "fp16", "int8", "bf16-fast-math"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$", max_length=40)]
# Upstream's version, 2.10.0, or this project's own name, 1.x-compat. [0-9] because \d matches digits of all scripts.
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
# A path or glob in an image: relative, without '..', without shell syntax, and not an option such as `-f`.
Glob = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_*.+][A-Za-z0-9_*.+-]*(/[A-Za-z0-9_*.+-]+)*$"),
    AfterValidator(_check_no_parent),
]
Absolute = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9_.+-]+)+$"), AfterValidator(_check_no_parent)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=160)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https://[a-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~+-]+)+$")]
# A site of a signed archive, without a slash at its end; the signature vouches for what it sends, so http is enough.
Site = Annotated[str, StringConstraints(pattern=r"^https?://[a-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._-]+)*$")]
# One argument of a program; the template quotes it with single quotes.
Option = Annotated[str, StringConstraints(pattern=r"^--?[A-Za-z][A-Za-z0-9_-]*(=[A-Za-z0-9_./:=+*-]+)?$")]
# One line, because the templates write it into comments.
Reason = Annotated[str, StringConstraints(min_length=8, pattern=r"^[^\x00-\x1f\x7f]*$")]
Sentence = Annotated[str, StringConstraints(min_length=2, pattern=r"^[^\x00-\x1f\x7f]*$")]
EmulatedCpu = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*(,[a-z0-9-]+=[a-z0-9]+)*$"), AfterValidator(_refuse_max)
]
