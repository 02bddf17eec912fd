"""Every target's image on every target's emulated CPU: it runs or refuses, and never crashes."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from armwright.engine.containers import PLATFORM
from armwright.matrix.matrix import Matrix, load_matrix
from armwright.pipeline import build_all, build_combo
from armwright.plan.plan import make_plan
from armwright.recipes.targets import Target
from armwright.system import process
from tests import floors
from tests.support import ROOT

COMBO = "pytorch-2.9.1-{}-acl"  # of the newest version that all targets have; only the scripts' layer differs
TARGETS = load_matrix(ROOT).recipes.targets
PATIENCE = 120  # seconds; a page takes two
pytestmark = pytest.mark.usefixtures("another_cpu")
Answer = tuple[int | None, str, str]
Pair = tuple[str, str]


@pytest.fixture(scope="module")
def answers(matrix: Matrix) -> Mapping[Pair, Answer]:
    """The outcome of each image on each CPU."""
    combos = [matrix.by_id[COMBO.format(name)] for name in TARGETS]
    results = build_all.build_combos(matrix, combos, build_combo.BuildOptions(smoke=False))
    failed = [
        f"{result.combo.id}: {result.error.what if result.error else ''}" for result in results if result.image is None
    ]
    assert not failed, "\n".join(failed)
    references = {result.combo.target.name: make_plan(matrix, result.combo).reference for result in results}
    pairs = list(itertools.product(TARGETS, TARGETS))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(pairs, pool.map(lambda pair: _run(references[pair[0]], TARGETS[pair[1]]), pairs), strict=True))


def _run(reference: str, on: Target) -> Answer:
    """Run an image as a user would, but below the engine's init: a first process ignores its own fatal signals."""
    options = ["run", "--rm", "--init", "--platform", PLATFORM, "--network", "none", "--read-only"]
    command = [process.require_program("docker"), *options, "--env", f"QEMU_CPU={on.emulator.cpu}", reference]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return None, "", ""
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("cpu", TARGETS)
@pytest.mark.parametrize("image", TARGETS)
def test_an_image_runs_on_its_floor_and_refuses_other_cpus(
    answers: Mapping[Pair, Answer], image: str, cpu: str
) -> None:
    assert not floors.find_problem(TARGETS[image].floor, TARGETS[cpu].emulator.cpu, *answers[image, cpu])
