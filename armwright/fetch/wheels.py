"""Wheels, downloaded by the host's own pip with the host's own configuration, each checked against the lock's hash."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from armwright.plan import locks
from armwright.recipes.bases import Base
from armwright.system import console, http, process
from armwright.system.errors import ArmwrightError, FailedError, InputError, MachineError

# What pip prints -> what kind of error it is, what it means, and what helps. The first that fits is told: an index
# that cannot be reached comes before the wheel that pip then says it does not have.
_CAUSES: tuple[tuple[str, type[ArmwrightError], str, str], ...] = (
    (
        "DO NOT MATCH THE HASHES",
        InputError,
        "a wheel on the index is not the one of the lock",
        "find out who changed it, or make the lock anew with `invoke lock`",
    ),
    (
        "No space left",
        MachineError,
        "the disk is full",
        "free some space (docker system prune), then the same command again",
    ),
    (
        "NewConnection|NameResolution|ConnectTimeout|ReadTimeout|Connection refused|Max retries|SSLError|ProxyError",
        MachineError,
        "the package index cannot be reached",
        http.CHECK_INDEX,
    ),
    (
        "No matching distribution",
        InputError,
        "the index does not have a wheel of the lock for AArch64",
        "make the lock anew with `invoke lock`",
    ),
)


def ensure_wheels(cache: Path, base: Base, text: str, log: Path) -> Path:
    """Return the folder with the wheels of a lock; download them first where they are not there.

    Args:
        cache: the folder build/cache.
        base: the distribution, for Python's version and the newest manylinux tag.
        text: the lock.
        log: where pip's words go.

    Raises:
        InputError: a hash of the lock is wrong, or the index has no such wheel.
        MachineError: the index cannot be reached, the disk is full.
    """
    key = hashlib.sha256(f"{base.python} {base.glibc} {text}".encode()).hexdigest()[:12]
    folder = cache / "wheels" / key
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    pinned = locks.locked_packages(text)
    with (
        console.progress(f"download {len(pinned)} wheels for AArch64") as shown,
        tempfile.TemporaryDirectory(dir=folder.parent, prefix="download-") as scratch,
    ):
        requirements = Path(scratch, "requirements.txt")
        requirements.write_text(text, encoding="utf-8")
        wheels = Path(scratch, "wheels")
        seen: list[str] = []

        def follow(line: str) -> str:
            seen.append(line)
            if found := re.search(r"(?:Downloading|Using cached) (?:\S*/)?(?P<name>\S+\.whl)", line):
                shown.update(found["name"])
            return line

        words = ["pip", "download", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--progress-bar", "off"]
        words += ["--no-input", "--retries", "2", "--implementation", "cp", "--python-version", base.python]
        for tag in list_platform_tags(base.glibc):
            words += ["--platform", tag]
        try:
            process.stream([*words, "--requirement", str(requirements), "--dest", str(wheels)], log, follow)
        except FailedError as failure:
            raise _cause("\n".join(seen), failure) from failure
        try:
            wheels.rename(folder)
        except OSError:  # another run was first
            if not folder.is_dir():
                raise
    return folder


def list_platform_tags(glibc: str) -> list[str]:
    """Name the tags of wheels that run over a C library, newest first (PEP 600, and PEP 599 for older wheels)."""
    newest = int(glibc.split(".")[1])
    return [*(f"manylinux_2_{minor}_aarch64" for minor in range(newest, 16, -1)), "manylinux2014_aarch64"]


def _cause(said: str, failure: FailedError) -> Exception:
    for pattern, kind, why, mend in _CAUSES:
        if re.search(pattern, said):
            return kind(f"{why}; {failure.what}", mend)
    return failure
