"""Root file systems of a base, from its locked packages: fetched from the archive or a snapshot of it, then unpacked.

Unpacking takes seconds on any machine, where a bootstrap under emulation takes minutes. The archive's signature vouches
for the packages; the lock fixes their versions and hashes. Nothing is unpacked before its hash was compared.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from armwright.fetch import debian_sources, debian_tree
from armwright.fetch.apt_folder import AptFolder, GoneError, SilentArchiveError, UntrustedError
from armwright.plan.locks import BaseLock, Deb, Role
from armwright.recipes.bases import Base
from armwright.system import console, process
from armwright.system.errors import FailedError, InputError
from armwright.system.files import has_seal, seal, sha256
from armwright.system.scratch import Scratch, scratch_folder

TARGET_ARCHITECTURE = "arm64"
_FORMAT = 2  # of the roots in the cache; raise it when debian_tree.py writes other files from the same packages


class StaleLockError(InputError):
    """Neither the archive nor a snapshot of it gives a locked package."""


def get_build_architecture() -> str:
    """Return Debian's name of this machine's architecture: amd64 or arm64."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def ensure_root(cache: Path, base: Base, base_lock: BaseLock, role: Role, log: Path) -> Path:
    """Return a root file system from the cache, as a tar; fetch and unpack its packages if it is not cached.

    Args:
        cache: the folder build/cache.
        base: the distribution.
        base_lock: its packages, with exact versions and hashes.
        role: "root" for the image, "tools" for the build platform, "builder" for compilation.
        log: the log file for apt's output.

    Raises:
        StaleLockError: neither the archive nor a snapshot has a locked version.
        FailedError: a package's hash differs from the lock.
        MachineError: the archive cannot be reached, or the disk is full.
    """
    architecture = get_build_architecture() if role == "tools" else TARGET_ARCHITECTURE
    debs = base_lock.packages(role, architecture)
    root = root_path(cache, base, base_lock, role, architecture)
    if has_seal(root):
        return root
    if root.exists():
        console.say(f"{root.name} in the cache is not what was written there; it is made again", console.DOUBTFUL)
    title = f"{role} of {base.name}: {len(debs)} packages"
    with console.progress(title) as progress, apt_scratch(root.parent) as scratch:
        packages = _fetch_locked(base, architecture, debs, base_lock.date(role), AptRun(scratch, log, progress))
        _require_locked(base, read_debs(packages), debs)
        unpack_root(base, packages, root, scratch.folder)
    return root


def root_path(cache: Path, base: Base, base_lock: BaseLock, role: Role, architecture: str) -> Path:
    """Return where the cache has a root; its name follows from everything that determines its content."""
    debs = {package: deb.model_dump() for package, deb in base_lock.packages(role, architecture).items()}
    links = {"merged": base.archive.merged, "early": base.archive.early}
    key = hashlib.sha256(f"{_FORMAT} {json.dumps(debs, sort_keys=True)} {links}".encode()).hexdigest()
    return cache / "roots" / f"{base.name}-{role}-{architecture}-{key[:12]}.tar"


@dataclass(frozen=True)
class AptRun:
    """Where apt works and reports: an empty scratch folder, the log file, and the progress that is shown."""

    scratch: Scratch
    log: Path
    progress: console.Progress

    def follow(self, line: str) -> None:
        """Show what apt downloads."""
        if match := re.match(r"Get:\d+ \S+ \S+ \S+ (?P<name>[^ ]+)", line):
            self.progress.update(f"download {match['name']}")


@contextmanager
def apt_scratch(parent: Path) -> Iterator[Scratch]:
    """Yield a scratch folder that every user can enter, because apt downloads as another user."""
    parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(parent, "unpack-") as scratch:
        scratch.folder.chmod(0o755)
        yield scratch


