"""Turns a function into one of invoke's tasks, with help for each option, error messages and an exit code."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.parser.argument import Argument
from invoke.tasks import Task, task

from armwright.system import console, interrupt
from armwright.system.errors import ArmwrightError, InputError, MachineError

if TYPE_CHECKING:
    from armwright.matrix.selection import Selector

INTERRUPTED = 130
AXES = {
    "framework": "names, aliases or globs, separated by commas",
    "version": "versions or globs such as '2.*' (default: the newest that the other options allow)",
    "target": "names, aliases or globs; names of CPUs and machines are aliases",
    "backend": "names, aliases or globs",
    "combo": "ids or globs over ids, instead of the four options above",
}
EVERY = "all_"
ALL = "all versions, not only the newest"


class Command(Task):  # type: ignore[type-arg]
    """A task whose only short option is -v."""

    def arg_opts(self, name: str, default: str, taken_names: set[str]) -> dict[str, Any]:
        """Return an option's names for invoke."""
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
    """Return a decorator that makes a task: errors are printed as messages, the result is the exit code.

    A parameter `chosen` of the function becomes the five selector options and `--all` on the command line.

    Args:
        positional: the positional parameters.
        name: the command's name; None for the function's.
        helps: the help text of each option.
    """

    def wrap(body: Callable[..., int | None]) -> Any:  # noqa: ANN401 - invoke's tasks are not typed
        own = list(inspect.signature(body).parameters.values())
        selects = any(parameter.name == "chosen" for parameter in own)
        defaults = {**dict.fromkeys(AXES), EVERY: False} if selects else {}
        axes = [
            inspect.Parameter(axis, inspect.Parameter.KEYWORD_ONLY, default=value) for axis, value in defaults.items()
        ]

        @functools.wraps(body)
        def run(context: Context, **parsed: Any) -> None:  # noqa: ANN401 - values that invoke parsed
            interrupt.handle_signals()
            try:
                options = _read_options(parsed, name or body.__name__)
                if selects:
                    options["chosen"] = _make_selector({axis: options.pop(axis) for axis in AXES}, options.pop(EVERY))
                code = body(context, **options) or 0
            except ArmwrightError as error:
                console.error(error)
                code = error.code
            except console.OutputClosedError:
                code = console.CLOSED
            except KeyboardInterrupt:
                console.say("interrupted; run the same command again to continue", console.DOUBTFUL)
                code = INTERRUPTED
            except OSError as error:
                console.error(MachineError(f"operating system error: {error}", "invoke doctor"))
                code = MachineError.code
            if code:
                sys.exit(code)

        kept = [_make_optional(parameter) for parameter in own[1:] if parameter.name != "chosen"]
        run.__signature__ = inspect.Signature([own[0], *axes, *kept])  # type: ignore[attr-defined]
        texts = {**({**AXES, EVERY: ALL} if selects else {}), **helps}
        return task(run, klass=Command, name=name, positional=positional, help=texts, auto_shortflags=False)

    return wrap


def _make_optional(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return an option whose default is None, so that an absent option differs from an empty value."""
    default = None if parameter.default == "" else parameter.default
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, default=default)


def _read_options(parsed: Mapping[str, Any], command_name: str) -> dict[str, Any]:
    """Return a command's options, with an empty text for those that are absent.

    An empty value is most often an unset shell variable; as an absent option it would select everything.

    Raises:
        InputError: an option has an empty value.
    """
    empty = [f"--{name.strip('_').replace('_', '-')}" for name, value in parsed.items() if value == ""]
    if empty:
        raise InputError(
            f"{', '.join(empty)} has an empty value; nothing was started",
            f"invoke {command_name} --help",
            hint="omit the option, or give it a value",
        )
    return {name: "" if value is None else value for name, value in parsed.items()}


def _make_selector(axes: dict[str, str], every: bool) -> Selector:  # noqa: FBT001 - an option of the command line
    from armwright.matrix.selection import Selector  # noqa: PLC0415 - `invoke --list` stays quick

    return Selector(**axes, every=every)
