"""Downloads wheels with this machine's pip and its configuration, and checks each one against the lock's hash."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from armwright.plan import locks
from armwright.recipes.bases import Base
from armwright.system import console, http, pip_tool, process
from armwright.system.errors import ArmwrightError, FailedError, InputError, MachineError
from armwright.system.scratch import scratch_folder


class _Cause(NamedTuple):
    """Output of pip, the kind of error it means, why, and what helps."""

    pattern: str
    kind: type[ArmwrightError]
    why: str
    next_step: str
    hint: str


# The first match is used. A wrong hash comes first, and an unreachable index before the missing wheel that pip reports
# after it.
_CAUSES = (
    _Cause(
        "DO NOT MATCH THE HASHES",
        InputError,
        "a wheel on the index differs from the locked one",
        "invoke lock",
        "find out first who changed it; `invoke lock` accepts the new wheel",
    ),
    _Cause(
        "No space left",
        MachineError,
        "the disk is full",
        "docker system prune",
        "then run the same command again",
    ),
    _Cause(
        "NewConnection|NameResolution|ConnectTimeout|ReadTimeout|Connection refused|Max retries|SSLError|ProxyError",
        MachineError,
        "the package index cannot be reached",
        http.INDEX_COMMAND,
        http.INDEX_HINT,
    ),
    _Cause(
        "No matching distribution",
        InputError,
        "the index does not have a locked wheel for AArch64",
        "invoke lock",
        "it locks what the index has now",
    ),
)


def ensure_wheels(cache: Path, base: Base, text: str, log: Path) -> Path:
    """Return the cached folder with the wheels of a lock; download them if they are not cached.

    Args:
        cache: the folder build/cache.
        base: the distribution, for Python's version and the newest manylinux tag.
        text: the lock.
        log: the log file for pip's output.

    Raises:
        InputError: a hash differs from the lock, or the index does not have a wheel.
        MachineError: the index cannot be reached, or the disk is full.
    """
    key = hashlib.sha256(f"{base.python} {base.glibc} {text}".encode()).hexdigest()[:12]
    folder = cache / "wheels" / key
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (
        console.progress(f"wheels: {len(locks.locked_packages(text))} for AArch64") as progress,
        scratch_folder(folder.parent, "download-") as scratch,
    ):
        requirements, wheels = scratch.folder / "requirements.txt", scratch.folder / "wheels"
        requirements.write_text(text, encoding="utf-8")
        lines: list[str] = []

        def follow(line: str) -> str:
            lines.append(line)
            if match := re.search(r"(?:Downloading|Using cached) (?:\S*/)?(?P<name>\S+\.whl)", line):
                progress.update(match["name"])
            return line

        details = scratch.folder / "pip.log"  # pip says there, and nowhere else, why an index has no package for it
        arguments = _pip_arguments(base, requirements, wheels, details)
        environment = {**pip_tool.read_pip_environment("download"), "TMPDIR": str(scratch.folder)}
        try:
            process.stream(arguments, log, follow, env=environment)
        except FailedError as failure:
            pip_log = details.read_text(encoding="utf-8", errors="replace") if details.exists() else ""
            raise _explain("\n".join(lines), failure, pip_log) from failure
        try:
            wheels.rename(folder)
        except OSError:  # another run finished first
            if not folder.is_dir():
                raise
    return folder


def list_platform_tags(glibc: str) -> list[str]:
    """Return the tags of wheels that a C library can run, newest first (PEP 600; PEP 599 for older wheels)."""
    newest = int(glibc.split(".")[1])
    return [*(f"manylinux_2_{minor}_aarch64" for minor in range(newest, 16, -1)), "manylinux2014_aarch64"]


def _pip_arguments(base: Base, requirements: Path, destination: Path, details: Path) -> list[str]:
    arguments = ["pip", "download", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--progress-bar", "off"]
    arguments += ["--no-input", "--disable-pip-version-check", "--log", str(details), "--retries", "2"]
    arguments += ["--implementation", "cp", "--python-version", base.python]
    for tag in list_platform_tags(base.glibc):
        arguments += ["--platform", tag]
    return [*arguments, "--requirement", str(requirements), "--dest", str(destination)]


def _explain(output: str, failure: FailedError, details: str = "") -> ArmwrightError:
    """Return the error that pip's output stands for; the failure itself if the output is unknown.

    Args:
        output: what pip printed.
        failure: the failure.
        details: pip's own log, which may hold passwords.
    """
    status = pip_tool.find_status(output + details)
    for cause in _CAUSES:
        if status and cause.next_step == http.INDEX_COMMAND:  # before the causes of an index that does not answer
            why, hint = pip_tool.explain_status(status)
            return MachineError(f"the package index {why}; {failure.what}", http.INDEX_COMMAND, hint=hint)
        if re.search(cause.pattern, output):
            return cause.kind(f"{cause.why}; {failure.what}", cause.next_step, hint=cause.hint)
    return failure
