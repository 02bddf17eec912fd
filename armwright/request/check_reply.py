"""Checks that a reply, written by another process, may be posted: it holds only what replies of this program hold.

The process that reads the text of an issue has no token that can write. The process with the token runs this check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import ValidationError

from armwright.request import github_issues, reply
from armwright.request.document import RequestDocument
from armwright.system.errors import FailedError, InputError

MAX_DOCUMENT = 4_000_000  # bytes; the diff of a lock has about 100,000
_LANGUAGES = {"text", "sh", "diff"}
# The text outside of code. These characters cannot form a mention, a reference, an address or markup.
_PROSE = re.compile(r"[A-Za-z0-9 .,;:()'“”%…-]*")
_FOLDED = re.compile(r"<details><summary>[A-Za-z0-9 ._/-]+</summary>|</details>")
_BLOCKS = re.compile(r"(heading|paragraph|bullet_list|list_item|table|thead|tbody|tr|th|td)_(open|close)|inline")
_PARSER = MarkdownIt("commonmark").enable("table")
_HINT = "the file was changed after `invoke request` wrote it, or this is a bug: please report it"


def read_reply(file: Path) -> RequestDocument:
    """Read the document that `invoke request --json` wrote, and check it.

    Raises:
        InputError: the file cannot be read.
        FailedError: the file is not such a document, or its reply holds something that replies do not.
    """
    try:
        with file.open("rb") as source:
            content = source.read(MAX_DOCUMENT + 1)
    except OSError as error:
        raise InputError(f"cannot read {str(file)!r}: {error.strerror}", "invoke post --help") from error
    try:
        document = RequestDocument.model_validate_json(content if len(content) <= MAX_DOCUMENT else b"")
    except ValidationError as error:
        raise _refusal("the file is not the output of `invoke request --json`") from error
    if document.label != f"request: {document.kind}":
        raise _refusal("the label of the reply does not match its kind")
    check_markdown(document.markdown)
    return document


def check_markdown(markdown: str) -> None:
    """Check that a reply holds only plain words, tables, lists and code.

    Raises:
        FailedError: it holds something else.
    """
    if len(markdown) > github_issues.MAX_COMMENT or not markdown.startswith(f"{reply.MARKER}\n"):
        raise _refusal("the reply does not start with the marker, or is too long")
    for number, line in enumerate(markdown.split("\n"), 1):
        if not line.isprintable():
            raise _refusal(f"line {number} of the reply has an invisible character")
    for token in _PARSER.parse(markdown.removeprefix(reply.MARKER)):
        if not _is_allowed(token):
            number = (token.map or [0])[0] + 1
            raise _refusal(f"line {number} of the reply has Markdown that replies never contain ({token.type})")


def _is_allowed(token: Token) -> bool:
    if token.type == "fence":
        return token.info in _LANGUAGES
    if token.type == "html_block":
        return all(_FOLDED.fullmatch(line) for line in token.content.splitlines())
    return bool(_BLOCKS.fullmatch(token.type)) and all(map(_is_plain, _outside_code(token.children or [])))


def _outside_code(children: Sequence[Token]) -> Iterator[Token]:
    return (token for token in children if token.type not in {"code_inline", "softbreak"})


def _is_plain(token: Token) -> bool:
    return token.type == "text" and bool(_PROSE.fullmatch(token.content)) and "www." not in token.content.lower()


def _refusal(what: str) -> FailedError:
    return FailedError(f"{what}; nothing was posted", hint=_HINT)