def open_archive(
    sources: Iterable[str], run: AptRun, architecture: str, *, all_suites: bool = True, signed: bool = True
) -> AptFolder:
    """Return a new folder in which apt knows the packages of some sources.

    Args:
        sources: apt's sources, one line each.
        run: where apt works.
        architecture: Debian's name of the architecture.
        all_suites: fail if a source cannot be used; otherwise only if a package is then missing.
        signed: fail if a signature is not confirmed.

    Raises:
        GoneError: the archive does not have a suite.
        MachineError: it cannot be reached, its signature is not trusted, or the disk is full.
    """
    folder = Path(tempfile.mkdtemp(dir=run.scratch.folder, prefix="apt-"))
    folder.chmod(0o755)
    apt_folder = AptFolder(folder, architecture, run.log, run.follow, run.scratch.lock)
    apt_folder.update(sources, all_suites=all_suites, signed=signed)
    return apt_folder


def fetch_packages(archive: AptFolder, names: Sequence[str]) -> dict[Path, str]:
    """Download packages and their dependencies; return their files with their control fields.

    Args:
        archive: what apt knows.
        names: the packages, each with or without "=version".

    Raises:
        GoneError: the archive does not have a package or a version.
        MachineError: it cannot be reached, or the disk is full.
    """
    return {path: process.capture(["dpkg-deb", "--field", str(path)]) for path in archive.download(names)}


def unpack_root(base: Base, packages: Mapping[Path, str], root: Path, scratch: Path) -> None:
    """Write the root file system of packages; the file is complete or absent."""
    debian_tree.write_tree(scratch / "root.tar", base.archive, packages)
    root.with_suffix(".libraries").unlink(missing_ok=True)  # made from it
    (scratch / "root.tar").replace(root)
    seal(root)


def read_debs(packages: Mapping[Path, str]) -> dict[str, Deb]:
    """Return the versions and hashes of packages, by name."""
    debs = {}
    for path, control in packages.items():
        fields = dict(re.findall(r"^(Package|Version): (.*)$", control, re.MULTILINE))
        debs[fields["Package"]] = Deb(version=fields["Version"], sha256=sha256(path))
    return debs


def _fetch_locked(base: Base, architecture: str, debs: Mapping[str, Deb], date: str, run: AptRun) -> dict[Path, str]:
    """Download locked packages from the archive; if one has left it, from a snapshot at the lock's time."""
    names = [f"{package}={deb.version}" for package, deb in debs.items()]
    mirror = debian_sources.list_mirror_sources(base, any_age=True)
    try:
        return fetch_packages(open_archive(mirror, run, architecture), names)
    except GoneError as error:
        gone = error
    reasons = [gone.what]
    kept = [] if gone.whole_suite else mirror  # what the mirror still has comes from there
    for site in debian_sources.find_snapshots(base):
        host = urlsplit(site).hostname or site
        console.say(f"{gone.what}; fetching it from {host}, of {date}")
        for signed in (True, False):
            sources = [*kept, *debian_sources.list_snapshot_sources(base, site, date, signed=signed)]
            try:
                archive = open_archive(sources, run, architecture, all_suites=False, signed=signed)
                return fetch_packages(archive, names)
            except UntrustedError as error:
                if not signed:
                    reasons.append(f"{host}: {error.what.partition(';')[0]}")
                    break
                console.say(f"no key confirms the signature of {host}; the hashes in the lock do", console.DOUBTFUL)
            except (GoneError, SilentArchiveError, FailedError) as error:
                reasons.append(f"{host}: {error.what.partition(';')[0].partition(':')[0]}")
                break
    hint = f"{debian_sources.SNAPSHOT_VARIABLE} can name another snapshot of the archive"
    raise StaleLockError("; ".join(reasons), f"invoke lock --base {base.name}", hint=hint)


def _require_locked(base: Base, found: Mapping[str, Deb], locked: Mapping[str, Deb]) -> None:
    differ = sorted(name for name in {*found, *locked} if found.get(name) != locked.get(name))
    if differ:
        raise FailedError(
            f"the archive's packages differ from the lock: {', '.join(differ)}; nothing was kept",
            f"invoke lock --base {base.name}",
            hint="only if you trust your mirror: it accepts the archive's packages",
        )
