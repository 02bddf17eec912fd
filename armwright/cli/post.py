"""Posting: a reply that another process wrote goes into an issue, if it is made of nothing but what our replies are.

Who reads the issue's text has no token that writes; who has one, here, reads only what is checked first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import ValidationError

from armwright.request import github_issues, reply
from armwright.request.document import Answered
from armwright.request.github_issues import Hub
from armwright.system import console
from armwright.system.errors import FailedError, InputError

MOST = 4_000_000  # bytes of the document; a lock's diff has 100,000
_LANGUAGES = {"text", "sh", "diff"}
# What the replies say in words of their own: no mention, no reference, no address, no markup can be written with these.
_PROSE = re.compile(r"[A-Za-z0-9 .,;:()'“”%…-]*")
_FOLDED = re.compile(r"<details><summary>[A-Za-z0-9 ._/-]+</summary>|</details>")
_BLOCKS = re.compile(r"(heading|paragraph|bullet_list|list_item|table|thead|tbody|tr|th|td)_(open|close)|inline")
_PARSER = MarkdownIt("commonmark").enable("table")


def run(root: Path, file: str, issue: str, repo: str = "") -> None:
    """Post what `invoke request --json` wrote into a file.

    Args:
        root: the project's root.
        file: the file.
        issue: the issue's number or address.
        repo: owner/name; empty: found out.

    Raises:
        InputError: the words are wrong, or the issue is not answered.
        MachineError: GitHub cannot be reached, or does not let this account write.
        FailedError: the file is no reply of ours; nothing was posted.
    """
    named, number = github_issues.number(issue)
    said = read_answer(Path(file))
    hub = Hub(github_issues.repository(root, repo or named or ""))
    console.result(hub.answer(number, said.markdown, said.label))


def read_answer(file: Path) -> Answered:
    """Read and check a reply.

    Raises:
        InputError: the file cannot be read.
        FailedError: it is no reply of ours.
    """
    try:
        with file.open("rb") as source:
            content = source.read(MOST + 1)
    except OSError as error:
        raise InputError(f"{str(file)!r} cannot be read: {error.strerror}", "invoke post --help") from error
    try:
        said = Answered.model_validate_json(content if len(content) <= MOST else b"")
    except ValidationError as error:
        raise FailedError("the file is no document of `invoke request --json`; nothing was posted") from error
    if said.label != f"request: {said.kind}":
        raise FailedError("the reply's label is not that of its kind; nothing was posted")
    check_markdown(said.markdown)
    return said


def check_markdown(markdown: str) -> None:
    """Make sure that a reply is one of ours: words of a closed alphabet, and code, in which nothing means anything.

    Raises:
        FailedError: it holds something else.
    """
    if len(markdown) > github_issues.LONGEST or not markdown.startswith(f"{reply.MARKER}\n"):
        raise _foreign("does not begin with the marker, or is too long", 1)
    for number, line in enumerate(markdown.split("\n"), 1):
        if not line.isprintable():
            raise _foreign("holds what cannot be seen", number)
    for token in _PARSER.parse(markdown.removeprefix(reply.MARKER)):
        if not _ours(token):
            raise _foreign(f"holds a {token.type} that none of ours has", (token.map or [0])[0] + 1)


def _ours(token: Token) -> bool:
    if token.type == "fence":
        return token.info in _LANGUAGES
    if token.type == "html_block":
        return all(_FOLDED.fullmatch(line) for line in token.content.splitlines())
    return bool(_BLOCKS.fullmatch(token.type)) and all(map(_plain, _within(token.children or [])))


def _within(children: Sequence[Token]) -> Iterator[Token]:
    return (one for one in children if one.type not in {"code_inline", "softbreak"})


def _plain(token: Token) -> bool:
    return token.type == "text" and bool(_PROSE.fullmatch(token.content)) and "www." not in token.content.lower()


def _foreign(what: str, line: int) -> FailedError:
    return FailedError(f"the reply {what}, in line {line}; nothing was posted", "report it: no reply of ours does")
