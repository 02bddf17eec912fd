"""GitHub's issues on this machine: a small server that does over real HTTP what GitHub's documentation says.

The requests' bodies are held against GitHub's own description (`openapi.json`), and so is what is answered.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from jsonschema import Draft7Validator

from tests.support import ROOT

DESCRIPTION = json.loads((ROOT / "tests" / "openapi.json").read_text())
VERSIONS = ("2022-11-28", "2026-03-10")
ANYWHERE = {400, 401, 403, 429, 500, 502, 503}  # statuses that every operation may have
REPOSITORY = "octo-org/armwright"
IDENTITY = "1300192"  # of the repository; links in answers name it so
LONGEST = 65_536
TOKEN = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"  # noqa: S105 - the one of GitHub's documentation, valid nowhere
BOT = "armwright[bot]"


@dataclass
class Account:
    """Who a token speaks for."""

    login: str
    writes: bool = True


@dataclass
class Comment:
    """A comment on an issue."""

    id: int
    author: str
    body: str


@dataclass
class Ticket:
    """An issue."""

    number: int
    body: str | None = ""
    author: str | None = "octocat"
    state: str = "open"
    locked: bool = False
    deleted: bool = False
    pull_request: bool = False
    moved: str = ""  # where it was transferred to
    labels: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)


@dataclass(frozen=True)
class Seen:
    """A request that came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    fields: Any


@dataclass(frozen=True)
class Said:
    """An answer; without a status the connection is closed instead."""

    status: int = 0
    document: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None


