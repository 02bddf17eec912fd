"""A client of GitHub's REST API: the token, rate limits, redirects, and what an error status means."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from armwright.system import console, http, http_session
from armwright.system.errors import ArmwrightError, FailedError, InputError, MachineError
from armwright.system.http import HttpResponse

NAME = "GitHub"
API = "https://api.github.com"
VERSION = "2022-11-28"  # GitHub Enterprise Server supports it too
LIMIT = 32_000_000  # bytes of an answer; a page with the hundred longest comments has 26 million
PAGES = 30  # of a hundred each; GitHub allows 2,500 comments on an issue
PATIENCE = 300  # seconds to wait for a rate limit, in total
TRIES = 5
HOPS = 3  # redirects in a row; a renamed repository needs one
TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
TOKEN_HINT = f"set {TOKENS[0]} to a token that may write to the repository's issues"
LATER = "run the same command again later"
BUG = "this is a bug: please report it"

_MOVED = (301, 302, 307, 308)
_LIMITED = (403, 429)
_SECONDS = re.compile(r"\d{1,10}")
_PERMISSIONS = re.compile(r"[a-z_]+=[a-z]+([,;] ?[a-z_]+=[a-z]+)*")
_PORTS = {"http": 80, "https": 443}


class GitHubClient:
    """Sends requests with the account's token, to one host only.

    Args:
        token: the token; None to take it from GITHUB_TOKEN or GH_TOKEN; empty to send none.
        api: the API's address; None to take it from GITHUB_API_URL, with github.com as the default.

    Raises:
        InputError: the address is not safe for a token, or the token has a wrong form.
    """

    def __init__(self, token: str | None = None, api: str | None = None) -> None:
        given = next((os.environ[name] for name in TOKENS if os.environ.get(name)), "") if token is None else token
        self._token = given.strip()
        if not re.fullmatch(r"[\x21-\x7e]*", self._token):
            raise InputError(f"{' or '.join(TOKENS)} is set, but not to a token", hint=TOKEN_HINT)
        self._api = (api or os.environ.get("GITHUB_API_URL") or API).rstrip("/")
        parts = urlsplit(self._api)
        if "@" in parts.netloc or not (
            parts.scheme == "https" or (parts.scheme == "http" and http_session.is_loopback(self._api))
        ):
            raise InputError(
                "GITHUB_API_URL must be an https:// address without a user name", f"export GITHUB_API_URL={API}"
            )

    @property
    def has_token(self) -> bool:
        """Say whether there is a token."""
        return bool(self._token)

    def send(
        self,
        method: str,
        path: str,
        fields: Mapping[str, Any] | None = None,
        *,
        place: str,
        accept: tuple[int, ...] = (),
    ) -> HttpResponse:
        """Send one request. Waits for rate limits, and follows redirects on the API's own host.

        Args:
            method: GET, POST, PATCH or DELETE.
            path: below the API's address, or a whole address on its host.
            fields: the body.
            place: the subject, for messages: "issue 12 of owner/name".
            accept: error statuses that are a valid answer.

        Raises:
            InputError: the subject does not exist.
            MachineError: GitHub cannot be reached, limits the requests, or does not let this account do it.
            FailedError: GitHub refuses the request.
        """
        url = self._on_host(self._api, path if "://" in path else f"{self._api}{path}")
        body = None if fields is None else json.dumps(fields).encode()
        patience, tries, hops = PATIENCE, 0, 0
        while True:
            answer = http.exchange(method, url, limit=LIMIT, host=NAME, headers=self._headers, data=body)
            pause = _pause(answer, tries)
            if pause is not None:
                tries, patience = tries + 1, patience - pause
                if patience < 0 or tries == TRIES:
                    raise self._rate_limit_error(pause)
                console.detail(f"{NAME}'s rate limit: waiting {pause} s")
                time.sleep(pause)
            elif answer.status in _MOVED and hops < HOPS:
                hops, url = hops + 1, self._on_host(url, answer.headers.get("Location", ""))
            elif answer.status < 300 or answer.status in accept:  # noqa: PLR2004 - success, in HTTP
                return answer
            else:
                raise _status_error(answer, place)

    def pages(self, path: str, *, place: str) -> Iterator[HttpResponse]:
        """Yield the pages of a list by following GitHub's links.

        Raises:
            ArmwrightError: as in `send`.
        """
        url = f"{path}?per_page=100"
        for _ in range(PAGES):
            answer = self.send("GET", url, place=place)
            yield answer
            if answer.next_page is None:
                return
            url = self._on_host(self._api, answer.next_page)
        raise FailedError(f"{place} has more than {PAGES} pages of comments", hint="post the answer manually")

    @property
    def graphql(self) -> str:
        """The address of the GraphQL API: below the REST API's, on GitHub Enterprise Server beside its /v3."""
        return f"{self._api.removesuffix('/v3')}/graphql"

    @property
    def _headers(self) -> dict[str, str]:
        usual = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": VERSION, "User-Agent": "armwright"}
        return {**usual, "Authorization": f"Bearer {self._token}"} if self._token else usual

    def _on_host(self, base: str, link: str) -> str:
        """Resolve a link. It must stay on the API's own host, so that no other host gets the token."""
        try:
            url = urljoin(base, link)
            parts = urlsplit(url)
            same = _origin(parts) == _origin(urlsplit(self._api)) and "@" not in parts.netloc
        except ValueError:
            same = False
        if not same:
            raise MachineError(
                f"{NAME} redirects to another host, and the token must not be sent there",
                hint="check the address in GITHUB_API_URL",
            )
        return url

    def _rate_limit_error(self, pause: int) -> MachineError:
        until = datetime.fromtimestamp(time.time() + pause, UTC)
        more = "" if self.has_token else f"; with a token the limit is higher: {TOKEN_HINT}"
        return MachineError(
            f"{NAME}'s rate limit is reached; the next request is possible at {until:%Y-%m-%d %H:%M:%S} UTC",
            hint=f"run the same command again then{more}",
        )


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _pause(answer: HttpResponse, tries: int) -> int | None:
    """Return the seconds to wait before the next try; None if no rate limit was reached.

    GitHub's secondary limit does not always say when it ends: wait a minute, and twice as long each time.
    """
    if answer.status not in _LIMITED:
        return None
    after, reset = (answer.headers.get(name, "") for name in ("Retry-After", "X-RateLimit-Reset"))
    if _SECONDS.fullmatch(after):
        return max(1, int(after))
    if answer.headers.get("X-RateLimit-Remaining") == "0" and _SECONDS.fullmatch(reset):
        return max(1, int(reset) - int(time.time()) + 1)
    if answer.status == _LIMITED[1] or b"secondary rate limit" in answer.body:
        return 60 << tries
    return None


