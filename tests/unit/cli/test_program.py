"""The program behind `invoke`: its version, and what a wrong command line prints."""

from __future__ import annotations

import sys
import tomllib

import pytest

import armwright
from armwright.cli.program import ArmwrightProgram
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
