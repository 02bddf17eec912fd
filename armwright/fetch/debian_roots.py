"""Root file systems, unpacked from the distribution's signed archive without running a maintainer script.

mmdebstrap's variant `extract` only unpacks: 6 s for an AArch64 root on any machine, where a bootstrap under emulation
takes minutes. The archive's signature vouches for the packages, the lock says which ones they must be.
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
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from armwright.host import apt
from armwright.plan import locks
from armwright.plan.locks import BaseLock, Deb
from armwright.recipes.bases import Base
from armwright.system import console, process
from armwright.system.errors import FailedError, InputError, MachineError
from armwright.system.files import sha256

Role = Literal["root", "tools", "builder"]
TARGET = "arm64"


class StaleLockError(InputError):
    """The archive no longer has a package that the lock names: it moved on (a point release, a security update)."""


@dataclass(frozen=True)
class CachedRoot:
    """A root in the cache.

    Attributes:
        tar: the root file system.
        status: its package database (dpkg's status file), for scanners.
    """

    tar: Path
    status: Path


def get_build_architecture() -> str:
    """Return the Debian name of the build platform: amd64 or arm64."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def ensure_root(cache: Path, base: Base, base_lock: BaseLock, role: Role, log: Path) -> CachedRoot:
    """Return a root from the cache; unpack it first where it is not there.

    Args:
        cache: the folder build/cache.
        base: the distribution.
        base_lock: its packages, exact versions and hashes.
        role: "root" for the image, "tools" for the build platform, "builder" for what compiles.
        log: where mmdebstrap's words go.

    Raises:
        StaleLockError: the archive no longer has a locked version.
        FailedError: a package's hash is not the lock's, or mmdebstrap failed.
        MachineError: the archive cannot be reached, the disk is full.
    """
    architecture = get_build_architecture() if role == "tools" else TARGET
    own = {"root": base_lock.root, "builder": base_lock.builder}
    debs = own[role] if role in own else base_lock.tools.get(architecture, {})
    content = json.dumps({package: deb.model_dump() for package, deb in debs.items()}, sort_keys=True)
    content += " ".join(_prepared(base))
    key = hashlib.sha256(content.encode()).hexdigest()
    name = f"{base.name}-{role}-{architecture}-{key[:12]}"
    found = CachedRoot(cache / "roots" / f"{name}.tar", cache / "roots" / f"{name}.status")
    if found.tar.exists() and found.status.exists():
        return found
    with console.progress(f"unpack {base.title} for {architecture} ({role}): {len(debs)} packages") as shown:
        names = [f"{package}={deb.version}" for package, deb in debs.items()]
        _unpack(base, architecture, names, found, log, shown, debs)
    return found


def resolve_lock(cache: Path, base: Base, log: Path) -> BaseLock:
    """Resolve a base's packages against the archive as it is now."""

    def resolve(architecture: str, names: Sequence[str]) -> dict[str, Deb]:
        with console.progress(f"resolve {base.title} for {architecture}: {', '.join(names[:4])} …") as shown:
            scratch = CachedRoot(cache / "roots" / "resolve.tar", cache / "roots" / "resolve.status")
            try:
                return _unpack(base, architecture, names, scratch, log, shown)
            finally:
                scratch.tar.unlink(missing_ok=True)
                scratch.status.unlink(missing_ok=True)

    tools = [package.name for package in base.tools]
    return BaseLock(
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        root=resolve(TARGET, [package.name for package in base.archive.packages]),
        tools={architecture: resolve(architecture, tools) for architecture in ("amd64", "arm64")},
        builder=resolve(TARGET, [package.name for package in base.builder.packages]) if base.builder else {},
    )


def refresh_lock(root: Path, cache: Path, base: Base, log: Path) -> list[str]:
    """Write a base's lock anew and say what moved.

    Args:
        root: the project's root.
        cache: the folder build/cache.
        base: the distribution.
        log: where mmdebstrap's words go.

    Returns:
        one line for each of the image's packages that changed, "openssl 3.5.6-1 -> 3.5.7-1". When nothing changed the
        file stays as it is, its time included, so that digests do not move for nothing.
    """
    old = locks.read_base_lock(root, base.name) if locks.base_lock_path(root, base.name).exists() else None
    new = resolve_lock(cache, base, log)
    if old is not None and (old.root, old.tools, old.builder) == (new.root, new.tools, new.builder):
        return []
    locks.write_base_lock(root, base.name, new)
    before, after = (old.root if old else {}), new.root
    versions = {name: (before.get(name), after.get(name)) for name in sorted({*before, *after})}
    return [
        f"{name} {was.version if was else '(new)'} -> {now.version if now else '(gone)'}"
        for name, (was, now) in versions.items()
        if was != now
    ] or ["build tools only"]


def _unpack(  # noqa: PLR0913, PLR0917 - one call in, one call out
    base: Base,
    architecture: str,
    names: Iterable[str],
    into: CachedRoot,
    log: Path,
    shown: console.Progress,
    expected: Mapping[str, Deb] | None = None,
) -> dict[str, Deb]:
    """Run mmdebstrap; check every package against the lock before anything is kept."""
    into.tar.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.tar.parent, prefix="unpack-") as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)  # apt downloads as a user of its own
        archives = scratch / "archives"
        archives.mkdir()
        # As root mmdebstrap mounts the host's /proc, /sys and /dev below its folder. In a mount namespace of its own
        # the mounts end with it, however it ends, and removing the folder never reaches into the host.
        words = ["unshare", "--mount"] if os.geteuid() == 0 else []
        words += [
            process.require_program("mmdebstrap"),
            "--variant=extract",
            f"--architectures={architecture}",
            "--skip=check/qemu",
            "--format=tar",
        ]
        words += [
            "--skip=essential/unlink",
            f"--extract-hook=copy-out /var/cache/apt/archives {shlex.quote(str(scratch))}",
        ]
        words += _prepared(base)
        words += [f"--include={','.join(names)}", base.archive.suites[0], str(scratch / "root.tar"), *_sources(base)]
        _run(words, base.name, log, shown, scratch)
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
                f"the archive's packages are not those of the lock: {', '.join(differ)}; nothing was kept",
                f"if you trust your mirror: invoke lock --base {base.name}",
            )
        shutil.move(scratch / "status", into.status)
        shutil.move(scratch / "root.tar", into.tar)
    return debs


