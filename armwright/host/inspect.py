"""What this machine is and has.

`look()` reads the machine once into a frozen `Host`; whatever decides on it (`setup.plan`, `doctor.rows`) is a pure
function of that. Nothing here changes the machine.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import docker
import requests
from docker.errors import DockerException

from armwright.host import apt, binfmt
from armwright.host.needs import Need, NeedName
from armwright.system import process
from armwright.system.errors import ArmwrightError

DAEMON_JSON = Path("/etc/docker/daemon.json")


@dataclass(frozen=True)
class EngineReading:
    """A Docker Engine that answers: its version, image store, running containers and where it keeps its data."""

    version: str
    containerd_store: bool
    running: int
    root: Path


@dataclass(frozen=True)
class Host:
    """One reading of the machine.

    Attributes:
        id: the distribution as os-release names it, e.g. "debian".
        version: its release, e.g. "12"; empty for a rolling one.
        title: its name for people.
        machine: the architecture as the kernel names it, e.g. "x86_64".
        root: whether we may change the system.
        systemd: whether systemd runs (not only: is installed).
        site: the host's own mirror of its distribution; None if no source of apt names the release.
        engine: the Docker Engine, if it answers.
        silence: why it does not answer, in one sentence; empty if it does.
        forbidden: it is there, but this user may not talk to it.
        remote: DOCKER_HOST, when it is set to somewhere that setup cannot mend.
        engine_package: the package dockerd's file belongs to; empty if it was installed by hand or is absent.
        have: what is there of the needs, and in which version ("" if it does not tell).
        emulation: the kernel's table of foreign programs.
        daemon_json: the engine's configuration; None if there is no file.
        files: the content of setup's own apt files, those that exist.
        unfinished: packages an interrupted run left half configured.
        journal: dpkg itself was interrupted.
    """

    id: str = ""
    version: str = ""
    title: str = ""
    machine: str = "x86_64"
    root: bool = False
    systemd: bool = False
    site: str | None = None
    engine: EngineReading | None = None
    silence: str = ""
    forbidden: bool = False
    remote: str = ""
    engine_package: str = ""
    have: Mapping[str, str] = field(default_factory=dict)
    emulation: binfmt.Emulation = field(default_factory=binfmt.Emulation)
    daemon_json: str | None = None
    files: Mapping[Path, str] = field(default_factory=dict)
    unfinished: frozenset[str] = frozenset()
    journal: bool = False

    @property
    def arm(self) -> bool:
        """An Arm host runs the images itself: no emulator is needed."""
        return self.machine in {"aarch64", "arm64"}

    def missing(self, needs: Mapping[NeedName, Need]) -> tuple[NeedName, ...]:
        """Return the needs that are absent or older than their minimum, in the order of needs.yaml."""
        wanted = (name for name in needs if not (name == "emulator" and self.arm))
        return tuple(name for name in wanted if not is_recent(self.have.get(name), needs[name].minimum))


def is_recent(found: str | None, minimum: str | None) -> bool:
    """Say whether a version is new enough; a program that does not tell its version is taken as it is.

    Args:
        found: what is there ("26.1.5", "" if it does not tell); None if it is absent.
        minimum: the oldest that will do; None if any will.
    """
    if found is None:
        return False
    return not found or minimum is None or _numbers(found) >= _numbers(minimum)


def inspect_host() -> Host:
    """Read this machine. Takes about half a second; raises nothing for what is absent."""
    system = read_os_release(Path("/etc/os-release"))
    answering, silence, forbidden = engine()
    emulation = binfmt.read_emulation()
    debian = process.find_program("dpkg-query") is not None
    listing = process.capture(["apt-get", "update", "--print-uris"], check=False) if debian else ""
    dockerd = process.find_program("dockerd")
    return Host(
        id=system.get("ID", ""),
        version=system.get("VERSION_ID", ""),
        title=system.get("PRETTY_NAME", platform.system()),
        machine=platform.machine(),
        root=os.geteuid() == 0,
        systemd=Path("/run/systemd/system").is_dir(),
        site=apt.find_mirror(system.get("VERSION_CODENAME", ""), listing),
        engine=answering,
        silence=silence,
        forbidden=forbidden,
        remote=_remote(os.environ.get("DOCKER_HOST", "")),
        engine_package=apt.find_owner(dockerd) if debian and dockerd else "",
        have=_have(answering, emulation),
        emulation=emulation,
        daemon_json=_text(DAEMON_JSON),
        files={path: text for path in (apt.SOURCES, apt.PREFERENCES) if (text := _text(path)) is not None},
        unfinished=apt.list_unfinished() if debian else frozenset(),
        journal=apt.is_journal_pending(),
    )


def read_os_release(file: Path) -> dict[str, str]:
    """Read os-release(5): NAME=value lines, values perhaps in quotes; nothing if there is no file."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name: value.strip().strip("\"'") for name, value in pairs}


def _have(answering: EngineReading | None, emulation: binfmt.Emulation) -> dict[str, str]:
    """Return what is there of the needs. The engine and the emulator that run count, else those that are installed."""
    found = {
        "engine": answering.version if answering else _version(["dockerd", "--version"]),
        "client": _version(["docker", "--version"]),
        "buildx": _version(["docker", "buildx", "version"], speaks="buildx"),
        "emulator": _emulator(emulation),
        "unpacker": _version(["mmdebstrap", "--version"]),
        "registry": _version(["docker-registry", "--version"]),
    }
    return {name: version for name, version in found.items() if version is not None}


def _emulator(emulation: binfmt.Emulation) -> str | None:
    """Return the newest emulator that containers use or could use; "" for one in use that does not tell its version."""
    if emulation.serves_containers and emulation.running is None:
        return ""
    found = (emulation.running if emulation.serves_containers else None, emulation.installed)
    return max(filter(None, found), key=_numbers, default=None)


def _version(arguments: list[str], speaks: str = "") -> str | None:
    """Return the first dotted number that a program prints; "" if none; None if it is absent or says something else."""
    if process.find_program(arguments[0]) is None:
        return None
    try:
        said = process.capture(arguments, check=False, timeout=10)
    except ArmwrightError:
        return None
    found = re.search(r"\d+(?:\.\d+)+", said)
    return None if speaks not in said else found.group() if found else ""


def engine() -> tuple[EngineReading | None, str, bool]:
    """Ask the engine; return it, or why it is silent and whether that is for want of permission."""
    try:
        client = docker.from_env(timeout=10)
        try:
            info = client.info()
        finally:
            client.close()
    except (DockerException, requests.RequestException, ValueError) as failure:
        told = str(failure)
        forbidden = "Permission denied" in told or "PermissionError" in told
        return None, "this user may not talk to it" if forbidden else "it does not run", forbidden
    return engine_from(info), "", False


def engine_from(info: Mapping[str, object]) -> EngineReading:
    """Read what the engine says about itself (`docker info`, API 1.41 and later)."""
    status = info.get("DriverStatus") or []
    store = (
        any(value.startswith("io.containerd.snapshotter") for _, value in status) if isinstance(status, list) else False
    )
    return EngineReading(
        version=str(info.get("ServerVersion", "")),
        containerd_store=store,
        running=int(str(info.get("ContainersRunning", 0))),
        root=Path(str(info.get("DockerRootDir", "/var/lib/docker"))),
    )


def _text(file: Path) -> str | None:
    """Return a file's content; None if it is absent or not for this user's eyes."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return None


def _remote(place: str) -> str:
    return "" if place in {"", "unix:///var/run/docker.sock", "unix:///run/docker.sock"} else place


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
