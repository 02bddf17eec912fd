"""What the image tier shares: images built and proven by the real `build`, and containers run from them."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from armwright.assembly import assemble, buildx
from armwright.engine.client import Engine, Image
from armwright.engine.containers import PLATFORM
from armwright.matrix.matrix import Matrix
from armwright.pipeline import build_all, build_combo
from armwright.plan import render
from armwright.plan.plan import COMPRESSION, Plan, make_plan
from armwright.proof import check_evidence
from armwright.proof.evidence import Evidence
from armwright.publish import local_registry
from armwright.system import process, turns

N1, V1, A64FX = "pytorch-2.10.0-n1-acl", "pytorch-2.10.0-v1-acl", "pytorch-2.10.0-a64fx-acl"
OPENBLAS, GENERIC = "pytorch-2.10.0-n1-openblas", "pytorch-2.9.1-generic-acl"
COMPAT, EIGEN = "tensorflow-1.x-compat-n1-acl", "tensorflow-2.21.0-n1-eigen"
COMBOS = (N1, OPENBLAS, V1, A64FX, GENERIC, COMPAT, EIGEN)


@dataclass(frozen=True)
class Proven:
    """A combo that was built and proven: its plan, its image in the engine, its evidence, its context."""

    plan: Plan
    image: Image
    evidence: Evidence
    context: Path

    @property
    def reference(self) -> str:
        return self.plan.reference


@pytest.fixture(scope="session")
def proven(matrix: Matrix, engine: Engine) -> Mapping[str, Proven]:
    """All combos of this tier; what is proven already is not built again."""
    results = build_all.build_combos(matrix, [matrix.by_id[combo] for combo in COMBOS], build_combo.BuildOptions())
    failed = [f"{result.combo.id}: {result.error.what}" for result in results if result.error]
    assert not failed, "\n".join(failed)
    images = {}
    for result in results:
        assert result.outcome in {"proven", "proven before"}, f"{result.combo.id} {result.outcome}: {result.error}"
        planned = make_plan(matrix, result.combo)
        _ensure_context(matrix, planned)
        image, proof = engine.find(planned.reference), check_evidence.read_stored_evidence(matrix.root, result.combo.id)
        assert image is not None
        assert proof is not None
        images[result.combo.id] = Proven(planned, image, proof, render.context_path(matrix.root, result.combo))
    return images


def _ensure_context(matrix: Matrix, plan: Plan) -> None:
    """Write a context that a build skipped, because the engine had the image; another process may use it already."""
    with turns.alone(matrix.root / "build" / ".turn", lambda: None):
        assemble.ensure_context(matrix.root, plan)


@pytest.fixture(scope="session")
def docker() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Docker's own command line; the caller judges the result."""

    def run(
        *arguments: str, given: str | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [process.require_program("docker"), *arguments],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **(env or {})},
        )

    return run


@pytest.fixture(scope="session")
def contained(
    docker: Callable[..., subprocess.CompletedProcess[str]],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run an image as the contract allows: no network, nothing to write to, on a CPU by the emulator's name."""

    def run(
        image: Proven, *arguments: str, cpu: str = "", options: Sequence[str] = (), given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        strict = ["--rm", "--interactive", "--platform", PLATFORM, "--network", "none", "--read-only"]
        chosen = cpu or image.plan.combo.target.emulator.cpu
        return docker("run", *strict, "--env", f"QEMU_CPU={chosen}", *options, image.reference, *arguments, given=given)

    return run


@pytest.fixture(scope="session")
def derive(prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Make an image from another: files over it, and lines of a Dockerfile; no program of it runs."""

    parent = tmp_path_factory.mktemp("derived")

    def make(image: Proven, files: Mapping[str, bytes] | None = None, lines: Sequence[str] = ()) -> str:
        name = f"{prefix}:{uuid.uuid4().hex[:8]}"
        folder = parent / name.partition(":")[2]
        (folder / "files").mkdir(parents=True)
        for path, data in (files or {}).items():
            file = folder / "files" / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            file.chmod(0o755)
        text = [f"FROM --platform={PLATFORM} {image.reference}", "COPY files/ /", *lines]
        (folder / "Dockerfile").write_text("\n".join(text) + "\n")
        buildx.run_build(folder, folder / "log", name=name, epoch=image.plan.lock.epoch, compression=COMPRESSION)
        return name

    return make


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry of this run's own."""
    home = tmp_path_factory.mktemp("registry")
    with socket.socket() as free:
        free.bind((local_registry.HOST, 0))
        port = int(free.getsockname()[1])
    yield local_registry.start_registry(home, port)[0].address
    local_registry.stop_registry(home)


@pytest.fixture
def another_cpu() -> None:
    """Asked for by tests that run an image on a CPU it is not for: on an Arm machine nothing chooses the CPU."""
    if platform.machine() == "aarch64":
        pytest.skip("this machine runs the images itself")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what caught each sabotage."""
    reports = [report for group in terminalreporter.stats.values() for report in group]
    rows = [value for report in reports for name, value in getattr(report, "user_properties", ()) if name == "caught"]
    if rows:
        terminalreporter.section("sabotage and what caught it")
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for what, check, message in sorted(rows):
            terminalreporter.line(f"{what:{widths[0]}}  {check:{widths[1]}}  {message}")
