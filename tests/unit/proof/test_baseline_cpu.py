"""An emulated CPU with extra features proves nothing alone: the run on the baseline CPU is part of the evidence."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

import pytest

from armwright.engine.client import Engine, Image
from armwright.engine.containers import ContainerResult
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
    """Return a report; each check passes, or has the state given for the first word of its name."""
    checks = [
        {"name": name, "state": states.get(name.split()[0], "pass"), "expected": "right", "found": "something"}
        for name in NAMES
        if states.get(name.split()[0]) != "absent"
    ]
    return report(checks=checks, passed=all(check["state"] == "pass" for check in checks))


def numbered(document: dict[str, Any]) -> str:
    """Return what the smoke run prints: a report with its numbers."""
    return json.dumps({**document, "numbers": {}})


INCOMPLETE = "the run on the baseline CPU is missing or incomplete"
BELOW = {"floor": "not run", "cpu": "not run", "kernels": "not run"}


def make_evidence(baseline: dict[str, Any] | None, match: str = "superset") -> Evidence:
    fields = {
        "combo": COMBO, "image": IMAGE.digest, "inputs": "sha256:2", "platform": "linux/arm64", "engine": "26.1.5",
        "emulator": "QEMU 10.0.2", "match": match, "compressed_bytes": 1, "unpacked_bytes": 2,
    }  # fmt: skip
    return Evidence.model_validate({**fields, "report": ran(), "baseline": baseline})


def test_a_run_on_the_baseline_cpu_completes_the_proof() -> None:
    assert make_evidence(ran(**BELOW)).proves
    assert make_evidence(ran()).proves


@pytest.mark.parametrize(
    ("baseline", "expected"),
    [
        (None, INCOMPLETE),
        (ran(**BELOW, answers="fail"), "answers lenet fp32 on the baseline CPU"),
        (ran(**{**BELOW, "import": "fail"}), "import on the baseline CPU"),
        (ran(**{**BELOW, "kernels": "fail"}), "kernels convolution on the baseline CPU"),  # a forbidden kernel ran
        (ran(**BELOW, answers="not run"), INCOMPLETE),
        (ran(**BELOW, answers="absent"), INCOMPLETE),
        ({**ran(**BELOW), "checks": []}, INCOMPLETE),
        ({**ran(**BELOW), "combo": "pytorch-2.9.1-n1-acl"}, INCOMPLETE),
    ],
)
def test_a_wrong_or_incomplete_baseline_run_proves_nothing(
    tmp_path: Path, baseline: dict[str, Any] | None, expected: str
) -> None:
    proof = make_evidence(baseline)
    assert not proof.proves
    with pytest.raises(FailedError, match=f"is not proven: {expected}$"):
        evidence.write_evidence(tmp_path, proof)
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize("match", ["real", "exact", "subset"])
def test_only_a_superset_needs_a_baseline_run(match: str) -> None:
    assert make_evidence(None, match).proves


def test_a_failure_on_the_baseline_cpu_names_that_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ran(**{**BELOW, "import": "fail"})
    wrong["cpu"]["emulator"] = "QEMU cortex-a72"
    proof = make_evidence(wrong)
    assert wording.list_failures(proof) == [
        "on the baseline CPU QEMU cortex-a72: import: expected right, found something"
    ]
    assert wording.describe_proof(proof).endswith("; wrong on QEMU cortex-a72")
    wording.print_proof(proof, verbose=True)
    assert "nothing above the floor  fail" in capsys.readouterr().out


BELOW_FLOOR = ["-I", "/opt/armwright/smoke/smoke.py", "--below-floor", "--json", "--answers"]


class FakeEngine:
    """An engine that records its runs, and returns two reports."""

    version = "26.1.5"
    reading = None

    def __init__(self, below: ContainerResult, first: dict[str, Any] | None = None) -> None:
        self.runs: list[dict[str, Any]] = []
        self.temporary: str | None = None
        self.answers = [ContainerResult(0, numbered(first or ran()), ""), below]

    def run(self, *arguments: Any, entrypoint: list[str] | None = None) -> ContainerResult:  # noqa: ANN401 - as in the engine
        _, command, environment, _ = arguments
        self.runs.append({"command": command, "cpu": environment.get("QEMU_CPU"), "entrypoint": entrypoint})
        self.temporary = environment.get("TMPDIR")
        return self.answers.pop(0)

    @staticmethod
    def find(_: str) -> Image:
        return IMAGE


def run_proof(engine: FakeEngine, matrix: Matrix, target: str, emulator: str = "QEMU 10.0.2") -> Evidence:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smoke, "require_runner", lambda *_: emulator)
        return smoke.run_smoke(cast("Engine", engine), "ours:1", IMAGE, matrix.recipes.targets[target]).proof


def test_the_baseline_run_bypasses_the_entrypoint(matrix: Matrix) -> None:
    engine = FakeEngine(ContainerResult(0, numbered(ran(**BELOW)), ""))
    proof = run_proof(engine, matrix, "thunderx2")
    assert engine.runs == [
        {"command": ["smoke", "--json", "--answers"], "cpu": "cortex-a76,midr=0x431f0af1", "entrypoint": None},
        {
            "command": [*BELOW_FLOOR, "--workload=lenet", "--dtype=fp32"],
            "cpu": "cortex-a72,midr=0x431f0af1", "entrypoint": ["/usr/bin/python3"],
        },
    ]  # fmt: skip
    assert proof.match == "superset"
    assert proof.proves
    assert engine.temporary == smoke.WRITABLE  # the hook, which is left out, would choose it


def in_two(dtype: str) -> dict[str, Any]:
    """Return a report of LeNet in fp32 and in another data type."""
    document = ran()
    document["runs"].append({**document["runs"][0], "dtype": dtype})
    document["checks"].append({**document["checks"][-2], "name": f"answers lenet {dtype}"})
    document["not_run"] = []
    return document


def test_a_skipped_data_type_is_left_out_on_the_baseline_cpu(
    matrix: Matrix, capsys: pytest.CaptureFixture[str]
) -> None:
    left_out = {"name": "run lenet bf16", "state": "not run", "expected": "right answers", "found": "not selected"}
    below = ran(**BELOW)
    below["checks"].append(left_out)
    engine = FakeEngine(ContainerResult(0, numbered(below), ""), in_two("bf16"))
    proof = run_proof(engine, matrix, "v2")
    assert engine.runs[1]["command"] == [*BELOW_FLOOR, "--workload=lenet", "--dtype=fp32"]
    assert proof.left_out == ["lenet bf16"]
    assert proof.proves
    wording.print_proof(proof)
    assert "right answers; not run: bf16, which this CPU lacks" in capsys.readouterr().out
    below["checks"].append({**left_out, "name": "answers lenet bf16", "state": "fail"})  # it was run anyway
    assert not run_proof(FakeEngine(ContainerResult(1, numbered(below), ""), in_two("bf16")), matrix, "v2").proves
    del below["checks"][-2:]  # no check stands for the skipped run
    assert not run_proof(FakeEngine(ContainerResult(0, numbered(below), ""), in_two("bf16")), matrix, "v2").proves


def test_without_runs_left_the_baseline_cpu_is_not_used(matrix: Matrix) -> None:
    only = in_two("bf16")
    only["runs"] = only["runs"][1:]
    engine = FakeEngine(ContainerResult(0, "never run", ""), only)
    assert run_proof(engine, matrix, "v2").baseline is None
    assert len(engine.runs) == 1


def test_a_failed_check_on_the_baseline_cpu_fails_the_proof(matrix: Matrix) -> None:
    wrong = ran(**{**BELOW, "import": "fail"})
    proof = run_proof(FakeEngine(ContainerResult(1, numbered(wrong), "")), matrix, "thunderx2")
    assert [check.name for check in proof.failed] == ["import"]
    assert not proof.proves


def test_an_exact_or_real_cpu_runs_once(matrix: Matrix) -> None:
    for emulator, target, match in (("QEMU 10.0.2", "n1", "exact"), ("", "thunderx2", "real")):
        engine = FakeEngine(ContainerResult(1, "never run", ""))
        proof = run_proof(engine, matrix, target, emulator)
        assert (proof.match, len(engine.runs), proof.proves) == (match, 1, True)


def test_a_superset_has_a_baseline_cpu_known_to_the_emulator(matrix: Matrix) -> None:
    for target in matrix.recipes.targets.values():
        emulator = target.emulator
        assert (emulator.match == "superset") == (emulator.baseline is not None), target.name
        if emulator.baseline:
            assert emulator.models == [emulator.cpu.split(",")[0], emulator.baseline.cpu.split(",")[0]], target.name


@pytest.mark.parametrize(
    ("part", "fits"),
    [("0x61:0x022", True), ("0x61:0x032", True), ("0x00:0x000", True), ("0x41:0xd0c", False), ("0x00:0x001", False)],
)
def test_every_apple_part_and_a_hidden_part_match_m1(matrix: Matrix, part: str, fits: bool) -> None:  # noqa: FBT001
    assert any(fnmatchcase(part, pattern) for pattern in matrix.recipes.targets["m1"].parts) is fits
