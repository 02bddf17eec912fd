"""Reading the project's documents: command lines, links, names of images, and blocks of data.

A command line is what a `sh` or `console` block holds, or a code span that begins with `invoke` or `./inv`. A value in
capitals (ID, HOST:PORT) is a placeholder.
"""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.parser.context import ParserContext
from markdown_it import MarkdownIt
from markdown_it.token import Token

import tasks
from armwright.cli.parsing import ArmwrightProgram
from armwright.cli.test import TIERS
from armwright.matrix.matrix import Matrix
from armwright.matrix.selection import Selector, match_combos, select_combos
from armwright.recipes.loader import Axis
from armwright.recipes.patterns import DTYPES
from armwright.system.errors import InputError
from tests.support import ROOT

FENCES = {"sh", "console"}
LISTING = {"list"}  # commands that also show combos that cannot be built
SELECTORS = ("framework", "version", "target", "backend", "combo")
ACTIONS = {"evidence": {"show", "diff", "verify", "schema"}, "registry": {"start", "stop", "show", "gc"}}
# Programs that a document may run beside the project's own.
PROGRAMS = {
    "build/models/bin/pip", "build/models/bin/python", "build/train/bin/pip", "build/train/bin/python", "docker", "do",
    "done", "echo", "export", "for", "gh", "git", "lscpu", "python", "python3", "python3.11", "source", "uv",
}  # fmt: skip
_PLACEHOLDER = re.compile(r"[A-Z][A-Z_]*(:[A-Z]+)?")
_ENDS = {"&&", "||", ";", "|"}
_IMAGE = re.compile(r"\b(pytorch|tensorflow):([0-9][\w.-]*)")
_INPUTS = re.compile(r"-[0-9a-f]{12}$")


@dataclass(frozen=True)
class CommandLine:
    """One command in a document.

    Attributes:
        page: the document, relative to the project's root.
        line: the line on which its block or paragraph begins.
        text: the command as written.
        arguments: its program and arguments.
        inline: it is a code span, which may be only a command's name.
    """

    page: str
    line: int
    text: str
    arguments: tuple[str, ...]
    inline: bool = False

    @property
    def is_own(self) -> bool:
        """It runs one of the project's commands."""
        return self.arguments[0] in {"invoke", "./inv"}

    @property
    def options(self) -> dict[str, str]:
        """The options that are written `--name value`, without their dashes."""
        pairs = pairwise(self.arguments)
        return {name.removeprefix("--"): value for name, value in pairs if name.startswith("--")}

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def documents() -> list[Path]:
    """Return every document for people, README first."""
    named = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG", "SECURITY")]
    return [*named, *sorted((ROOT / "docs").rglob("*.md"))]


@functools.cache
def parse_markdown(text: str) -> list[Token]:
    """Parse a document as GitHub does, as far as these tests need it: CommonMark with tables."""
    return MarkdownIt("commonmark").enable("table").parse(text)


def command_lines(page: str, text: str) -> list[CommandLine]:
    """Return the commands in a document: those of its blocks, then its code spans."""
    commands: list[CommandLine] = []
    for token in parse_markdown(text):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "fence" and token.info in FENCES:
            source = _typed(token.content) if token.info == "console" else token.content
            commands += [CommandLine(page, line, " ".join(command), tuple(command)) for command in _split(source)]
        for child in token.children or ():
            if child.type == "code_inline" and re.match(r"(invoke|\./inv) ", child.content):
                own, *_ = child.content.partition(" | ")
                arguments = own.removesuffix(" [options]").split()
                commands.append(CommandLine(page, line, child.content, tuple(arguments), inline=True))
    return commands


def explain_mistake(command: CommandLine, matrix: Matrix) -> str:
    """Say what is wrong with a command line; an empty text if nothing is."""
    program, *arguments = command.arguments
    if not command.is_own:
        return _explain_program(program, arguments)
    if arguments and _PLACEHOLDER.fullmatch(arguments[0]):
        return ""
    if command.inline and len(arguments) == 1 and arguments[0] in _contexts():
        return ""
    try:
        parsed = _parse(*arguments)
    except Exit as refused:
        return refused.message or ""
    helped = parsed.args["help"].value
    if helped and helped not in _contexts():
        return f"there is no command {helped!r}"
    values = [
        (str(context.name), {name: argument.value for name, argument in context.args.items()})
        for context in parsed.tasks
    ]
    return "; ".join(filter(None, (_explain_values(name, given, matrix) for name, given in values)))


