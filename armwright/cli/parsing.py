"""Parses the command line as invoke does, with Armwright's version and exit codes.

A subclass of `invoke.Program` is invoke's documented way to change these.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import invoke
from invoke.exceptions import Exit, ParseError
from invoke.program import Program

from armwright import __version__
from armwright.system import console
from armwright.system.errors import InputError, nearest

ROOT = Path(__file__).resolve().parents[2]
_PLAINER = (  # invoke's messages, and the same in plain English
    (r"^Flag <Argument: ([\w-]+)[^>]*> needed value .*", r"option --\1 needs a value"),
    (r"^Flag <Argument: ([\w-]+)[^>]*> doesn't take any value!", r"option --\1 takes no value"),
    (r"^'(\S+)' did not receive required positional arguments: ", r"\1 needs the argument "),
)


class ArmwrightProgram(Program):
    """Runs the commands in tasks.py of this checkout, from any folder.

    A wrong command line ends with exit code 2, the most similar command or option, and the next command. invoke's own
    exit code 1 means here that a build or a proof failed.
    """

    def __init__(self) -> None:
        super().__init__(version=__version__, name="Armwright", binary="invoke", binary_names=["invoke", "inv"])
        self._commands: tuple[str, ...] = ()

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002, FBT001, FBT002 - invoke's
        """Run a command line.

        Raises:
            KeyboardInterrupt: Ctrl-C outside of a command; invoke itself would end with 1, as a failed build does.
            SystemExit: with the exit code of the command; with 141 if the output was closed.
        """
        try:
            with console.closable():
                super().run(argv, exit)
        except (SystemExit, console.OutputClosedError) as ended:
            cause = ended.__context__ if isinstance(ended, SystemExit) else ended
            if isinstance(cause, console.OutputClosedError):
                sys.exit(console.CLOSED)
            if isinstance(cause, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise

    def print_version(self) -> None:
        """Print the versions of Armwright, invoke and Python."""
        tools = f"invoke {invoke.__version__}, Python {platform.python_version()}"
        console.result(f"{self.name} {self.version} ({tools})")

    def load_collection(self) -> None:
        """Load tasks.py of this checkout, unless --search-root names another folder."""
        search_root = self.args["search-root"]
        if search_root.value is None:
            search_root.value = str(ROOT)
        super().load_collection()

    def parse_core_args(self) -> None:
        """Parse the options before the first command. The interpreter decides whether bytecode is kept, not invoke."""
        with self._refused():
            super().parse_core_args()
        self.args["write-pyc"].value = not sys.dont_write_bytecode

    def parse_tasks(self) -> None:
        """Parse the commands and their options."""
        self._commands = tuple(self.collection.task_names)
        self._read_help()
        with self._refused():
            super().parse_tasks()

    def parse_cleanup(self) -> None:
        """Handle --help and --list."""
        with self._refused():
            if isinstance(self.args.list.value, str):
                raise ParseError(f"option --list takes no value: '{self.args.list.value}'")
            super().parse_cleanup()

    def _read_help(self) -> None:
        """Read `bump --help` as `--help bump`; if a command has a positional argument, invoke takes --help for it."""
        for name, option in pairwise(self.core.unparsed):
            if name in self._commands and option in {"--help", "-h"}:
                self.core[0].args["help"].value = name
                self.core.unparsed = []
                return

    @contextmanager
    def _refused(self) -> Iterator[None]:
        """Turn invoke's ParseError into an `Exit`, which invoke prints before it ends with that exit code."""
        try:
            yield
        except ParseError as error:
            what, next_step = _explain(error, self._commands)
            raise Exit(f"error: {what}\nnext:  {next_step}", code=InputError.code) from error


def _explain(error: ParseError, commands: Iterable[str]) -> tuple[str, str]:
    """Return what is wrong with the command line, and the next command."""
    text = str(error)
    name = getattr(error.context, "name", None)
    next_step = f"invoke {name} --help" if name else "invoke --list"
    unknown = text.removeprefix("No idea what '").removesuffix("' is!")
    if unknown == text:
        for pattern, replacement in _PLAINER:
            text = re.sub(pattern, replacement, text)
        return text, next_step
    if unknown.startswith("-"):
        flags: Mapping[str, object] = error.context.flags if error.context else {}
        option = unknown.split("=")[0]
        known = [flag for flag in flags if flag.startswith("--")]
        return f"unknown option {option!r}: {nearest(option, known)}", next_step
    return f"unknown command {unknown!r}: {nearest(unknown, commands)}", "invoke --list"
