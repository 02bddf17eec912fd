"""Unpacks root file systems from the distribution's signed archive without running a maintainer script.

mmdebstrap's variant `extract` only unpacks: 6 s for an AArch64 root on any machine, where a bootstrap under emulation
takes minutes. The archive's signature vouches for the packages; the lock fixes their versions and hashes.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from armwright.host import apt
from armwright.host.inspect import read_os_release
from armwright.plan.locks import BaseLock, Deb
from armwright.recipes.bases import Base
from armwright.system import console, process
from armwright.system.errors import FailedError, InputError, MachineError
from armwright.system.files import sha256

Role = Literal["root", "tools", "builder"]
TARGET_ARCHITECTURE = "arm64"


class StaleLockError(InputError):
    """The archive no longer has a locked package, because of a point release or a security update."""


@dataclass(frozen=True)
class CachedRoot:
    """A root file system in the cache.

    Attributes:
        tar: the files.
        status: the package database (dpkg's status file), for scanners.
    """

    tar: Path
    status: Path


def get_build_architecture() -> str:
    """Return Debian's name of this machine's architecture: amd64 or arm64."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def ensure_root(cache: Path, base: Base, base_lock: BaseLock, role: Role, log: Path) -> CachedRoot:
    """Return a root file system from the cache; unpack it if it is not cached.

    Args:
        cache: the folder build/cache.
        base: the distribution.
        base_lock: its packages, with exact versions and hashes.
        role: "root" for the image, "tools" for the build platform, "builder" for compilation.
        log: the log file for mmdebstrap's output.

    Raises:
        StaleLockError: the archive no longer has a locked version.
        FailedError: a package's hash differs from the lock, or mmdebstrap failed.
        MachineError: the archive cannot be reached, or the disk is full.
    """
    architecture = get_build_architecture() if role == "tools" else TARGET_ARCHITECTURE
    by_role = {"root": base_lock.root, "builder": base_lock.builder}
    debs = by_role[role] if role in by_role else base_lock.tools.get(architecture, {})
    content = json.dumps({package: deb.model_dump() for package, deb in debs.items()}, sort_keys=True)
    content += " ".join(_setup_hooks(base))
    key = hashlib.sha256(content.encode()).hexdigest()
    name = f"{base.name}-{role}-{architecture}-{key[:12]}"
    root = CachedRoot(cache / "roots" / f"{name}.tar", cache / "roots" / f"{name}.status")
    if root.tar.exists() and root.status.exists():
        return root
    with console.progress(f"{role} of {base.name}: {len(debs)} packages") as progress:
        names = [f"{package}={deb.version}" for package, deb in debs.items()]
        unpack_root(base, architecture, names, root, log, progress, debs)
    return root


def unpack_root(  # noqa: PLR0913, PLR0917 - all of them differ between its callers
    base: Base,
    architecture: str,
    names: Iterable[str],
    destination: CachedRoot,
    log: Path,
    progress: console.Progress,
    expected: Mapping[str, Deb] | None = None,
) -> dict[str, Deb]:
    """Unpack packages and their dependencies with mmdebstrap.

    Args:
        base: the distribution.
        architecture: Debian's name of the architecture.
        names: the packages, each with or without "=version".
        destination: the files to write; they are complete or absent.
        log: the log file for mmdebstrap's output.
        progress: shows what mmdebstrap does.
        expected: the packages of the lock; None accepts any.

    Returns:
        the packages with their versions and hashes.

    Raises:
        ArmwrightError: as in `ensure_root`.
    """
    destination.tar.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.tar.parent, prefix="unpack-") as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)  # apt downloads as another user
        archives = scratch / "archives"
        archives.mkdir()
        _run_mmdebstrap(_mmdebstrap_arguments(base, architecture, names, scratch), base.name, log, progress, scratch)
        debs = {}
        with (scratch / "status").open("w", encoding="utf-8") as status:
            for path in sorted(archives.glob("*.deb")):
                control = process.capture(["dpkg-deb", "--field", str(path)])
                fields = dict(re.findall(r"^(Package|Version): (.*)$", control, re.MULTILINE))
                debs[fields["Package"]] = Deb(version=fields["Version"], sha256=sha256(path))
                status.write(control.replace("\n", "\nStatus: install ok unpacked\n", 1) + "\n")
        if expected is not None and debs != expected:
            differ = sorted(name for name in {*debs, *expected} if debs.get(name) != expected.get(name))
            raise FailedError(
                f"the archive's packages differ from the lock: {', '.join(differ)}; nothing was kept",
                f"invoke lock --base {base.name}",
                hint="only if you trust your mirror: it accepts the archive's packages",
            )
        shutil.move(scratch / "status", destination.status)
        shutil.move(scratch / "root.tar", destination.tar)
    return debs


