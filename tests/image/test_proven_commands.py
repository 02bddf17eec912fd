"""The commands over proven images: a second build, `smoke --image` without a build tree, staging and pulling back."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from armwright.engine.client import Engine
from armwright.engine.containers import PLATFORM
from armwright.matrix.matrix import Matrix
from armwright.publish import stage
from armwright.publish.reference import Destination

ROOT = Path(__file__).resolve().parents[2]
N1 = "pytorch-2.10.0-n1-acl"
Images = Mapping[str, Any]
Docker = Callable[..., CompletedProcess[str]]


def invoke(root: Path, *arguments: str) -> CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "armwright.cli.program", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as it is cloned: nothing built, no evidence."""
    root = tmp_path_factory.mktemp("clone")
    for name in ("armwright", "recipes", "dockerfiles", "scripts"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tasks.py", "matrix.yaml"):
        shutil.copy(ROOT / name, root)
    return root


@pytest.fixture
def started(docker: Docker) -> Callable[[str], list[str]]:
    """Say which containers Armwright made from an image since the test began."""
    begin = time.time()

    def since(image: str) -> list[str]:
        window = ["--since", f"{begin:.3f}", "--until", f"{time.time():.3f}"]
        filters = ("event=create", f"image={image}", "label=org.armwright.run")  # other tests run containers of it too
        done = docker("events", *window, *(word for text in filters for word in ("--filter", text)))
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return since


def test_a_second_build_has_nothing_to_do_and_starts_nothing(
    proven: Images, started: Callable[[str], list[str]]
) -> None:
    log = ROOT / "build" / "logs" / f"{N1}.log"
    before = log.stat().st_mtime_ns if log.exists() else None
    used = _cpu_seconds()
    done = invoke(ROOT, "build", "--combo", N1)
    assert done.returncode == 0, done.stderr
    assert f"{N1}  proven: nothing to do" in done.stderr
    assert "proven before" in done.stdout
    assert proven[N1].image.digest in done.stdout + done.stderr
    assert started(proven[N1].reference) == []
    assert (log.stat().st_mtime_ns if log.exists() else None) == before
    assert _cpu_seconds() - used < 1.5  # seconds of CPU, so that a busy machine does not fail it


def test_an_image_is_proven_without_its_build_tree(
    proven: Images, bare: Path, started: Callable[[str], list[str]]
) -> None:
    before = sorted(bare.rglob("*"))
    done = invoke(bare, "smoke", "--image", proven[N1].reference, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["combo"], document["image"]) == (N1, proven[N1].image.digest)
    assert document["report"]["passed"]
    assert "by the image's own word, which is no proof: it was not built in this checkout" in " ".join(
        done.stderr.split()
    )
    assert len(started(proven[N1].reference)) == 2  # one is read, one runs: the tests that expect none have eyes
    assert sorted(bare.rglob("*")) == before


def test_somebody_elses_image_is_refused_and_not_started(
    bare: Path, docker: Docker, prefix: str, tmp_path: Path, started: Callable[[str], list[str]]
) -> None:
    name = f"{prefix}:stranger"
    folder = tmp_path / "root"
    folder.mkdir()
    subprocess.run([shutil.which("tar") or "", "-C", folder, "-cf", tmp_path / "root.tar", "."], check=True)
    imported = docker(
        "import", "--platform", PLATFORM, "--change", 'CMD ["/anything"]', str(tmp_path / "root.tar"), name
    )
    assert imported.returncode == 0, imported.stderr
    done = invoke(bare, "smoke", "--image", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{name} was not built by Armwright" in done.stderr
    assert "next:" in done.stderr
    assert started(name) == []


def test_a_missing_image_is_refused_with_the_pull_command(bare: Path) -> None:
    done = invoke(bare, "smoke", "--image", "example/missing:1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the engine has no image 'example/missing:1'" in done.stderr
    assert "docker pull example/missing:1" in done.stderr


def test_an_image_and_a_selector_together_are_refused(proven: Images, bare: Path) -> None:
    done = invoke(bare, "smoke", "--image", proven[N1].reference, "--target", "n1")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_staged_image_comes_back_by_the_same_digest(
    proven: Images, matrix: Matrix, engine: Engine, docker: Docker, address: str
) -> None:
    n1 = proven[N1]
    (staged,) = stage.stage_images(matrix, [n1.plan.combo], Destination(address))
    assert (staged.name, staged.digest) == (f"{address}/staging/pytorch:2.10.0-n1-acl", n1.image.digest)
    try:
        pulled = docker("pull", "--platform", PLATFORM, staged.name)
        assert pulled.returncode == 0, pulled.stderr
        assert f"Digest: {n1.image.digest}" in pulled.stdout
        assert engine.names()[staged.name] == n1.image.digest
    finally:
        engine.untag(staged.name)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
