"""Decides which Docker Engine is used, in docker's own order, for the SDK's client and for docker's command line.

The order is that of `docker` itself (docker/cli, cli/command/cli.go, resolveContextName): DOCKER_HOST, DOCKER_CONTEXT,
the current context in docker's configuration, and last the socket of this machine's engine.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from armwright.system.errors import InputError

DEFAULT = "default"  # docker's name of the context that no file describes
DEFAULT_HOST = "unix:///var/run/docker.sock"
_SERVICE_HOSTS = (DEFAULT_HOST, "unix:///run/docker.sock")  # the sockets of the service that setup installs
_TLS_HOST = "tcp://localhost:2376"  # docker's default host if TLS is switched on
_NAME = r"(\[[0-9a-fA-F:.]+\]|[^\s/@:\[\]]+)"
_HOST = re.compile(rf"unix:///\S+|tcp://{_NAME}:\d{{1,5}}/?|ssh://([^\s/@:]+@)?{_NAME}(:\d{{1,5}})?(/\S*)?")


@dataclass(frozen=True)
class TlsFiles:
    """The certificates for an engine behind TLS.

    Attributes:
        folder: the folder of ca.pem, cert.pem and key.pem; some may be absent.
        verify: whether the engine's certificate is checked.
    """

    folder: Path
    verify: bool

    def find(self, name: str) -> str | None:
        """Return the path of one of the files; None if it is absent."""
        path = self.folder / name
        return str(path) if path.is_file() else None


@dataclass(frozen=True)
class EngineAddress:
    """Where an engine is, and what says so.

    Attributes:
        host: its address, e.g. "unix:///var/run/docker.sock", "tcp://arm:2376" or "ssh://me@arm".
        origin: what names it.
        context: docker's context, which is also the name of the engine's own buildx builder.
        tls: its certificates; None without TLS.
    """

    host: str = DEFAULT_HOST
    origin: Literal["default", "DOCKER_HOST", "DOCKER_CONTEXT", "configuration"] = "default"
    context: str = DEFAULT
    tls: TlsFiles | None = None

    @property
    def is_service(self) -> bool:
        """Whether it is this machine's service, the only engine that setup starts and configures."""
        return self.host in _SERVICE_HOSTS

    @property
    def why(self) -> str:
        """What names it, for a message."""
        return {
            "default": "docker's default",
            "DOCKER_HOST": "DOCKER_HOST",
            "DOCKER_CONTEXT": f"the docker context '{self.context}' of DOCKER_CONTEXT",
            "configuration": f"docker's current context '{self.context}'",
        }[self.origin]

    @property
    def leave_command(self) -> str:
        """The command after which docker uses another engine."""
        commands = {"default": "./inv doctor", "configuration": f"docker context use {DEFAULT}"}
        return commands.get(self.origin, f"unset {self.origin}")

    @property
    def client_environment(self) -> dict[str, str]:
        """Variables with which docker's command line uses this engine, also after `docker context use`."""
        return {} if self.origin == "DOCKER_HOST" else {"DOCKER_CONTEXT": self.context}

    def __str__(self) -> str:
        """Return the address and what names it."""
        return f"{self.host} ({self.why})"


def find_engine_address(environment: Mapping[str, str] = os.environ) -> EngineAddress:
    """Return the address of the engine that docker uses.

    Args:
        environment: the variables that docker reads.

    Raises:
        InputError: a variable or the configuration names no usable address, or a context that does not exist.
    """
    folder = find_configuration(environment)
    host = environment.get("DOCKER_HOST", "").strip()
    if host:
        return EngineAddress(_parse_host(host, "DOCKER_HOST"), "DOCKER_HOST", tls=_find_tls(environment, folder))
    context = environment.get("DOCKER_CONTEXT", "")
    if context not in {"", DEFAULT}:
        return _read_context(folder, context, "DOCKER_CONTEXT")
    current = "" if context else _read_document(folder / "config.json").get("currentContext", "")
    if current not in {"", DEFAULT}:
        return _read_context(folder, str(current), "configuration")
    tls = _find_tls(environment, folder)
    return EngineAddress(_TLS_HOST if tls else DEFAULT_HOST, "DOCKER_CONTEXT" if context else "default", tls=tls)


def find_configuration(environment: Mapping[str, str]) -> Path:
    """Return the folder of docker's configuration; it may be absent."""
    return Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker")


def _find_tls(environment: Mapping[str, str], folder: Path) -> TlsFiles | None:
    """Return the certificates that the variables name for DOCKER_HOST and for the default engine."""
    verify = bool(environment.get("DOCKER_TLS_VERIFY"))
    if not verify and not environment.get("DOCKER_TLS"):
        return None
    return TlsFiles(Path(environment.get("DOCKER_CERT_PATH") or folder), verify)


def _read_context(folder: Path, name: str, origin: Literal["DOCKER_CONTEXT", "configuration"]) -> EngineAddress:
    """Read the files of a context; docker names their folder by the hash of the context's name."""
    key = hashlib.sha256(name.encode()).hexdigest()
    described = _read_document(folder / "contexts" / "meta" / key / "meta.json").get("Endpoints", {})
    endpoint = described.get("docker") if isinstance(described, dict) else None
    if not isinstance(endpoint, dict) or not endpoint.get("Host"):
        source = "DOCKER_CONTEXT" if origin == "DOCKER_CONTEXT" else "docker's configuration"
        what = f"{source} names the docker context {name!r}, which does not exist; nothing was started"
        raise InputError(what, "docker context ls")
    host = _parse_host(str(endpoint["Host"]), f"the docker context {name!r}")
    certificates, unchecked = folder / "contexts" / "tls" / key / "docker", bool(endpoint.get("SkipTLSVerify"))
    has_tls = host.startswith("tcp://") and (certificates.is_dir() or unchecked)
    return EngineAddress(host, origin, name, TlsFiles(certificates, not unchecked) if has_tls else None)


def _parse_host(text: str, source: str) -> str:
    """Return an engine's address in the form that the SDK accepts: with a scheme, and tcp with a port.

    Raises:
        InputError: it is not an address of an engine. Its text is not repeated: it may hold a password.
    """
    host = text if "://" in text else f"tcp://{text}"
    if host == "unix://":
        return DEFAULT_HOST
    if host.startswith("tcp://") and not re.search(r":\d+/?$", host):
        host = f"{host.rstrip('/')}:2375"
    if not _HOST.fullmatch(host):
        what = f"{source} is not the address of a Docker Engine; nothing was started"
        raise InputError(what, "docker context ls", hint="use unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST")
    return host


def _read_document(path: Path) -> dict[str, Any]:
    """Return a JSON object; an empty one if the file is absent or unreadable, as docker does."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
