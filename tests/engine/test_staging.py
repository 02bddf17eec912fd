"""Staging into a real registry: refusals, the order in which names appear, and a second run."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from armwright.engine.client import Engine, Image
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan, make_plan
from armwright.proof import check_evidence, evidence, prove
from armwright.publish import local_registry, stage
from armwright.publish.reference import NAMESPACE, parse_destination
from armwright.publish.stage import StagingOptions
from armwright.system.errors import FailedError, MachineError
from tests import proofs

COMBOS = ("pytorch-2.10.0-n1-acl", "pytorch-2.10.0-v1-acl")
Make = Callable[..., Image]
MakePlanned = Callable[..., Image]
Docker = Callable[..., str]


@pytest.fixture
def project(tree: Any, engine: Engine) -> Iterator[Matrix]:  # noqa: ANN401 - the Tree of tests/conftest.py
    """The project's data, with inputs and so immutable names that are unique."""
    with (tree.root / "scripts" / "machine.py").open("a") as script:
        script.write(f"# {uuid.uuid4()}\n")
    loaded: Matrix = tree.load()
    yield loaded
    for plan in _plans(loaded):
        engine.untag(plan.reference)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "registry"
    yield folder
    local_registry.stop_registry(folder)


@pytest.fixture
def address(home: Path, port: int) -> str:
    return local_registry.start_registry(home, port)[0].address


def test_unbuilt_combo_is_refused_and_nothing_is_pushed(project: Matrix, address: str, home: Path) -> None:
    with pytest.raises(FailedError, match=r"pytorch-2\.10\.0-n1-acl: not built") as refused:
        _stage(project, address)
    assert refused.value.next_step == "invoke build --combo pytorch-2.10.0-n1-acl"
    assert local_registry.read_registry_status(home).repositories == ()


def test_image_without_evidence_is_refused(
    project: Matrix, address: str, home: Path, make_planned: MakePlanned
) -> None:
    _built(project, make_planned, prove=False)
    with pytest.raises(FailedError, match="n1-acl: there is no valid evidence"):
        _stage(project, address)
    assert local_registry.read_registry_status(home).repositories == ()


def test_evidence_of_another_digest_is_refused(
    project: Matrix, address: str, home: Path, make: Make, make_planned: MakePlanned
) -> None:
    _built(project, make_planned)
    make(_plans(project)[0].reference, content="built again, differently")
    with pytest.raises(FailedError, match="n1-acl: the evidence is for another image") as refused:
        _stage(project, address)
    assert "v1-acl" not in refused.value.what
    assert (
        local_registry.read_registry_status(home).repositories == ()
    )  # v1 is proven, but a set is never half published


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("report", "checks", 0, "state"), "fail", "says that the proof failed or was incomplete"),
        (("report", "checks", 0, "state"), "not run", "says that the proof failed or was incomplete"),
        (("report", "checks", 0, "state"), "passed", "there is no valid evidence"),
        (("report", "checks"), [], "contains no checks"),
        (("report", "combo"), "pytorch-2.10.0-n1-openblas", "report in the evidence is for pytorch-2.10.0-n1-openblas"),
        (("combo",), "pytorch-2.10.0-v1-acl", "the evidence is for pytorch-2.10.0-v1-acl"),
        (("inputs",), "sha256:" + "0" * 64, "for other inputs"),
        (("checked_by",), "me", "there is no valid evidence"),
    ],
)
def test_edited_evidence_is_refused(  # noqa: PLR0913, PLR0917 - fixtures and the three of the table
    project: Matrix,
    address: str,
    home: Path,
    make_planned: MakePlanned,
    keys: tuple[str | int, ...],
    value: object,
    message: str,
) -> None:
    _built(project, make_planned)
    file = evidence.evidence_path(project.root, COMBOS[0])
    document = json.loads(file.read_text())
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    file.write_text(json.dumps(document))
    with pytest.raises(FailedError, match=message):
        _stage(project, address)
    assert local_registry.read_registry_status(home).repositories == ()


def test_image_that_is_not_its_plans_is_refused(project: Matrix, address: str, home: Path, make: Make) -> None:
    """The evidence holds, but only `evidence verify` looked into the image; staging compares no less."""
    for plan in _plans(project):
        image = make(plan.reference, {"org.armwright.combo": plan.combo.id, "org.armwright.inputs": plan.inputs})
        proofs.keep(project.root, plan, image)
    with pytest.raises(FailedError, match=r"n1-acl: image labels: .*image files: .*missing opt/armwright"):
        _stage(project, address)
    assert local_registry.read_registry_status(home).repositories == ()


def test_truncated_evidence_is_refused(project: Matrix, address: str, make_planned: MakePlanned) -> None:
    _built(project, make_planned)
    file = evidence.evidence_path(project.root, COMBOS[0])
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(FailedError, match="n1-acl: there is no valid evidence"):
        _stage(project, address)


