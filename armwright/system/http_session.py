"""Sessions for HTTP: the machine's own CA bundle, retries, no proxy for loopback; and network errors as sentences."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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
    """Turn network errors into a MachineError.

    Args:
        host: how the message names the host.
        next_step: the command to run when the host cannot be reached.
        hint: the hint for that case.
        bundle: the file of trusted certificates; None for `find_ca_bundle`.
    """
    try:
        yield
    except requests.exceptions.SSLError as error:
        used = bundle or find_ca_bundle() or "of the certifi package"
        raise MachineError(
            f"the certificate of {host} is not trusted with the CA bundle {used}",
            "invoke doctor",
            hint="set SSL_CERT_FILE to the CA bundle of your network",
        ) from error
    except requests.exceptions.ProxyError as error:
        raise MachineError(
            f"the proxy refused the connection to {host}", "env | grep -i _proxy", hint="check HTTPS_PROXY and NO_PROXY"
        ) from error
    except requests.exceptions.Timeout as error:
        raise MachineError(
            f"{host} did not answer in time", "invoke doctor", hint="or run the same command again"
        ) from error
    except requests.exceptions.RequestException as error:
        raise MachineError(f"{host} cannot be reached: {_find_reason(error)}", next_step, hint=hint) from error


def _find_reason(failure: BaseException) -> str:
    """Return the cause inside the wrappers of requests and urllib3, e.g. "Connection refused"."""
    seen: BaseException | None = failure
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        inner = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        seen = inner if isinstance(inner, BaseException) else seen.__cause__
    return type(failure).__name__
