"""Issues on GitHub: one is read, and gets one comment of ours and one of our labels."""

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
LONGEST = 65_536  # characters that GitHub takes for a comment
_REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}"
_NUMBER = r"[1-9][0-9]{0,8}"
_GONE = 404
_WHOSE = {"query": "query { viewer { login } }"}
_HELP = "invoke request --help"


class _Shape(BaseModel):
    """The part of an answer that is read; GitHub sends far more."""

    model_config = ConfigDict(frozen=True, strict=True)


class _User(_Shape):
    login: str


class _Label(_Shape):
    name: str | None = None


class _Issue(_Shape):
    number: int
    title: str
    body: str | None = None
    user: _User | None
    state: str
    locked: bool
    labels: list[str | _Label]
    updated_at: str
    pull_request: dict[str, Any] | None = None


class _Comment(_Shape):
    id: int
    body: str | None = None
    user: _User | None
    html_url: Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9./:_#-]+$")]


class _Viewed(_Shape):
    viewer: _User


class _Whose(_Shape):
    data: _Viewed


Read = TypeVar("Read")


@dataclass(frozen=True)
class Issue:
    """An issue as it is now; every text in it is its author's.

    Attributes:
        author: who wrote it; empty where the account is gone.
        open: it is not closed.
        locked: only those who may write to the repository comment on it.
        updated: when anything about it last changed.
        pull_request: it is one.
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
        """Leave alone what nobody waits for.

        Raises:
            InputError: it is closed or locked, or a pull request.
        """
        if self.pull_request:
            raise InputError(f"{self.number} is a pull request and no issue", "the number of an issue")
        for state, wrong in (("closed", not self.open), ("locked", self.locked)):
            if wrong:
                undo = {"closed": "reopen", "locked": "unlock"}[state]
                raise InputError(f"issue {self.number} is {state}, and is not answered", f"{undo} it first")


class Hub:
    """The issues of one repository.

    Args:
        repository: owner/name.
        token: the token; None takes it from GITHUB_TOKEN or GH_TOKEN. Reading what is public needs none.
        api: the API's address; None takes it from GITHUB_API_URL, and that of github.com where it is not set.

    Raises:
        InputError: one of the three is none.
    """

    def __init__(self, repository: str, token: str | None = None, api: str | None = None) -> None:
        self._repository = _checked(repository)
        self._client = github_client.Client(token, api)
        self._path = f"/repos/{repository}/issues"

    def issue(self, number: int) -> Issue:
        """Read an issue.

        Raises:
            InputError: there is none with this number, or it was deleted or moved.
            MachineError: GitHub cannot be reached, wants no more requests for now, or lets this account not read it.
            FailedError: its answer makes no sense.
        """
        read = _read(_Issue, self._client.send("GET", f"{self._path}/{number}", place=self._place(number)))
        if read.number != number:
            raise InputError(f"{self._place(number)} was moved to another repository", "the issue's new address")
        return Issue(
            number=number,
            title=read.title,
            body=read.body or "",
            author=read.user.login if read.user else "",
            open=read.state == "open",
            locked=read.locked,
            labels=frozenset(name for one in read.labels if (name := one if isinstance(one, str) else one.name)),
            updated=read.updated_at,
            pull_request=read.pull_request is not None,
        )

    def answer(self, number: int, markdown: str, label: str) -> str:
        """Write our comment on an issue, or edit the one that is there, and put our label in the place of the others.

        A comment counts as ours when it begins with the marker and the token's own account wrote it: anybody can copy
        a marker.

        Args:
            number: the issue.
            markdown: the comment; it begins with the marker.
            label: one of `reply.LABELS`.

        Returns:
            the comment's address.

        Raises:
            InputError: there is no token, or the issue is closed, locked or none.
            MachineError: GitHub cannot be reached, wants no more requests for now, or does not let this account write.
            FailedError: it does not take the comment.
        """
        if not self._client.known:
            raise InputError("an answer needs a token", github_client.TOKEN)
        if label not in reply.LABELS or not markdown.startswith(reply.MARKER) or len(markdown) > LONGEST:
            raise FailedError("this is no answer of ours", "report it: this is a mistake of the program")
        issue = self.issue(number)
        issue.check_answerable()
        comment = self._comment(number, markdown)
        self._label(issue, label)
        return comment.html_url

    def _comment(self, number: int, markdown: str) -> _Comment:
        place = self._place(number)
        own = self._own(number)
        if own is None:
            sent = self._client.send("POST", f"{self._path}/{number}/comments", {"body": markdown}, place=place)
        elif own.body == markdown:
            return own
        else:
            sent = self._client.send("PATCH", f"{self._path}/comments/{own.id}", {"body": markdown}, place=place)
        return _read(_Comment, sent)

    def _own(self, number: int) -> _Comment | None:
        """Find the comment that is ours."""
        place = self._place(number)
        account = _read(_Whose, self._client.send("POST", self._client.graphql, _WHOSE, place="the token's account"))
        for page in self._client.pages(f"{self._path}/{number}/comments", place=place):
            for one in _read(list[_Comment], page):
                if one.user == account.data.viewer and (one.body or "").startswith(reply.MARKER):
                    return one
        return None

    def _label(self, issue: Issue, label: str) -> None:
        place, path = self._place(issue.number), f"{self._path}/{issue.number}/labels"
        if label not in issue.labels:
            self._client.send("POST", path, {"labels": [label]}, place=place)
        for outdated in sorted(issue.labels & set(reply.LABELS) - {label}):
            self._client.send("DELETE", f"{path}/{quote(outdated, safe='')}", place=place, accept=(_GONE,))

    def _place(self, number: int) -> str:
        return f"issue {number} of {self._repository}"


def repository(root: Path, given: str) -> str:
    """Find out which repository is meant.

    Args:
        root: the project's root.
        given: owner/name, as a user said it; empty: GITHUB_REPOSITORY, else where git's remote `origin` is.

    Raises:
        InputError: it is none, or nothing says which.
    """
    named = given or os.environ.get("GITHUB_REPOSITORY", "")
    if named:
        return _checked(named)
    remote = process.capture(["git", "-C", str(root), "config", "--get", "remote.origin.url"], check=False).strip()
    host = rf"((https|ssh|git)://([^@/]+@)?{re.escape(_server())}(:\d+)?/|([^@/]+@)?{re.escape(_server())}:)"
    found = re.fullmatch(rf"{host}(?P<name>[^/]+/[^/]+?)(\.git)?/?", remote)
    if found:
        return _checked(found["name"])
    raise InputError("nothing says which repository on GitHub is meant", "--repo owner/name, or GITHUB_REPOSITORY")


def number(word: str) -> tuple[str | None, int]:
    """Read how a user names an issue: 12, #12, owner/name#12, or its address.

    Returns:
        the repository, where the word names one, and the number.

    Raises:
        InputError: it is none of these.
    """
    address = rf"https://{re.escape(_server())}/(?P<of>{_REPOSITORY})/issues/(?P<at>{_NUMBER})/?(#[\w-]+)?"
    for pattern in (rf"#?(?P<at>{_NUMBER})", rf"(?P<of>{_REPOSITORY})#(?P<at>{_NUMBER})", address):
        found = re.fullmatch(pattern, word, re.ASCII)
        if found:
            return found.groupdict().get("of"), int(found["at"])
    raise InputError("--issue is no issue's number or address", f"e.g. --issue 12; {_HELP}")


def _server() -> str:
    return urlsplit(os.environ.get("GITHUB_SERVER_URL") or SERVER).hostname or ""


def _checked(name: str) -> str:
    if not re.fullmatch(_REPOSITORY, name, re.ASCII) or name.endswith(("/.", "/..")):
        raise InputError("the repository is not named as owner/name", _HELP)
    return name


def _read(shape: type[Read], answer: HttpResponse) -> Read:
    try:
        return TypeAdapter(shape).validate_json(answer.body)
    except ValidationError as error:
        raise FailedError(f"{github_client.CALLED}'s answer makes no sense", "the same command again, later") from error
