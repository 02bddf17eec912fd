"""What the tests of requests share: an answer without engine, registry or network, and what a comment may hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from armwright.matrix.matrix import Matrix
from armwright.pipeline.inventory import Inventory
from armwright.plan.plan import Plan
from armwright.request import decide as _decide
from armwright.request import fields, parse, reply, submission
from armwright.request.decide import Decision
from armwright.request.parse import Request

_OURS = re.compile(r"<!-- armwright: answer -->|<details><summary>[\w./ -]+</summary>|</details>", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9 ,.:;()'“”-]*")  # what stands outside of code: our own words
_HELD = {"text", "code_inline", "code_block", "fence"}
_SHAPES = ("paragraph", "heading", "bullet_list", "list_item", "table", "thead", "tbody", "tr", "th", "td")
_PARSER = MarkdownIt("commonmark").enable("table")


def nothing_staged(_: Plan) -> str:
    """Tell of no image that it can be pulled."""
    return ""


def read(matrix: Matrix, body: str) -> Request:
    """Read the text of an issue."""
    form = fields.new_combination(matrix)
    return parse.parse_request(matrix, form, submission.of_body(form, body))


def asked(matrix: Matrix, **values: str) -> Request:
    """Read options."""
    form = fields.new_combination(matrix)
    return parse.parse_request(
        matrix, form, {key: submission.FieldValue(text, f"--{key}") for key, text in values.items()}
    )


def decide(matrix: Matrix, wanted: Request, staged: Callable[[Plan], str] = nothing_staged) -> Decision:
    """Decide on a machine whose engine has nothing."""
    return _decide.decide_request(matrix, wanted, Inventory(matrix, {}), staged)


def foreign(markdown: str) -> list[str]:
    """Return everything in a comment that is more than a text in code, or one of our own words around it."""
    assert markdown.startswith(f"{reply.MARKER}\n")
    assert len(markdown) <= reply.LONGEST
    return [f"{one.type}: {one.content or one.markup!r}" for one in _tokens(_PARSER.parse(markdown)) if not _ours(one)]


def _tokens(found: list[Token]) -> Iterator[Token]:
    for one in found:
        if one.type == "inline":
            yield from _tokens(one.children or [])
        else:
            yield one


def _ours(token: Token) -> bool:
    if token.type in _HELD:
        printable = all(letter.isprintable() or letter == "\n" for letter in token.content)
        return printable and (token.type != "text" or _PLAIN.fullmatch(token.content) is not None)
    if token.type in {"html_block", "html_inline"}:
        return _OURS.fullmatch(token.content.strip()) is not None
    return token.type == "softbreak" or token.type.removesuffix("_open").removesuffix("_close") in _SHAPES


def everything(root: Path) -> dict[str, bytes]:
    """Read every file below a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
