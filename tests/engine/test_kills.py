"""SIGKILL at random moments of a build and a proof: the next run leaves no wrong name, no container, no half file.

ARMWRIGHT_TEST_KILLS says how often (30; 200 before a release), ARMWRIGHT_TEST_SEED with which random numbers.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from armwright.assembly import record
from armwright.engine.client import Engine
from armwright.plan.plan import Plan
from armwright.proof.state import find_plan_state
from tests.small_run import make_small_run
from tests.support import Tree

KILLS = int(os.environ.get("ARMWRIGHT_TEST_KILLS", "30"))
SEED = int(os.environ.get("ARMWRIGHT_TEST_SEED", "13"))
LONGEST = 6.0  # seconds; a build of the small project and the beginning of its proof take about four
SMOKE = "import time\nprint('begun', flush=True)\ntime.sleep(600)\n"  # a proof that never ends


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return make_small_run(tmp_path_factory.mktemp("kills") / "project", ["0.1"], SMOKE)


@pytest.fixture(scope="module")
def plan(project: Tree) -> Plan:
    return project.plan("pytorch-0.1-n1-acl")


def start(project: Tree, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "armwright.cli.program", "build", "--all", *options]
    return subprocess.Popen(
        command, cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def kill_at(run: subprocess.Popen[bytes], seconds: float) -> None:
    """Kill a run and what it started at a moment; it may have ended."""
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()


def find_half_files(folder: Path) -> list[str]:
    found = [path for path in folder.rglob("*") if path.name.endswith(".armwright-new")]
    return [str(path.relative_to(folder)) for path in found] + [path.name for path in folder.glob("cache/*/unpack-*")]


def test_killed_runs_leave_nothing_wrong(project: Tree, plan: Plan, engine: Engine) -> None:
    numbers = random.Random(SEED)  # noqa: S311 - a test
    assert start(project, "--no-smoke").wait() == 0
    honest = engine.names()[plan.reference]
    made = project.root / "build" / "made"
    for number in range(KILLS):
        if numbers.random() < 0.7:  # or the image is there, and only the proof is killed
            engine.remove_abandoned()  # the engine keeps a name that a container uses
            engine.untag(plan.reference)
            shutil.rmtree(made, ignore_errors=True)
        kill_at(start(project), numbers.uniform(0.2, LONGEST))
        names = engine.names()
        assert names.get(plan.reference, honest) == honest, f"kill {number} of seed {SEED}"
        if plan.reference in names:
            assert record.read_record(project.root, plan) == honest, f"kill {number} of seed {SEED}"
        assert plan.tag not in names
    assert start(project, "--no-smoke").wait() == 0
    names = engine.names()
    assert names[plan.reference] == honest
    assert find_plan_state(project.root, plan, names) == "built"
    assert plan.tag not in names
    assert [name for name in names if re.match(rf"{re.escape(plan.reference)}.+", name)] == []
    assert engine.remove_abandoned() == 0
    assert find_half_files(project.root / "build") == []
    engine.untag(plan.reference)


def test_an_image_under_the_name_without_a_record_is_built_again(project: Tree, plan: Plan, engine: Engine) -> None:
    assert start(project, "--no-smoke").wait() == 0
    honest = engine.names()[plan.reference]
    stranger = next(digest for digest in engine.names().values() if digest != honest)
    engine.tag(stranger, plan.reference)
    assert find_plan_state(project.root, plan, engine.names()) == "not built"
    assert start(project, "--no-smoke").wait() == 0
    assert engine.names()[plan.reference] == honest
    shutil.rmtree(project.root / "build" / "made")
    assert find_plan_state(project.root, plan, engine.names()) == "not built"
    engine.untag(plan.reference)
