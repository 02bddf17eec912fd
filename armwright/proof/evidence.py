"""Evidence: the result of a smoke run as a JSON document; no image is staged without it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from armwright.system.errors import FailedError
from armwright.system.files import write_whole
from armwright.system.strict_model import StrictModel

UNSTEADY = frozenset({"seconds", "peak_memory_bytes"})
LEFT_OUT = "run "  # begins the name of a check that stands for a run that was not selected
CPU_CHECKS = re.compile(r"floor$|cpu$|kernels ")  # checks that need not hold on a CPU other than the target's


class Check(StrictModel):
    """One check of a smoke run.

    Attributes:
        name: the check; of a kernel rule, `kernels` and the rule's id.
        state: pass, fail or not run.
        expected: the expected value, as text.
        found: the value found, as text.
        rule: the id of the kernel rule; empty for every other check.
        reason: why the recipe has that rule.
    """

    name: str
    state: Literal["pass", "fail", "not run"]
    expected: str
    found: str
    rule: str = ""
    reason: str = ""

    @property
    def failure(self) -> str:
        """The check as the message of a failed proof shows it: expected, found, and the rule with its reason."""
        because = f"; rule {self.rule}: {self.reason}" if self.rule else ""
        return f"{self.name}: expected {self.expected}, found {self.found}{because}"


class Kernel(StrictModel):
    """One kind of kernel that ran.

    Attributes:
        source: what reported it: onednn, openblas or profiler.
        operation: the operation, for example convolution.
        implementation: the kernel's name.
        types: the data types it computed on, as reported.
        calls: how often it ran.
        shape: the shape of its first call.
    """

    source: str
    operation: str
    implementation: str
    types: str
    calls: int
    shape: str


class Metric(StrictModel):
    """The quality of a workload's answers, for example its accuracy, and the minimum it must reach."""

    name: str
    value: float
    minimum: float


class Run(StrictModel):
    """One workload in one data type; its answers are compared with values computed without any framework.

    Attributes:
        workload: the workload.
        dtype: the data type.
        samples: the number of inputs.
        metric: the quality of the answers, from the labels.
        largest_error: the largest absolute difference from an expected number.
        worst: the largest difference as a multiple of the tolerance.
        answers: the sha256 of the answers, which are kept beside the evidence (answers.py).
        seconds: the duration of the forward pass.
        kernels: the kernels that ran.
    """

    workload: str
    dtype: str
    samples: int
    metric: Metric
    largest_error: float
    worst: float
    answers: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    seconds: float
    kernels: list[Kernel]


class NotRun(StrictModel):
    """A workload that is not run in a data type, and the reason."""

    workload: str
    dtype: str
    reason: str


class CpuReading(StrictModel):
    """The CPU of the run; `emulator` is empty on a real CPU."""

    title: str
    parts: list[str]
    features: list[str]
    vector_bytes: int | None
    emulator: str
    cpus: int


class Report(StrictModel):
    """The report that `smoke --json` prints inside an image (scripts/smoke/smoke.py).

    Attributes:
        passed: whether every check passed, by the image's own word.
    """

    schema_: Literal[4]
    combo: str
    passed: bool
    cpu: CpuReading
    versions: dict[str, str]
    checks: list[Check]
    runs: list[Run]
    loaded: list[Kernel]
    not_run: list[NotRun]
    peak_memory_bytes: int
    seconds: float

    model_config = ConfigDict(alias_generator=lambda name: name.rstrip("_"), populate_by_name=True)


