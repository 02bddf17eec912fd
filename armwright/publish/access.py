"""Access to a registry: what its 401 asks for, answered with the credentials of `docker login`.

The challenge and the token service are those of the distribution project (docs/spec/auth/token.md and oauth.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode, urlsplit

from armwright.publish.credentials import Login, read_login
from armwright.publish.refusals import Attempt, explain_response
from armwright.system.errors import FailedError
from armwright.system.http import HttpResponse

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_CLIENT = "armwright"
Send = Callable[[str, str, Mapping[str, str], bytes | None], HttpResponse]


class Access:
    """The authorization of one run at one registry. Credentials are read when the registry first asks for them.

    Attributes:
        login: the stored login; None if there is none or the registry has not asked.
        accepted: the registry or its token service accepted the login.
    """

    def __init__(self, host: str, send: Send) -> None:
        self._host = host
        self._send = send
        self._headers: dict[tuple[str, str], str] = {}
        self._asked = False
        self.login: Login | None = None
        self.accepted = False

    def header(self, repository: str, actions: str) -> str:
        """Return the value of Authorization that was accepted or obtained for this before; empty without one."""
        return self._headers.get((repository, actions), "")

    def answer(self, challenge: HttpResponse, repository: str, actions: str, *, secure: bool) -> str:
        """Return a new value of Authorization that answers a 401.

        Args:
            challenge: the response with status 401.
            repository: the repository that the request is about; may be empty.
            actions: what is to be done there: "pull" or "pull,push".
            secure: whether the registry was reached over TLS.

        Raises:
            MachineError: docker has no login, or it is not accepted.
            FailedError: the token service refuses or fails.
        """
        kind, parameters = _parse_challenge(challenge.headers.get("WWW-Authenticate", ""))
        if not self._asked:
            self._asked, self.login = True, read_login(self._host)
        if kind == "bearer":
            header = "Bearer " + self._fetch_token(parameters, repository, actions, secure=secure)
        elif self.login is None or kind != "basic":
            raise explain_response(self.attempt(repository), challenge)
        else:
            header = self.login.basic()
        self._headers[repository, actions] = header
        return header

    def attempt(self, repository: str = "") -> Attempt:
        """Describe an attempt for an error."""
        return Attempt(self._host, repository, self.login.source if self.login else "", self.accepted)

    def _fetch_token(self, parameters: Mapping[str, str], repository: str, actions: str, *, secure: bool) -> str:
        realm = parameters.get("realm", "")
        parts = urlsplit(realm)
        if parts.scheme not in {"https", "http"} or (secure and parts.scheme != "https"):
            raise FailedError(f"{self._host} names the token service {realm[:100]!r}, which is not reached over TLS")
        scope = parameters.get("scope") or (f"repository:{repository}:{actions}" if repository else "")
        response = self._send(*self._token_request(realm, parameters.get("service", ""), scope))
        if response.status != 200:  # noqa: PLR2004 - OK
            raise explain_response(self.attempt(repository), response)
        self.accepted = self.login is not None
        try:
            document = json.loads(response.body)
            return str(document.get("token") or document["access_token"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise FailedError(f"the token service of {self._host} returned no token") from None

    def _token_request(self, realm: str, service: str, scope: str) -> tuple[str, str, Mapping[str, str], bytes | None]:
        """Return method, URL, headers and body."""
        fields = {name: value for name, value in (("service", service), ("scope", scope)) if value}
        if self.login and self.login.token:
            form = {"grant_type": "refresh_token", "client_id": _CLIENT, "refresh_token": self.login.token, **fields}
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            return "POST", realm, kind, urlencode(form).encode()
        query = urlencode(fields, quote_via=quote)
        headers = {"Authorization": self.login.basic()} if self.login else {}
        return "GET", f"{realm}{'&' if '?' in realm else '?'}{query}", headers, None


def _parse_challenge(header: str) -> tuple[str, dict[str, str]]:
    """Parse WWW-Authenticate: its kind in lower case, and its parameters."""
    kind, _, rest = header.partition(" ")
    return kind.lower(), {name.lower(): value for name, value in _PARAMETER.findall(rest)}
