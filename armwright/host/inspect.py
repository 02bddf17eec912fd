"""What this machine is and has.

`inspect_host()` reads the machine once into a frozen `Host`. `setup.plan_setup` and `doctor.judge_readings` are pure
functions of it. Nothing here changes the machine.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from armwright.engine.probe import EngineReading, NoEngineError, connect_engine
from armwright.host import apt, binfmt
from armwright.host.apt_sources import AptSource, find_source, read_sources
from armwright.host.needs import Need, NeedName
from armwright.system import process
from armwright.system.errors import ArmwrightError

DAEMON_JSON = Path("/etc/docker/daemon.json")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")  # as every base names it
_PROBE_TIMEOUT = 10  # seconds to wait for the engine, and for a program that prints its version


@dataclass(frozen=True)
class Host:
    """One reading of the machine.

    Attributes:
        id: the distribution's name in os-release, e.g. "debian".
        version: its release, e.g. "12"; empty for a rolling one.
        title: its name for people.
        machine: the kernel's name of the architecture, e.g. "x86_64".
        root: whether this process may change the system.
        systemd: whether systemd runs, not only is installed.
        source: the apt source that this host uses for its distribution; None if no apt source names the release.
        engine: the Docker Engine, if it answers.
        silence: why it does not answer; None if it does.
        engine_package: the package that dockerd belongs to; empty if it is absent or was installed manually.
        have: the versions of the needs that are present; "" if a program does not report its version.
        emulation: the kernel's table of foreign binary formats.
        daemon_json: the engine's configuration; None if there is no file.
        files: the content of setup's own apt files that exist.
        unfinished: packages that an interrupted run left half configured.
        journal: whether dpkg itself was interrupted.
    """

    id: str = ""
    version: str = ""
    title: str = ""
    machine: str = "x86_64"
    root: bool = False
    systemd: bool = False
    source: AptSource | None = None
    engine: EngineReading | None = None
    silence: ArmwrightError | None = None
    engine_package: str = ""
    have: Mapping[str, str] = field(default_factory=dict)
    emulation: binfmt.Emulation = field(default_factory=binfmt.Emulation)
    daemon_json: str | None = None
    files: Mapping[Path, str] = field(default_factory=dict)
    unfinished: frozenset[str] = frozenset()
    journal: bool = False

    @property
    def arm(self) -> bool:
        """Whether this host runs the images itself and needs no emulator."""
        return self.machine in {"aarch64", "arm64"}

    @property
    def owns_engine(self) -> bool:
        """Whether the engine is this machine's service, which setup may install, configure and start."""
        if self.engine:
            return self.engine.address.is_service
        return self.silence is None or (isinstance(self.silence, NoEngineError) and self.silence.startable)

    @property
    def emulates(self) -> bool:
        """Whether this machine must have an emulator: it is no Arm machine, and the engine is not elsewhere."""
        return not self.arm and (self.engine is None or self.engine.is_here)

    def missing(self, needs: Mapping[NeedName, Need]) -> tuple[NeedName, ...]:
        """Return the needs that are absent or older than their minimum, in the order of needs.yaml."""
        wanted = (name for name in needs if not (name == "emulator" and not self.emulates))
        return tuple(name for name in wanted if not is_recent(self.have.get(name), needs[name].minimum))


def is_recent(version: str | None, minimum: str | None) -> bool:
    """Return whether a version is new enough; an unknown version counts as new enough.

    Args:
        version: the present version, e.g. "26.1.5"; "" if unknown, None if absent.
        minimum: the oldest accepted version; None accepts any.
    """
    if version is None:
        return False
    return not version or minimum is None or _parse_version(version) >= _parse_version(minimum)


def inspect_host() -> Host:
    """Read this machine. Takes about half a second; what is absent raises nothing."""
    release = read_os_release()
    engine, silence = _read_engine()
    emulation = binfmt.read_emulation()
    debian = process.find_program("dpkg-query") is not None
    listing = process.capture(["apt-get", "update", "--print-uris"], check=False) if debian else ""
    dockerd = process.find_program("dockerd")
    return Host(
        id=release.get("ID", ""),
        version=release.get("VERSION_ID", ""),
        title=release.get("PRETTY_NAME", platform.system()),
        machine=platform.machine(),
        root=os.geteuid() == 0,
        systemd=Path("/run/systemd/system").is_dir(),
        source=_read_source(release.get("VERSION_CODENAME", ""), listing),
        engine=engine,
        silence=silence,
        engine_package=apt.find_owner(dockerd) if debian and dockerd else "",
        have=_read_versions(engine, emulation),
        emulation=emulation,
        daemon_json=_read_text(DAEMON_JSON),
        files={path: text for path in (apt.SOURCES, apt.PREFERENCES) if (text := _read_text(path)) is not None},
        unfinished=apt.list_unfinished() if debian else frozenset(),
        journal=apt.is_journal_pending(),
    )


def read_os_release() -> dict[str, str]:
    """Read os-release(5) of this machine; empty if it has none."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def read_available_memory(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Return the bytes of memory that new programs can use; None if the kernel does not report them (macOS)."""
    lines = meminfo.read_text(encoding="ascii").splitlines() if meminfo.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def is_engine_answering() -> bool:
    """Return whether the Docker Engine answers now."""
    return _read_engine()[0] is not None


def _read_engine() -> tuple[EngineReading | None, ArmwrightError | None]:
    """Return the engine, or None and why it does not answer."""
    try:
        connection = connect_engine(_PROBE_TIMEOUT)
    except ArmwrightError as error:
        return None, error
    connection.close()
    return connection.reading, None


def _read_source(codename: str, listing: str) -> AptSource | None:
    site = apt.find_mirror(codename, listing)
    return find_source(read_sources(), site, codename) if site else None


def _read_versions(engine: EngineReading | None, emulation: binfmt.Emulation) -> dict[str, str]:
    """Return the versions of the needs that are present; of the engine and the emulator, the running one first."""
    versions = {
        "engine": engine.version if engine else _read_version(["dockerd", "--version"]),
        "client": _read_version(["docker", "--version"]),
        "buildx": _read_version(["docker", "buildx", "version"], marker="buildx"),
        "emulator": _choose_emulator(emulation),
        "archive": _read_version(["apt-get", "--version"]) if _KEYRING.exists() else None,
        "registry": _read_version(["docker-registry", "--version"]),
    }
    return {name: version for name, version in versions.items() if version is not None}


def _choose_emulator(emulation: binfmt.Emulation) -> str | None:
    """Return the version of the newest emulator that containers use or could use; "" if the used one is unknown."""
    if emulation.serves_containers and emulation.running is None:
        return ""
    versions = (emulation.running if emulation.serves_containers else None, emulation.installed)
    return max(filter(None, versions), key=_parse_version, default=None)


def _read_version(arguments: list[str], marker: str = "") -> str | None:
    """Return the first dotted number that a program prints; "" if none; None if absent or `marker` is not printed."""
    if process.find_program(arguments[0]) is None:
        return None
    try:
        output = process.capture(arguments, check=False, timeout=_PROBE_TIMEOUT)
    except ArmwrightError:
        return None
    number = re.search(r"\d+(?:\.\d+)+", output)
    return None if marker not in output else number.group() if number else ""


def _read_text(file: Path) -> str | None:
    """Return a file's content; None if this user cannot read it."""
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return None


def _parse_version(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
