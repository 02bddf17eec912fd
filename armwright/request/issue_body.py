"""The body of an issue as GitHub writes it from a form: a heading for each field, and the value below it.

Two readers read it. One knows only what GitHub writes from a form. The other knows lists, quotes and definitions too,
as GitHub does when it shows the issue. Where they differ, a person may not see what a program reads: nothing is read.
"""

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
_SHOWN = MarkdownIt("commonmark").disable("html_block")  # HTML is found by its signs, wherever it may begin
_PARSER.core.ruler.enableOnly(["block"])
_SHOWN.core.ruler.enableOnly(["block"])
_HEADING = "h3"
_HTML = re.compile(r"<[A-Za-z!?/]")  # comments, tags, declarations: GitHub hides, collapses or drops them
# Outside code, GitHub shows less or something else: struck out, links, images, definitions, formulas, rows
# of a table that has fewer columns, and code in a list or quote
_HIDING = re.compile(
    r"~[^~]*~|\][(\[:]|\$[^\s$][^$]*\$|\$\$|^(?=[^\n]*[|:])(?=[^\n]*-)[ \t|:>*+-]+$|(?<![^\s>])`{3,}[^`\n]*$",
    re.MULTILINE,
)
# What may stand behind a fence. GitHub draws some languages (mermaid, geojson, math), and hides comments in them.
_LANGUAGES = frozenset(
    {"", "bash", "console", "log", "none", "output", "plain", "plaintext", "sh", "shell", "text", "txt", "zsh"}
)


class Section(NamedTuple):
    """A heading with its line (from 1), and the text below it up to the next heading.

    Attributes:
        line: the line of the heading.
        heading: the heading.
        text: the text.
        is_shown: whether GitHub shows all of the text as it is written.
    """

    line: int
    heading: str
    text: str
    is_shown: bool = True


def find_html(body: str) -> list[int]:
    """Return the lines (from 1) with HTML outside code: a person who reads the issue does not see all of their text."""
    text = _join_line_ends(body)
    code = _code(_PARSER.parse(text)) & _code(_SHOWN.parse(text))
    return [line + 1 for line, words in enumerate(text.split("\n")) if line not in code and _HTML.search(words)]


def find_unclear_headings(body: str) -> list[int]:
    """Return the lines (from 1) of headings that only one of the two readers takes for the heading of a field."""
    text = _join_line_ends(body)
    lines = [{_lines(token)[0] for token in parser.parse(text) if _is_heading(token)} for parser in (_PARSER, _SHOWN)]
    return [line + 1 for line in sorted(lines[0] ^ lines[1])]


def read_sections(body: str) -> Iterator[Section]:
    """Yield the sections of an issue body. Text before the first heading belongs to none."""
    text = _join_line_ends(body)
    lines, tokens = text.split("\n"), _PARSER.parse(text)
    code = _code(tokens) & _code(_SHOWN.parse(text))
    starts = [at for at, token in enumerate(tokens) if _is_heading(token)]
    for start, end in pairwise([*starts, len(tokens)]):
        first, after = _lines(tokens[start])
        last = _lines(tokens[end])[0] if end < len(tokens) else len(lines)
        value = tokens[start + 3 : end]
        prose = "\n".join("" if line in code else lines[line] for line in range(after, last))
        drawn = any(token.type == "fence" and token.info.strip().lower() not in _LANGUAGES for token in value)
        is_shown = not drawn and not _HIDING.search(prose)
        yield Section(first + 1, tokens[start + 1].content, _value(value, lines[after:last]), is_shown)


def _join_line_ends(body: str) -> str:
    return body.replace("\r\n", "\n").replace("\r", "\n")


def _is_heading(token: Token) -> bool:
    return token.type == "heading_open" and token.tag == _HEADING and token.level == 0


def _code(tokens: Sequence[Token]) -> set[int]:
    """Return the lines of code, wherever it stands."""
    maps = [token.map for token in tokens if token.type in {"fence", "code_block"} and token.map]
    return {line for first, after in maps for line in range(first, after)}


def _lines(token: Token) -> Sequence[int]:
    assert token.map is not None  # noqa: S101 - for the type checker: every opening token has its lines
    return token.map


def _value(tokens: Sequence[Token], lines: Sequence[str]) -> str:
    """Return the text without blank lines around it; the content of a fence if there is nothing else."""
    if len(tokens) == 1 and tokens[0].type == "fence":
        return tokens[0].content.removesuffix("\n")
    return "\n".join(lines).strip("\n ")
