"""The program behind `invoke`: its version, a wrong command line, Ctrl-C before a command, a closed output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

import armwright
from armwright.cli.parsing import ArmwrightProgram
from tests.support import ROOT


@pytest.fixture(autouse=True)
def interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore what the program changes in its interpreter: the loaded tasks, and whether bytecode is written."""
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    monkeypatch.setitem(sys.modules, "tasks", sys.modules.get("tasks"))


def run(capsys: pytest.CaptureFixture[str], line: str) -> tuple[object, str, str]:
    """Run a command line that ends before a command starts; return its exit code and its two streams."""
    with pytest.raises(SystemExit) as ended:
        ArmwrightProgram().run(["invoke", *line.split()])
    return (ended.value.code, *capsys.readouterr())


def test_version_is_armwrights_before_invokes(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--version")
    assert (code, err) == (0, "")
    assert out.startswith(f"Armwright {armwright.__version__} (invoke ")
    assert ", Python 3." in out


def test_bytecode_is_kept_unless_python_is_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    for forbidden in (False, True):
        sys.dont_write_bytecode = forbidden
        run(capsys, "--version")
        assert sys.dont_write_bytecode is forbidden


@pytest.mark.parametrize(
    ("line", "unneeded"),
    [("--list", "pydantic docker"), ("list", "armwright.fetch numpy"), ("build", "armwright.fetch")],
)
def test_a_command_imports_only_what_it_needs(line: str, unneeded: str) -> None:
    """A build's fetching is imported when there is something to fetch; here no engine answers."""
    command = [sys.executable, "-X", "importtime", "-m", "armwright.cli.program", *line.split()]
    nowhere = {**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    done = subprocess.run(command, cwd=ROOT, env=nowhere, capture_output=True, text=True, check=False)
    imported = {text.rpartition("|")[2].strip() for text in done.stderr.splitlines() if text.startswith("import time:")}
    assert "armwright.cli.command" in imported
    assert imported.isdisjoint(unneeded.split())


def test_versions_of_package_and_project_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == armwright.__version__


@pytest.mark.parametrize(
    ("line", "what", "next_step"),
    [
        ("buidl", "unknown command 'buidl': did you mean 'build'? allowed: audit, ", "invoke --list"),
        ("doctor x", "unknown command 'x': allowed: ", "invoke --list"),
        ("--help nope", "unknown command 'nope': ", "invoke --list"),
        ("build --taget n1", "unknown option '--taget': did you mean '--target'? allowed: ", "invoke build --help"),
        ("build --taget=n1", "unknown option '--taget': did you mean '--target'? allowed: ", "invoke build --help"),
        ("plan --target", "option --target needs a value", "invoke plan --help"),
        ("registry", "registry needs the argument 'action'", "invoke registry --help"),
        ("--list build", "option --list takes no value: 'build'", "invoke --list"),
    ],
)
def test_wrong_command_line_ends_with_2_and_a_command(
    capsys: pytest.CaptureFixture[str], line: str, what: str, next_step: str
) -> None:
    code, out, err = run(capsys, line)
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first.startswith(f"error: {what}")
    assert second == f"next:  {next_step}"


@pytest.mark.parametrize("line", ["bump --help", "--help bump", "setup bump -h"])
def test_help_after_a_command_is_that_commands_help(capsys: pytest.CaptureFixture[str], line: str) -> None:
    code, out, err = run(capsys, line)
    assert (code, err) == (0, "")
    assert out.startswith("Usage: invoke [--core-opts] bump [--options] ")
    assert "Examples: invoke bump pytorch" in out


def test_program_works_in_every_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    code, out, _ = run(capsys, "--list")
    assert code == 0
    assert "  doctor " in out


BLOCKED = """
import sys, time
sys.stderr.write("loading\\n")
sys.stderr.flush()
time.sleep(60)
"""
PROGRAM = [sys.executable, "-m", "armwright.cli.program"]


def interrupt(arguments: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Start the program, press Ctrl-C when it loads a module that blocks, and return its exit code and stderr."""
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_ctrl_c_while_the_commands_are_loaded_is_130(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(BLOCKED)
    assert interrupt(["--search-root", str(tmp_path), "list"], {}) == (130, "interrupted\n")


def test_ctrl_c_while_the_program_is_imported_is_130(tmp_path: Path) -> None:
    (tmp_path / "invoke").mkdir()
    (tmp_path / "invoke/__init__.py").write_text(BLOCKED)
    assert interrupt(["list"], {"PYTHONPATH": str(tmp_path)}) == (130, "interrupted\n")


@pytest.mark.parametrize("line", ["list", "plan --schema", "bump --help", "--list", "--version"])
def test_a_closed_output_ends_a_command_without_a_message(line: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as out:
        done = subprocess.run(
            [*PROGRAM, *line.split()], cwd=ROOT, stdout=out, stderr=subprocess.PIPE, text=True, timeout=120, check=False
        )
    assert done.returncode == 141
    assert [
        text for text in ("Traceback", "BrokenPipe", "Broken pipe", "error:", "interrupted") if text in done.stderr
    ] == []


@pytest.mark.parametrize("line", ["list --all", "build --target n9", "--list"])
def test_one_closed_pipe_for_both_streams_ends_a_command(line: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as out:
        done = subprocess.run([*PROGRAM, *line.split()], cwd=ROOT, stdout=out, stderr=out, timeout=120, check=False)
    assert done.returncode == 141


def test_the_first_lines_of_a_long_output_are_complete() -> None:
    command = f"{sys.executable} -m armwright.cli.program list --all --json | head -n 2"
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr) == ("[\n  {\n", "")
