"""A stub of GitHub's issues API: a local HTTP server that behaves as GitHub's documentation says.

Bodies of requests, and statuses of answers, are validated against GitHub's own API description (`openapi.json`).
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from jsonschema import Draft7Validator

from tests.support import ROOT

DESCRIPTION = json.loads((ROOT / "tests" / "openapi.json").read_text())
VERSIONS = ("2022-11-28", "2026-03-10")
COMMON_STATUSES = {400, 401, 403, 429, 500, 502, 503}  # every operation may have them
REPOSITORY = "octo-org/armwright"
REPOSITORY_ID = "1300192"  # links in answers use it
LONGEST = 65_536
TOKEN = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"  # noqa: S105 - the example in GitHub's documentation, not valid
BOT = "armwright[bot]"


@dataclass
class Account:
    """The account of a token."""

    login: str
    writes: bool = True


@dataclass
class Comment:
    """A comment on an issue."""

    id: int
    author: str
    body: str


@dataclass
class StubIssue:
    """An issue."""

    number: int
    body: str | None = ""
    author: str | None = "octocat"
    state: str = "open"
    locked: bool = False
    deleted: bool = False
    pull_request: bool = False
    moved: str = ""  # the address it was transferred to
    labels: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that the server received."""

    method: str
    path: str
    headers: Message
    fields: Any


@dataclass(frozen=True)
class StubAnswer:
    """An answer; status 0 closes the connection instead."""

    status: int = 0
    document: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None


