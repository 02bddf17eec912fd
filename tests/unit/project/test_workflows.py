"""The workflows, checked for what a linter cannot know about this project."""

from __future__ import annotations

import itertools
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from invoke.tasks import Task

import tasks
from armwright.matrix.matrix import Matrix
from armwright.request import issue_forms
from armwright.system import process
from tests.support import ROOT

FOLDER = ROOT / ".github" / "workflows"
NAMES = ("ci", "locks", "matrix", "request")
WORKFLOWS = {name: yaml.safe_load((FOLDER / f"{name}.yml").read_text()) for name in NAMES}
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]
STEPS = [(name, job, at) for name, job in JOBS for at in range(len(WORKFLOWS[name]["jobs"][job]["steps"]))]
SCRIPTS = [(name, job, at) for name, job, at in STEPS if "run" in WORKFLOWS[name]["jobs"][job]["steps"][at]]
WRITING = {
    ("request", "answer"): {"issues": "write"},
    ("locks", "propose"): {"contents": "write", "pull-requests": "write"},
}


def _job(name: str, job: str) -> dict[str, Any]:
    document: dict[str, Any] = WORKFLOWS[name]["jobs"][job]
    return document


def _script(name: str, job: str, at: int) -> str:
    return str(_job(name, job)["steps"][at]["run"])


def _commands() -> Iterator[tuple[str, set[str]]]:
    """Yield each command of this project that a workflow runs, with its options."""
    for step in SCRIPTS:
        for line in _script(*step).replace("\\\n", " ").splitlines():
            match = re.search(r"\./inv (?P<name>[a-z]+)(?P<rest>[^>|]*)", line)
            if match:
                yield match["name"], set(re.findall(r"(?<![\w-])--([a-z-]+)", match["rest"]))


def test_all_workflows_are_checked() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == [f"{name}.yml" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_every_action_is_pinned_with_its_version(name: str) -> None:
    lines = [line for line in (FOLDER / f"{name}.yml").read_text().splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert re.fullmatch(r" +uses: actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
    assert len({line.split("@")[0] for line in lines}) == len({line.strip() for line in lines})  # one version each


@pytest.mark.parametrize("name", NAMES)
def test_workflow_says_that_it_never_ran(name: str) -> None:
    assert "Unverified: GitHub was not reachable" in (FOLDER / f"{name}.yml").read_text().partition("name:")[0]


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_job_has_a_timeout_and_least_permissions(name: str, job: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}
    document = _job(name, job)
    assert 0 < document["timeout-minutes"] <= 120
    assert document["permissions"] == {"contents": "read", **WRITING.get((name, job), {})}


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_checkout_keeps_no_token(name: str, job: str) -> None:
    first = _job(name, job)["steps"][0]
    assert first["uses"].startswith("actions/checkout@")
    assert first["with"] == {"persist-credentials": False}


@pytest.mark.parametrize(("name", "job", "at"), SCRIPTS)
def test_scripts_have_no_expressions(name: str, job: str, at: int) -> None:
    assert "${{" not in _script(name, job, at)


@pytest.mark.parametrize(("name", "job", "at"), SCRIPTS)
def test_scripts_pass_shellcheck(name: str, job: str, at: int) -> None:
    command = [
        process.require_program("shellcheck"),
        "--shell=bash",
        "--enable=all",
        "--exclude=SC2250,SC2312,SC2292,SC2154",
        "-",
    ]
    done = subprocess.run(command, input=_script(name, job, at), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_issue_text_is_in_no_expression() -> None:
    texts = "\n".join((FOLDER / f"{name}.yml").read_text() for name in NAMES)
    used = set(re.findall(r"github\.event\.[\w.*]+", texts))
    assert used == {
        "github.event.action",
        "github.event.issue.labels.*.name",
        "github.event.issue.number",
        "github.event.label.name",
    }
    assert "secrets." not in texts


def test_only_jobs_that_write_have_a_token() -> None:
    with_token = {(name, job) for name, job in JOBS if "token" in str(_job(name, job)).lower()}
    assert with_token == set(WRITING)
    scripts = "".join(_script(*step) for step in SCRIPTS if step[:2] == ("request", "answer"))
    assert ".issue.number" in scripts
    assert ".body" not in scripts


def test_workflow_runs_on_the_label_of_the_form() -> None:
    assert f"labels.*.name, '{issue_forms.LABEL}')" in _job("request", "read")["if"]


def test_every_command_in_a_workflow_exists() -> None:
    known = {
        task.name: set(itertools.chain(*(argument.names for argument in task.get_arguments())))
        for task in vars(tasks).values()
        if isinstance(task, Task)
    }
    used = list(_commands())
    assert {name for name, _ in used} == {"build", "list", "lock", "post", "request", "setup", "test"}
    for name, options in used:
        assert options <= {option.replace("_", "-") for option in known[name]}, name


def test_matrix_fits_the_job_limit(matrix: Matrix) -> None:
    assert sum(combo.is_known_to_work for combo in matrix.combos) <= 256
    build = _job("matrix", "build")
    assert build["strategy"]["fail-fast"] is False
    assert build["strategy"]["matrix"] == {"include": "${{ fromJSON(needs.list.outputs.combos) }}"}
    assert set(WORKFLOWS["matrix"][True]) == {"schedule", "workflow_dispatch"}  # in YAML 1.1 the key `on` is true


def test_native_targets_are_published(matrix: Matrix) -> None:
    named = [
        str(step["env"]["NATIVE"])
        for name, job in JOBS
        for step in _job(name, job)["steps"]
        if "NATIVE" in step.get("env", {})
    ]
    assert len(named) == 2
    assert len(set(named)) == 1
    default = re.fullmatch(r"\$\{\{ vars\.ARMWRIGHT_NATIVE \|\| '([^']+)' \}\}", named[0])
    assert default
    assert {pair.split("=")[0] for pair in default[1].split()} <= set(matrix.axes.targets)
