"""Runs `invoke build` of several combos for real: interrupted while it builds and while it proves, and continued.

The project is a copy whose framework is one small wheel, so that a build takes seconds.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from armwright.assembly import assemble
from armwright.engine.client import Engine
from armwright.plan.plan import Plan
from armwright.proof import check_evidence
from tests.small_run import make_small_run
from tests.support import Tree

SLOW = "RUN --network=none sleep 8 && : {marker}\n"
ENDLESS = "import time\nprint('begun', flush=True)\ntime.sleep(600)\n"
PATIENCE = 120  # seconds to wait for what takes seconds
Docker = Callable[..., str]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The small project: two versions, whose builds sleep and whose smoke run never ends."""
    tree = make_small_run(tmp_path_factory.mktemp("run") / "project", ["0.1", "0.2"], ENDLESS)
    with (tree.root / "dockerfiles" / "base.j2").open("a") as template:
        template.write(SLOW.format(marker=uuid.uuid4()))  # was never built
    return tree


@pytest.fixture(scope="module")
def plans(project: Tree, engine: Engine) -> Iterator[list[Plan]]:
    """Its two combos; their names are removed at the end."""
    yield (plans := [project.plan(f"pytorch-{version}-n1-acl") for version in ("0.2", "0.1")])
    for plan in plans:
        engine.untag(plan.reference)


def invoke(project: Tree, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "armwright.cli.program", "build", "--all", "--jobs", "2", *arguments],
        cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


def finish(run: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        printed, _ = run.communicate(timeout=PATIENCE)
    finally:
        run.kill()
        run.communicate()
    return run.returncode, printed


def wait_for(condition: Callable[[], object], run: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert run is None or run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def find_programs(text: str) -> list[str]:
    """Return the command lines that hold a text."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:  # it ended meanwhile
            continue
        if text in command and "pytest" not in command:
            commands.append(command)
    return commands


def test_interrupted_run_can_be_continued(project: Tree, plans: list[Plan], engine: Engine) -> None:
    logs = [assemble.log_path(project.root, plan.combo) for plan in plans]

    run = invoke(project, "--no-smoke")
    wait_for(lambda: all(log.exists() and "sleep 8" in log.read_text() for log in logs), run)
    assert all(find_programs(f"name={plan.reference}") for plan in plans)
    run.send_signal(signal.SIGINT)
    code, printed = finish(run)
    assert code == 130, printed
    assert "2 interrupted" in printed
    assert "run the same command again to continue" in printed
    assert not any(find_programs(f"name={plan.reference}") for plan in plans)
    assert [engine.find(plan.reference) for plan in plans] == [None, None]

    code, printed = finish(invoke(project, "--no-smoke"))
    assert code == 0, printed
    assert "2 built" in printed
    assert all(engine.find(plan.reference) for plan in plans)

    before = [log.stat().st_mtime_ns for log in logs]
    code, printed = finish(invoke(project, "--no-smoke"))
    assert code == 0, printed
    assert "2 built before" in printed
    assert [log.stat().st_mtime_ns for log in logs] == before


def test_terminated_run_leaves_no_container_and_no_proof(
    project: Tree, plans: list[Plan], engine: Engine, docker: Docker
) -> None:
    def containers() -> list[str]:
        filters = [word for plan in plans for word in ("--filter", f"ancestor={plan.reference}")]
        return docker("ps", "--all", "--quiet", *filters).split()

    if not all(engine.find(plan.reference) for plan in plans):
        assert finish(invoke(project, "--no-smoke"))[0] == 0
    run = invoke(project)
    wait_for(containers, run)
    run.send_signal(signal.SIGTERM)
    code, printed = finish(run)
    assert code == 130, printed
    assert containers() == []
    assert not (project.root / "build" / "evidence").exists() or not list((project.root / "build/evidence").iterdir())
    assert all(engine.find(plan.reference) for plan in plans)
    assert not any(plan.tag in engine.names() for plan in plans)


def test_failed_combo_is_reported_and_the_other_is_built(project: Tree, plans: list[Plan], engine: Engine) -> None:
    lock = project.root / "recipes" / "locks" / "pytorch-0.2.txt"
    right = lock.read_text()
    engine.untag(plans[1].reference)
    lock.write_text(re.sub(r"[0-9a-f]{64}", "0" * 64, right))
    try:
        code, printed = finish(invoke(project, "--no-smoke", "--keep-going"))
    finally:
        lock.write_text(right)
    assert code == 2, printed
    assert "1 failed, 1 built" in printed
    assert "error: pytorch-0.2-n1-acl: a wheel on the index differs from the locked one" in printed
    assert "next:  " in printed
    assert engine.find(plans[1].reference)
    assert check_evidence.read_stored_evidence(project.root, plans[1].combo.id) is None
