"""The JSON document of `invoke request`."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from armwright.pipeline.documents import ComboState, DocumentRow
from armwright.request.decide import Decision


class DtypeAnswer(DocumentRow):
    """What a data type comes to."""

    name: str
    """the data type"""
    state: str
    """fast, slow, or not run"""
    note: str
    """by what, or why"""


class Wanted(DocumentRow):
    """The combination that a request comes to."""

    id: str
    """framework-version-target-backend; what `--combo` takes once the version is published"""
    framework: str
    """the framework's name"""
    version: str
    """the version that was asked for, else the newest that will do"""
    target: str
    """the target that was asked for, else the one that is right for the CPU"""
    cpu: str
    """what was found out about the CPU that was shown; empty where none was"""
    backend: str
    """the backend that was asked for, else the first that will do"""
    state: ComboState
    """how far its image has come here, as in `invoke list --json`; unknown also where nothing can be built yet"""
    image: str
    """the name under which it can be pulled; empty where it cannot"""
    inputs: str
    """sha256 over everything that determines the image; empty where nothing can be built yet"""
    reason: str
    """why it is refused, or unverified; empty otherwise"""
    place: str
    """the file and line that say so; empty where the package index or the CPU does"""
    nearest: str | None
    """where it is refused, the id of the nearest combo that is known to work"""
    dtypes: list[DtypeAnswer]
    """the data types that were asked for, or all of them; none where the version is not published"""
    notes: list[str]
    """what else should be known"""


Becomes = Literal["exists", "buildable", "change", "refused", "built", "failed", "malformed"]


class Answered(DocumentRow):
    """What became of a request."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    kind: Becomes
    """exists: it can be pulled, or is proven here; buildable: it can be built now; change: the data must change first;
    refused: it cannot be; built, failed: what `--build` came to; malformed: it cannot be understood"""
    label: str
    """the label that its issue gets"""
    mistakes: list[str] = Field(default=[])
    """what cannot be understood, each with its place"""
    combo: Wanted | None = None
    """what was understood; null where the request is malformed"""
    diff: str = ""
    """the change of data, for `patch -p1`; empty where none is needed"""
    files: list[str] = Field(default=[])
    """the files that change"""
    written: bool = False
    """the change was made, by `--write`"""
    commit: str | None = None
    """the commit that `--branch` made"""
    comment: str | None = None
    """the address of the comment that `--answer` wrote"""
    markdown: str
    """the answer as a comment"""


def wanted(answer: Decision) -> Wanted:
    """Return what a request comes to."""
    return Wanted(
        id=answer.id,
        framework=answer.request.framework,
        version=answer.version,
        target=answer.target.name,
        cpu=answer.request.cpu.reason if answer.request.cpu else "",
        backend=answer.backend,
        state=answer.state,
        image=answer.image,
        inputs=answer.plan.inputs if answer.plan else "",
        reason=answer.reason,
        place=answer.place,
        nearest=answer.nearest.id if answer.nearest else None,
        dtypes=[DtypeAnswer(**one) for one in answer.dtypes],
        notes=list(answer.notes),
    )
