"""Locks: exact versions and hashes of everything that is downloaded; no address of any index or mirror.

`recipes/locks/<framework>-<version>.txt` holds the wheels, in pip's format; `recipes/locks/<base>.yaml` the
distribution's packages. Making a lock needs the network, reading one needs nothing.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, Field, StringConstraints

from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework
from armwright.recipes.model import Recipe
from armwright.recipes.patterns import Sha256
from armwright.system import console, process, yaml_file
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


def base_path(root: Path, base: str) -> Path:
    """Return the file that holds a base's lock."""
    return root / "recipes" / "locks" / f"{base}.yaml"


def wheels_path(root: Path, framework: str, version: str) -> Path:
    """Return the file that holds a framework version's lock."""
    return root / "recipes" / "locks" / f"{framework}-{version}.txt"


def read_base(root: Path, base: str) -> BaseLock:
    """Read a base's lock.

    Raises:
        InputError: it is missing or wrong, with the places.
    """
    path = base_path(root, base)
    if not path.exists():
        raise InputError(f"there is no lock for {base}", f"invoke lock --base {base}")
    return _parsed(path, str(path.relative_to(root)), path.read_bytes())


@lru_cache
def _parsed(path: Path, name: str, _: bytes) -> BaseLock:
    """Read a base's lock once for the same bytes: every combo of a base is planned with it."""
    mistakes = Mistakes()
    document = yaml_file.read(path, name, mistakes)
    parsed = yaml_file.parse(document, BaseLock, mistakes) if document else None
    mistakes.raise_if_any()
    assert parsed is not None  # noqa: S101 - for the type checker: without a mistake there is a lock
    return parsed


def write_base(root: Path, base: str, lock: BaseLock) -> None:
    """Write a base's lock."""
    head = f"# The packages of {base}, by `invoke lock --base {base}`: exact versions and hashes.\n"
    body = yaml.safe_dump(lock.model_dump(exclude_defaults=True), sort_keys=True, default_flow_style=None, width=160)
    write_whole(base_path(root, base), head + body)


def read_wheels(root: Path, framework: str, version: str) -> str:
    """Read a framework version's lock, checked.

    Raises:
        InputError: it is missing, or `check_wheels` refuses it.
    """
    path = wheels_path(root, framework, version)
    if not path.exists():
        raise InputError(
            f"there is no lock for {framework} {version}", f"invoke lock --framework {framework} --version {version}"
        )
    text = path.read_text(encoding="utf-8", errors="replace")  # what is not text is refused like any bad line
    check_wheels(text, str(path.relative_to(root)))
    return text


@lru_cache
def check_wheels(text: str, name: str) -> None:
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


def packages(text: str) -> dict[str, str]:
    """Return the distributions of a wheel lock: name to version."""
    return {found["name"]: found["version"] for found in _PINNED.finditer(text)}


def make_wheels(root: Path, framework: Framework, version: str, base: Base) -> None:
    """Resolve a framework version for AArch64 on the host's own package index and write its lock.

    The resolver evaluates dependency markers for AArch64, not for this machine (pip does not).

    Raises:
        InputError: what was resolved is refused by `check_wheels`.
        FailedError: the resolver failed; its words are in the message.
    """
    console.step(f"lock {framework.name} {version}")
    requirements = root / "build" / "lock" / f"{framework.name}-{version}.in"
    requirements.parent.mkdir(parents=True, exist_ok=True)
    requirements.write_text("".join(f"{one}\n" for one in framework.versions[version].requires), encoding="utf-8")
    words = ["uv", "pip", "compile", "--quiet", "--no-config", "--no-header", "--no-annotate", "--generate-hashes"]
    words += ["--no-emit-index-url", "--no-emit-find-links", "--no-python-downloads", "--only-binary", ":all:"]
    words += ["--python-platform", f"aarch64-{base.manylinux}", "--python-version", base.python, str(requirements)]
    text = process.capture(words, env=index_environment())
    path = wheels_path(root, framework.name, version)
    title = f"{framework.title} {framework.versions[version].upstream or version}"  # the same wheels: the same file
    head = f"# The wheels of {title} on {base.title}, by `invoke lock`: exact versions and hashes.\n"
    kept = "".join(line + "\n" for line in text.splitlines() if not line.startswith("--"))
    check_wheels(head + kept, str(path.relative_to(root)))
    write_whole(path, head + kept)
    console.detail(f"{path.relative_to(root)}: {len(packages(kept))} wheels")


def index_environment() -> Mapping[str, str]:
    """Translate the host's pip configuration (index, extra indexes, CA bundle) into uv's variables."""
    settings = dict(_settings(process.capture(["pip", "config", "list"]).splitlines()))
    found: dict[str, str] = {}
    if "index-url" in settings:
        found["UV_DEFAULT_INDEX"] = settings["index-url"]
    extra = [url for url in settings.get("extra-index-url", "").split() if not url.startswith("file:")]
    if extra:
        found["UV_INDEX"] = " ".join(extra)
    if "cert" in settings:
        found["SSL_CERT_FILE"] = settings["cert"]
    return found


def _settings(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        key, _, value = line.partition("=")
        yield key.rpartition(".")[2], str(ast.literal_eval(value))  # pip prints a Python text, with its escapes