def make_selector(options: Mapping[str, str]) -> Selector:
    """Return what the options of a command select."""
    framework, version, target, backend, combo = (options.get(axis, "") for axis in SELECTORS)
    return Selector(framework, version, target, backend, combo)


def image_names(text: str) -> Iterator[tuple[str, str]]:
    """Yield the images that a text names: framework and tag, without the digits of the inputs."""
    for framework, tag in _IMAGE.findall(text):
        yield framework, _INPUTS.sub("", tag.rstrip("."))


def data_blocks(text: str) -> list[tuple[str, str]]:
    """Return the YAML blocks that belong into a file, which the first line names: the file, and the YAML."""
    blocks = [token.content.partition("\n") for token in parse_markdown(text) if token.info == "yaml"]
    return [(first.removeprefix("# "), rest) for first, _, rest in blocks if first.startswith("# ")]


def links(text: str) -> Iterator[str]:
    """Yield the targets of a document's links."""
    for token in parse_markdown(text):
        for child in token.children or ():
            if child.type == "link_open":
                yield str(child.attrs["href"])


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    tokens = parse_markdown(text)
    titles = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _typed(text: str) -> str:
    """Return what a user types in a block with a terminal's contents."""
    return "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))


def _split(source: str) -> Iterator[list[str]]:
    """Split a script into simple commands, without comments, redirections, variables and `sudo`."""
    for line in source.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, ";"]:
            if word not in _ENDS:
                command.append(word)
            elif command:
                yield from filter(None, [_bare(command)])
                command = []


def _bare(command: list[str]) -> list[str]:
    """Return a command without what stands before its program, and without redirections."""
    while command and (re.match(r"[A-Za-z_]\w*=", command[0]) or command[0] in {"sudo", "do"}):
        command = command[1:]
    redirected = next((at for at, word in enumerate(command) if set(word) <= set("<>")), len(command))
    return command[:redirected]


@functools.cache
def _contexts() -> Mapping[str, ParserContext]:
    return {str(context.name): context for context in Collection.from_module(tasks).to_contexts()}


@functools.cache
def _parse(*arguments: str) -> ArmwrightProgram:
    """Parse a command line as `invoke` does, and run nothing."""
    program = ArmwrightProgram()
    program.create_config()
    program.parse_core(["invoke", *arguments])
    program.collection = Collection.from_module(tasks)
    program.parse_tasks()
    return program


def _explain_program(program: str, arguments: list[str]) -> str:
    if program not in PROGRAMS:
        return f"the program {program!r} is not known to the tests of the documents"
    if Path(program).name.startswith("python") and arguments:
        module = arguments[1].replace(".", "/") if arguments[0] == "-m" else ""
        script = ROOT / (f"{module}.py" if module else arguments[0])
        if module != "venv" and not script.exists() and not (ROOT / module / "__main__.py").exists():
            return f"there is no {script.relative_to(ROOT)}"
    return ""


def _explain_values(name: str, values: Mapping[str, object], matrix: Matrix) -> str:
    """Say which value of a command's options is not one of those that it takes."""
    given = {key: str(value) for key, value in values.items() if value and not _PLACEHOLDER.fullmatch(str(value))}
    for key, value in given.items():
        allowed = _allowed(name, key, matrix)
        if allowed is not None and value not in allowed:
            return f"{name}: {key} {value!r} is none of {', '.join(sorted(allowed))}"
    chosen = {key: value for key, value in given.items() if key in SELECTORS}
    if not chosen or "combo" not in values:
        return ""
    select = match_combos if name in LISTING else select_combos
    try:
        select(matrix, make_selector(chosen))
    except InputError as error:
        return error.what
    return ""


def _allowed(name: str, key: str, matrix: Matrix) -> set[str] | None:
    """Return the values that an option takes; None if they are not a closed set."""
    if key == "base":
        return set(matrix.recipes.bases) if name == "lock" else {"archive", "registry"}
    if key == "action":
        return ACTIONS[name]
    if key in {"framework", "target", "backend"} and name in {"bump", "lock", "request"}:
        axes: tuple[Axis, ...] = ("frameworks", "targets", "backends")
        return set(matrix.names(next(axis for axis in axes if axis == f"{key}s")))
    closed: dict[str, set[str]] = {
        "dtype": set(DTYPES),
        "floor": set(matrix.names("targets")),
        "tier": set(TIERS),
        "workload": {workload for combo in matrix.combos for workload in combo.workloads},
    }
    return closed.get(key)
