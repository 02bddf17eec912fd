"""Tamperings with the program that installs wheels, in a copy of this environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from armwright.fetch import installer
from tests.sabotage.ledger import Outcome
from tests.sabotage.tampering import Tampering, Workplace, expect_true

# A new process: the environment of a Python is that of its first path.
ASK = """\
import json, sys
from pathlib import Path
from armwright.fetch import installer
from armwright.system.errors import MachineError
try:
    print(json.dumps({"path": str(installer.find_installer(Path(sys.argv[1])))}))
except MachineError as error:
    print(json.dumps({"refused": error.what}))
"""


def replaced(change: Callable[[Path], object]) -> Callable[[Workplace], Outcome]:
    """Replace uv in an environment."""

    def attempt(place: Workplace) -> Outcome:
        programs = _copy_environment(place)
        program = programs / "uv"
        assert _ask(programs, place) == {"path": str(program)}
        change(program)
        answer = _ask(programs, place)
        return expect_true("installer", answer.get("refused", ""), noticed="refused" in answer)

    return attempt


def _copy_environment(place: Workplace) -> Path:
    """Make an environment of this one's packages; return the folder of its programs."""
    own = Path(sys.prefix)
    environment = place.folder / "environment"
    programs = environment / "bin"
    programs.mkdir(parents=True)
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    (environment / "lib").symlink_to(own / "lib")
    if (own / "pyvenv.cfg").exists():
        shutil.copy(own / "pyvenv.cfg", environment)
    shutil.copy(installer.find_installer(place.matrix.root), programs / "uv")
    return programs


def _ask(programs: Path, place: Workplace) -> dict[str, str]:
    repository = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [str(programs / "python3"), "-c", ASK, str(place.matrix.root)],
        cwd=repository, env={**os.environ, "PYTHONPATH": str(repository)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


def append(program: Path) -> None:
    with program.open("ab") as file:
        file.write(b"\0")


def wrap(program: Path) -> None:
    """Put a script in its place that says the same version, and calls the real one."""
    real = program.with_name("uv-real")
    program.rename(real)
    program.write_text(f'#!/bin/sh\nexec {real} "$@"\n')
    program.chmod(0o755)


def link(program: Path) -> None:
    """Put a link to another program in its place."""
    program.unlink()
    program.symlink_to(shutil.which("true") or "/bin/true")


def _installed(pattern: str, change: Callable[[Path], object]) -> Tampering:
    return Tampering("program", "installer", pattern, replaced(change))


PROGRAMS: Mapping[str, Tampering] = {
    "uv with a byte at its end": _installed("nothing was built with it", append),
    "a script in place of uv that calls it": _installed("nothing was built with it", wrap),
    "a link in place of uv": _installed("nothing was built with it", link),
}
