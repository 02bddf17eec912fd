"""Connects to the Docker Engine and reads what it is. All commands, setup and doctor use this one probe."""

from __future__ import annotations

import os
import platform
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import docker
import requests
from docker import DockerClient
from docker.errors import DockerException, InvalidConfigFile
from docker.tls import TLSConfig
from requests.utils import get_environ_proxies

from armwright.engine import abandoned
from armwright.engine.address import DEFAULT, EngineAddress, TlsFiles, find_configuration, find_engine_address
from armwright.engine.ssh_tunnel import SshTunnel
from armwright.system.errors import MachineError

_PROBE_TIMEOUT = 10  # seconds to wait for an answer about containers
_ANY_VERSION = "1.41"  # of the API; the first request is sent without a version
CONNECTIONS = 100  # kept open; more combos than that are hardly proven at once
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # the kernel's name of an architecture -> Debian's
# Drivers of the old image store. The engine accepts them next to the containerd store, and then starts no container.
OLD_DRIVERS = frozenset({"aufs", "devicemapper", "overlay", "overlay2", "vfs"})

# What a failed connection says -> why no engine answers, as a clause. The first match is used.
_CAUSES = (
    (r"HTTP request to an HTTPS server", "it expects TLS: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"),
    (r"CERTIFICATE_VERIFY_FAILED|certificate verify failed", "its certificate is not signed by the given ca.pem"),
    (r"certificate required|bad certificate|alert unknown ca", "it does not accept the given cert.pem"),
    (r"WRONG_VERSION_NUMBER|wrong version number|record layer failure", "it does not use TLS, but TLS is switched on"),
    (r"No such file or directory", "there is no such socket"),
    (r"Connection refused", "nothing listens there"),
    (r"Name or service not known|name resolution|Failed to resolve", "the host's name is unknown"),
    (r"timed out|timeout", "it did not answer in time"),
)


@dataclass(frozen=True)
class EngineReading:
    """What a Docker Engine reports about itself.

    Attributes:
        version: its version, e.g. "26.1.5".
        containerd_store: whether it keeps images in the containerd image store.
        running: the number of containers that run now.
        root: the folder of its data, on the engine's machine.
        cpus: the number of its CPUs.
        memory: the bytes of its memory.
        driver: the name of its storage driver, or of the containerd store's snapshotter.
        log_driver: what keeps the output of containers, unless a container names another one.
        machine: the kernel's name of its architecture, e.g. "x86_64".
        is_here: whether it runs on this machine, with this kernel and these disks.
        address: where it is, and what says so.
    """

    version: str
    containerd_store: bool
    running: int
    root: Path
    cpus: int = 1
    memory: int = 0
    driver: str = "overlayfs"
    log_driver: str = "json-file"
    machine: str = field(default_factory=platform.machine)
    is_here: bool = True
    address: EngineAddress = field(default_factory=EngineAddress)

    @property
    def runs_arm(self) -> bool:
        """Whether it runs the images itself and needs no emulator."""
        return self.machine in {"aarch64", "arm64"}


class NoEngineError(MachineError):
    """No Docker Engine answers.

    Attributes:
        reason: why, as a clause: "it is not running".
        forbidden: an engine is there, but this user may not use it.
        startable: it is this machine's service, and is not running.
    """

    def __init__(self, address: EngineAddress, *, forbidden: bool, cause: str = "") -> None:
        self.forbidden, self.startable = forbidden, address.is_service and not forbidden
        if forbidden and address.is_service:
            what = "this user may not use the Docker Engine; nothing was started"
            super().__init__(what, "sudo usermod -aG docker $USER", hint="then log in again")
        elif forbidden:
            what = f"this user may not use the Docker Engine at {address}; nothing was started"
            super().__init__(what, f"ls -l {address.host.removeprefix('unix://')}")
        elif address.is_service:
            super().__init__("the Docker Engine does not answer; nothing was started", "./inv setup")
        else:
            why = f": {cause}" if cause else ""
            what = f"no Docker Engine answers at {address}{why}; nothing was started"
            super().__init__(what, address.leave_command, hint="or start the engine there")
        silent = "it is not running" if address.is_service else cause or "it does not answer"
        self.reason = "this user may not use it" if forbidden else silent


@dataclass(frozen=True)
class EngineConnection:
    """An open connection to an engine: Docker's client and what the engine reports. The caller closes it."""

    client: DockerClient
    reading: EngineReading
    close: Callable[[], None]


def connect_engine(timeout: int) -> EngineConnection:
    """Connect to the engine that docker uses.

    Args:
        timeout: seconds to wait for a response, for this and every later request of the client.

    Raises:
        NoEngineError: no engine answers there.
        InputError: the environment or docker's configuration names no usable engine.
        MachineError: a certificate or ssh is missing.
    """
    address = find_engine_address()
    tls = _load_tls(address, address.tls) if address.tls and address.host.startswith("tcp://") else False
    tunnel = SshTunnel(address.host) if address.host.startswith("ssh://") else None
    opened: list[DockerClient] = []

    def close() -> None:
        for client in opened:
            client.close()
        if tunnel:
            tunnel.close()

    def open_client(version: str) -> DockerClient:
        host = tunnel.host if tunnel else address.host
        try:  # it opens no connection, but reads the logins in docker's configuration
            client = docker.DockerClient(host, version, timeout, tls, max_pool_size=CONNECTIONS)
        except (InvalidConfigFile, ValueError, AttributeError):  # their text may have a password
            path = find_configuration(os.environ) / "config.json"
            what = f"docker's configuration {path} has a login that cannot be read; nothing was started"
            raise MachineError(
                what, f"ls -l {path}", hint="each entry of auths holds {} or {auth: …}; log in again"
            ) from None
        client.api.proxies = get_environ_proxies(client.api.base_url)
        client.api.trust_env = False  # or REQUESTS_CA_BUNDLE would replace the engine's ca.pem
        opened.append(client)
        return client

    try:
        _require_socket(address.host)
        # Not the SDK's version "auto": a client that asks for the version in its constructor cannot be closed after it.
        version = open_client(_ANY_VERSION).version(api_version=False)["ApiVersion"]
        client = open_client(version)
        return EngineConnection(client, parse_info(client.info(), address), close)
    except (DockerException, requests.RequestException, ValueError, KeyError, OSError) as error:
        ssh_error = tunnel.read_error() if tunnel else ""
        close()
        raise _explain(error, address, ssh_error) from error