class Evidence(StrictModel):
    """A report, and facts that only the host knows.

    Attributes:
        emulator: the emulator, its CPU and what it cannot show; empty on a real CPU.
        match: how the features of the CPU compare with the target's.
        files: the sha256 of the image's manifest (image_tree.py); empty where none was made.
        baseline: if the CPU has more features than the target, the report of a run on the target's baseline CPU.
    """

    schema_version: Literal[4] = 4
    combo: str
    image: str
    inputs: str
    platform: str
    engine: str
    emulator: str
    match: Literal["real", "exact", "subset", "superset"]
    compressed_bytes: int
    unpacked_bytes: int
    files: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")] = ""
    report: Report
    baseline: Report | None = None

    @property
    def failed(self) -> list[Check]:
        """The checks that failed, on the baseline CPU too."""
        return [check for check in (*self.report.checks, *self.above) if check.state == "fail"]

    @property
    def proves(self) -> bool:
        """Whether the image is proven: every check passed; on a CPU with extra features, the baseline run held too."""
        complete = self.report.passed and all(check.state == "pass" for check in self.report.checks)
        return complete and (self.match != "superset" or self._holds_on_baseline)

    @property
    def _holds_on_baseline(self) -> bool:
        """Whether every check passed on the baseline CPU too, except CPU checks and runs that it skips."""
        if self.baseline is None or self.baseline.combo != self.combo:
            return False
        states = {check.name: check.state for check in self.baseline.checks}
        names = [check.name for check in self.report.checks]
        left_out = tuple(f" {run}" for run in self.left_out)
        allowed: dict[str, set[str | None]] = {name: {"pass", "not run"} for name in names if CPU_CHECKS.match(name)}
        allowed |= {name: {"pass", None} for name in names if name.endswith(left_out)}
        return all(states.get(name) in allowed.get(name, {"pass"}) for name in names)

    @property
    def left_out(self) -> list[str]:
        """The runs left out on the baseline CPU, as workload and data type; check_plan.py decides which may be."""
        checks = self.baseline.checks if self.baseline else []
        return [check.name.removeprefix(LEFT_OUT) for check in checks if check.name.startswith(LEFT_OUT)]

    @property
    def above(self) -> list[Check]:
        """The checks that failed on the baseline CPU: code above the floor was reached."""
        return [check for check in self.baseline.checks if check.state == "fail"] if self.baseline else []


def evidence_path(root: Path, combo: str) -> Path:
    """Return the path of a combo's evidence."""
    return root / "build" / "evidence" / f"{combo}.json"


def answers_path(root: Path, combo: str) -> Path:
    """Return the path of the answers that a combo's evidence is about."""
    return evidence_path(root, combo).with_suffix(".answers.npz")


def write_evidence(root: Path, evidence: Evidence) -> Path:
    """Write the evidence of a proven image; an interrupted write leaves no partial file.

    Raises:
        FailedError: the image is not proven; evidence of a failed proof is never written.
    """
    if not evidence.proves:
        failed = [check.name for check in evidence.report.checks if check.state != "pass"]
        failed += [f"{check.name} on the baseline CPU" for check in evidence.above]
        incomplete = "the run on the baseline CPU is missing or incomplete"
        otherwise = incomplete if evidence.report.passed else "its report says so"
        raise FailedError(f"{evidence.combo} is not proven: {', '.join(failed) or otherwise}")
    file = evidence_path(root, evidence.combo)
    write_whole(file, json.dumps(evidence.model_dump(by_alias=True), indent=1, sort_keys=True) + "\n")
    return file


def explain_mismatch(evidence: Evidence, *, combo: str, inputs: str, digest: str) -> str | None:
    """Return why evidence is not that of a proven image; None if it is.

    Args:
        evidence: the evidence.
        combo: the combo's id.
        inputs: the plan's digest of its inputs.
        digest: the image's digest.
    """
    problems = [
        (evidence.combo != combo, f"the evidence is for {evidence.combo}"),
        (evidence.report.combo != combo, f"the report in the evidence is for {evidence.report.combo}"),
        (evidence.image != digest, f"the evidence is for another image ({evidence.image[:19]}…)"),
        (evidence.inputs != inputs, "the evidence is for other inputs: recipes or scripts have changed since"),
        (not evidence.report.checks, "the evidence contains no checks"),
        (not evidence.proves, "the evidence says that the proof failed or was incomplete"),
    ]
    return next((text for mismatch, text in problems if mismatch), None)


def remove_unsteady(data: Any) -> Any:  # noqa: ANN401 - a JSON document
    """Return a JSON document without times and memory, which differ between runs of one image on one CPU."""
    if isinstance(data, dict):
        return {name: remove_unsteady(value) for name, value in data.items() if name not in UNSTEADY}
    return [remove_unsteady(value) for value in data] if isinstance(data, list) else data


def fingerprint(evidence: Evidence) -> str:
    """Return the digest of evidence without times and memory: equal for the same image on the same CPU."""
    document = json.dumps(remove_unsteady(evidence.model_dump(by_alias=True)), sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(document.encode()).hexdigest()}"


def parse_report(data: Any) -> Report:  # noqa: ANN401 - a JSON document
    """Parse the report of a smoke run.

    Raises:
        ValidationError: the document is not a report.
    """
    return Report.model_validate(data)
