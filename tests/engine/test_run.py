"""`invoke build` of several combos, for real: interrupted while it builds and while it proves, and gone on with.

The project is a copy whose framework is one small wheel, so that a build takes seconds.
"""

from __future__ import annotations

import os
import re
import shutil
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
from tests.support import ROOT, Tree

FRAMEWORK = """\
name: pytorch
title: A small wheel
module: filelock
distribution: filelock
workloads: [lenet]
versions:
{versions}
backends:
  acl:
    kernels:
      - {{source: onednn, operation: convolution, implementations: [], reason: it has none}}
"""
VERSION = '  "{version}": {{provider: wheel, base: debian-13, upstream: {upstream}, requires: [filelock]}}'
MATRIX = """\
axes:
  frameworks:
    pytorch: ["0.1", "0.2"]
  targets: [n1]
  backends: [acl]
rules: []
"""
SLOW = "RUN --network=none sleep 8 && : {marker}\n"
ENDLESS = "import time\nprint('begun', flush=True)\ntime.sleep(600)\n"
PATIENCE = 120  # seconds for what takes seconds
Docker = Callable[..., str]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The small project: two versions of it, whose builds sleep and whose smoke run never ends."""
    tree = Tree(tmp_path_factory.mktemp("run") / "project")
    shutil.copytree(ROOT / "armwright", tree.root / "armwright", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tasks.py", tree.root)
    (ROOT / "build" / "cache").mkdir(parents=True, exist_ok=True)
    (tree.root / "build").mkdir()
    (tree.root / "build" / "cache").symlink_to(ROOT / "build" / "cache")  # nothing is downloaded twice
    whole = (ROOT / "recipes" / "locks" / "pytorch-2.10.0.txt").read_text()
    wheel = re.search(r"^filelock==(?P<version>\S+) \\\n(?:    .*\n)+", whole, re.MULTILINE)
    assert wheel, "the lock no longer has a small wheel"
    for file in (tree.root / "recipes" / "frameworks").iterdir():
        file.unlink()
    versions = [VERSION.format(version=version, upstream=wheel["version"]) for version in ("0.1", "0.2")]
    (tree.root / "recipes/frameworks/pytorch.yaml").write_text(FRAMEWORK.format(versions="\n".join(versions)))
    for version in ("0.1", "0.2"):
        (tree.root / f"recipes/locks/pytorch-{version}.txt").write_text(wheel[0])
    tree.publish(MATRIX)
    with (tree.root / "dockerfiles" / "base.j2").open("a") as template:
        template.write(SLOW.format(marker=uuid.uuid4()))  # nobody has built this
    (tree.root / "scripts/smoke/smoke.py").write_text(ENDLESS)
    return tree


@pytest.fixture(scope="module")
def plans(project: Tree, engine: Engine) -> Iterator[list[Plan]]:
    """Its two combos; their names go away in the end."""
    yield (found := [project.plan(f"pytorch-{version}-n1-acl") for version in ("0.2", "0.1")])
    for one in found:
        engine.untag(one.reference)


def invoke(project: Tree, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "invoke", "build", "--all", "--jobs", "2", *words],
        cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


def ended(run: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        said, _ = run.communicate(timeout=PATIENCE)
    finally:
        run.kill()
        run.communicate()
    return run.returncode, said


def wait(true: Callable[[], object], run: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert run is None or run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def programs(text: str) -> list[str]:
    """Return the command lines that hold a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:  # it ended meanwhile
            continue
        if text in words and "pytest" not in words:
            found.append(words)
    return found


def test_an_interrupted_run_leaves_nothing_half_done_and_the_same_command_goes_on(
    project: Tree, plans: list[Plan], engine: Engine
) -> None:
    logs = [assemble.log_path(project.root, one.combo) for one in plans]

    run = invoke(project, "--no-smoke")
    wait(lambda: all(log.exists() and "sleep 8" in log.read_text() for log in logs), run)
    assert all(programs(f"name={one.reference}") for one in plans)
    run.send_signal(signal.SIGINT)
    code, said = ended(run)
    assert code == 130, said
    assert "2 interrupted" in said
    assert "the same command goes on from here" in said
    assert not any(programs(f"name={one.reference}") for one in plans)
    assert [engine.find(one.reference) for one in plans] == [None, None]

    code, said = ended(invoke(project, "--no-smoke"))
    assert code == 0, said
    assert "2 built" in said
    assert all(engine.find(one.reference) for one in plans)

    before = [log.stat().st_mtime_ns for log in logs]
    code, said = ended(invoke(project, "--no-smoke"))
    assert code == 0, said
    assert "2 built before" in said
    assert [log.stat().st_mtime_ns for log in logs] == before


def test_a_terminated_run_leaves_no_container_and_no_proof(
    project: Tree, plans: list[Plan], engine: Engine, docker: Docker
) -> None:
    def containers() -> list[str]:
        filters = [word for one in plans for word in ("--filter", f"ancestor={one.reference}")]
        return docker("ps", "--all", "--quiet", *filters).split()

    if not all(engine.find(one.reference) for one in plans):
        assert ended(invoke(project, "--no-smoke"))[0] == 0
    run = invoke(project)
    wait(containers, run)
    run.send_signal(signal.SIGTERM)
    code, said = ended(run)
    assert code == 130, said
    assert containers() == []
    assert not (project.root / "build" / "evidence").exists() or not list((project.root / "build/evidence").iterdir())
    assert all(engine.find(one.reference) for one in plans)
    assert not any(one.tag in engine.names() for one in plans)


def test_a_combo_that_fails_is_told_at_the_end_and_the_other_is_built(
    project: Tree, plans: list[Plan], engine: Engine
) -> None:
    lock = project.root / "recipes" / "locks" / "pytorch-0.2.txt"
    right = lock.read_text()
    engine.untag(plans[1].reference)
    lock.write_text(re.sub(r"[0-9a-f]{64}", "0" * 64, right))
    try:
        code, said = ended(invoke(project, "--no-smoke", "--keep-going"))
    finally:
        lock.write_text(right)
    assert code == 2, said
    assert "1 failed, 1 built" in said
    assert "error: pytorch-0.2-n1-acl: a wheel on the index is not the one of the lock" in said
    assert "next:  " in said
    assert engine.find(plans[1].reference)
    assert check_evidence.read_stored_evidence(project.root, plans[1].combo.id) is None
