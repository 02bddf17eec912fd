#!/usr/bin/python3 -IS
"""The entrypoint of every image: reads the machine, chooses environment variables and executes the user's command.

It imports only the standard library, so that a CPU below the image's floor gets a message instead of SIGILL. It needs
no network, no HOME and no entry for the user in /etc/passwd; for a user without a home it makes a folder. Its own
Python runs without `site` (-S), whose start-up hook would decide before it (start.py).

Exit codes of the entrypoint itself:
    0    the page or the help was printed
    2    the arguments or the value of an ARMWRIGHT_ variable are invalid
    70   image.json is missing or damaged (EX_SOFTWARE)
    78   this CPU is below the image's floor (EX_CONFIG)
    126  the command was found but cannot be executed, as in a shell
    127  the command was not found, as in a shell
"""

from __future__ import annotations

import os
import signal
import sys

HERE = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120  (pathlib is not loaded)
sys.path.insert(0, HERE)  # isolated mode leaves out the script's own folder
sys.dont_write_bytecode = True  # isolated mode ignores PYTHONDONTWRITEBYTECODE
sys.pycache_prefix = "/usr/local/lib/armwright"  # byte-code of the modules beside this file

from choices import BadSwitchError, printable, refusal, switch  # noqa: E402  (needs the path set above)
from image import DamagedError, read_image  # noqa: E402  (as above)
from machine import ROOT, read_machine  # noqa: E402  (as above)
from start import BELOW_FLOOR, DAMAGED, IMAGE_FILE, WRONG_ARGUMENTS, StopError, choose_all, prepare, say  # noqa: E402  (as above)

TYPE_CHECKING = False  # the constant of `typing`, which type checkers take for true
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    from machine import Root

    Execute = Callable[[str, list[str], dict[str, str]], object]

NOT_EXECUTABLE, NOT_FOUND = 126, 127


def main(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    root: Root = ROOT,
    execute: Execute | None = None,
    image_file: Root = IMAGE_FILE,
) -> int:
    """Run the command that `docker run` passes to the image.

    Args:
        arguments: the arguments after the image's name.
        environ: the environment set by the user.
        root: the directory that stands for / when the machine is read.
        execute: replaces the process by the command; returns only in tests.
        image_file: image.json.

    Returns:
        the exit code, if the process was not replaced.
    """
    try:
        return _dispatch(list(arguments), environ, root, image_file, execute or _replace_process)
    except StopError as stop:
        sentence, code = str(stop), stop.code
    except BadSwitchError as bad:
        sentence, code = str(bad), WRONG_ARGUMENTS
    except DamagedError as damaged:
        sentence, code = str(damaged), DAMAGED
    say(sentence)
    return code


def _dispatch(arguments: list[str], environ: Mapping[str, str], root: Root, image_file: Root, execute: Execute) -> int:
    first, *rest = arguments or ["info"]
    if first == "info":
        if rest not in ([], ["--json"]):
            raise StopError("info accepts only --json. To run a program named info: exec info", WRONG_ARGUMENTS)
        return _info(environ, root, image_file, as_json=bool(rest))
    if first in {"exec", "--"}:
        command = rest[1:] if first == "exec" and rest[:1] == ["--"] else rest
    elif first.startswith("-"):
        from page import usage  # noqa: PLC0415  (only this command needs it)

        wanted = first in {"-h", "--help"}
        print(usage(), file=sys.stdout if wanted else sys.stderr)
        return 0 if wanted else WRONG_ARGUMENTS
    elif first == "smoke":
        command = [sys.executable, "-I", f"{HERE}/smoke/smoke.py", *rest]
    else:
        command = arguments
    return _run(command, environ, root, image_file, execute)


def _run(command: list[str], environ: Mapping[str, str], root: Root, image_file: Root, execute: Execute) -> int:
    if not command:
        raise StopError("exec needs a command to run.", WRONG_ARGUMENTS)
    settings = prepare(environ, root, image_file)
    if os.getpid() == 1 and switch(environ, "ARMWRIGHT_INIT", default=True):
        import init  # noqa: PLC0415  (only process 1 needs it)

        init.fork()
    try:
        execute(command[0], command, {**environ, **settings})
    except (FileNotFoundError, NotADirectoryError):
        raise StopError(f"{printable(command[0])}: command not found", NOT_FOUND) from None
    except OSError as error:
        raise StopError(f"{printable(command[0])}: cannot execute: {error.strerror}", NOT_EXECUTABLE) from None
    return 0


def _replace_process(file: str, arguments: list[str], environ: dict[str, str]) -> NoReturn:
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):  # other programs expect these signals to end them
        signal.signal(ignored_by_python, signal.SIG_DFL)
    os.execvpe(file, arguments, environ)  # noqa: S606  (runs the user's command)


def _info(environ: Mapping[str, str], root: Root, image_file: Root, *, as_json: bool) -> int:
    from page import document, page  # noqa: PLC0415  (only this command needs it)

    image, machine = read_image(image_file), read_machine(environ, root)
    sentence, choices = refusal(image, machine), choose_all(image, machine, environ)
    print(document(image, machine, choices, sentence) if as_json else page(image, machine, choices, sentence))
    return BELOW_FLOOR if sentence else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
