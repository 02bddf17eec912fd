"""GitHub's Markdown around texts that may be anything: in a code span or a code block none of them is more than a text.

There neither mentions nor links, markup nor HTML mean anything; what cannot be seen is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_LONGEST = 2_000  # characters of a code span


def code(text: str) -> str:
    """Put a text into a code span, on one line."""
    words = " ".join(_printable(text).split())
    shown = words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"
    fence = _fence(shown, 1)
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown or '-'}{pad}{fence}"


def code_block(text: str, language: str) -> str:
    """Put lines into a code block."""
    shown = "\n".join(map(_printable, text.rstrip("\n").split("\n")))
    fence = _fence(shown, 3)
    return f"{fence}{language}\n{shown}\n{fence}"


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, own: int = 0) -> str:
    """Set a table.

    Args:
        columns: its head, in words of ours.
        rows: texts, each of which becomes a code span.
        own: so many of the first columns are words of ours, and stay as they are.
    """
    lines = [columns, ["---"] * len(columns)]
    lines += [[*row[:own], *map(_cell, row[own:])] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def folded(title: str, body: str) -> str:
    """Fold something away below a title of ours."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _cell(text: str) -> str:
    return code(text).replace("|", "\\|")  # a table's own rule: also in a code span


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else " " if one in "\t\n\r" else "" for one in text)


def _fence(text: str, least: int) -> str:
    """Return backticks enough that none within the text ends what they begin."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)
