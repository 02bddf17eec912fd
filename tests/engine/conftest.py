"""Fixtures of the engine tier: the real engine, names that are removed again, and small images that take a second."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from armwright.assembly import buildx
from armwright.engine.client import Engine, Image
from armwright.engine.containers import PLATFORM
from armwright.fetch import debian_roots, resolve
from armwright.matrix.matrix import Matrix
from armwright.plan.locks import Role, read_base_lock
from armwright.plan.plan import COMPRESSION, Plan
from armwright.proof import check_image, image_tree
from armwright.system import process, turns

EPOCH = 1_700_000_000
Make = Callable[..., Image]


@pytest.fixture
def name(prefix: str) -> str:
    """A name that nothing else uses."""
    return f"{prefix}:{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def docker() -> Callable[..., str]:
    """Run Docker's command line, which must succeed."""

    def run(*arguments: str, given: bytes = b"") -> str:
        done = subprocess.run(
            [process.require_program("docker"), *arguments],
            input=given,
            capture_output=True,
            check=False,
            env=os.environ,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    return run


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with a Dockerfile and files."""

    def make(dockerfile: str, **files: str) -> Path:
        folder = tmp_path / f"context-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        (folder / "Dockerfile").write_text(dockerfile)
        for file, text in files.items():
            (folder / file).write_text(text)
        return folder

    return make


@pytest.fixture
def make(engine: Engine, context: Callable[..., Path], tmp_path: Path) -> Make:
    """Build an image of one file and labels, under a name."""

    def build(name: str, labels: Mapping[str, str] | None = None, content: str = "content") -> Image:
        lines = [f'LABEL {key}="{value}"' for key, value in (labels or {}).items()]
        folder = context("\n".join(["FROM scratch", "COPY file /file", *lines, ""]), file=content)
        buildx.run_build(folder, tmp_path / "log", name=name, epoch=EPOCH, compression=COMPRESSION)
        image = engine.find(name)
        assert image is not None
        return image

    return build


@pytest.fixture
def make_planned(engine: Engine, tmp_path: Path) -> Callable[[Plan], Image]:
    """Build an image as `build_planned` does."""
    return lambda plan: build_planned(engine, plan, tmp_path)


def build_planned(engine: Engine, plan: Plan, folder: Path) -> Image:
    """Build an image with a plan's own files, configuration and number of layers, and no framework, in a second."""
    context = folder / f"planned-{uuid.uuid4().hex[:8]}"
    own = {name: data for name, data in plan.files.items() if name.startswith(image_tree.CONTEXT)}
    for name, data in own.items():
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_bytes(data)
    (context / "filler").write_text(plan.combo.id)
    layers, configuration = check_image.split_last_stage(plan.files["Dockerfile"].decode())
    fillers = [f"COPY filler /filler-{number}" for number in range(len(layers) - 1)]
    text = "\n".join(["FROM scratch", f"COPY {image_tree.CONTEXT} /", *fillers, *configuration, ""])
    (context / "Dockerfile").write_text(text)
    buildx.run_build(context, folder / "log", name=plan.reference, epoch=EPOCH, compression=COMPRESSION)
    image = engine.find(plan.reference)
    assert image is not None
    return image


@pytest.fixture(scope="session")
def tools(matrix: Matrix, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of the build tools: a tar in which a RUN of the build platform works."""
    return _root(matrix, "tools", tmp_path_factory)


@pytest.fixture(scope="session")
def shell(matrix: Matrix, docker: Callable[..., str], prefix: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An AArch64 image with a shell."""
    name = f"{prefix}:shell"
    docker("import", "--platform", PLATFORM, str(_root(matrix, "root", tmp_path_factory)), name)
    return name


def _root(matrix: Matrix, role: Role, factory: pytest.TempPathFactory) -> Path:
    base, cache = matrix.recipes.bases["debian-13"], matrix.root / "build" / "cache"
    log = factory.mktemp("roots") / "log"
    with turns.alone(cache / ".tests"):  # the tests run in several processes
        try:
            return debian_roots.ensure_root(cache, base, read_base_lock(matrix.root, base.name), role, log)
        except debian_roots.StaleLockError:  # the archive has newer packages than the lock
            resolve.refresh_base_lock(matrix.root, cache, base, log, own=True)
            return debian_roots.ensure_root(cache, base, read_base_lock(matrix.root, base.name), role, log)


@pytest.fixture(scope="session")
def tiny_tar() -> bytes:
    """A root file system of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("hello")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"hello"))
    return buffer.getvalue()
