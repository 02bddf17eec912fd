"""Evidence: what a smoke run saw, as a JSON file beside the image; nothing is staged without it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from armwright.system.errors import FailedError
from armwright.system.files import write_whole

UNSTEADY = frozenset({"seconds", "peak_memory_bytes"})
RUN = "run "  # begins the name of a check that says what was not asked for
OF_THE_CPU = re.compile(r"floor$|cpu$|kernels ")  # what cannot hold on a CPU that is not the target's


class _EvidenceModel(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Check(_EvidenceModel):
    """One check of a smoke run.

    Attributes:
        name: the check; of a kernel rule, `kernels` and the rule's id.
        state: pass, fail or not run.
        expected: the expected value, in words.
        found: the value found, in words.
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


class Kernel(_EvidenceModel):
    """One kind of kernel that ran: who told it, what computed what on which types, how often, its first problem."""

    source: str
    operation: str
    implementation: str
    types: str
    calls: int
    shape: str


class Metric(_EvidenceModel):
    """What a workload's answers are worth, and the least they must be."""

    name: str
    value: float
    minimum: float


class Run(_EvidenceModel):
    """One workload's answers in one data type, compared with values computed independently of any framework.

    Attributes:
        workload: the workload.
        dtype: the data type.
        samples: inputs it answered.
        metric: by the labels.
        largest_error: the largest absolute difference from an expected number.
        worst: the largest difference as a multiple of what is tolerated.
        seconds: of the forward pass.
        kernels: what computed it.
    """

    workload: str
    dtype: str
    samples: int
    metric: Metric
    largest_error: float
    worst: float
    seconds: float
    kernels: list[Kernel]


class NotRun(_EvidenceModel):
    """A workload in a data type that is not run, and why."""

    workload: str
    dtype: str
    reason: str


class CpuReading(_EvidenceModel):
    """The CPU of the run; `emulator` is empty on a real one."""

    title: str
    parts: list[str]
    features: list[str]
    vector_bytes: int | None
    emulator: str
    cpus: int


class Report(_EvidenceModel):
    """What `smoke --json` prints inside an image (scripts/smoke/smoke.py)."""

    schema_: Literal[3]
    combo: str
    proven: bool
    cpu: CpuReading
    versions: dict[str, str]
    checks: list[Check]
    runs: list[Run]
    loaded: list[Kernel]
    not_run: list[NotRun]
    peak_memory_bytes: int
    seconds: float

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", alias_generator=lambda name: name.rstrip("_"), populate_by_name=True
    )


class Evidence(_EvidenceModel):
    """A report with what only the outside knows.

    Attributes:
        emulator: what played the CPU, and what that cannot show; empty on a real one.
        match: how the CPU's features compare with the target's.
        smaller: where the CPU has more features than the target, the report of a run on one that has fewer.
    """

    schema_version: Literal[2] = 2
    combo: str
    image: str
    inputs: str
    platform: str
    engine: str
    emulator: str
    match: Literal["real", "exact", "subset", "superset"]
    compressed_bytes: int
    unpacked_bytes: int
    report: Report
    smaller: Report | None = None

    @property
    def failed(self) -> list[Check]:
        """The checks that did not pass."""
        return [check for check in (*self.report.checks, *self.above) if check.state == "fail"]

    @property
    def proves(self) -> bool:
        """The report says proven, and every one of its checks says so too; a superset alone proves nothing."""
        whole = self.report.proven and all(check.state == "pass" for check in self.report.checks)
        return whole and (self.match != "superset" or self._holds_on_smaller)

    @property
    def _holds_on_smaller(self) -> bool:
        """Every check was made on the smaller CPU too, and passed but where it asks for the CPU or was left out."""
        if self.smaller is None or self.smaller.combo != self.combo:
            return False
        states = {check.name: check.state for check in self.smaller.checks}
        names = [check.name for check in self.report.checks]
        left_out = tuple(f" {run}" for run in self.left_out)
        excused: dict[str, set[str | None]] = {name: {"pass", "not run"} for name in names if OF_THE_CPU.match(name)}
        excused |= {name: {"pass", None} for name in names if name.endswith(left_out)}
        return all(states.get(name) in excused.get(name, {"pass"}) for name in names)

    @property
    def left_out(self) -> list[str]:
        """What was not run on the smaller CPU, as workload and data type; whether it may be, the target says."""
        checks = self.smaller.checks if self.smaller else []
        return [check.name.removeprefix(RUN) for check in checks if check.name.startswith(RUN)]

    @property
    def above(self) -> list[Check]:
        """The checks that failed on the smaller CPU."""
        return [check for check in self.smaller.checks if check.state == "fail"] if self.smaller else []


def evidence_path(root: Path, combo: str) -> Path:
    """Return the file of a combo's evidence."""
    return root / "build" / "evidence" / f"{combo}.json"


def write_evidence(root: Path, evidence: Evidence) -> Path:
    """Write the evidence of a proven image, whole or not at all.

    Raises:
        FailedError: it does not prove the image; evidence of a failed proof is never written.
    """
    if not evidence.proves:
        wrong = [check.name for check in evidence.report.checks if check.state != "pass"]
        wrong += [f"{check.name} on a smaller CPU" for check in evidence.above]
        otherwise = "it was not run whole on a smaller CPU" if evidence.report.proven else "its report says so"
        raise FailedError(f"{evidence.combo} is not proven: {', '.join(wrong) or otherwise}")
    file = evidence_path(root, evidence.combo)
    write_whole(file, json.dumps(evidence.model_dump(by_alias=True), indent=1, sort_keys=True) + "\n")
    return file


def read_lenient(root: Path, combo: str) -> Evidence | None:
    """Read a combo's evidence; None if there is none or it is not valid evidence."""
    try:
        return Evidence.model_validate_json(evidence_path(root, combo).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


def mismatch(evidence: Evidence | None, *, combo: str, inputs: str, digest: str) -> str | None:
    """Say why evidence does not prove an image; None if it does.

    Args:
        evidence: what `read` returned.
        combo: the combo's id.
        inputs: the plan's digest.
        digest: the image's digest.
    """
    if evidence is None:
        return "there is no valid evidence"
    problems = [
        (evidence.combo != combo, f"the evidence is of {evidence.combo}"),
        (evidence.report.combo != combo, f"the report in the evidence is of {evidence.report.combo}"),
        (evidence.image != digest, f"the evidence is of another image ({evidence.image[:19]}…)"),
        (evidence.inputs != inputs, "the evidence is of other inputs: recipes or scripts changed since"),
        (not evidence.report.checks, "the evidence holds no check"),
        (not evidence.proves, "the evidence says the proof failed or was not finished"),
    ]
    return next((text for wrong, text in problems if wrong), None)


def steady(data: Any) -> Any:  # noqa: ANN401 - a JSON document
    """Return a document without what the same image on the same CPU gives differently each time: times and memory."""
    if isinstance(data, dict):
        return {name: steady(value) for name, value in data.items() if name not in UNSTEADY}
    return [steady(value) for value in data] if isinstance(data, list) else data


def fingerprint(evidence: Evidence) -> str:
    """Digest evidence without times and memory: the same image on the same CPU gives the same digest."""
    document = json.dumps(steady(evidence.model_dump(by_alias=True)), sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(document.encode()).hexdigest()}"


def parse_report(data: Any) -> Report:  # noqa: ANN401 - a JSON document
    """Check a report that came out of an image.

    Raises:
        ValidationError: it is not one.
    """
    return Report.model_validate(data)
