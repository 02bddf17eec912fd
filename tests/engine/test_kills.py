"""SIGKILL at random moments of a build, a proof and a staging: the next run leaves nothing wrong, and nothing behind.

ARMWRIGHT_TEST_KILLS says how often (30; 200 before a release), ARMWRIGHT_TEST_SEED with which random numbers.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from armwright.assembly import record
from armwright.engine.client import Engine
from armwright.engine.containers import PLATFORM
from armwright.plan.plan import Plan
from armwright.proof.state import find_plan_state
from armwright.publish import arrival, given_name
from armwright.publish.registry_client import RegistryClient
from tests import proofs
from tests.registries import Asked, put_image, run_proxy, run_registry
from tests.small_run import make_small_run
from tests.support import Tree

KILLS = int(os.environ.get("ARMWRIGHT_TEST_KILLS", "30"))
SEED = int(os.environ.get("ARMWRIGHT_TEST_SEED", "13"))
# Seconds in which a run is killed: a build and the beginning of its proof take about four, a proof begins after two.
LONGEST = {"build": 6.0, "smoke": 4.0}
SOON = 0.5  # seconds after the container of a proof, or the name for a push
SMOKE = "import time\nprint('begun', flush=True)\ntime.sleep(600)\n"  # a proof that never ends
REPOSITORY = "staging/pytorch"
LOG = "run.log"
PATIENCE = 60  # seconds to wait for what takes seconds
Docker = Callable[..., str]


@dataclass(frozen=True)
class Place:
    """A project with one combo, an engine, and a registry.

    Attributes:
        project: the project.
        plan: the plan of its combo.
        engine: the engine.
        docker: docker's command line.
        registry: the registry's address.
        data: the folder of the registry's data.
        honest: the digest of the plan's image.
    """

    project: Tree
    plan: Plan
    engine: Engine
    docker: Docker
    registry: str
    data: Path
    honest: str

    @property
    def staged(self) -> str:
        """The name that the image has in the engine while it is pushed."""
        return f"{self.registry}/staging/{self.plan.reference}"

    def list_containers(self) -> list[str]:
        return self.docker("ps", "--all", "--quiet", "--filter", f"ancestor={self.honest}").split()

    def run(self, command: str, *options: str) -> None:
        """Run a command to its end; it must succeed."""
        assert start(self.project, command, "--all", *options).wait() == 0, self.printed

    @property
    def printed(self) -> str:
        """What the last run printed."""
        return (self.project.root / LOG).read_text()

    def measure_staging(self) -> float:
        """Return how many seconds a whole staging into an empty registry takes."""
        self.prove()
        self.empty_registry()
        started = time.monotonic()
        self.run("stage", "--to", self.registry)
        self.forget_proof()
        return time.monotonic() - started

    def prove(self) -> None:
        """Write evidence as a proof of the image gives it."""
        image = self.engine.find(self.plan.reference)
        assert image is not None
        proofs.keep(self.project.root, self.plan, image)

    def forget_proof(self) -> None:
        shutil.rmtree(self.project.root / "build" / "evidence")

    def empty_registry(self) -> str:
        """Remove all from the registry, and give the name that people pull another image; return its digest."""
        shutil.rmtree(self.data / "docker", ignore_errors=True)
        return put_image(RegistryClient(self.registry), self.plan.tag.partition(":")[2], "earlier")

    def check_registry(self, earlier: str) -> None:
        """Check the names in the registry, at any moment: each is the right image, and has arrived whole."""
        client = RegistryClient(self.registry)
        immutable = client.find_digest(REPOSITORY, self.plan.reference.partition(":")[2])
        moving = client.find_digest(REPOSITORY, self.plan.tag.partition(":")[2])
        assert immutable in {None, self.honest}
        assert moving in ({earlier} if immutable is None else {earlier, self.honest})
        if immutable is not None:
            assert arrival.find_missing_blobs(client, REPOSITORY, self.honest, set()) == []

    def check_names(self) -> None:
        """Check the project's names in the engine, at any moment."""
        names = self.engine.names()
        assert names.get(self.plan.reference, self.honest) == self.honest
        if self.plan.reference in names:
            assert record.read_record(self.project.root, self.plan) == self.honest
        assert self.plan.tag not in names

    def check_nothing_left(self, theirs: str | None) -> None:
        """Check what a whole run leaves: the image, and the name of the registry as the user had it."""
        names, root = self.engine.names(), self.project.root
        assert names[self.plan.reference] == self.honest
        assert [name for name in names if re.match(rf"{re.escape(self.plan.reference)}.+", name)] == []
        assert [names.get(self.staged)] == [theirs]
        assert given_name.find_left_name(root, self.engine.address) is None
        assert self.list_containers() == []
        assert find_half_files(root / "build") == []


def start(project: Tree, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "armwright.cli.program", *arguments]
    with (project.root / LOG).open("w") as log:
        return subprocess.Popen(command, cwd=project.root, stdout=log, stderr=log, start_new_session=True)