def _prepared(base: Base) -> list[str]:
    """Make links before anything is unpacked, folders of the root into /usr first; unpacking keeps them."""
    steps = []
    if base.archive.merged is not None:
        into = " ".join(f"usr/{folder}" for folder in base.archive.merged.folders)
        steps.append(f"mkdir -p {into} && ln -s {into} .")
    steps += [f"ln -s {link.target} {link.path}" for link in base.archive.early]
    return [f'--setup-hook=cd "$1" && {step}' for step in steps]


def _sources(base: Base) -> list[str]:
    """Name the archive: the host's own mirror where the host is of the same distribution, else mmdebstrap's default."""
    release = platform.freedesktop_os_release()
    own = release.get("VERSION_CODENAME", "")
    if release.get("ID") != "debian":
        return []
    listing = process.capture(["apt-get", "update", "--print-uris"])
    first = base.archive.suites[0]
    sites = {suite: apt.find_mirror(own + suite.removeprefix(first), listing) for suite in base.archive.suites}
    keyring = f"/usr/share/keyrings/{base.archive.keyring}"
    if not all(sites.values()):
        return []  # a host without a security source: rather the archive's default than a root without its updates
    return [f"deb [signed-by={keyring}] {site} {suite} main" for suite, site in sites.items()]


def _run(words: Sequence[str], base: str, log: Path, shown: console.Progress, scratch: Path) -> None:
    seen: list[str] = []

    def follow(line: str) -> str:
        seen.append(line)
        if line.startswith("I: "):
            shown.update(line.removeprefix("I: ").removesuffix("..."))
        return line

    try:
        process.stream(words, log, follow, env={"TMPDIR": str(scratch)})
    except FailedError as failure:
        raise _cause("\n".join(seen), failure, base) from failure


def _cause(said: str, failure: FailedError, base: str) -> Exception:
    gone = re.search(r"Version '(?P<version>[^']+)' for '(?P<name>[^']+)' was not found", said)
    if gone:
        return StaleLockError(
            f"the archive no longer has {gone['name']} {gone['version']}: it moved on since the lock was made",
            f"invoke lock --base {base}, then the same command again",
        )
    why, mend = apt.explain_failure(said)
    return (
        MachineError(f"{why}; {failure.what}", mend.replace("./inv setup", "the same command again"))
        if why
        else failure
    )
