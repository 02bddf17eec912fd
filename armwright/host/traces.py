"""What could tell this machine in an image: its name, its folders, hosts and passwords of its mirrors and proxies."""

from __future__ import annotations

import os
import platform
import re
import ssl
import tempfile
from base64 import b64encode
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote, urlsplit

from armwright.host import apt
from armwright.system import http_session, pip_tool, process

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"\[\]<>;,]+")
_FOLDER = re.compile(r"(?<![\w.:/])/[^\s'\"\[\]<>;,:]+")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def list_traces(root: Path, variables: Collection[str]) -> dict[str, str]:
    """Return what could tell this machine, as text to look for, with what it is.

    Args:
        root: the project's root.
        variables: globs over the names of the environment's variables to read.
    """
    found: dict[str, str] = {platform.node(): "this machine's name", str(root): "the checkout"}
    found |= {str(Path.home()): "the home folder", tempfile.gettempdir(): "the folder for temporary files"}
    sources = [
        ("pip's configuration", "\n".join(pip_tool.read_pip_settings().values())),
        ("apt's sources", process.capture(["apt-get", "update", "--print-uris"], check=False) if _has_apt() else ""),
        ("apt's configuration", "\n".join(apt.read_network_settings()) if _has_apt() else ""),
    ]
    sources += [
        (f"the variable {name}", value)
        for name, value in os.environ.items()
        if any(fnmatchcase(name, glob) for glob in variables)
    ]
    for what, text in sources:
        for value in _split(text, folders=not what.startswith("apt")):
            found.setdefault(value, what)
    return found


def list_authorities(shipped: str) -> dict[str, str]:
    """Return the certificate authorities that this machine trusts and an image does not, each as a line of its text.

    Args:
        shipped: the certificates in the image, as PEM.
    """
    path = http_session.find_ca_bundle()
    trusted = path.read_text(encoding="utf-8", errors="replace") if path and path.is_file() else ""
    known = set(map(_line_of, _CERTIFICATE.findall(shipped)))
    return {
        line: "a certificate authority of this machine"
        for line in map(_line_of, _CERTIFICATE.findall(trusted))
        if line not in known
    }


def _line_of(block: str) -> str:
    """Return the last whole line of a certificate: of its signature, which no other has."""
    text = b64encode(ssl.PEM_cert_to_DER_cert(block)).decode()
    return [text[start : start + 64] for start in range(0, len(text), 64)][-2]


def _split(text: str, *, folders: bool) -> Iterator[str]:
    """Yield hosts and passwords of the addresses in a text, and its folders."""
    for address in _ADDRESS.findall(text):
        try:
            parts = urlsplit(address)
            secrets = [parts.password, unquote(parts.password or "")]
            hosts = [parts.hostname, f"{parts.hostname}:{parts.port}" if parts.port else None]
        except ValueError:  # not an address after all
            continue
        yield from filter(None, [*hosts, *secrets])
    if folders:
        yield from (folder.rstrip("/") for folder in _FOLDER.findall(_ADDRESS.sub(" ", text)))


def _has_apt() -> bool:
    return process.find_program("apt-get") is not None
