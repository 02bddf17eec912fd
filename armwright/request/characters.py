"""Describes characters that a request may not contain, without repeating them."""

from __future__ import annotations

import unicodedata


def describe_character(character: str) -> str:
    """Return the number and the name of a character, such as "U+202E (RIGHT-TO-LEFT OVERRIDE)"."""
    nameless = "a control character" if unicodedata.category(character) == "Cc" else "a character without a name"
    return f"U+{ord(character):04X} ({unicodedata.name(character, nameless)})"
