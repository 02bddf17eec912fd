"""The one door for HTTP: retries, timeouts, the machine's own CA bundle, and errors that say what to do next."""

from __future__ import annotations

import io
import ipaddress
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import parse_header_links
from urllib3.util import Retry

from armwright.system.errors import FailedError, MachineError

TIMEOUT = (5.0, 60.0)  # seconds to connect, seconds between two bytes
CHECK_INDEX = "check the network and `pip config list`, then the same command again"

_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "PIP_CERT")
_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/cert.pem",  # macOS, BSD
)


def find_ca_bundle() -> Path | None:
    """Return the file of certificates this machine trusts.

    The first of the variables that pip, curl and OpenSSL read, else the system's file, so that a company's own
    authority is trusted here as it is there. A variable's file is returned even if it does not exist: `doctor` says so.
    """
    named = next((os.environ[name] for name in _VARIABLES if os.environ.get(name)), None)
    return Path(named) if named else next((Path(path) for path in _SYSTEM if Path(path).is_file()), None)


def is_loopback(url: str) -> bool:
    """Say whether a URL points to this very machine, where no proxy belongs in between."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Plain(requests.Session):
    """A session for a caller that follows redirects itself; the usual one reads the whole body of each."""

    def get_redirect_target(self, _: requests.Response) -> None:
        """Say that there is none."""


def open_session(url: str, *, retries: int = 3, plain: bool = False) -> requests.Session:
    """Return a session fit for a URL's host.

    Args:
        url: any address on that host; for loopback neither proxy nor netrc is used.
        retries: how often a broken connection, or a 429, 502, 503 or 504, is tried again, pausing longer each time.
            Only methods that may be repeated are (GET, HEAD, PUT, DELETE, OPTIONS).
        plain: leave redirects, a 429, and a Retry-After of any length to the caller.
    """
    made = _Plain() if plain else requests.Session()
    busy = (502, 503, 504) if plain else (429, 502, 503, 504)
    again = Retry(
        total=retries, backoff_factor=0.3, status_forcelist=busy, raise_on_status=False,
        respect_retry_after_header=not plain,
    )  # fmt: skip
    for scheme in ("http://", "https://"):
        made.mount(scheme, HTTPAdapter(max_retries=again))
    made.trust_env = not is_loopback(url)
    bundle = find_ca_bundle()
    if bundle is not None and bundle.exists():
        made.verify = str(bundle)
    return made


def request(  # noqa: PLR0913 - the words of an HTTP request
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
    accept: tuple[int, ...] = (),
    retries: int = 3,
    timeout: tuple[float, float] = TIMEOUT,
) -> requests.Response:
    """Send one request and return the whole answer.

    Args:
        method: GET, HEAD, PUT, ...
        url: the address; a user's password in it never reaches a message.
        headers: added to the usual ones.
        data: the body.
        accept: status codes from 400 on that are an answer and not an error, e.g. 404 when asking whether it exists.
        retries: see `session`.
        timeout: seconds to connect, seconds between two bytes.

    Raises:
        MachineError: the host cannot be reached, or its certificate is not trusted.
        FailedError: it answered with an error's status.
    """
    place = _place(url)
    mend = "invoke registry start" if is_loopback(url) else "check the network and HTTPS_PROXY; invoke doctor"
    with _explained(place, mend), open_session(url, retries=retries) as made:
        answer = made.request(method, url, headers=headers, data=data, timeout=timeout)
    if answer.status_code >= requests.codes.bad_request and answer.status_code not in accept:
        raise FailedError(
            f"{method} {place}{urlsplit(url).path} was answered with {answer.status_code} {answer.reason}"
        )
    return answer


@dataclass(frozen=True)
class ResponseHead:
    """What stands before an answer's body.

    Attributes:
        status: the status code.
        headers: the headers; their names in any case.
        url: where the answer came from in the end.
    """

    status: int
    headers: Mapping[str, str]
    url: str


def fetch(  # noqa: PLR0913 - the words of an HTTP request
    url: str,
    sink: IO[bytes],
    *,
    limit: int,
    called: str,
    headers: Mapping[str, str] | None = None,
    accept: tuple[int, ...] = (),
    bundle: str | None = None,
) -> ResponseHead:
    """Write the answer to a GET into a file; give up on one that is larger than it can rightly be.

    Args:
        url: the address; neither it nor a password in it reaches a message.
        sink: the file.
        limit: bytes that are the most, after decompression.
        called: how messages call the host, instead of its address.
        headers: added to the usual ones.
        accept: as in `request`.
        bundle: the file of certificates to trust; left out: see `ca_bundle`.

    Raises:
        MachineError: the host cannot be reached, or its certificate is not trusted.
        FailedError: it answered with an error's status, or with too much.
    """
    size = 0
    with (
        _explained(called, CHECK_INDEX, bundle),
        open_session(url) as made,
        made.get(url, headers=headers, timeout=TIMEOUT, stream=True, verify=bundle) as answer,
    ):
        if answer.status_code >= requests.codes.bad_request and answer.status_code not in accept:
            raise FailedError(f"{called} answered with {answer.status_code}")
        for part in answer.iter_content(1 << 16):
            size += len(part)
            if size > limit:
                raise FailedError(f"{called} answered with more than {limit} bytes")
            sink.write(part)
        return ResponseHead(answer.status_code, answer.headers, answer.url)


@dataclass(frozen=True)
class HttpResponse:
    """A whole answer, whatever its status.

    Attributes:
        status: the status code.
        headers: the headers; their names in any case.
        body: what came, after decompression.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def following(self) -> str | None:
        """Where the list goes on of which this is a page, as its Link header says."""
        links = parse_header_links(self.headers.get("Link", ""))
        return next((link["url"] for link in links if link.get("rel") == "next"), None)