def _status_error(answer: HttpResponse, place: str) -> ArmwrightError:
    """Describe an error status. Of the answer itself, only the name of a missing permission is repeated."""
    needs = answer.headers.get("X-Accepted-GitHub-Permissions", "")
    permissions = f" ({needs})" if _PERMISSIONS.fullmatch(needs) else ""
    errors: dict[int, ArmwrightError] = {
        401: MachineError(f"{NAME} does not accept the token: it is wrong, expired or revoked", hint=TOKEN_HINT),
        403: MachineError(f"{NAME} denies this account access to {place}", hint=f"{TOKEN_HINT}{permissions}"),
        404: InputError(
            f"{NAME} has no {place}, or does not show it to this account",
            hint=f"check the number; for a private repository set {TOKENS[0]} to a token that may read it",
        ),
        410: InputError(f"{place} was deleted, or its repository has no issues", hint="check the number"),
        422: FailedError(f"{NAME} rejects the data sent for {place} as invalid", hint=BUG),
    }
    if answer.status in errors:
        return errors[answer.status]
    if answer.status >= 500:  # noqa: PLR2004 - the server's fault, in HTTP
        return MachineError(f"{NAME} answered with status {answer.status}", hint=LATER)
    return FailedError(f"{NAME} answered with status {answer.status} for {place}")
