"""The words of a command line: what invoke's parser refuses becomes a sentence, the nearest word, and exit code 2."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from invoke.exceptions import Exit, ParseError
from invoke.parser import Parser

from armwright.system.errors import InputError, nearest


def answer_wrong_words() -> None:
    """Give invoke's parser our exit code for wrong words (it has 1, which is "a build or a proof failed" here).

    invoke offers no hook for this to a tasks.py; its own program catches `Exit` and ends with that code.
    """
    Parser.parse_argv = _answering(Parser.parse_argv)  # type: ignore[method-assign, assignment]


def _answering(parse: Callable[[Parser, list[str]], Any]) -> Callable[[Parser, list[str]], Any]:
    @functools.wraps(parse)
    def parse_argv(self: Parser, argv: list[str]) -> Any:  # noqa: ANN401 - invoke's own result
        try:
            return parse(self, [] if _helped(self, argv) else argv)
        except ParseError as error:
            raise Exit(f"error: {_explain(self, error)}\nnext:  {_next(error)}", code=InputError.code) from error

    return parse_argv


def _helped(parser: Parser, argv: list[str]) -> bool:
    """Read `bump --help` as `--help bump`: where a command takes a word by position, invoke takes `--help` for it."""
    for name, word in pairwise(argv):
        if name in parser.contexts and word in {"--help", "-h"} and parser.initial:
            parser.initial.args["help"].value = name
            return True
    return False


def _explain(parser: Parser, wrong: ParseError) -> str:
    word = str(wrong).removeprefix("No idea what '").removesuffix("' is!")
    if word == str(wrong):
        return re.sub(r"<Argument: (\S+?)>", r"--\1", f"{word[:1].lower()}{word[1:]}")
    if word.startswith("-"):
        flags: Mapping[str, object] = wrong.context.flags if wrong.context else {}
        known = [flag for flag in flags if flag.startswith("--")]
        return f"there is no option {word.split('=')[0]!r}: {nearest(word.split('=')[0], known)}"
    return f"there is no command {word!r}: {nearest(word, parser.contexts)}"


def _next(wrong: ParseError) -> str:
    name = getattr(wrong.context, "name", None)
    return f"invoke {name} --help" if name else "invoke --list"


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Read the options of a command: what was not given is an empty text, what was given empty is refused.

    An empty word is most often a shell variable that is not set; taken for "not given" it would mean "everything".

    Raises:
        InputError: an option was given an empty value.
    """
    empty = [f"--{name.strip('_').replace('_', '-')}" for name, value in options.items() if value == ""]
    if empty:
        raise InputError(
            f"{', '.join(empty)}: given, and empty; nothing was started", "leave it out, or give it a value"
        )
    return {name: "" if value is None else value for name, value in options.items()}
