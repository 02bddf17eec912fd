"""Commands: a function becomes one of invoke's tasks, with options that say what they take and an exit code."""

from __future__ import annotations

import functools
import inspect
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.parser.argument import Argument
from invoke.tasks import Task, task

from armwright.cli import parsing
from armwright.system import console
from armwright.system.errors import ArmwrightError, MachineError

if TYPE_CHECKING:
    from armwright.matrix.selection import Selector

INTERRUPTED = 130
AXES = {
    "framework": "names, other names or globs, with commas between them",
    "version": "versions or globs ('2.*'); left out: the newest that the other axes allow",
    "target": "names, other names or globs; what the CPU or the machine is called will do",
    "backend": "names, other names or globs",
    "combo": "ids or globs over ids, instead of the four above",
}
EVERY = "all_"
ALL = "all versions, not only the newest that the other axes allow"


class Command(Task):  # type: ignore[type-arg]
    """A task with one short option, -v; the others are spelled out."""

    def arg_opts(self, name: str, default: str, taken_names: set[str]) -> dict[str, Any]:
        """Give invoke an option's names."""
        options: dict[str, Any] = super().arg_opts(name, default, taken_names)
        return {**options, "names": ("verbose", "v")} if name == "verbose" else options

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:  # noqa: FBT001 - invoke's
        """Return the command's arguments. invoke's own method removes the help texts, so it works only once."""
        helps = dict(self.help)
        try:
            return list(super().get_arguments(ignore_unknown_help))
        finally:
            self.help = helps


def command(*positional: str, name: str | None = None, **helps: str) -> Callable[[Callable[..., int | None]], Any]:
    """Make a task whose errors are sentences and whose result is an exit code.

    A parameter `chosen` of the body becomes the five selector options and `--all` on the command line.

    Args:
        positional: parameters given by position.
        name: the command's name where the function's is taken.
        helps: help for each option.
    """

    def wrap(body: Callable[..., int | None]) -> Any:  # noqa: ANN401 - invoke's tasks are not typed
        own = list(inspect.signature(body).parameters.values())
        selects = any(parameter.name == "chosen" for parameter in own)
        defaults = {**dict.fromkeys(AXES), EVERY: False} if selects else {}
        axes = [
            inspect.Parameter(one, inspect.Parameter.KEYWORD_ONLY, default=usual) for one, usual in defaults.items()
        ]

        @functools.wraps(body)
        def run(context: Context, **parsed: Any) -> None:  # noqa: ANN401 - whatever invoke parsed
            for number in (signal.SIGTERM, signal.SIGHUP):  # ended by somebody else: clean up in the same way
                signal.signal(number, signal.default_int_handler)
            try:
                named = parsing.given(parsed)
                if selects:
                    named["chosen"] = _selector({axis: named.pop(axis) for axis in AXES}, every=named.pop(EVERY))
                code = body(context, **named) or 0
            except ArmwrightError as problem:
                console.error(problem)
                code = problem.code
            except KeyboardInterrupt:
                console.say("interrupted; the same command goes on from here", "yellow")
                code = INTERRUPTED
            except OSError as error:
                console.error(MachineError(f"this machine said no: {error}", "invoke doctor"))
                code = MachineError.code
            if code:
                sys.exit(code)

        kept = [_not_given(parameter) for parameter in own[1:] if parameter.name != "chosen"]
        run.__signature__ = inspect.Signature([own[0], *axes, *kept])  # type: ignore[attr-defined]
        known = {**({**AXES, EVERY: ALL} if selects else {}), **helps}
        return task(run, klass=Command, name=name, positional=positional, help=known, auto_shortflags=False)

    return wrap


def _not_given(parameter: inspect.Parameter) -> inspect.Parameter:
    """Make an option whose absence can be told from an empty value."""
    default = None if parameter.default == "" else parameter.default
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, default=default)


def _selector(axes: dict[str, str], *, every: bool) -> Selector:
    from armwright.matrix.selection import Selector  # noqa: PLC0415 - `invoke --list` stays quick

    return Selector(**axes, every=every)
