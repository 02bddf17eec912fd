"""A client of GitHub's REST API: who asks, how long it waits, where it never goes, and what an error means."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from armwright.system import console, http
from armwright.system.errors import ArmwrightError, FailedError, InputError, MachineError
from armwright.system.http import HttpResponse

CALLED = "GitHub"
API = "https://api.github.com"
VERSION = "2022-11-28"  # GitHub Enterprise Server knows it too
LIMIT = 32_000_000  # bytes of an answer; the hundred longest comments that a page can hold have 26 million
PAGES = 30  # of a hundred each; GitHub takes 2,500 comments on an issue
PATIENCE = 300  # seconds that a rate limit is waited for, in all
TRIES = 5
HOPS = 3  # redirects in a row: a repository that was renamed needs one
TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
TOKEN = f"export {TOKENS[0]}=...; to answer, it needs write access to the repository's issues"

_MOVED = (301, 302, 307, 308)
_LIMITED = (403, 429)
_SECONDS = re.compile(r"\d{1,10}")
_NEEDS = re.compile(r"[a-z_]+=[a-z]+([,;] ?[a-z_]+=[a-z]+)*")
_PORTS = {"http": 80, "https": 443}


class Client:
    """Sends requests with the account's token, to one host only.

    Args:
        token: the token; None takes it from GITHUB_TOKEN or GH_TOKEN. Empty: nobody in particular asks.
        api: the API's address; None takes it from GITHUB_API_URL, and that of github.com where it is not set.

    Raises:
        InputError: the address is none to send a token to, or the token is none.
    """

    def __init__(self, token: str | None = None, api: str | None = None) -> None:
        given = next((os.environ[name] for name in TOKENS if os.environ.get(name)), "") if token is None else token
        self._token = given.strip()
        if not re.fullmatch(r"[\x21-\x7e]*", self._token):
            raise InputError(f"{' or '.join(TOKENS)} holds no token", TOKEN)
        self._api = (api or os.environ.get("GITHUB_API_URL") or API).rstrip("/")
        parts = urlsplit(self._api)
        if "@" in parts.netloc or not (
            parts.scheme == "https" or (parts.scheme == "http" and http.loopback(self._api))
        ):
            raise InputError(
                "GITHUB_API_URL must be an https:// address without a user's name", f"the usual one: {API}"
            )

    @property
    def known(self) -> bool:
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
        """Send one request; wait where GitHub asks for it, follow where the API itself moved to.

        Args:
            method: GET, POST, PATCH or DELETE.
            path: below the API's address, or a whole address on its host.
            fields: the body.
            place: what it is about, for messages: "issue 12 of owner/name".
            accept: error statuses that are an answer.

        Raises:
            InputError: there is no such thing.
            MachineError: GitHub cannot be reached, wants no more requests for now, or does not let this account do it.
            FailedError: it does not take what was sent.
        """
        url = self._here(self._api, path if "://" in path else f"{self._api}{path}")
        body = None if fields is None else json.dumps(fields).encode()
        patience, tries, hops = PATIENCE, 0, 0
        while True:
            answer = http.exchange(method, url, limit=LIMIT, called=CALLED, headers=self._headers, data=body)
            pause = _pause(answer, tries)
            if pause is not None:
                tries, patience = tries + 1, patience - pause
                if patience < 0 or tries == TRIES:
                    raise self._exhausted(pause)
                console.detail(f"{CALLED} asks to wait for {pause} s")
                time.sleep(pause)
            elif answer.status in _MOVED and hops < HOPS:
                hops, url = hops + 1, self._here(url, answer.headers.get("Location", ""))
            elif answer.status < 300 or answer.status in accept:  # noqa: PLR2004 - success, in HTTP
                return answer
            else:
                raise _refusal(answer, place)

    def pages(self, path: str, *, place: str) -> Iterator[HttpResponse]:
        """Yield the pages of a list, as GitHub's links lead from one to the next.

        Raises:
            ArmwrightError: as in `send`.
        """
        url = f"{path}?per_page=100"
        for _ in range(PAGES):
            answer = self.send("GET", url, place=place)
            yield answer
            if answer.following is None:
                return
            url = self._here(self._api, answer.following)
        raise FailedError(f"{place} has more than {PAGES} pages", "answer it by hand")

    @property
    def graphql(self) -> str:
        """Where the other API is: beside this one, and on a server of one's own beside its third version."""
        return f"{self._api.removesuffix('/v3')}/graphql"

    @property
    def _headers(self) -> dict[str, str]:
        usual = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": VERSION, "User-Agent": "armwright"}
        return {**usual, "Authorization": f"Bearer {self._token}"} if self._token else usual

    def _here(self, base: str, link: str) -> str:
        """Follow a link on the API's own host only: the token is for nobody else."""
        try:
            url = urljoin(base, link)
            parts = urlsplit(url)
            same = _origin(parts) == _origin(urlsplit(self._api)) and "@" not in parts.netloc
        except ValueError:
            same = False
        if not same:
            raise MachineError(
                f"{CALLED} leads on to another host, which does not get the token", "check GITHUB_API_URL"
            )
        return url

    def _exhausted(self, pause: int) -> MachineError:
        until = datetime.fromtimestamp(time.time() + pause, UTC)
        more = "" if self.known else f"; with a token the limit is higher: {TOKEN}"
        return MachineError(
            f"{CALLED}'s rate limit is reached: it takes the next request at {until:%Y-%m-%d %H:%M:%S} UTC",
            f"the same command again then{more}",
        )


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _pause(answer: HttpResponse, tries: int) -> int | None:
    """Return the seconds after which GitHub wants to be asked again; None where no limit is the matter.

    A limit of a few requests in a short time does not always say when it ends: at least a minute, and longer each time.
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


def _refusal(answer: HttpResponse, place: str) -> ArmwrightError:
    """Say what an error's status means; no word of the answer is in it, but for the permission that GitHub names."""
    needs = answer.headers.get("X-Accepted-GitHub-Permissions", "")
    named = f" ({needs})" if _NEEDS.fullmatch(needs) else ""
    sentences: dict[int, ArmwrightError] = {
        401: MachineError(f"{CALLED} does not accept the token: it is wrong, expired or revoked", TOKEN),
        403: MachineError(
            f"{CALLED} does not let this account do that with {place}", f"a token that may{named}: {TOKEN}"
        ),
        404: InputError(
            f"{CALLED} shows no {place}",
            "check the number; in a private repository GITHUB_TOKEN must be one that may read",
        ),
        410: InputError(f"{place} was deleted, or its repository has no issues", "check the number"),
        422: FailedError(
            f"{CALLED} refuses what was sent for {place} as invalid", "this is a mistake of ours: report it"
        ),
    }
    if answer.status in sentences:
        return sentences[answer.status]
    if answer.status >= 500:  # noqa: PLR2004 - the server's fault, in HTTP
        return MachineError(f"{CALLED} answered with {answer.status}", "the same command again, later")
    return FailedError(f"{CALLED} answered with {answer.status} for {place}")