def _mmdebstrap_arguments(base: Base, architecture: str, names: Iterable[str], scratch: Path) -> list[str]:
    # As root mmdebstrap mounts the host's /proc, /sys and /dev below its folder. In a mount namespace of its own these
    # mounts end with the process, and removing the folder never reaches the host's.
    namespace = ["unshare", "--mount"] if os.geteuid() == 0 else []
    return [
        *namespace,
        process.require_program("mmdebstrap"),
        "--variant=extract",
        f"--architectures={architecture}",
        "--skip=check/qemu",
        "--format=tar",
        "--skip=essential/unlink",
        f"--extract-hook=copy-out /var/cache/apt/archives {shlex.quote(str(scratch))}",
        *_setup_hooks(base),
        f"--include={','.join(names)}",
        base.archive.suites[0],
        str(scratch / "root.tar"),
        *_list_sources(base),
    ]


def _setup_hooks(base: Base) -> list[str]:
    """Return the hooks that create links before anything is unpacked, first those of merged folders into /usr."""
    steps = []
    if base.archive.merged is not None:
        into = " ".join(f"usr/{folder}" for folder in base.archive.merged.folders)
        steps.append(f"mkdir -p {into} && ln -s {into} .")
    steps += [f"ln -s {link.target} {link.path}" for link in base.archive.early]
    return [f'--setup-hook=cd "$1" && {step}' for step in steps]


def _list_sources(base: Base) -> list[str]:
    """Return apt sources with this host's mirror; none if the host's distribution differs: mmdebstrap's default."""
    release = read_os_release()
    codename = release.get("VERSION_CODENAME", "")
    if release.get("ID") != "debian":
        return []
    listing = process.capture(["apt-get", "update", "--print-uris"])
    first = base.archive.suites[0]
    sites = {suite: apt.find_mirror(codename + suite.removeprefix(first), listing) for suite in base.archive.suites}
    keyring = f"/usr/share/keyrings/{base.archive.keyring}"
    if not all(sites.values()):
        return []  # a host without a security source: the default archive instead of a root without updates
    return [f"deb [signed-by={keyring}] {site} {suite} main" for suite, site in sites.items()]


def _run_mmdebstrap(arguments: Sequence[str], base: str, log: Path, progress: console.Progress, scratch: Path) -> None:
    lines: list[str] = []

    def follow(line: str) -> str:
        lines.append(line)
        if line.startswith("I: "):
            progress.update(line.removeprefix("I: ").removesuffix("..."))
        return line

    try:
        process.stream(arguments, log, follow, env={"TMPDIR": str(scratch)})
    except FailedError as failure:
        raise _explain("\n".join(lines), failure, base) from failure


def _explain(output: str, failure: FailedError, base: str) -> FailedError | InputError | MachineError:
    """Return the error that mmdebstrap's output stands for; the failure itself if the output is unknown."""
    gone = re.search(r"Version '(?P<version>[^']+)' for '(?P<name>[^']+)' was not found", output)
    if gone:
        return StaleLockError(
            f"the archive no longer has {gone['name']} {gone['version']}, which the lock requires",
            f"invoke lock --base {base}",
            hint="then run the same command again",
        )
    return apt.explain_failure(output, failure) or failure
