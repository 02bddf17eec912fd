"""The JSON documents of `list` and `plan`: one model each, and the schema that `--schema` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

DIALECT = "https://json-schema.org/draft/2020-12/schema"  # of every schema that is printed

ComboState = Literal["proven", "built", "not built", "unverified", "refused", "unknown"]
MEANING: dict[ComboState, str] = {
    "proven": "its image is here, with valid evidence",
    "built": "its image is here, and not proven",
    "not built": "it has no image here",
    "unverified": "written completely and never seen working; built only by name",
    "refused": "it cannot exist",
    "unknown": "the engine does not answer",
}


class DocumentRow(BaseModel):
    """What all rows have in common."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=True)


class ListedRow(DocumentRow):
    """One combo of `invoke list --json`."""

    id: str
    """framework-version-target-backend; what `--combo` takes"""
    framework: str
    """the framework's name"""
    version: str
    """the version's name: upstream's, or one of ours such as 1.x-compat"""
    upstream: str
    """upstream's version"""
    title: str
    """framework and version in words"""
    target: str
    """the CPU it is for"""
    aliases: list[str]
    """the target's other names"""
    backend: str
    """the library that does the arithmetic"""
    provider: str
    """how the framework gets into the image"""
    base: str
    """the distribution below it"""
    python: str
    """Python's version in it"""
    emulator: str
    """the model that QEMU plays where no real CPU is at hand"""
    image: str
    """the name its image gets when it is proven, without a registry"""
    state: ComboState
    """proven: its image is in the engine, with valid evidence; built: it is there, and not proven; not built: it is not
    there; unverified: it is not there, and is built only by name; refused: it cannot exist; unknown: the engine does
    not answer"""
    reason: str
    """why it is refused, unverified or unknown; empty otherwise"""
    unverified: bool
    """a rule says that it was never seen working; it stays true for an image that is built or proven here"""
    nearest: str | None
    """the id of the nearest combo that is known to work, for one that is refused"""


class PlannedRow(DocumentRow):
    """One image of `invoke plan --json`, in the order in which they would be built."""

    id: str
    """framework-version-target-backend; what `--combo` takes"""
    state: ComboState
    """as in `invoke list --json`"""
    why: str
    """what the state means for a build"""
    base: str
    """the distribution below it, and where that comes from"""
    emulator: str
    """the model that QEMU plays where no real CPU is at hand"""
    inputs: str
    """sha256 over everything that determines the image"""
    image: str
    """the name it gets when it is proven, without a registry"""
    reference: str
    """its immutable name, which it gets when it is built"""
    files: list[str]
    """the paths in its context, without the downloads"""
    unverified: str | None
    """why it was left out unless asked for by name; null for one that is known to work"""


def to_documents(rows: Sequence[DocumentRow]) -> list[dict[str, Any]]:
    """Return rows as a JSON document."""
    return [row.model_dump() for row in rows]


def json_schema(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - a model, or a list of one
    """Return the JSON Schema of a document that is printed."""
    return {"$schema": DIALECT, **TypeAdapter(kind).json_schema(mode="serialization")}