def kill(run: subprocess.Popen[bytes]) -> None:
    """Kill a run and what it started; it may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def kill_at_random(
    run: subprocess.Popen[bytes], numbers: random.Random, longest: float, begun: Callable[[], object]
) -> None:
    """Kill a run at any moment, or soon after what it leaves has begun to exist; it may have ended."""
    soon, seconds = numbers.random() < 0.5, numbers.random()
    while soon and run.poll() is None and not begun():
        time.sleep(0.02)
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(seconds * (SOON if soon else longest))
    kill(run)


def find_half_files(folder: Path) -> list[str]:
    found = [path for path in folder.rglob("*") if path.name.endswith(".armwright-new")]
    return [str(path.relative_to(folder)) for path in found] + [path.name for path in folder.glob("cache/*/unpack-*")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, engine: Engine, docker: Docker) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("kills")
    project = make_small_run(folder / "project", ["0.1"], f"{SMOKE}# {uuid.uuid4()}\n")  # names of its own
    plan = project.plan("pytorch-0.1-n1-acl")
    assert start(project, "build", "--all", "--no-smoke").wait() == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with run_registry(folder / "registry", address):
        honest = engine.names()[plan.reference]
        yield Place(project, plan, engine, docker, address, folder / "registry" / "data", honest)
    engine.remove_abandoned()  # the engine keeps a name that a container uses
    for name in engine.names():
        if name == plan.reference or name.endswith(f"/{plan.reference}"):
            engine.untag(name)


@pytest.fixture(scope="module")
def stranger(docker: Docker, prefix: str, engine: Engine, tiny_tar: bytes) -> str:
    """The digest of an image that is not the project's."""
    docker("import", "--platform", PLATFORM, "-", f"{prefix}:stranger", given=tiny_tar)
    return engine.names()[f"{prefix}:stranger"]


def test_killed_runs_leave_nothing_wrong(place: Place, stranger: str) -> None:
    numbers = random.Random(SEED)  # noqa: S311 - a test
    staging = place.measure_staging()
    for number in range(KILLS):
        kind = ("build", "smoke", "stage")[number % 3]
        print(f"kill {number} of seed {SEED}: {kind}")  # noqa: T201 - shown if it fails
        if kind == "stage":
            kill_staging(place, numbers, staging, numbers.choice([None, stranger]))
            continue
        if kind == "build":
            place.engine.untag(place.plan.reference)
            shutil.rmtree(place.project.root / "build" / "made", ignore_errors=True)
        kill_at_random(start(place.project, kind, "--all"), numbers, LONGEST[kind], place.list_containers)
        place.check_names()
        place.run("build", "--no-smoke")
        place.check_nothing_left(None)
    assert find_plan_state(place.project.root, place.plan, place.engine.names()) == "built"


def kill_staging(place: Place, numbers: random.Random, longest: float, theirs: str | None) -> None:
    """Kill a staging; the name that it gives is new in the engine, or that of a user's image."""
    if theirs:
        place.engine.tag(theirs, place.staged)
    place.prove()
    earlier = place.empty_registry()
    run = start(place.project, "stage", "--all", "--to", place.registry)
    kill_at_random(run, numbers, longest, lambda: list(place.project.root.glob("build/staging/*.json")))
    place.check_names()
    place.check_registry(earlier)
    if numbers.random() < 0.5:
        place.run("stage", "--to", place.registry)
        place.check_registry(place.honest)
    else:
        place.run("build", "--no-smoke")
    place.check_nothing_left(theirs)
    place.forget_proof()
    place.engine.untag(place.staged)


@pytest.mark.parametrize("pulled", [False, True])
@pytest.mark.parametrize("following", ["stage", "build"])
def test_a_name_of_a_killed_push_is_restored(place: Place, tiny_tar: bytes, following: str, *, pulled: bool) -> None:
    """The engine is waiting for the registry when the staging is killed; the user's image has no other name."""
    pushing, killed = threading.Event(), threading.Event()

    def rule(asked: Asked) -> None:
        if asked.headers.get("User-Agent", "").startswith("docker/") and not killed.is_set():
            pushing.set()
            killed.wait(PATIENCE)

    place.prove()
    place.empty_registry()
    with run_proxy(place.registry, rule) as address:
        name, to = f"{address}/staging/{place.plan.reference}", ("--to", address)
        if pulled:
            place.docker("import", "--platform", PLATFORM, "-", name, given=tiny_tar)
        before = place.engine.names().get(name)
        run = start(place.project, "stage", "--all", *to)
        assert pushing.wait(PATIENCE), place.printed
        assert place.engine.names()[name] == place.honest
        kill(run)
        killed.set()
        left = given_name.find_left_name(place.project.root, place.engine.address)
        assert left is not None
        assert left.name == name
        assert place.engine.names()[name] == place.honest
        place.run(following, *(to if following == "stage" else ("--no-smoke",)))
    assert place.engine.names().get(name) == before
    place.check_nothing_left(None)
    place.forget_proof()
    place.engine.untag(name)


def test_an_image_under_the_name_without_a_record_is_built_again(place: Place, stranger: str) -> None:
    project, plan, engine = place.project, place.plan, place.engine
    engine.tag(stranger, plan.reference)
    assert find_plan_state(project.root, plan, engine.names()) == "not built"
    place.run("build", "--no-smoke")
    assert engine.names()[plan.reference] == place.honest
    shutil.rmtree(project.root / "build" / "made")
    assert find_plan_state(project.root, plan, engine.names()) == "not built"
    place.run("build", "--no-smoke")
    assert find_plan_state(project.root, plan, engine.names()) == "built"