def error(status: int, message: str, **headers: str) -> Said:
    """Make an error in GitHub's form."""
    document = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return Said(status, document, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class GitHub:
    """The server's state, for a test to set up and to look at.

    Attributes:
        first: answers that are given before any other, one a request.
        wrong: what GitHub's description does not allow; a test wants it empty.
    """

    address: str = ""
    accounts: dict[str, Account] = field(default_factory=lambda: {TOKEN: Account(BOT)})
    tickets: dict[int, Ticket] = field(default_factory=dict)
    private: bool = False
    former: str = ""
    first: list[Said] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _next: int = 9000

    def open(self, number: int, **given: Any) -> Ticket:  # noqa: ANN401 - a ticket's own fields
        self.tickets[number] = Ticket(number, **given)
        return self.tickets[number]

    def comment(self, number: int, author: str, body: str) -> Comment:
        self._next += 1
        self.tickets[number].comments.append(Comment(self._next, author, body))
        return self.tickets[number].comments[-1]

    @property
    def writes(self) -> list[tuple[str, str]]:
        """What was asked to be changed."""
        return [(one.method, one.path) for one in self.seen if one.method != "GET" and one.path != "/graphql"]

    def answer(self, seen: Seen) -> Said:
        self.seen.append(seen)
        if self.first:
            return self.first.pop(0)
        if not seen.headers.get("User-Agent"):
            return error(403, "Request forbidden by administrative rules.")
        if seen.headers.get("X-GitHub-Api-Version", VERSIONS[0]) not in VERSIONS:
            return error(400, "Not a supported version")
        account = None
        if given := seen.headers.get("Authorization"):
            account = self.accounts.get(given.removeprefix("Bearer "))
            if account is None:
                return error(401, "Bad credentials")
        if seen.path == "/graphql":
            return _viewer(account, seen.fields)
        return self._rest(account, seen)

    def _rest(self, account: Account | None, seen: Seen) -> Said:
        parts = urlsplit(seen.path)
        path, renamed = parts.path, False
        for alias in (f"/repositories/{IDENTITY}", f"/repos/{self.former}" if self.former else "/-"):
            if path.startswith(f"{alias}/"):
                path, renamed = f"/repos/{REPOSITORY}" + path.removeprefix(alias), alias.startswith("/repos/")
        if renamed:
            moved = f"/repositories/{IDENTITY}" + path.removeprefix(f"/repos/{REPOSITORY}")
            return Said(301, {"message": "Moved Permanently"}, {"Location": f"{self.address}{moved}"})
        for template, operations in DESCRIPTION["paths"].items():
            found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template), path)
            described = operations.get(seen.method.lower())
            if found and described:
                said = self._described(
                    described, account, seen, {key: unquote(one) for key, one in found.groupdict().items()}
                )
                if said.status not in {*described["responses"], *ANYWHERE}:
                    self.wrong.append(f"{described['operationId']} has no answer {said.status}")
                return said
        return error(404, "Not Found")

    def _described(self, described: Any, account: Account | None, seen: Seen, named: dict[str, str]) -> Said:  # noqa: ANN401
        operation = described["operationId"]
        if f"{named['owner']}/{named['repo']}" != REPOSITORY or (self.private and account is None):
            return error(404, "Not Found")
        if seen.method != "GET":
            refused = self._unwritten(described, account, seen)
            if refused is not None:
                return refused
        if operation == "issues/update-comment":
            return self._update_comment(int(named["comment_id"]), seen)
        ticket = self.tickets.get(int(named["issue_number"]))
        if ticket is None or ticket.deleted:
            return error(404, "Not Found") if ticket is None else error(410, "This issue was deleted")
        if ticket.moved:
            return Said(301, {"message": "Moved Permanently"}, {"Location": ticket.moved})
        return getattr(self, operation.replace("issues/", "_").replace("-", "_"))(ticket, account, seen, named)

    def _unwritten(self, described: Any, account: Account | None, seen: Seen) -> Said | None:  # noqa: ANN401
        """Refuse what this account may not change, and what is not as it is described."""
        if account is None:
            return error(401, "Requires authentication")
        if not account.writes:
            needs = {"X_Accepted_GitHub_Permissions": "issues=write"}
            return error(403, "Resource not accessible by integration", **needs)
        if "requestBody" not in described:
            return None
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        found = [one.message for one in Draft7Validator(schema).iter_errors(seen.fields)]
        known = set(schema.get("properties") or schema["oneOf"][0]["properties"])
        found += [f"{name} is not described" for name in set(seen.fields or {}) - known]
        self.wrong += [f"{described['operationId']}: {one}" for one in found]
        return error(422, "Invalid request.") if found else None

    def _get(self, ticket: Ticket, *_: object) -> Said:
        own = f"{self.address}/repos/{REPOSITORY}/issues/{ticket.number}"
        document: dict[str, Any] = {
            **dict.fromkeys(DESCRIPTION["required"]["issue"]),
            "id": ticket.number + 700, "node_id": "I_1", "number": ticket.number, "title": "a request",
            "body": ticket.body, "user": ticket.author and user(ticket.author), "state": ticket.state,
            "locked": ticket.locked, "labels": [{"id": 1, "name": one, "color": "ededed"} for one in ticket.labels],
            "updated_at": "2026-01-02T03:04:05Z", "created_at": "2026-01-02T03:04:05Z", "url": own,
            "comments": len(ticket.comments),
        }  # fmt: skip
        if ticket.pull_request:
            document["pull_request"] = {"url": own.replace("issues", "pulls")}
        return Said(200, document)

    def _list_comments(self, ticket: Ticket, _: object, seen: Seen, __: object) -> Said:
        query = parse_qs(urlsplit(seen.path).query)
        size = min(int(query.get("per_page", ["30"])[0]), 100)
        page = int(query.get("page", ["1"])[0])
        part = ticket.comments[size * (page - 1) : size * page]
        base = f"{self.address}/repositories/{IDENTITY}/issues/{ticket.number}/comments?per_page={size}&page="
        last = max(1, -(-len(ticket.comments) // size))
        near = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        unfit = {"prev", "first"} if page == 1 else {"next", "last"} if page >= last else set()
        links = ", ".join(f'<{base}{at}>; rel="{rel}"' for rel, at in near.items() if rel not in unfit)
        shown = [self._shown(ticket.number, one) for one in part]
        return Said(200, shown, {"Link": links} if last > 1 else {})

    def _create_comment(self, ticket: Ticket, account: Account, seen: Seen, _: object) -> Said:
        if ticket.locked:
            return error(403, "Unable to create comment because issue is locked.")
        if not 0 < len(seen.fields["body"]) <= LONGEST:
            return error(422, "Validation Failed")
        return Said(201, self._shown(ticket.number, self.comment(ticket.number, account.login, seen.fields["body"])))

    def _update_comment(self, number: int, seen: Seen) -> Said:
        found = [(one, two) for one in self.tickets.values() for two in one.comments if two.id == number]
        if not found:
            return error(404, "Not Found")
        if not 0 < len(seen.fields["body"]) <= LONGEST:
            return error(422, "Validation Failed")
        found[0][1].body = seen.fields["body"]
        return Said(200, self._shown(found[0][0].number, found[0][1]))

    def _add_labels(self, ticket: Ticket, _: object, seen: Seen, __: object) -> Said:
        ticket.labels += [one for one in seen.fields["labels"] if one not in ticket.labels]
        return Said(200, [{"name": one} for one in ticket.labels])

    def _remove_label(self, ticket: Ticket, _: object, __: object, named: dict[str, str]) -> Said:
        if named["name"] not in ticket.labels:
            return error(404, "Label does not exist")
        ticket.labels.remove(named["name"])
        return Said(200, [{"name": one} for one in ticket.labels])

    def _shown(self, number: int, comment: Comment) -> dict[str, Any]:
        return {
            **dict.fromkeys(DESCRIPTION["required"]["issue-comment"]),
            "id": comment.id, "node_id": "IC_1", "user": user(comment.author), "body": comment.body,
            "html_url": f"https://github.com/{REPOSITORY}/issues/{number}#issuecomment-{comment.id}",
            "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
        }  # fmt: skip


def user(login: str) -> dict[str, Any]:
    kind = "Bot" if login.endswith("[bot]") else "User"
    return {**dict.fromkeys(DESCRIPTION["required"]["simple-user"]), "login": login, "id": 1, "type": kind}


def _viewer(account: Account | None, fields: Any) -> Said:  # noqa: ANN401 - whatever came in
    """Answer GraphQL's `viewer`, which says of an app's token too whose it is (REST's /user does not)."""
    if account is None:
        return error(401, "This endpoint requires you to be authenticated.")
    if re.sub(r"\s", "", fields["query"]) != "query{viewer{login}}":
        return Said(200, {"errors": [{"type": "undefinedField"}]})
    return Said(200, {"data": {"viewer": {"login": account.login}}})


@contextlib.contextmanager
def serving() -> Iterator[GitHub]:
    """Run a GitHub of the test's own; afterwards nothing was asked of it that its description does not allow."""
    state = GitHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # head and body in one piece

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said = state.answer(Seen(self.command, self.path, self.headers, json.loads(body) if body else None))
            if not said.status:
                self.close_connection = True
                return
            content = json.dumps(said.document).encode() if said.raw is None else said.raw
            self.send_response(said.status)
            usual = {
                "Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(content)),
                "X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4987", "X-RateLimit-Used": "13",
                "X-RateLimit-Reset": str(int(time.time()) + 3600),
            }  # fmt: skip
            for name, value in {**usual, **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815 - the names that the library calls

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
    assert state.wrong == []
