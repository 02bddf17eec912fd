"""Locks: exact versions and hashes of everything that is downloaded, without addresses of indexes or mirrors.

`recipes/locks/<framework>-<version>.txt` holds wheels in pip's format, `recipes/locks/<base>.yaml` holds
packages of the distribution. Making a lock needs the network, reading one does not.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, Field, StringConstraints

from armwright.recipes.patterns import Sha256
from armwright.system import yaml_file
from armwright.system.errors import InputError
from armwright.system.files import write_whole
from armwright.system.strict_model import StrictModel

# Distributions that turn a CPU image into a CUDA image: 588 MB became 3.3 GB (pytorch#160162).
FORBIDDEN = re.compile(r"^(nvidia-.*|cuda-.*|(.*-)?triton(-.*)?)$")
_HASH = re.compile(r" +--hash=sha256:[0-9a-f]{64}( \\)?")
_LINE = re.compile(r"[a-z0-9][a-z0-9.-]*==[A-Za-z0-9.+!]+ \\")
_PINNED = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[A-Za-z0-9.+!]+)", re.MULTILINE)

DebVersion = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+~:-]+$")]
DebName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]


def _is_time(text: str) -> str:
    datetime.fromisoformat(text)  # 2026-13-45 matches the pattern but is not a date
    return text


class Deb(StrictModel):
    """One package of the distribution."""

    version: DebVersion
    sha256: Sha256


class BaseLock(StrictModel):
    """The packages of a base.

    Attributes:
        created: when the lock was made, in UTC; every file of the image gets this time.
        root: packages of the image, always AArch64.
        tools: packages of the build tools, by Debian architecture of the build platform.
        builder: packages of the compilers, always AArch64; empty where nothing is compiled.
    """

    created: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"), AfterValidator(_is_time)]
    root: dict[DebName, Deb]
    tools: dict[Annotated[str, StringConstraints(pattern=r"^(amd64|arm64)$")], dict[DebName, Deb]]
    builder: dict[DebName, Deb] = Field(default={})

    @property
    def epoch(self) -> int:
        """Seconds since 1970: SOURCE_DATE_EPOCH of the builds."""
        return int(datetime.fromisoformat(self.created).timestamp())

    @cached_property
    def digest(self) -> str:
        """The sha256 over the whole lock, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.model_dump(exclude_defaults=True), sort_keys=True).encode()).hexdigest()


def base_lock_path(root: Path, base: str) -> Path:
    """Return the path of the lock of a base."""
    return root / "recipes" / "locks" / f"{base}.yaml"


def wheel_lock_path(root: Path, framework: str, version: str) -> Path:
    """Return the path of the wheel lock of a framework version."""
    return root / "recipes" / "locks" / f"{framework}-{version}.txt"


def read_base_lock(root: Path, base: str) -> BaseLock:
    """Read the lock of a base.

    Raises:
        InputError: the lock is missing, or has mistakes (listed with file:line:column).
    """
    path = base_lock_path(root, base)
    if not path.exists():
        raise InputError(f"{base} has no lock", f"invoke lock --base {base}")
    return yaml_file.load_yaml(path, str(path.relative_to(root)), BaseLock)


def write_base_lock(root: Path, base: str, lock: BaseLock) -> None:
    """Write the lock of a base."""
    head = f"# The packages of {base}, by `invoke lock --base {base}`: exact versions and hashes.\n"
    body = yaml.safe_dump(lock.model_dump(exclude_defaults=True), sort_keys=True, default_flow_style=None, width=160)
    write_whole(base_lock_path(root, base), head + body)


def read_wheel_lock(root: Path, framework: str, version: str) -> str:
    """Read and check the wheel lock of a framework version.

    Raises:
        InputError: the lock is missing, or `check_wheel_lock` refuses it.
    """
    path = wheel_lock_path(root, framework, version)
    if not path.exists():
        raise InputError(
            f"{framework} {version} has no lock", f"invoke lock --framework {framework} --version {version}"
        )
    # bytes that are not UTF-8 become lines that the check refuses
    text = path.read_text(encoding="utf-8", errors="replace")
    check_wheel_lock(text, str(path.relative_to(root)))
    return text


@lru_cache
def check_wheel_lock(text: str, name: str) -> None:
    """Refuse a lock that contains a CUDA distribution, an address, or a line without a hash.

    Args:
        text: the content of the lock.
        name: its name in messages.

    Raises:
        InputError: every bad line, with its number.
    """
    mistakes = []
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        pinned = _PINNED.match(line)
        if "://" in line:
            mistakes.append(f"{name}:{number}: an address; a lock contains versions and hashes only")
        elif pinned and FORBIDDEN.match(pinned["name"]):
            mistakes.append(f"{name}:{number}: {pinned['name']} is a CUDA distribution, and this image is for CPUs")
        elif pinned and not (lines[number : number + 1] and _HASH.fullmatch(lines[number])):
            mistakes.append(f"{name}:{number}: {pinned['name']} has no sha256")
        elif pinned and not _LINE.fullmatch(line):
            mistakes.append(f"{name}:{number}: more than name==version: {line.strip()[:60]!r}")
        elif not pinned and line.strip() and not line.startswith("#") and not _HASH.fullmatch(line):
            mistakes.append(f"{name}:{number}: not a pinned requirement: {line.strip()[:60]!r}")
    if mistakes:
        raise InputError("the lock has mistakes:\n  " + "\n  ".join(mistakes), "invoke lock")


def locked_packages(text: str) -> dict[str, str]:
    """Return the Python distributions of a wheel lock, name to version."""
    return {pinned["name"]: pinned["version"] for pinned in _PINNED.finditer(text)}
