"""Sessions for HTTP: the machine's own CA bundle, retries, no proxy for loopback; and network errors as sentences."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from armwright.system.errors import MachineError

_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "PIP_CERT")
_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/cert.pem",  # macOS, BSD
)


NetworkCause = Literal["certificate", "not tls", "proxy", "timeout", "unknown host", "other"]


class UnreachableError(MachineError):
    """A host cannot be reached.

    Attributes:
        cause: why, for a caller that has its own advice: "not tls" is a host that does not speak TLS on this port.
        detail: the reason in the words of the operating system or of OpenSSL.
    """

    def __init__(self, what: str, next_step: str, *, hint: str, cause: NetworkCause, detail: str) -> None:
        super().__init__(what, next_step, hint=hint)
        self.cause: NetworkCause = cause
        self.detail = detail


def find_ca_bundle() -> Path | None:
    """Return the file of certificates that this machine trusts.

    It is the first of the variables that pip, curl and OpenSSL read, else the system's file, so that a company's own
    certificate authority is trusted here too. A variable's file is returned even if it is absent: `doctor` reports it.
    """
    named = next((os.environ[name] for name in _VARIABLES if os.environ.get(name)), None)
    return Path(named) if named else next((Path(path) for path in _SYSTEM if Path(path).is_file()), None)


def is_loopback(url: str) -> bool:
    """Return whether a URL points to this machine, which must not be reached through a proxy."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _PlainSession(requests.Session):
    """A session that follows no redirect, for a caller that does; requests itself would read the body of each one."""

    def get_redirect_target(self, _: requests.Response) -> None:
        """Return None: there is no redirect to follow."""


def open_session(url: str, *, retries: int = 3, plain: bool = False) -> requests.Session:
    """Return a session for a URL's host.

    Args:
        url: an address on that host; for loopback neither proxy nor netrc is used.
        retries: how often to retry a broken connection, or status 429, 502, 503 or 504, with growing pauses. Only
            methods that are safe to repeat are retried: GET, HEAD, PUT, DELETE, OPTIONS.
        plain: leave redirects, status 429, and Retry-After to the caller.
    """
    session = _PlainSession() if plain else requests.Session()
    busy = (502, 503, 504) if plain else (429, 502, 503, 504)
    policy = Retry(
        total=retries, backoff_factor=0.3, status_forcelist=busy, raise_on_status=False,
        respect_retry_after_header=not plain,
    )  # fmt: skip
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=policy))
    session.trust_env = not is_loopback(url)
    bundle = find_ca_bundle()
    if bundle is not None and bundle.exists():
        session.verify = str(bundle)
    return session


@contextmanager
def explained(host: str, next_step: str, hint: str = "", bundle: str | None = None) -> Iterator[None]:
    """Turn network errors into an UnreachableError.

    Args:
        host: how the message names the host.
        next_step: the command to run when the host cannot be reached.
        hint: the hint for that case.
        bundle: the file of trusted certificates; None for `find_ca_bundle`.
    """
    try:
        yield
    except requests.exceptions.RequestException as error:
        cause, detail = _find_cause(error), _find_reason(error)
        what = {
            "certificate": f"the certificate of {host} is not trusted with the CA bundle "
            f"{bundle or find_ca_bundle() or 'of the certifi package'}",
            "not tls": f"{host} does not speak TLS on this port",
            "proxy": f"the proxy refused the connection to {host}",
            "timeout": f"{host} did not answer in time",
        }.get(cause, f"{host} cannot be reached: {detail}")
        command, advice = {
            "certificate": ("invoke doctor", "set SSL_CERT_FILE to the CA bundle of your network"),
            "proxy": ("env | grep -i _proxy", "check HTTPS_PROXY and NO_PROXY"),
            "timeout": ("invoke doctor", "or run the same command again"),
        }.get(cause, (next_step, hint))
        raise UnreachableError(what, command, hint=advice, cause=cause, detail=detail) from error


def _find_cause(failure: requests.exceptions.RequestException) -> NetworkCause:
    inner = list(_unwrap(failure))
    if isinstance(failure, requests.exceptions.SSLError):
        distrusted = any(isinstance(error, ssl.SSLCertVerificationError) for error in inner)
        return "certificate" if distrusted or not any(isinstance(error, ssl.SSLError) for error in inner) else "not tls"
    if isinstance(failure, requests.exceptions.ProxyError):
        return "proxy"
    if isinstance(failure, requests.exceptions.Timeout):
        return "timeout"
    return "unknown host" if any(isinstance(error, socket.gaierror) for error in inner) else "other"


def _find_reason(failure: BaseException) -> str:
    """Return the cause inside the wrappers of requests and urllib3, e.g. "Connection refused"."""
    reasons = [error.strerror for error in _unwrap(failure) if isinstance(error, OSError) and error.strerror]
    return reasons[0] if reasons else type(failure).__name__


def _unwrap(failure: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it wraps, outermost first."""
    seen: BaseException | None = failure
    while seen is not None:
        yield seen
        inner = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        seen = inner if isinstance(inner, BaseException) else seen.__cause__