def test_only_the_local_registry_is_to_be_started(
    project: Matrix, port: int, make_planned: MakePlanned, engine: Engine
) -> None:
    _built(project, make_planned)
    with pytest.raises(MachineError, match=f"127.0.0.1:{port} does not answer") as failed:
        _stage(project, f"127.0.0.1:{port}")
    assert failed.value.next_step == f"curl -sS -o /dev/null https://127.0.0.1:{port}/v2/"
    local = project.root / local_registry.HOME
    local_registry.start_registry(local, port)
    local_registry.stop_registry(local)
    with pytest.raises(MachineError, match=f"the local registry does not run on 127.0.0.1:{port}") as failed:
        _stage(project, f"127.0.0.1:{port}")
    assert failed.value.next_step == "invoke registry start"
    assert not [name for name in engine.names() if name.startswith(f"127.0.0.1:{port}/")]


def test_proven_images_arrive_public_names_last(  # noqa: PLR0913, PLR0917 - all of them fixtures
    project: Matrix, address: str, home: Path, make_planned: MakePlanned, engine: Engine, docker: Docker
) -> None:
    images = _built(project, make_planned)
    staged = _stage(project, address)
    assert [(image.combo.id, image.digest) for image in staged] == [(combo, images[combo].digest) for combo in COMBOS]
    tags = _tags(home)
    plans = _plans(project)
    assert {name: digest for name, (digest, _) in tags.items()} == {
        name.partition(":")[2]: images[plan.combo.id].digest for plan in plans for name in (plan.reference, plan.tag)
    }
    immutable, public = ([tags[name.partition(":")[2]][1] for name in names] for names in _names(plans))
    assert max(immutable) < min(public)
    assert not [name for name in engine.names() if name.startswith(address)]
    for image in staged:
        docker("pull", "--quiet", image.name)
        assert engine.names()[image.name] == image.digest
        engine.untag(image.name)


def test_second_staging_pushes_nothing(
    project: Matrix, address: str, make_planned: MakePlanned, docker: Docker
) -> None:
    _built(project, make_planned)
    begin = time.time()
    first = _stage(project, address)
    between = time.time()
    assert _stage(project, address) == first
    assert len(_pushes(docker, address, begin, between)) == len(COMBOS)  # the second name is moved in the registry
    assert _pushes(docker, address, between, time.time()) == []


def test_pulled_name_keeps_its_image_after_staging(
    project: Matrix, address: str, make: Make, make_planned: MakePlanned, engine: Engine
) -> None:
    _built(project, make_planned)
    name = f"{address}/{NAMESPACE}/{project.by_id[COMBOS[0]].tag}"
    older = make(name, {"made": "before"})
    _stage(project, address)
    assert engine.names()[name] == older.digest
    _stage(project, address)
    assert engine.names()[name] == older.digest
    engine.untag(name)


def test_failed_proof_removes_earlier_evidence_and_name(project: Matrix, make: Make, engine: Engine) -> None:
    plan = _plans(project)[0]
    labels = {"combo": plan.combo.id, "target": plan.combo.target.name, "inputs": plan.inputs}
    image = make(plan.reference, {f"org.armwright.{name}": value for name, value in labels.items()})
    proofs.keep(project.root, plan, image)
    tagged_before = engine.names().get(plan.tag)
    engine.tag(plan.reference, plan.tag)
    try:
        with pytest.raises(FailedError):  # the image has no program to start
            prove.prove_plan(project.root, engine, plan)
        assert check_evidence.read_stored_evidence(project.root, plan.combo.id) is None
        assert plan.tag not in engine.names()
    finally:
        if tagged_before:
            engine.tag(tagged_before, plan.tag)


def _plans(project: Matrix) -> list[Plan]:
    return [make_plan(project, project.by_id[combo]) for combo in COMBOS]


def _names(plans: list[Plan]) -> tuple[list[str], list[str]]:
    return [plan.reference for plan in plans], [plan.tag for plan in plans]


def _stage(project: Matrix, to: str, *, move: bool = True) -> list[stage.StagedImage]:
    combos = [project.by_id[combo] for combo in COMBOS]
    return stage.stage_images(project, combos, parse_destination(to, "--to"), StagingOptions(move=move))


def _built(project: Matrix, make_planned: MakePlanned, *, prove: bool = True) -> dict[str, Image]:
    """Build small images in place of real ones, and write evidence for them."""
    images = {}
    for plan in _plans(project):
        image = make_planned(plan)
        images[plan.combo.id] = image
        if prove:
            proofs.keep(project.root, plan, image)
    return images


def _tags(home: Path) -> dict[str, tuple[str, int]]:
    """Read every tag with its digest and time from the registry's files."""
    links = (home / "data").glob("docker/registry/v2/repositories/staging/pytorch/_manifests/tags/*/current/link")
    return {link.parents[1].name: (link.read_text(), link.stat().st_mtime_ns) for link in links}


def _pushes(docker: Docker, address: str, begin: float, end: float) -> list[str]:
    """Return the engine's push events to an address."""
    events = docker("events", "--since", f"{begin:.6f}", "--until", f"{end:.6f}", "--filter", "event=push")
    return [line for line in events.splitlines() if address in line]
