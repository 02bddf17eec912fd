"""The only way to send HTTP requests: timeouts, retries, size limits, and errors that name the next command."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO
from urllib.parse import urlsplit

import requests
from requests.utils import parse_header_links

from armwright.system import pip_tool
from armwright.system.errors import FailedError, MachineError
from armwright.system.http_session import explained, is_loopback, open_session

TIMEOUT = (5.0, 60.0)  # seconds to connect, seconds between two bytes
INDEX_COMMAND = "pip config list"
INDEX_HINT = "check the network, and the package index that pip is configured for"
_NETWORK_HINT = "check the network and HTTPS_PROXY"


def request(  # noqa: PLR0913 - the parts of an HTTP request
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    data: bytes | None = None,
    accept: tuple[int, ...] = (),
    retries: int = 3,
    timeout: tuple[float, float] = TIMEOUT,
) -> requests.Response:
    """Send one request and return the whole response.

    Args:
        method: GET, HEAD, PUT, ...
        url: the address; a password in it never reaches a message.
        headers: headers to add.
        data: the body.
        accept: status codes of 400 and more that are not an error, e.g. 404 when asking whether something exists.
        retries: see `open_session`.
        timeout: seconds to connect, seconds between two bytes.

    Raises:
        MachineError: the host cannot be reached, or its certificate is not trusted.
        FailedError: its status is an error.
    """
    parts = urlsplit(url)
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    advice = ("invoke registry start", "") if is_loopback(url) else ("invoke doctor", _NETWORK_HINT)
    with explained(host, *advice), open_session(url, retries=retries) as session:
        response = session.request(method, url, headers=headers, data=data, timeout=timeout)
    if response.status_code >= requests.codes.bad_request and response.status_code not in accept:
        raise FailedError(f"{method} {host}{parts.path} was answered with {response.status_code} {response.reason}")
    return response


@dataclass(frozen=True)
class ResponseHead:
    """What precedes a response's body.

    Attributes:
        status: the status code.
        headers: the headers; names are case-insensitive.
        url: the address that answered, after redirects.
    """

    status: int
    headers: Mapping[str, str]
    url: str


def fetch(  # noqa: PLR0913 - the parts of an HTTP request
    url: str,
    sink: IO[bytes],
    *,
    limit: int,
    host: str,
    headers: Mapping[str, str] | None = None,
    accept: tuple[int, ...] = (),
    bundle: str | None = None,
) -> ResponseHead:
    """Write the response to a GET into a file.

    Args:
        url: the address; neither it nor a password in it reaches a message.
        sink: the file.
        limit: the most bytes to accept, after decompression.
        host: how messages name the host.
        headers: headers to add.
        accept: as in `request`.
        bundle: the file of trusted certificates; None for `find_ca_bundle`.

    Raises:
        MachineError: the host cannot be reached or refuses the request, or its certificate is not trusted.
        FailedError: its status is another error, or the body is too large.
    """
    size = 0
    with (
        explained(host, INDEX_COMMAND, INDEX_HINT, bundle),
        open_session(url) as session,
        session.get(url, headers=headers, timeout=TIMEOUT, stream=True, verify=bundle) as response,
    ):
        if response.status_code >= requests.codes.bad_request and response.status_code not in accept:
            if response.status_code in pip_tool.REFUSALS:
                why, hint = pip_tool.explain_status(response.status_code)
                raise MachineError(f"{host} {why}", INDEX_COMMAND, hint=hint)
            raise FailedError(f"{host} answered with {response.status_code}")
        for part in response.iter_content(1 << 16):
            size += len(part)
            if size > limit:
                raise FailedError(f"{host} answered with more than {limit} bytes")
            sink.write(part)
        return ResponseHead(response.status_code, response.headers, response.url)


@dataclass(frozen=True)
class HttpResponse:
    """A whole response of any status.

    Attributes:
        status: the status code.
        headers: the headers; names are case-insensitive.
        body: the body, after decompression.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def next_page(self) -> str | None:
        """The address of the list's next page, from the Link header; None on the last page."""
        links = parse_header_links(self.headers.get("Link", ""))
        return next((link["url"] for link in links if link.get("rel") == "next"), None)


def exchange(  # noqa: PLR0913 - the parts of an HTTP request
    method: str,
    url: str,
    *,
    limit: int,
    host: str,
    headers: Mapping[str, str],
    data: bytes | None = None,
    bundle: str | None = None,
    certificate: tuple[str, str] | None = None,
    retries: int = 3,
    timeout: tuple[float, float] = TIMEOUT,
) -> HttpResponse:
    """Send one request to a service and return its response; redirects, rate limits and errors are the caller's.

    Args:
        method: GET, POST, ...
        url: the address; it reaches no message.
        limit: the most bytes to accept, after decompression.
        host: how messages name the service.
        headers: headers to add. Authorization is sent as given, to this URL only, and netrc is not used.
        data: the body.
        bundle: the file of trusted certificates; None for `find_ca_bundle`.
        certificate: the files of a client's certificate and of its key.
        retries: see `open_session`.
        timeout: seconds to connect, seconds between two bytes.

    Raises:
        UnreachableError: the service cannot be reached, or its certificate is not trusted.
        FailedError: the body is too large.
    """
    body = io.BytesIO()
    with (
        explained(host, "invoke doctor", _NETWORK_HINT, bundle),
        open_session(url, retries=retries, plain=True) as session,
        session.request(
            method, url, headers=headers, data=data, timeout=timeout, stream=True, verify=bundle, cert=certificate,
            auth=lambda prepared: prepared,
        ) as response,
    ):  # fmt: skip
        for part in response.iter_content(1 << 16):
            body.write(part)
            if body.tell() > limit:
                raise FailedError(f"{host} answered with more than {limit} bytes")
        return HttpResponse(response.status_code, response.headers, body.getvalue())


def get(url: str, *, headers: Mapping[str, str] | None = None, accept: tuple[int, ...] = ()) -> requests.Response:
    """Return the response to a GET; arguments and errors as in `request`."""
    return request("GET", url, headers=headers, accept=accept)


def is_answering(url: str) -> bool:
    """Return whether a URL answers with success within a second, without retries."""
    try:
        return request("GET", url, retries=0, timeout=(1.0, 1.0)).ok
    except (MachineError, FailedError):
        return False
