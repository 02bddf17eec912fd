"""The workflows: what a linter of workflows does not know, above all of this project."""

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
from armwright.cli import forms
from armwright.matrix.matrix import Matrix
from armwright.system import process
from tests.support import ROOT

FOLDER = ROOT / ".github" / "workflows"
NAMES = ("ci", "matrix", "request")
WORKFLOWS = {name: yaml.safe_load((FOLDER / f"{name}.yml").read_text()) for name in NAMES}
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]
STEPS = [(name, job, at) for name, job in JOBS for at in range(len(WORKFLOWS[name]["jobs"][job]["steps"]))]
SCRIPTS = [one for one in STEPS if "run" in WORKFLOWS[one[0]]["jobs"][one[1]]["steps"][one[2]]]
ANSWERING = ("request", "answer")


def _job(name: str, job: str) -> dict[str, Any]:
    found: dict[str, Any] = WORKFLOWS[name]["jobs"][job]
    return found


def _script(name: str, job: str, at: int) -> str:
    return str(_job(name, job)["steps"][at]["run"])


def _commands() -> Iterator[tuple[str, set[str]]]:
    """Yield the project's own commands that the workflows run, each with its options."""
    for one in SCRIPTS:
        for line in _script(*one).replace("\\\n", " ").splitlines():
            found = re.search(r"\./inv (?P<name>[a-z]+)(?P<rest>[^>|]*)", line)
            if found:
                yield found["name"], set(re.findall(r"(?<![\w-])--([a-z-]+)", found["rest"]))


def test_these_are_all_workflows() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == [f"{name}.yml" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_every_action_is_pinned_by_its_commit_with_the_version_beside_it(name: str) -> None:
    lines = [line for line in (FOLDER / f"{name}.yml").read_text().splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert re.fullmatch(r" +uses: actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line
    assert len({line.split("@")[0] for line in lines}) == len({line.strip() for line in lines})  # one version each


@pytest.mark.parametrize("name", NAMES)
def test_it_says_that_it_never_ran(name: str) -> None:
    assert "Unverified: GitHub was not reachable" in (FOLDER / f"{name}.yml").read_text().partition("name:")[0]


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_has_an_end_and_may_read_the_code_and_no_more(name: str, job: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {}
    found = _job(name, job)
    assert 0 < found["timeout-minutes"] <= 120
    more = {"issues": "write"} if (name, job) == ANSWERING else {}
    assert found["permissions"] == {"contents": "read", **more}


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_no_checkout_leaves_a_token_behind_or_takes_another_commit(name: str, job: str) -> None:
    first = _job(name, job)["steps"][0]
    assert first["uses"].startswith("actions/checkout@")
    assert first["with"] == {"persist-credentials": False}


@pytest.mark.parametrize(("name", "job", "at"), SCRIPTS)
def test_nothing_is_written_into_a_script_before_it_runs(name: str, job: str, at: int) -> None:
    assert "${{" not in _script(name, job, at)


@pytest.mark.parametrize(("name", "job", "at"), SCRIPTS)
def test_a_script_has_no_mistake_that_shellcheck_knows(name: str, job: str, at: int) -> None:
    words = [
        process.require("shellcheck"),
        "--shell=bash",
        "--enable=all",
        "--exclude=SC2250,SC2312,SC2292,SC2154",
        "-",
    ]
    done = subprocess.run(words, input=_script(name, job, at), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_issue_says_is_nowhere_in_an_expression() -> None:
    texts = "\n".join((FOLDER / f"{name}.yml").read_text() for name in NAMES)
    used = set(re.findall(r"github\.event\.[\w.*]+", texts))
    assert used == {
        "github.event.action",
        "github.event.issue.labels.*.name",
        "github.event.issue.number",
        "github.event.label.name",
    }
    assert "secrets." not in texts


def test_only_the_job_that_reads_no_issue_has_a_token() -> None:
    with_token = [(name, job) for name, job in JOBS if "token" in str(_job(name, job)).lower()]
    assert with_token == [ANSWERING]
    scripts = "".join(_script(*one) for one in SCRIPTS if one[:2] == ANSWERING)
    assert ".issue.number" in scripts
    assert ".body" not in scripts


def test_the_workflow_looks_for_the_label_that_the_form_gives() -> None:
    assert f"labels.*.name, '{forms.LABEL}')" in _job("request", "read")["if"]


def test_every_command_that_is_run_exists_with_its_options() -> None:
    known = {
        one.name: set(itertools.chain(*(argument.names for argument in one.get_arguments())))
        for one in vars(tasks).values()
        if isinstance(one, Task)
    }
    used = list(_commands())
    assert {name for name, _ in used} == {"build", "list", "post", "request", "setup", "test"}
    for name, options in used:
        assert options <= {one.replace("_", "-") for one in known[name]}, name


def test_the_matrix_fits_into_the_jobs_that_a_workflow_may_have(matrix: Matrix) -> None:
    assert sum(combo.sound for combo in matrix.combos) <= 256
    build = _job("matrix", "build")
    assert build["strategy"]["fail-fast"] is False
    assert build["strategy"]["matrix"] == {"include": "${{ fromJSON(needs.list.outputs.combos) }}"}
    assert set(WORKFLOWS["matrix"][True]) == {"schedule", "workflow_dispatch"}  # YAML 1.1 takes `on` for a yes


def test_the_targets_that_run_on_their_own_cpu_are_published(matrix: Matrix) -> None:
    named = [
        str(step["env"]["NATIVE"])
        for name, job in JOBS
        for step in _job(name, job)["steps"]
        if "NATIVE" in step.get("env", {})
    ]
    assert len(named) == 2
    assert len(set(named)) == 1
    told = re.fullmatch(r"\$\{\{ vars\.ARMWRIGHT_NATIVE \|\| '([^']+)' \}\}", named[0])
    assert told
    assert {pair.split("=")[0] for pair in told[1].split()} <= set(matrix.axes.targets)
