"""The JSON document of `invoke request`."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from armwright.pipeline.documents import DESCRIBED, ComboState
from armwright.request.decide import Decision
from armwright.system.strict_model import StrictModel


class DocumentRow(StrictModel):
    """The settings of the models below."""

    model_config = DESCRIBED


class DtypeStatus(DocumentRow):
    """How a data type runs."""

    name: str
    """the data type"""
    state: str
    """fast, slow, or not run"""
    note: str
    """what computes it, or why it is slow or not run"""


class RequestedCombo(DocumentRow):
    """The combination that a request stands for."""

    id: str
    """framework-version-target-backend; the value for `--combo` once the version is published"""
    framework: str
    """the framework's name"""
    version: str
    """the requested version, or the newest one that fits"""
    target: str
    """the requested target, or the one chosen for the submitted CPU"""
    cpu: str
    """how the submitted CPU was understood; empty if there is none"""
    backend: str
    """the requested backend, or the first one that fits"""
    state: ComboState
    """the state on this machine, as in `invoke list --json`; unknown also if nothing can be built yet"""
    image: str
    """the name under which the image can be pulled; empty if it cannot"""
    inputs: str
    """sha256 over everything that determines the image; empty if nothing can be built yet"""
    reason: str
    """why the combination is refused or unverified; empty otherwise"""
    place: str
    """the file and line with the reason, or the missing file; empty if the package index or the CPU is the reason"""
    nearest: str | None
    """for a refused combination, the id of the nearest one that is known to work"""
    dtypes: list[DtypeStatus]
    """the requested data types, or all of them; empty if the version is not published"""
    notes: list[str]
    """further information"""


RequestOutcome = Literal["exists", "buildable", "change", "refused", "built", "failed", "malformed"]


class RequestDocument(DocumentRow):
    """The answer to a request."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    kind: RequestOutcome
    """exists: it can be pulled, or is proven on this machine; buildable: it can be built now; change: the data must
    change first; refused: it cannot work; built, failed: the result of `--build`; malformed: the request has errors"""
    label: str
    """the label for the issue"""
    mistakes: list[str] = Field(default=[])
    """the mistakes in a malformed request, each with its place"""
    combo: RequestedCombo | None = None
    """the combination; null if the request is malformed"""
    diff: str = ""
    """the data change, for `patch -p1`; empty if none is needed"""
    files: list[str] = Field(default=[])
    """the files that change"""
    written: bool = False
    """true if `--write` made the change"""
    commit: str | None = None
    """the commit that `--branch` made"""
    comment: str | None = None
    """the address of the comment that `--answer` posted"""
    markdown: str
    """the answer as a comment"""


def describe_combo(decision: Decision) -> RequestedCombo:
    """Return the combination that a decision is about."""
    return RequestedCombo(
        id=decision.id,
        framework=decision.request.framework,
        version=decision.version,
        target=decision.target.name,
        cpu=decision.request.cpu.reason if decision.request.cpu else "",
        backend=decision.backend,
        state=decision.state,
        image=decision.image,
        inputs=decision.plan.inputs if decision.plan else "",
        reason=decision.reason,
        place=decision.place,
        nearest=decision.nearest.id if decision.nearest else None,
        dtypes=[DtypeStatus(**row) for row in decision.dtypes],
        notes=list(decision.notes),
    )