def exchange(  # noqa: PLR0913 - the words of an HTTP request
    method: str, url: str, *, limit: int, called: str, headers: Mapping[str, str], data: bytes | None = None
) -> HttpResponse:
    """Send one request to a service and return its answer: redirects, limits and errors too are the caller's.

    Args:
        method: GET, POST, ...
        url: the address; it reaches no message.
        limit: bytes that are the most, after decompression.
        called: how messages call the service.
        headers: added to the usual ones. An Authorization is sent as it is, whatever netrc says, and to this URL only.
        data: the body.

    Raises:
        MachineError: the service cannot be reached, or its certificate is not trusted.
        FailedError: it answered with too much.
    """
    body = io.BytesIO()
    with (
        _explained(called, "check the network and HTTPS_PROXY; invoke doctor"),
        open_session(url, plain=True) as made,
        made.request(
            method, url, headers=headers, data=data, timeout=TIMEOUT, stream=True,
            auth=lambda prepared: prepared,
        ) as answer,
    ):  # fmt: skip
        for part in answer.iter_content(1 << 16):
            body.write(part)
            if body.tell() > limit:
                raise FailedError(f"{called} answered with more than {limit} bytes")
        return HttpResponse(answer.status_code, answer.headers, body.getvalue())


@contextmanager
def _explained(place: str, mend: str, bundle: str | None = None) -> Iterator[None]:
    """Turn what goes wrong on the way to a host into a sentence."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise MachineError(
            f"the certificate of {place} is not trusted with the CA bundle "
            f"{bundle or find_ca_bundle() or 'of the certifi package'}",
            "set SSL_CERT_FILE to the bundle of your network; invoke doctor",
        ) from error
    except requests.exceptions.ProxyError as error:
        raise MachineError(f"the proxy on the way to {place} refuses", "check HTTPS_PROXY and NO_PROXY") from error
    except requests.exceptions.Timeout as error:
        raise MachineError(f"{place} did not answer in time", "try again; invoke doctor") from error
    except requests.exceptions.RequestException as failure:
        raise MachineError(f"{place} cannot be reached: {_reason(failure)}", mend) from failure


def get(url: str, *, headers: Mapping[str, str] | None = None, accept: tuple[int, ...] = ()) -> requests.Response:
    """Return the answer to a GET; arguments and errors as in `request`."""
    return request("GET", url, headers=headers, accept=accept)


def is_answering(url: str) -> bool:
    """Say, within a second and without trying again, whether something answers there with success."""
    try:
        return request("GET", url, retries=0, timeout=(1.0, 1.0)).ok
    except (MachineError, FailedError):
        return False


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _reason(failure: BaseException) -> str:
    """Dig the sentence out from under requests' and urllib3's wrapping, e.g. 'Connection refused'."""
    seen: BaseException | None = failure
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        inner = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        seen = inner if isinstance(inner, BaseException) else seen.__cause__
    return type(failure).__name__
