"""The workflow of the locks: its scripts run with a local repository and stand-ins for `inv` and GitHub's client."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from armwright.system import process
from tests.support import ROOT

JOBS = yaml.safe_load((ROOT / ".github" / "workflows" / "locks.yml").read_text())["jobs"]
INV = """\
#!/bin/sh
case "$*" in
  "lock --check --json") cat ages.json; exit "$(cat code)" ;;
  "lock --base debian-13") echo new >recipes/locks/debian-13.yaml; echo evil >matrix.yaml ;;
  "list --all --json") echo '[]' ;;
  *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""
GH = '#!/bin/sh\necho "$*" >>"$RUNNER_TEMP/gh"\ncase "$*" in "pr list"*) echo "$OPEN" ;; esac\n'
AGES = """\
[{"base": "debian-12", "locked": "L", "archive": "A", "changes": []},
 {"base": "debian-13", "locked": "2026-11-01", "archive": "2026-11-25", "changes": ["libc6 1 -> 2"]}]
"""


class Runner:
    """A clone of a small repository, in which the steps of the workflow run."""

    def __init__(self, folder: Path) -> None:
        self.temp, self.clone, self.origin = folder / "temp", folder / "clone", folder / "origin.git"
        self.temp.mkdir()
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.origin), within=folder)
        self.git("clone", "--quiet", str(self.origin), str(self.clone), within=folder)
        (self.clone / "recipes" / "locks").mkdir(parents=True)
        files = {"recipes/locks/debian-13.yaml": "old\n", "matrix.yaml": "good\n", "ages.json": AGES, "inv": INV}
        for name, text in files.items():
            (self.clone / name).write_text(text)
        (self.clone / "inv").chmod(0o755)
        (folder / "gh").write_text(GH)
        (folder / "gh").chmod(0o755)
        self.git("checkout", "--quiet", "-b", "main")
        self.git("add", ".")
        self.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "first")
        self.git("push", "--quiet", "origin", "main")
        self.path = f"{folder}{os.pathsep}{os.environ['PATH']}"

    def git(self, *arguments: str, within: Path | None = None) -> str:
        command = [process.require_program("git"), *arguments]
        done = subprocess.run(command, cwd=within or self.clone, capture_output=True, text=True, check=True)
        return done.stdout

    def run(self, job: str, step: str, **environment: str) -> int:
        (script,) = (found["run"] for found in JOBS[job]["steps"] if found["name"] == step)
        given = {**os.environ, "PATH": self.path, "RUNNER_TEMP": str(self.temp), **environment}
        given["GITHUB_OUTPUT"] = str(self.temp / "output")
        command = ["bash", "-euo", "pipefail", "-c", script]
        return subprocess.run(command, cwd=self.clone, env=given, check=False).returncode

    def gh(self) -> str:
        return (self.temp / "gh").read_text()


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    if process.find_program("jq") is None:
        pytest.skip("needs jq, which GitHub's runners have")
    return Runner(tmp_path)


@pytest.mark.parametrize(("code", "result"), [("0", 0), ("1", 0), ("3", 3)])
def test_locks_that_are_out_of_date_are_no_failure(runner: Runner, code: str, result: int) -> None:
    (runner.clone / "code").write_text(code)
    assert runner.run("resolve", "Compare the locks with the archive") == result
    output = runner.temp / "output"
    assert (output.read_text() if output.exists() else "") == ("" if result else f"outdated={code}\n")


@pytest.mark.parametrize(("opened", "command"), [("0", "pr create --head locks --base main"), ("1", "pr edit locks")])
def test_pull_request_changes_the_locks_alone(runner: Runner, opened: str, command: str) -> None:
    (runner.clone / "code").write_text("1")
    assert runner.run("resolve", "Compare the locks with the archive") == 0
    assert runner.run("resolve", "Resolve the packages again") == 0
    body = (runner.temp / "locks" / "body.md").read_text()
    assert "## debian-13\n\nLocked 2026-11-01, archive 2026-11-25.\n\n    libc6 1 -> 2\n" in body
    assert "debian-12" not in body
    runner.git("checkout", "--quiet", "--", ".")
    assert runner.run("propose", "Open or renew the pull request", BASE="main", OPEN=opened) == 0
    changed = runner.git("diff", "--name-only", "main", "origin/locks").split()
    assert changed == ["recipes/locks/debian-13.yaml"]
    assert command in runner.gh()


def test_patch_of_other_files_is_not_applied(runner: Runner) -> None:
    (runner.clone / "recipes/locks/debian-13.yaml").write_text("new\n")
    (runner.clone / "matrix.yaml").write_text("evil\n")
    (runner.temp / "locks").mkdir()
    (runner.temp / "locks" / "locks.patch").write_text(runner.git("diff"))
    runner.git("checkout", "--quiet", "--", ".")
    assert runner.run("propose", "Open or renew the pull request", BASE="main", OPEN="0") == 0
    assert runner.git("diff", "--name-only", "main", "origin/locks").split() == ["recipes/locks/debian-13.yaml"]
