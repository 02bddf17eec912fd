"""Issues on GitHub: reads an issue, and gives it one comment and one label of this program."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from armwright.request import github_client, reply
from armwright.system import process
from armwright.system.errors import FailedError, InputError
from armwright.system.http import HttpResponse

SERVER = "https://github.com"
MAX_COMMENT = 65_536  # characters; GitHub's limit
_REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}"
_NUMBER = r"[1-9][0-9]{0,8}"
_NOT_FOUND = 404
_VIEWER = {"query": "query { viewer { login } }"}
_HELP = "invoke request --help"


class _Payload(BaseModel):
    """The fields of an answer that are used; GitHub sends many more."""

    model_config = ConfigDict(frozen=True, strict=True)


class _User(_Payload):
    login: str


class _Label(_Payload):
    name: str | None = None


class _Issue(_Payload):
    number: int
    title: str
    body: str | None = None
    user: _User | None
    state: str
    locked: bool
    labels: list[str | _Label]
    updated_at: str
    pull_request: dict[str, Any] | None = None


class _Comment(_Payload):
    id: int
    body: str | None = None
    user: _User | None
    html_url: Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9./:_#-]+$")]


class _Viewer(_Payload):
    viewer: _User


class _ViewerAnswer(_Payload):
    data: _Viewer


PayloadType = TypeVar("PayloadType")


@dataclass(frozen=True)
class Issue:
    """An issue as it is now. Its texts are untrusted.

    Attributes:
        author: the login of its author; empty if the account was deleted.
        open: whether it is open.
        locked: whether only accounts with write access may comment.
        updated: the time of the last change.
        pull_request: whether it is a pull request.
    """

    number: int
    title: str
    body: str
    author: str
    open: bool
    locked: bool
    labels: frozenset[str]
    updated: str
    pull_request: bool

    def check_answerable(self) -> None:
        """Check that the issue may be answered.

        Raises:
            InputError: it is closed, locked, or a pull request.
        """
        if self.pull_request:
            raise InputError(f"{self.number} is a pull request, not an issue", hint="give the number of an issue")
        for state, action, wrong in (("closed", "reopen", not self.open), ("locked", "unlock", self.locked)):
            if wrong:
                raise InputError(f"issue {self.number} is {state}, so it is not answered", hint=f"{action} it first")


class GitHubIssues:
    """The issues of one repository.

    Args:
        repository: owner/name.
        token: the token; None to take it from GITHUB_TOKEN or GH_TOKEN. Public issues can be read without one.
        api: the API's address; None to take it from GITHUB_API_URL, with github.com as the default.

    Raises:
        InputError: an argument or variable has a wrong form.
    """

    def __init__(self, repository: str, token: str | None = None, api: str | None = None) -> None:
        self._repository = _check_repository(repository)
        self._client = github_client.GitHubClient(token, api)
        self._path = f"/repos/{repository}/issues"

    def read(self, number: int) -> Issue:
        """Read an issue.

        Raises:
            InputError: there is no issue with this number, or it was deleted or moved.
            MachineError: GitHub cannot be reached, limits the requests, or does not let this account read it.
            FailedError: GitHub's answer is not valid.
        """
        issue = _parse(_Issue, self._client.send("GET", f"{self._path}/{number}", place=self._place(number)))
        if issue.number != number:
            raise InputError(
                f"{self._place(number)} was moved to another repository", hint="give the issue's new address"
            )
        names = (label if isinstance(label, str) else label.name for label in issue.labels)
        return Issue(
            number=number,
            title=issue.title,
            body=issue.body or "",
            author=issue.user.login if issue.user else "",
            open=issue.state == "open",
            locked=issue.locked,
            labels=frozenset(name for name in names if name),
            updated=issue.updated_at,
            pull_request=issue.pull_request is not None,
        )

    def answer(self, number: int, markdown: str, label: str) -> str:
        """Post a reply as a comment, or edit the earlier one, and replace the earlier label of this program.

        The earlier comment is the one that starts with the marker and was written by the token's own account. The
        marker alone is not enough: anybody can copy it.

        Args:
            number: the issue.
            markdown: the comment; it starts with the marker.
            label: one of `reply.LABELS`.

        Returns:
            the comment's address.

        Raises:
            InputError: there is no token, no such issue, or the issue is closed or locked.
            MachineError: GitHub cannot be reached, limits the requests, or does not let this account write.
            FailedError: GitHub refuses the comment.
        """
        if not self._client.has_token:
            raise InputError("posting an answer needs a token", hint=github_client.TOKEN_HINT)
        if label not in reply.LABELS or not markdown.startswith(reply.MARKER) or len(markdown) > MAX_COMMENT:
            raise FailedError("Armwright did not write this reply; nothing was posted", hint=github_client.BUG)
        issue = self.read(number)
        issue.check_answerable()
        comment = self._write_comment(number, markdown)
        self._set_label(issue, label)
        return comment.html_url

    def _write_comment(self, number: int, markdown: str) -> _Comment:
        place = self._place(number)
        earlier = self._find_comment(number)
        if earlier is None:
            answer = self._client.send("POST", f"{self._path}/{number}/comments", {"body": markdown}, place=place)
        elif earlier.body == markdown:
            return earlier
        else:
            answer = self._client.send("PATCH", f"{self._path}/comments/{earlier.id}", {"body": markdown}, place=place)
        return _parse(_Comment, answer)

    def _find_comment(self, number: int) -> _Comment | None:
        """Find the earlier comment of this account that starts with the marker."""
        place = self._place(number)
        viewer = self._client.send("POST", self._client.graphql, _VIEWER, place="the token's account")
        account = _parse(_ViewerAnswer, viewer).data.viewer
        for page in self._client.pages(f"{self._path}/{number}/comments", place=place):
            for comment in _parse(list[_Comment], page):
                if comment.user == account and (comment.body or "").startswith(reply.MARKER):
                    return comment
        return None

    def _set_label(self, issue: Issue, label: str) -> None:
        place, path = self._place(issue.number), f"{self._path}/{issue.number}/labels"
        if label not in issue.labels:
            self._client.send("POST", path, {"labels": [label]}, place=place)
        for outdated in sorted(issue.labels & set(reply.LABELS) - {label}):
            self._client.send("DELETE", f"{path}/{quote(outdated, safe='')}", place=place, accept=(_NOT_FOUND,))

    def _place(self, number: int) -> str:
        return f"issue {number} of {self._repository}"


def find_repository(root: Path, given: str) -> str:
    """Return the repository: the given one, else GITHUB_REPOSITORY, else the one of git's remote `origin`.

    Args:
        root: the project's root.
        given: owner/name as the user gave it; may be empty.

    Raises:
        InputError: the name has a wrong form, or nothing names a repository.
    """
    named = given or os.environ.get("GITHUB_REPOSITORY", "")
    if named:
        return _check_repository(named)
    remote = process.capture(["git", "-C", str(root), "config", "--get", "remote.origin.url"], check=False).strip()
    server = re.escape(_server())
    host = rf"((https|ssh|git)://([^@/]+@)?{server}(:\d+)?/|([^@/]+@)?{server}:)"
    match = re.fullmatch(rf"{host}(?P<name>[^/]+/[^/]+?)(\.git)?/?", remote)
    if match:
        return _check_repository(match["name"])
    raise InputError(
        "no repository is given, and git has no remote `origin` on GitHub",
        _HELP,
        hint="use --repo owner/name, or set GITHUB_REPOSITORY",
    )


def parse_issue_reference(text: str) -> tuple[str | None, int]:
    """Parse the ways to name an issue: 12, #12, owner/name#12, or its address.

    Returns:
        the repository, if the text names one, and the number.

    Raises:
        InputError: the text is none of these.
    """
    address = rf"https://{re.escape(_server())}/(?P<of>{_REPOSITORY})/issues/(?P<at>{_NUMBER})/?(#[\w-]+)?"
    for pattern in (rf"#?(?P<at>{_NUMBER})", rf"(?P<of>{_REPOSITORY})#(?P<at>{_NUMBER})", address):
        match = re.fullmatch(pattern, text, re.ASCII)
        if match:
            return match.groupdict().get("of"), int(match["at"])
    raise InputError("--issue is not the number or address of an issue", _HELP, hint="for example --issue 12")


def _server() -> str:
    return urlsplit(os.environ.get("GITHUB_SERVER_URL") or SERVER).hostname or ""


def _check_repository(name: str) -> str:
    if not re.fullmatch(_REPOSITORY, name, re.ASCII) or name.endswith(("/.", "/..")):
        raise InputError("the repository is not in the form owner/name", _HELP)
    return name


def _parse(kind: type[PayloadType], answer: HttpResponse) -> PayloadType:
    try:
        return TypeAdapter(kind).validate_json(answer.body)
    except ValidationError as error:
        raise FailedError(f"{github_client.NAME}'s answer is not valid", hint=github_client.LATER) from error
