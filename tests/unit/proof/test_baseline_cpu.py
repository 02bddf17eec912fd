"""A CPU with more features than the target proves nothing alone: the run on a smaller one is part of the evidence."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

import pytest

from armwright.engine.client import Engine, Image
from armwright.engine.containers import Ran
from armwright.matrix.matrix import Matrix
from armwright.proof import evidence, smoke, wording
from armwright.proof.evidence import Evidence
from armwright.system.errors import FailedError
from tests.unit.proof.test_evidence import report

COMBO = report()["combo"]
NAMES = ("floor", "cpu", "import", "answers lenet fp32", "kernels convolution")
IMAGE = Image(
    digest=f"sha256:{'1' * 64}",
    labels={"org.armwright.combo": COMBO, "org.armwright.inputs": "sha256:2", "org.armwright.target": "thunderx2"},
    compressed=1, unpacked=2, platform="linux/arm64", entrypoint=("/usr/bin/python3", "-I", "/entrypoint.py"),
)  # fmt: skip


def ran(**states: str) -> dict[str, Any]:
    """Return a report whose checks pass but for those given; `floor` stands for its check, `answers` for its own."""
    checks = [
        {"name": name, "state": states.get(name.split()[0], "pass"), "expected": "right", "found": "something"}
        for name in NAMES
        if states.get(name.split()[0]) != "absent"
    ]
    return report(checks=checks, proven=all(check["state"] == "pass" for check in checks))


BELOW = {"floor": "not run", "cpu": "not run", "kernels": "not run"}


def seen(smaller: dict[str, Any] | None, match: str = "superset") -> Evidence:
    fields = {
        "combo": COMBO, "image": IMAGE.digest, "inputs": "sha256:2", "platform": "linux/arm64", "engine": "26.1.5",
        "emulator": "QEMU 10.0.2", "match": match, "compressed_bytes": 1, "unpacked_bytes": 2,
    }  # fmt: skip
    return Evidence.model_validate({**fields, "report": ran(), "smaller": smaller})


def test_a_run_on_the_smaller_cpu_proves_what_its_own_cpu_could_not() -> None:
    assert seen(ran(**BELOW)).proves
    assert seen(ran()).proves


@pytest.mark.parametrize(
    ("smaller", "named"),
    [
        (None, "it was not run whole on a smaller CPU"),
        (ran(**BELOW, answers="fail"), "answers lenet fp32 on a smaller CPU"),
        (ran(**{**BELOW, "import": "fail"}), "import on a smaller CPU"),
        (ran(**{**BELOW, "kernels": "fail"}), "kernels convolution on a smaller CPU"),  # what must not run, ran
        (ran(**BELOW, answers="not run"), "it was not run whole on a smaller CPU"),
        (ran(**BELOW, answers="absent"), "it was not run whole on a smaller CPU"),
        ({**ran(**BELOW), "checks": []}, "it was not run whole on a smaller CPU"),
        ({**ran(**BELOW), "combo": "pytorch-2.9.1-n1-acl"}, "it was not run whole on a smaller CPU"),
    ],
)
def test_without_a_whole_and_right_run_on_the_smaller_cpu_nothing_is_proven(
    tmp_path: Path, smaller: dict[str, Any] | None, named: str
) -> None:
    proof = seen(smaller)
    assert not proof.proves
    with pytest.raises(FailedError, match=f"is not proven: {named}$"):
        evidence.write_evidence(tmp_path, proof)
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize("match", ["real", "exact", "subset"])
def test_only_a_cpu_with_more_features_needs_a_smaller_one(match: str) -> None:
    assert seen(None, match).proves


def test_a_failure_on_the_smaller_cpu_says_on_which_cpu_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ran(**{**BELOW, "import": "fail"})
    wrong["cpu"]["emulator"] = "QEMU cortex-a72"
    proof = seen(wrong)
    assert wording.failed_checks(proof) == [
        "on a smaller CPU, QEMU cortex-a72, import: expected right, found something"
    ]
    assert wording.proof_line(proof).endswith("; wrong on QEMU cortex-a72")
    wording.print_proof(proof)
    assert "nothing above the floor  fail" in capsys.readouterr().out


BELOW_FLOOR = ["-I", "/opt/armwright/smoke/smoke.py", "--below-floor", "--json"]


class OneEngine:
    """Stands in for the engine: keeps what it was asked to run, and answers with two reports."""

    version = "26.1.5"

    def __init__(self, below: Ran, first: dict[str, Any] | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answers = [Ran(0, json.dumps(first or ran()), ""), below]

    def run(self, *words: Any, entrypoint: list[str] | None = None) -> Ran:  # noqa: ANN401 - as the real one is asked
        _, command, environment, _ = words
        self.asked.append({"command": command, "cpu": environment.get("QEMU_CPU"), "entrypoint": entrypoint})
        return self.answers.pop(0)

    @staticmethod
    def find(_: str) -> Image:
        return IMAGE


def run_proof(engine: OneEngine, matrix: Matrix, target: str, emulator: str = "QEMU 10.0.2") -> Evidence:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smoke, "require_runner", lambda _: emulator)
        return smoke.run_smoke(cast("Engine", engine), "ours:1", IMAGE, matrix.recipes.targets[target])


def test_the_smaller_cpu_runs_the_workloads_past_the_entrypoint_which_would_refuse_it(matrix: Matrix) -> None:
    engine = OneEngine(Ran(0, json.dumps(ran(**BELOW)), ""))
    proof = run_proof(engine, matrix, "thunderx2")
    assert engine.asked == [
        {"command": ["smoke", "--json"], "cpu": "cortex-a76,midr=0x431f0af1", "entrypoint": None},
        {
            "command": [*BELOW_FLOOR, "--workload=lenet", "--dtype=fp32"],
            "cpu": "cortex-a72,midr=0x431f0af1", "entrypoint": ["/usr/bin/python3"],
        },
    ]  # fmt: skip
    assert proof.match == "superset"
    assert proof.proves


def in_two(dtype: str) -> dict[str, Any]:
    """Return a report of LeNet in fp32 and in another data type."""
    one = ran()
    one["runs"].append({**one["runs"][0], "dtype": dtype})
    one["checks"].append({**one["checks"][-2], "name": f"answers lenet {dtype}"})
    one["not_run"] = []
    return one


def test_a_data_type_that_the_smaller_cpu_has_not_is_left_out_there_and_the_rest_proves(
    matrix: Matrix, capsys: pytest.CaptureFixture[str]
) -> None:
    left_out = {"name": "run lenet bf16", "state": "not run", "expected": "right answers", "found": "not asked for"}
    below = ran(**BELOW)
    below["checks"].append(left_out)
    engine = OneEngine(Ran(0, json.dumps(below), ""), in_two("bf16"))
    proof = run_proof(engine, matrix, "v2")
    assert engine.asked[1]["command"] == [*BELOW_FLOOR, "--workload=lenet", "--dtype=fp32"]
    assert proof.left_out == ["lenet bf16"]
    assert proof.proves
    wording.print_proof(proof)
    assert "right answers; not run: bf16, which this CPU has not" in capsys.readouterr().out
    below["checks"].append({**left_out, "name": "answers lenet bf16", "state": "fail"})  # it was run all the same
    assert not run_proof(OneEngine(Ran(1, json.dumps(below), ""), in_two("bf16")), matrix, "v2").proves
    del below["checks"][-2:]  # nothing says that it was left out
    assert not run_proof(OneEngine(Ran(0, json.dumps(below), ""), in_two("bf16")), matrix, "v2").proves


def test_where_nothing_is_left_to_run_the_smaller_cpu_is_not_asked(matrix: Matrix) -> None:
    only = in_two("bf16")
    only["runs"] = only["runs"][1:]
    engine = OneEngine(Ran(0, "never asked", ""), only)
    assert run_proof(engine, matrix, "v2").smaller is None
    assert len(engine.asked) == 1


def test_a_wrong_run_on_the_smaller_cpu_is_no_proof(matrix: Matrix) -> None:
    wrong = ran(**{**BELOW, "import": "fail"})
    proof = run_proof(OneEngine(Ran(1, json.dumps(wrong), "")), matrix, "thunderx2")
    assert [check.name for check in proof.failed] == ["import"]
    assert not proof.proves


def test_an_exact_cpu_runs_once_and_so_does_a_real_one(matrix: Matrix) -> None:
    for emulator, target, match in (("QEMU 10.0.2", "n1", "exact"), ("", "thunderx2", "real")):
        engine = OneEngine(Ran(1, "never asked", ""))
        proof = run_proof(engine, matrix, target, emulator)
        assert (proof.match, len(engine.asked), proof.proves) == (match, 1, True)


def test_a_target_played_by_a_cpu_with_more_features_has_a_smaller_one_that_the_emulator_must_know_too(
    matrix: Matrix,
) -> None:
    for target in matrix.recipes.targets.values():
        emulator = target.emulator
        assert (emulator.match == "superset") == (emulator.smaller is not None), target.name
        if emulator.smaller:
            assert emulator.models == [emulator.cpu.split(",")[0], emulator.smaller.cpu.split(",")[0]], target.name


@pytest.mark.parametrize(
    ("part", "fits"),
    [("0x61:0x022", True), ("0x61:0x032", True), ("0x00:0x000", True), ("0x41:0xd0c", False), ("0x00:0x001", False)],
)
def test_every_part_of_apple_and_a_hidden_one_is_an_m1(matrix: Matrix, part: str, fits: bool) -> None:  # noqa: FBT001
    assert any(fnmatchcase(part, one) for one in matrix.recipes.targets["m1"].parts) is fits