def list_abandoned() -> tuple[str, ...]:
    """Return the short ids of the containers that killed runs left in the engine.

    Raises:
        MachineError: see `connect_engine`.
    """
    connection = connect_engine(_PROBE_TIMEOUT)
    try:
        return tuple(str(container.short_id) for container in abandoned.find_abandoned(connection.client))
    finally:
        connection.close()


def parse_info(info: Mapping[str, object], address: EngineAddress | None = None) -> EngineReading:
    """Read the document of `docker info` (API 1.41 and later)."""
    status = info.get("DriverStatus") or []
    pairs = status if isinstance(status, list) else []
    return EngineReading(
        version=str(info.get("ServerVersion", "")),
        containerd_store=any(str(value).startswith("io.containerd.snapshotter") for _, value in pairs),
        running=int(str(info.get("ContainersRunning", 0))),
        root=Path(str(info.get("DockerRootDir", "/var/lib/docker"))),
        cpus=int(str(info.get("NCPU") or 1)),
        memory=int(str(info.get("MemTotal") or 0)),
        driver=str(info.get("Driver", "")),
        log_driver=str(info.get("LoggingDriver", "")),
        machine=str(info.get("Architecture", "")),
        is_here=_is_here(info, address or EngineAddress()),
        address=address or EngineAddress(),
    )


def explain_unfit(reading: EngineReading) -> MachineError | None:
    """Return why an engine cannot hold and run the images; None if it can.

    Args:
        reading: what the engine reports.
    """
    address, own = reading.address, reading.address.is_service
    if not reading.containerd_store:
        what = "does not use the containerd image store: its digests would differ from a registry's"
        if own:
            return MachineError(f"the Docker Engine {what}", "./inv setup")
        hint = 'set "features": {"containerd-snapshotter": true} in its daemon.json and restart it; '
        hint += "setup changes only the engine of this machine's service"
        what = f"the Docker Engine at {address} {what}; nothing was started"
        return MachineError(what, address.leave_command, hint=hint)
    if reading.driver in OLD_DRIVERS:
        where = "the Docker Engine" if own else f"the Docker Engine at {address}"
        what = f"{where} cannot start containers: its storage driver {reading.driver} is one of the old image store, "
        what += "but it uses the containerd image store"
        hint = 'remove "storage-driver" from its daemon.json and restart it'
        return MachineError(what, "sudo editor /etc/docker/daemon.json" if own else address.leave_command, hint=hint)
    return None


def _is_here(info: Mapping[str, object], address: EngineAddress) -> bool:
    """Return whether an engine runs on this machine: the same kernel and memory, and over a network the same name.

    A socket may belong to a virtual machine (Docker Desktop) or lead to another machine (ssh -L).
    """
    if "KernelVersion" not in info:
        return address.is_service
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    same = info["KernelVersion"] == platform.release() and info.get("MemTotal") == memory
    return same and (address.host.startswith("unix://") or info.get("Name") == socket.gethostname())


def _require_socket(host: str) -> None:
    """Raise OSError if an address is that of a socket to which this user cannot connect."""
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.connect(host.removeprefix("unix://"))


def _load_tls(address: EngineAddress, files: TlsFiles) -> TLSConfig:
    """Return the SDK's form of the certificates for an engine behind TLS.

    Raises:
        MachineError: one of them is missing.
    """
    from_context = address.context != DEFAULT  # docker's command line reads ca.pem of the environment in any case
    needed = {} if from_context and not files.verify else {"ca.pem": files.find("ca.pem")}
    certificate, key = files.find("cert.pem"), files.find("key.pem")
    if certificate or key:
        needed |= {"cert.pem": certificate, "key.pem": key}
    absent = sorted(name for name, path in needed.items() if path is None)
    if absent:
        what = f"{files.folder} has no {' and no '.join(absent)}, which the Docker Engine at {address} needs"
        hint = "" if from_context else "DOCKER_CERT_PATH names the folder of the certificates"
        raise MachineError(f"{what}; nothing was started", f"ls -l {files.folder}", hint=hint)
    pair = (certificate, key) if certificate and key else None
    return TLSConfig(client_cert=pair, ca_cert=needed.get("ca.pem"), verify=files.verify)


def _explain(error: Exception, address: EngineAddress, ssh_error: str) -> NoEngineError:
    """Return the error for a failed connection.

    Args:
        error: what the SDK raised.
        address: where the engine should be.
        ssh_error: the last line that ssh printed.
    """
    text = str(error)
    if isinstance(error, PermissionError):
        return NoEngineError(address, forbidden=True)
    cause = (
        f"ssh says: {ssh_error}"
        if ssh_error
        else next((why for pattern, why in _CAUSES if re.search(pattern, text)), "")
    )
    return NoEngineError(address, forbidden=False, cause=cause)
