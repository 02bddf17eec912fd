"""The checks from outside: every difference between an image and its plan is reported."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from armwright.assembly import record
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan, make_plan
from armwright.proof import check_image
from armwright.system.errors import FailedError
from tests import proofs

COMBO, OPENBLAS, TENSORFLOW = "pytorch-2.10.0-n1-acl", "pytorch-2.10.0-n1-openblas", "tensorflow-2.15.1-n1-acl"
OTHER = f"sha256:{'2' * 64}"


@pytest.fixture(scope="module")
def planned(matrix: Matrix) -> Plan:
    return make_plan(matrix, matrix.by_id[COMBO])


def failed(engine: Any, plan: Plan, recorded: str | None = proofs.DIGEST) -> dict[str, str]:  # noqa: ANN401 - a fake
    return {
        check.name: check.found
        for check in check_image.check_image(engine, plan, engine.image, recorded)
        if check.state == "fail"
    }


@pytest.mark.parametrize("combo", [COMBO, OPENBLAS, TENSORFLOW])
def test_the_image_of_a_plan_passes_every_check(matrix: Matrix, combo: str) -> None:
    plan = make_plan(matrix, matrix.by_id[combo])
    engine: Any = proofs.OneImage(plan)
    states = {check.name: check.state for check in check_image.check_image(engine, plan, engine.image, proofs.DIGEST)}
    assert states == dict.fromkeys(
        ("image labels", "image configuration", "image layers", "image files", "image digest"), "pass"
    )


def test_the_dockerfile_is_read_as_the_builder_reads_it(matrix: Matrix) -> None:
    image = check_image.read_planned_image(make_plan(matrix, matrix.by_id[TENSORFLOW]).files["Dockerfile"].decode())
    assert image.environment == {
        "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TF_ENABLE_ONEDNN_OPTS": "1",
    }  # fmt: skip
    assert (image.user, image.command, image.layers) == ("1000:1000", ["info"], 3)
    assert image.entrypoint == ["/usr/bin/python3", "-I", "-S", "/opt/armwright/entrypoint.py"]
    assert image.labels["org.opencontainers.image.title"] == "TensorFlow 2.15.1 for Arm Neoverse N1"
    assert image.labels["org.armwright.combo"] == TENSORFLOW


@pytest.mark.parametrize(
    ("path", "data", "expected"),
    [
        ("opt/armwright/smoke/smoke.py", b"print('proven')", "changed opt/armwright/smoke/smoke.py"),
        ("opt/armwright/image.json", b"{}", "changed opt/armwright/image.json"),
        ("opt/armwright/page.py", None, "missing opt/armwright/page.py"),
        ("opt/armwright/json.py", b"", "added opt/armwright/json.py"),
        ("opt/armwright/smoke/__pycache__/kernels.cpython-313.pyc", b"", "added opt/armwright/smoke/__pycache__/"),
    ],
)  # fmt: skip
def test_a_changed_missing_or_added_file_is_reported(
    planned: Plan, path: str, data: bytes | None, expected: str
) -> None:
    failures = failed(proofs.OneImage(planned, {path: data}), planned)
    assert list(failures) == ["image files"]
    assert expected in failures["image files"]


def test_an_overlay_file_is_compared_too(matrix: Matrix) -> None:
    plan = make_plan(matrix, matrix.by_id[OPENBLAS])
    (switch,) = [name for name in plan.files if name.endswith("/armwright_openblas.py")]
    failures = failed(proofs.OneImage(plan, {switch.removeprefix("image/"): b""}), plan)
    assert failures == {"image files": f"changed {switch.removeprefix('image/')}"}


def test_a_link_in_place_of_a_file_is_a_change(planned: Plan) -> None:
    class Linked(proofs.OneImage):
        def read(self, _: str, paths: Any) -> dict[str, bytes]:  # noqa: ANN401 - as in the engine
            archives = super().read(_, paths)
            buffer = io.BytesIO()
            with (
                tarfile.open(fileobj=io.BytesIO(archives["/opt/armwright"])) as old,
                tarfile.open(fileobj=buffer, mode="w") as new,
            ):
                for member in old:
                    content = old.extractfile(member)
                    if member.name.endswith("smoke/smoke.py"):
                        member.type, member.linkname, member.size = tarfile.SYMTYPE, "/fine.py", 0
                    new.addfile(member, content)
            return {**archives, "/opt/armwright": buffer.getvalue()}

    assert failed(Linked(planned), planned) == {"image files": "changed opt/armwright/smoke/smoke.py"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "PYTHONPATH=/x"]}, "ENV PYTHONPATH='/x'"),
        ({"Env": ["PATH=/tmp", "LANG=C.UTF-8"]}, "ENV PATH='/tmp'"),
        ({"Env": None}, "no ENV LANG, no ENV PATH"),
        ({"User": "0"}, "USER='0'"),
        ({"User": ""}, "USER=''"),
        ({"Entrypoint": ["/bin/true"]}, "ENTRYPOINT='[\"/bin/true\"]'"),
        ({"Cmd": None}, "CMD='[]'"),
        ({"WorkingDir": "/srv"}, "WorkingDir='/srv'"),
        ({"Volumes": {"/opt/armwright": {}}}, "Volumes="),
        ({"Healthcheck": {"Test": ["CMD", "true"]}}, "Healthcheck="),
        ({"OnBuild": ["RUN true"]}, "OnBuild="),
    ],
)  # fmt: skip
def test_every_change_of_the_configuration_is_reported(
    planned: Plan, changes: dict[str, object], expected: str
) -> None:
    failures = failed(proofs.OneImage(planned, configuration=changes), planned)
    assert list(failures) == ["image configuration"]
    assert expected in failures["image configuration"]


def test_labels_layers_and_recorded_digest_are_compared(planned: Plan) -> None:
    labels = check_image.read_planned_image(planned.files["Dockerfile"].decode()).labels
    engine = proofs.OneImage(planned, labels={**labels, "org.armwright.target": "v1"}, layers=("a", "b", "c", "d"))
    assert failed(engine, planned, recorded=OTHER) == {
        "image labels": "org.armwright.target='v1'", "image layers": "4 layers", "image digest": proofs.DIGEST,
    }  # fmt: skip


def test_a_recorded_digest_belongs_to_its_inputs(planned: Plan, matrix: Matrix, tmp_path: Path) -> None:
    other = make_plan(matrix, matrix.by_id[OPENBLAS])
    assert record.read_record(tmp_path, planned) is None
    record.write_record(tmp_path, planned, proofs.DIGEST)
    record.write_record(tmp_path, other, OTHER)
    assert (record.read_record(tmp_path, planned), record.read_record(tmp_path, other)) == (proofs.DIGEST, OTHER)
    file = tmp_path / "build" / "made" / f"{COMBO}.json"
    file.write_text(file.read_text().replace(planned.inputs, other.inputs))
    assert record.read_record(tmp_path, planned) is None
    for damaged in ("", "[]", '{"inputs": 3}', f'{{"inputs": "{planned.inputs}"}}'):
        file.write_text(damaged)
        assert record.read_record(tmp_path, planned) is None


def test_an_image_without_a_record_is_not_believed(planned: Plan, tmp_path: Path) -> None:
    engine: Any = proofs.OneImage(planned)
    assert failed(engine, planned, None) == {"image digest": "no record: it was not built here"}
    with pytest.raises(FailedError, match="it was not built here"):
        check_image.require_planned_image(tmp_path, engine, planned, engine.image)


def test_every_difference_from_the_plan_is_in_the_error(planned: Plan, tmp_path: Path) -> None:
    engine: Any = proofs.OneImage(planned, {"opt/armwright/json.py": b""}, configuration={"User": "0"})
    record.write_record(tmp_path, planned, OTHER)
    with pytest.raises(FailedError, match="not what its plan builds; it was not started") as refused:
        check_image.require_planned_image(tmp_path, engine, planned, engine.image)
    for difference in ("USER='1000:1000', found USER='0'", "added opt/armwright/json.py", OTHER):
        assert difference in refused.value.what
    assert refused.value.next_step == f"docker image rm {planned.reference} && invoke build --combo {COMBO}"
