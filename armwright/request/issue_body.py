"""The body of an issue as GitHub writes it from a form: a heading for each field, and the value below it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

# GitHub writes headings, paragraphs and fenced code. Only these rules are on: they take linear time on hostile text,
# and a heading inside a list, quote or table is not a field.
_PARSER = MarkdownIt("zero").enable(["code", "fence", "heading"])
_PARSER.core.ruler.enableOnly(["block"])
_HEADING = "h3"
_HTML = re.compile(r"<[A-Za-z!?/]")  # comments, tags, declarations: GitHub hides, collapses or drops them


class Section(NamedTuple):
    """A heading with its line (from 1), and the text below it up to the next heading."""

    line: int
    heading: str
    text: str


def find_html(body: str) -> list[int]:
    """Return the lines (from 1) with HTML outside code: a person who reads the issue does not see all of their text."""
    text = _join_line_ends(body)
    code = [token.map for token in _PARSER.parse(text) if token.type in {"fence", "code_block"} and token.map]
    shown = {line for first, after in code for line in range(first, after)}
    return [line + 1 for line, words in enumerate(text.split("\n")) if line not in shown and _HTML.search(words)]


def read_sections(body: str) -> Iterator[Section]:
    """Yield the sections of an issue body. Text before the first heading belongs to none."""
    text = _join_line_ends(body)
    lines, tokens = text.split("\n"), _PARSER.parse(text)
    starts = [at for at, token in enumerate(tokens) if token.type == "heading_open" and token.tag == _HEADING]
    for start, end in pairwise([*starts, len(tokens)]):
        first, after = _lines(tokens[start])
        last = _lines(tokens[end])[0] if end < len(tokens) else len(lines)
        yield Section(first + 1, tokens[start + 1].content, _value(tokens[start + 3 : end], lines[after:last]))


def _join_line_ends(body: str) -> str:
    return body.replace("\r\n", "\n").replace("\r", "\n")


def _lines(token: Token) -> Sequence[int]:
    assert token.map is not None  # noqa: S101 - for the type checker: every opening token has its lines
    return token.map


def _value(tokens: Sequence[Token], lines: Sequence[str]) -> str:
    """Return the text without blank lines around it; the content of a fence if there is nothing else."""
    if len(tokens) == 1 and tokens[0].type == "fence":
        return tokens[0].content.removesuffix("\n")
    return "\n".join(lines).strip("\n ")
