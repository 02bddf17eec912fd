"""Runs commands of the project in forks of one process: an interpreter that has imported everything starts once.

A command takes a second as a process of its own, most of it for imports. A fork has its own arguments, streams, exit
code and memory, as such a process does. What it does not show is a command that misses an import of its own: the first
command of each list runs as a process too, and both must end alike.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from armwright.cli import program
from tests.support import ROOT

PATIENCE = 120  # seconds for all commands
ENVIRONMENT = {
    "DOCKER_HOST": "unix:///nonexistent/docker.sock",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",  # a process with threads must not fork
}


class Finished(NamedTuple):
    """How a command ended: its exit code, and what it printed on its two streams."""

    code: int
    out: str
    err: str


def run_commands(lines: Sequence[Sequence[str]], environment: Mapping[str, str]) -> list[Finished]:
    """Run commands one after another in this checkout, without an engine.

    Args:
        lines: the arguments of each command, without the program's name.
        environment: variables to set besides ENVIRONMENT.
    """
    variables = {**os.environ, **ENVIRONMENT, **environment}
    command = [sys.executable, "-m", "armwright.cli.program", *lines[0]]
    alone = subprocess.Popen(
        command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    forks, text = [sys.executable, "-m", "tests.forks"], json.dumps(lines)
    done = subprocess.run(
        forks, input=text, cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True
    )
    out, err = alone.communicate(timeout=PATIENCE)
    finished = [Finished(*document) for document in json.loads(done.stdout)]
    assert finished[0] == (alone.returncode, out, err), "a fork does not end as a process does"
    return finished


def _fork(arguments: Sequence[str]) -> Finished:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = os.fork()
        if process == 0:
            os.dup2(out.fileno(), sys.stdout.fileno())
            os.dup2(err.fileno(), sys.stderr.fileno())
            _run_and_exit(arguments)
        _, status = os.waitpid(process, 0)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode())
    return Finished(os.waitstatus_to_exitcode(status), *texts)


def _run_and_exit(arguments: Sequence[str]) -> None:
    """Run the program as its own main module does, and end this process."""
    code = 1
    try:
        sys.argv = ["invoke", *arguments]
        program.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - what would end a process of its own
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Read argument lists from stdin as JSON, run each in a fork, and write how they ended to stdout as JSON."""
    lines = json.load(sys.stdin)
    for path in sorted((ROOT / "armwright" / "cli").glob("[a-z]*.py")):
        importlib.import_module(f"armwright.cli.{path.stem}")
    print(json.dumps([_fork(arguments) for arguments in lines]))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