def error(status: int, message: str, **headers: str) -> StubAnswer:
    """Make an error as GitHub sends it."""
    document = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    return StubAnswer(status, document, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class GitHubStub:
    """The state of the server, which tests set up and inspect.

    Attributes:
        queued: the answers to the next requests, in place of the usual ones.
        received: the requests so far.
        violations: what GitHub's API description does not allow; it must stay empty.
    """

    address: str = ""
    accounts: dict[str, Account] = field(default_factory=lambda: {TOKEN: Account(BOT)})
    issues: dict[int, StubIssue] = field(default_factory=dict)
    private: bool = False
    former: str = ""
    queued: list[StubAnswer] = field(default_factory=list)
    received: list[ReceivedRequest] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _next: int = 9000

    def open(self, number: int, **given: Any) -> StubIssue:  # noqa: ANN401 - the issue's fields
        self.issues[number] = StubIssue(number, **given)
        return self.issues[number]

    def comment(self, number: int, author: str, body: str) -> Comment:
        self._next += 1
        self.issues[number].comments.append(Comment(self._next, author, body))
        return self.issues[number].comments[-1]

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The method and path of every request that changes something."""
        return [
            (request.method, request.path)
            for request in self.received
            if request.method != "GET" and request.path != "/graphql"
        ]

    def answer(self, request: ReceivedRequest) -> StubAnswer:
        self.received.append(request)
        if self.queued:
            return self.queued.pop(0)
        if not request.headers.get("User-Agent"):
            return error(403, "Request forbidden by administrative rules.")
        if request.headers.get("X-GitHub-Api-Version", VERSIONS[0]) not in VERSIONS:
            return error(400, "Not a supported version")
        account = None
        if given := request.headers.get("Authorization"):
            account = self.accounts.get(given.removeprefix("Bearer "))
            if account is None:
                return error(401, "Bad credentials")
        if request.path == "/graphql":
            return _answer_viewer(account, request.fields)
        return self._answer_rest(account, request)

    def _answer_rest(self, account: Account | None, request: ReceivedRequest) -> StubAnswer:
        parts = urlsplit(request.path)
        path, renamed = parts.path, False
        for alias in (f"/repositories/{REPOSITORY_ID}", f"/repos/{self.former}" if self.former else "/-"):
            if path.startswith(f"{alias}/"):
                path, renamed = f"/repos/{REPOSITORY}" + path.removeprefix(alias), alias.startswith("/repos/")
        if renamed:
            moved = f"/repositories/{REPOSITORY_ID}" + path.removeprefix(f"/repos/{REPOSITORY}")
            return StubAnswer(301, {"message": "Moved Permanently"}, {"Location": f"{self.address}{moved}"})
        for template, operations in DESCRIPTION["paths"].items():
            match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template), path)
            described = operations.get(request.method.lower())
            if match and described:
                answer = self._perform(
                    described, account, request, {key: unquote(text) for key, text in match.groupdict().items()}
                )
                if answer.status not in {*described["responses"], *COMMON_STATUSES}:
                    self.violations.append(f"{described['operationId']} has no answer {answer.status}")
                return answer
        return error(404, "Not Found")

    def _perform(
        self, described: Mapping[str, Any], account: Account | None, request: ReceivedRequest, named: dict[str, str]
    ) -> StubAnswer:
        operation = described["operationId"]
        if f"{named['owner']}/{named['repo']}" != REPOSITORY or (self.private and account is None):
            return error(404, "Not Found")
        if request.method != "GET":
            refused = self._refuse_change(described, account, request)
            if refused is not None:
                return refused
        if operation == "issues/update-comment":
            return self._update_comment(int(named["comment_id"]), request)
        issue = self.issues.get(int(named["issue_number"]))
        if issue is None or issue.deleted:
            return error(404, "Not Found") if issue is None else error(410, "This issue was deleted")
        if issue.moved:
            return StubAnswer(301, {"message": "Moved Permanently"}, {"Location": issue.moved})
        perform = getattr(self, operation.replace("issues/", "_").replace("-", "_"))
        answer: StubAnswer = perform(issue, account, request, named)
        return answer

    def _refuse_change(
        self, described: Mapping[str, Any], account: Account | None, request: ReceivedRequest
    ) -> StubAnswer | None:
        """Refuse a change that this account may not make, or whose body does not fit the description."""
        if account is None:
            return error(401, "Requires authentication")
        if not account.writes:
            needs = {"X_Accepted_GitHub_Permissions": "issues=write"}
            return error(403, "Resource not accessible by integration", **needs)
        if "requestBody" not in described:
            return None
        schema = described["requestBody"]["content"]["application/json"]["schema"]
        messages = [wrong.message for wrong in Draft7Validator(schema).iter_errors(request.fields)]
        known = set(schema.get("properties") or schema["oneOf"][0]["properties"])
        messages += [f"{name} is not described" for name in set(request.fields or {}) - known]
        self.violations += [f"{described['operationId']}: {message}" for message in messages]
        return error(422, "Invalid request.") if messages else None

    def _get(self, issue: StubIssue, *_: object) -> StubAnswer:
        own = f"{self.address}/repos/{REPOSITORY}/issues/{issue.number}"
        document: dict[str, Any] = {
            **dict.fromkeys(DESCRIPTION["required"]["issue"]),
            "id": issue.number + 700, "node_id": "I_1", "number": issue.number, "title": "a request",
            "body": issue.body, "user": issue.author and user(issue.author), "state": issue.state,
            "locked": issue.locked, "labels": [{"id": 1, "name": name, "color": "ededed"} for name in issue.labels],
            "updated_at": "2026-01-02T03:04:05Z", "created_at": "2026-01-02T03:04:05Z", "url": own,
            "comments": len(issue.comments),
        }  # fmt: skip
        if issue.pull_request:
            document["pull_request"] = {"url": own.replace("issues", "pulls")}
        return StubAnswer(200, document)

    def _list_comments(self, issue: StubIssue, _: object, request: ReceivedRequest, __: object) -> StubAnswer:
        query = parse_qs(urlsplit(request.path).query)
        size = min(int(query.get("per_page", ["30"])[0]), 100)
        page = int(query.get("page", ["1"])[0])
        part = issue.comments[size * (page - 1) : size * page]
        base = f"{self.address}/repositories/{REPOSITORY_ID}/issues/{issue.number}/comments?per_page={size}&page="
        last = max(1, -(-len(issue.comments) // size))
        near = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        left_out = {"prev", "first"} if page == 1 else {"next", "last"} if page >= last else set()
        links = ", ".join(f'<{base}{at}>; rel="{rel}"' for rel, at in near.items() if rel not in left_out)
        documents = [self._comment_document(issue.number, comment) for comment in part]
        return StubAnswer(200, documents, {"Link": links} if last > 1 else {})

    def _create_comment(self, issue: StubIssue, account: Account, request: ReceivedRequest, _: object) -> StubAnswer:
        if issue.locked:
            return error(403, "Unable to create comment because issue is locked.")
        if not 0 < len(request.fields["body"]) <= LONGEST:
            return error(422, "Validation Failed")
        comment = self.comment(issue.number, account.login, request.fields["body"])
        return StubAnswer(201, self._comment_document(issue.number, comment))

    def _update_comment(self, number: int, request: ReceivedRequest) -> StubAnswer:
        matches = [
            (issue, comment) for issue in self.issues.values() for comment in issue.comments if comment.id == number
        ]
        if not matches:
            return error(404, "Not Found")
        if not 0 < len(request.fields["body"]) <= LONGEST:
            return error(422, "Validation Failed")
        ((issue, comment),) = matches
        comment.body = request.fields["body"]
        return StubAnswer(200, self._comment_document(issue.number, comment))

    def _add_labels(self, issue: StubIssue, _: object, request: ReceivedRequest, __: object) -> StubAnswer:
        issue.labels += [name for name in request.fields["labels"] if name not in issue.labels]
        return StubAnswer(200, [{"name": name} for name in issue.labels])

    def _remove_label(self, issue: StubIssue, _: object, __: object, named: dict[str, str]) -> StubAnswer:
        if named["name"] not in issue.labels:
            return error(404, "Label does not exist")
        issue.labels.remove(named["name"])
        return StubAnswer(200, [{"name": name} for name in issue.labels])

    def _comment_document(self, number: int, comment: Comment) -> dict[str, Any]:
        return {
            **dict.fromkeys(DESCRIPTION["required"]["issue-comment"]),
            "id": comment.id, "node_id": "IC_1", "user": user(comment.author), "body": comment.body,
            "html_url": f"https://github.com/{REPOSITORY}/issues/{number}#issuecomment-{comment.id}",
            "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
        }  # fmt: skip


def user(login: str) -> dict[str, Any]:
    kind = "Bot" if login.endswith("[bot]") else "User"
    return {**dict.fromkeys(DESCRIPTION["required"]["simple-user"]), "login": login, "id": 1, "type": kind}


def _answer_viewer(account: Account | None, fields: Any) -> StubAnswer:  # noqa: ANN401 - whatever came in
    """Answer GraphQL's `viewer`, which also works for the token of an app; REST's /user does not."""
    if account is None:
        return error(401, "This endpoint requires you to be authenticated.")
    if re.sub(r"\s", "", fields["query"]) != "query{viewer{login}}":
        return StubAnswer(200, {"errors": [{"type": "undefinedField"}]})
    return StubAnswer(200, {"data": {"viewer": {"login": account.login}}})


@contextlib.contextmanager
def run_github() -> Iterator[GitHubStub]:
    """Run the stub; at the end, no request may have violated GitHub's API description."""
    state = GitHubStub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # head and body in one piece

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = state.answer(
                ReceivedRequest(self.command, self.path, self.headers, json.loads(body) if body else None)
            )
            if not answer.status:
                self.close_connection = True
                return
            content = json.dumps(answer.document).encode() if answer.raw is None else answer.raw
            self.send_response(answer.status)
            usual = {
                "Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(content)),
                "X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4987", "X-RateLimit-Used": "13",
                "X-RateLimit-Reset": str(int(time.time()) + 3600),
            }  # fmt: skip
            for name, value in {**usual, **answer.headers}.items():
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
    assert state.violations == []
