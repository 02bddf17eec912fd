"""Locks: exact versions and hashes of everything that is downloaded; no address of any index or mirror.

`recipes/locks/<framework>-<version>.txt` holds the wheels, in pip's format; `recipes/locks/<base>.yaml` the
distribution's packages. Making a lock needs the network, reading one needs nothing.
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

from armwright.recipes.model import Recipe
from armwright.recipes.patterns import Sha256
from armwright.system import yaml_file
from armwright.system.errors import InputError
from armwright.system.files import write_whole
from armwright.system.yaml_file import Mistakes

# Distributions that turn a CPU image into a CUDA image: 588 MB became 3.3 GB (pytorch#160162).
FORBIDDEN = re.compile(r"^(nvidia-.*|cuda-.*|(.*-)?triton(-.*)?)$")
_HASH = re.compile(r" +--hash=sha256:[0-9a-f]{64}( \\)?")
_LINE = re.compile(r"[a-z0-9][a-z0-9.-]*==[A-Za-z0-9.+!]+ \\")
_PINNED = re.compile(r"^(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[A-Za-z0-9.+!]+)", re.MULTILINE)

DebVersion = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+~:-]+$")]
DebName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]


def _a_time(text: str) -> str:
    datetime.fromisoformat(text)  # 2026-13-45 fits the pattern and is none
    return text


class Deb(Recipe):
    """One package of the distribution."""

    version: DebVersion
    sha256: Sha256


class BaseLock(Recipe):
    """The packages of a base.

    Attributes:
        created: when the lock was made, UTC; every file of the image gets this time.
        root: the image's packages, always AArch64.
        tools: the build tools' packages, by Debian architecture of the build platform.
        builder: the packages of what compiles, always AArch64; none where nothing is compiled.
    """

    created: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"), AfterValidator(_a_time)]
    root: dict[DebName, Deb]
    tools: dict[Annotated[str, StringConstraints(pattern=r"^(amd64|arm64)$")], dict[DebName, Deb]]
    builder: dict[DebName, Deb] = Field(default={})

    @property
    def epoch(self) -> int:
        """Seconds since 1970: SOURCE_DATE_EPOCH of the builds."""
        return int(datetime.fromisoformat(self.created).timestamp())

    @cached_property
    def digest(self) -> str:
        """The sha256 over all of it."""
        return hashlib.sha256(json.dumps(self.model_dump(exclude_defaults=True), sort_keys=True).encode()).hexdigest()


def base_lock_path(root: Path, base: str) -> Path:
    """Return the file that holds a base's lock."""
    return root / "recipes" / "locks" / f"{base}.yaml"


def wheel_lock_path(root: Path, framework: str, version: str) -> Path:
    """Return the file that holds a framework version's lock."""
    return root / "recipes" / "locks" / f"{framework}-{version}.txt"


def read_base_lock(root: Path, base: str) -> BaseLock:
    """Read a base's lock.

    Raises:
        InputError: it is missing or wrong, with the places.
    """
    path = base_lock_path(root, base)
    if not path.exists():
        raise InputError(f"there is no lock for {base}", f"invoke lock --base {base}")
    return _parsed(path, str(path.relative_to(root)), path.read_bytes())


@lru_cache
def _parsed(path: Path, name: str, _: bytes) -> BaseLock:
    """Read a base's lock once for the same bytes: every combo of a base is planned with it."""
    mistakes = Mistakes()
    document = yaml_file.read_yaml(path, name, mistakes)
    parsed = yaml_file.parse_document(document, BaseLock, mistakes) if document else None
    mistakes.raise_if_any()
    assert parsed is not None  # noqa: S101 - for the type checker: without a mistake there is a lock
    return parsed


def write_base_lock(root: Path, base: str, lock: BaseLock) -> None:
    """Write a base's lock."""
    head = f"# The packages of {base}, by `invoke lock --base {base}`: exact versions and hashes.\n"
    body = yaml.safe_dump(lock.model_dump(exclude_defaults=True), sort_keys=True, default_flow_style=None, width=160)
    write_whole(base_lock_path(root, base), head + body)


def read_wheel_lock(root: Path, framework: str, version: str) -> str:
    """Read a framework version's lock, checked.

    Raises:
        InputError: it is missing, or `check_wheels` refuses it.
    """
    path = wheel_lock_path(root, framework, version)
    if not path.exists():
        raise InputError(
            f"there is no lock for {framework} {version}", f"invoke lock --framework {framework} --version {version}"
        )
    text = path.read_text(encoding="utf-8", errors="replace")  # what is not text is refused like any bad line
    check_wheel_lock(text, str(path.relative_to(root)))
    return text


@lru_cache
def check_wheel_lock(text: str, name: str) -> None:
    """Refuse a lock that holds a CUDA distribution, an address, or a line without a hash.

    Args:
        text: the lock.
        name: how messages call it.

    Raises:
        InputError: every bad line with its place.
    """
    wrong = []
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        pinned = _PINNED.match(line)
        if "://" in line:
            wrong.append(f"{name}:{number}: an address; a lock holds versions and hashes only")
        elif pinned and FORBIDDEN.match(pinned["name"]):
            wrong.append(f"{name}:{number}: {pinned['name']} is a CUDA distribution; it does not belong in a CPU image")
        elif pinned and not (lines[number : number + 1] and _HASH.fullmatch(lines[number])):
            wrong.append(f"{name}:{number}: {pinned['name']} has no sha256")
        elif pinned and not _LINE.fullmatch(line):
            wrong.append(f"{name}:{number}: more than name==version: {line.strip()[:60]!r}")
        elif not pinned and line.strip() and not line.startswith("#") and not _HASH.fullmatch(line):
            wrong.append(f"{name}:{number}: not a pinned requirement: {line.strip()[:60]!r}")
    if wrong:
        raise InputError("the lock is wrong:\n  " + "\n  ".join(wrong), "make it anew with `invoke lock`")


def locked_packages(text: str) -> dict[str, str]:
    """Return the distributions of a wheel lock: name to version."""
    return {found["name"]: found["version"] for found in _PINNED.finditer(text)}
