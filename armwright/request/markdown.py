"""Writes GitHub Markdown around untrusted text, which goes into code spans and code blocks only.

Inside code, GitHub interprets no mentions, links, markup or HTML. Invisible characters are removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_MAX_SPAN = 2_000  # characters of a code span


def code(text: str) -> str:
    """Put a text into a code span, on one line."""
    line = " ".join(_printable(text).split())
    shown = line if len(line) <= _MAX_SPAN else f"{line[:_MAX_SPAN]}…"
    fence = _fence(shown, 1)
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown or '-'}{pad}{fence}"


def code_block(text: str, language: str) -> str:
    """Put lines into a code block."""
    shown = "\n".join(map(_printable, text.rstrip("\n").split("\n")))
    fence = _fence(shown, 3)
    return f"{fence}{language}\n{shown}\n{fence}"


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, trusted: int = 0) -> str:
    """Make a table.

    Args:
        columns: the trusted texts of its header.
        rows: the texts of its cells; each becomes a code span.
        trusted: the number of leading columns with trusted texts, which are written as they are.
    """
    lines = [columns, ["---"] * len(columns)]
    lines += [[*row[:trusted], *map(_cell, row[trusted:])] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def folded(title: str, body: str) -> str:
    """Make a section that is folded below a trusted title."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _cell(text: str) -> str:
    return code(text).replace("|", "\\|")  # in a table, also inside a code span


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " if character in "\t\n\r" else "" for character in text)


def _fence(text: str, least: int) -> str:
    """Return more backticks than any run of them in the text, so that the text cannot end the fence."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)
