"""The command `docs`: write the reference pages that follow from the code, or check that they are up to date."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from invoke.parser.argument import Argument
from invoke.tasks import Task

from armwright.cli.command import ALL, AXES
from armwright.matrix.matrix import Matrix
from armwright.matrix.reference import make_matrix_page
from armwright.system import console
from armwright.system.errors import FailedError
from armwright.system.files import write_whole

COMMANDS = "docs/reference/commands.md"
MATRIX = "docs/reference/matrix.md"
_HEAD = """\
<!-- Written by `invoke docs` from tasks.py. Change the help texts there. -->

# Commands

`./inv COMMAND` works everywhere: it creates `.venv` if there is none. After `source .venv/bin/activate`,
`invoke COMMAND` does the same. `invoke --list` lists the commands, and `invoke COMMAND --help` describes one of
them, as the sections below do. All commands use the same [exit codes](exit-codes.md).

Write the value of an option after a space or after `=`. An option with an empty value is an error, so that a shell
variable that is not set cannot select everything.

## Selectors

Commands that work on combos select them with these options.

"""
_TAIL = """
Without a selector, a command works on the newest version of every combo that is known to work. A command builds an
unverified combo only if `--version` or `--combo` names it without a wildcard. `stage`, `smoke` and `audit` skip combos
that were never built, and list them.
"""


def make_commands_page(commands: Mapping[str, Task[Any]]) -> str:
    """Return the reference page of the commands.

    Args:
        commands: the tasks by name.
    """
    selectors = [(f"`--{axis}`", text) for axis, text in AXES.items()] + [("`--all`", ALL)]
    sections = [_section(name, commands[name]) for name in sorted(commands)]
    return "\n".join([_HEAD + _table(selectors) + _TAIL, *sections])


def run(matrix: Matrix, commands: Mapping[str, Task[Any]], *, check: bool = False) -> None:
    """Write the generated pages that are out of date.

    Args:
        matrix: the loaded matrix.
        commands: the tasks by name.
        check: write nothing, and fail if a page is out of date.

    Raises:
        FailedError: with `check`, if a page is out of date.
    """
    pages = {COMMANDS: make_commands_page(commands), MATRIX: make_matrix_page(matrix)}
    stale = [name for name, page in pages.items() if not _is_current(matrix.root / name, page)]
    if check and stale:
        what = f"out of date: {', '.join(stale)}; the commands, the matrix or a recipe has changed"
        raise FailedError(what, "invoke docs")
    for name in stale:
        write_whole(matrix.root / name, pages[name])
        console.say(f"wrote {name}")
    if not stale:
        console.say("the generated documents are up to date")


def _is_current(path: Path, page: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == page


def _section(name: str, command: Task[Any]) -> str:
    """Describe a command: what it does, examples, and the options that are not selectors."""
    arguments = command.get_arguments()
    summary, examples = _split_docstring(inspect.getdoc(command) or "")
    positional = "".join(f" {argument.names[0].upper()}" for argument in arguments if argument.positional)
    usage = f"Usage: `invoke {name}{positional} [options]`."
    if any("combo" in argument.names for argument in arguments):
        usage += " Takes the [selectors](#selectors)."
    own = [(_syntax(argument), argument.help or "") for argument in arguments if not _is_selector(argument)]
    parts = [f"## {name}", _escape(summary), "\n".join(["```sh", *examples, "```"]), usage]
    return "\n\n".join([*parts, _table(own)]) if own else "\n\n".join(parts) + "\n"


def _split_docstring(text: str) -> tuple[str, list[str]]:
    """Split a command's docstring into its summary and its example command lines."""
    summary, _, rest = text.partition("\n\n")
    examples = re.sub(r"^Examples?: ", "", " ".join(rest.split()))
    return " ".join(summary.split()), [example for example in examples.split("; ") if example]


def _is_selector(argument: Argument) -> bool:
    return {**AXES, "all": ALL}.get(argument.names[0]) == argument.help


def _syntax(argument: Argument) -> str:
    """Write an argument as a user types it: VALUE for a value, [no-] for a switch that is on by default."""
    name, *short = argument.names
    if argument.positional:
        return f"`{name.upper()}`"
    if argument.kind is not bool:
        return f"`--{name} VALUE`"
    return ", ".join([f"`--{'[no-]' if argument.default else ''}{name}`", *(f"`-{letter}`" for letter in short)])


def _table(rows: Sequence[tuple[str, str]]) -> str:
    lines = [f"| {name} | {_escape(text)} |" for name, text in rows]
    return "\n".join(["| option | description |", "|---|---|", *lines]) + "\n"


def _escape(text: str) -> str:
    """Escape what Markdown would read as HTML, emphasis or a table cell, outside code spans."""
    parts = text.split("`")
    return "`".join(re.sub(r"([<*|\\])", r"\\\1", part) if at % 2 == 0 else part for at, part in enumerate(parts))
