"""Locks: exact versions and hashes of everything that is downloaded, without addresses of indexes or mirrors.

`recipes/locks/<framework>-<version>.txt` holds wheels in pip's format, `recipes/locks/<base>.yaml` holds
packages of the distribution. Making a lock needs the network, reading one does not.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, Field, StringConstraints

from armwright.recipes.patterns import Sha256
from armwright.system import yaml_file
from armwright.system.errors import InputError
from armwright.system.files import sha256, write_whole
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


Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"), AfterValidator(_is_time)]
Role = Literal["root", "tools", "builder"]


class Deb(StrictModel):
    """One package of the distribution."""

    version: DebVersion
    sha256: Sha256


class BaseLock(StrictModel):
    """The packages of a base.

    Attributes:
        created: the newest time, in UTC, at which the archive that they were resolved from was published.
        root: packages of the image, always AArch64.
        tools: packages of the build tools, by Debian architecture of the build platform.
        tools_created: the time of the tools, if they were resolved later than the rest.
        builder: packages of the compilers, always AArch64; empty where nothing is compiled.
    """

    created: Time
    root: dict[DebName, Deb]
    tools: dict[Annotated[str, StringConstraints(pattern=r"^(amd64|arm64)$")], dict[DebName, Deb]]
    tools_created: Time | None = None
    builder: dict[DebName, Deb] = Field(default={})

    def packages(self, role: Role, architecture: str) -> dict[DebName, Deb]:
        """Return the packages of a root; of the tools those for a build platform."""
        by_role = {"root": self.root, "builder": self.builder}
        return by_role[role] if role in by_role else self.tools.get(architecture, {})

    def date(self, role: Role) -> str:
        """Return when the archive that a root's packages come from was published."""
        return self.tools_created or self.created if role == "tools" else self.created

    @property
    def epoch(self) -> int:
        """Seconds since 1970: SOURCE_DATE_EPOCH of the builds."""
        return int(datetime.fromisoformat(self.created).timestamp())

    @cached_property
    def digest(self) -> str:
        """The sha256 over what determines images, in hexadecimal: everything but the build tools."""
        parts = self.model_dump(exclude_defaults=True, exclude={"tools", "tools_created"})
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class OwnLock(StrictModel):
    """A lock that a build made for this checkout, because the project's lock could not be used any more.

    Attributes:
        replaces: the sha256 of the project's lock that it replaces; it holds until that file changes.
        lock: the packages.
    """

    replaces: Sha256
    lock: BaseLock


def own_lock_path(root: Path, base: str) -> Path:
    """Return the path of the lock that a build made for this checkout."""
    return root / "build" / "locks" / f"{base}.yaml"


def base_lock_path(root: Path, base: str) -> Path:
    """Return the path of the lock of a base."""
    return root / "recipes" / "locks" / f"{base}.yaml"


def wheel_lock_path(root: Path, framework: str, version: str) -> Path:
    """Return the path of the wheel lock of a framework version."""
    return root / "recipes" / "locks" / f"{framework}-{version}.txt"


def read_base_lock(root: Path, base: str) -> BaseLock:
    """Read the lock of a base: this checkout's own, if a build made one for the project's, or else the project's.

    Raises:
        InputError: the lock is missing, or has mistakes (listed with file:line:column).
    """
    project = base_lock_path(root, base).exists()
    return (read_own_lock(root, base) if project else None) or read_project_lock(root, base)


def read_project_lock(root: Path, base: str) -> BaseLock:
    """Read the project's lock of a base.

    Raises:
        InputError: the lock is missing, or has mistakes (listed with file:line:column).
    """
    path = base_lock_path(root, base)
    if not path.exists():
        raise InputError(f"{base} has no lock", f"invoke lock --base {base}")
    return yaml_file.load_yaml(path, str(path.relative_to(root)), BaseLock)


def read_own_lock(root: Path, base: str) -> BaseLock | None:
    """Return this checkout's own lock of a base; None if there is none for the project's lock as it is now.

    Raises:
        InputError: it has mistakes.
    """
    path = own_lock_path(root, base)
    if not path.exists():
        return None
    own = yaml_file.load_yaml(path, str(path.relative_to(root)), OwnLock)
    return own.lock if own.replaces == sha256(base_lock_path(root, base)) else None


def write_base_lock(root: Path, base: str, lock: BaseLock) -> None:
    """Write the lock of a base; this checkout's own ends with it."""
    head = f"# The packages of {base}, by `invoke lock --base {base}`: exact versions and hashes.\n"
    write_whole(base_lock_path(root, base), head + _dump(lock))
    own_lock_path(root, base).unlink(missing_ok=True)


def write_own_lock(root: Path, base: str, lock: BaseLock) -> None:
    """Write this checkout's own lock of a base, below build/; the project's stays as it is."""
    head = f"# The packages of {base}, by a build that could no longer fetch those of the project's lock.\n"
    head += f"# `invoke lock --base {base}` replaces the project's lock; `invoke build --locked` removes this one.\n"
    own = OwnLock(replaces=sha256(base_lock_path(root, base)), lock=lock)
    write_whole(own_lock_path(root, base), head + _dump(own))


def remove_own_locks(root: Path) -> None:
    """Remove this checkout's own locks, so that the project's are used again."""
    for path in own_lock_path(root, "any").parent.glob("*.yaml"):
        path.unlink()


def _dump(model: StrictModel) -> str:
    return yaml.safe_dump(model.model_dump(exclude_defaults=True), sort_keys=True, default_flow_style=None, width=160)


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


@lru_cache
def locked_packages(text: str) -> Mapping[str, str]:
    """Return the Python distributions of a wheel lock, name to version."""
    return {pinned["name"]: pinned["version"] for pinned in _PINNED.finditer(text)}
