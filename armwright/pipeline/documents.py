"""The JSON documents of `list` and `plan` as models, the schema that `--schema` prints, and what the states mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter

from armwright.system.console import DOUBTFUL, GOOD, QUIET
from armwright.system.table_layout import Cell

DIALECT = "https://json-schema.org/draft/2020-12/schema"  # of every schema that a command prints

ComboState = Literal["proven", "built", "not built", "unverified", "refused", "unknown"]
MEANING: dict[ComboState, str] = {
    "proven": "the image is on this machine, with valid evidence",
    "built": "the image is on this machine, not proven yet",
    "not built": "no image on this machine",
    "unverified": "no image on this machine, and never seen working: built only when its id or version is given",
    "refused": "cannot work; invoke list --all shows the reason",
    "unknown": "Docker Engine does not answer, so it is not known whether there is an image",
}
STYLES: dict[ComboState, str] = {"proven": GOOD, "built": DOUBTFUL, "unverified": DOUBTFUL, "refused": QUIET}


# Of the documents: the schema describes each field with the text below it. The rows are plain dataclasses because a
# model with this setting reads its own source when its module is imported, which every command would wait for.
DESCRIBED = ConfigDict(strict=True, extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True)
class ListedRow:
    """One combo of `invoke list --json`."""

    __pydantic_config__: ClassVar = DESCRIBED
    id: str
    """<framework>-<version>-<target>-<backend>, as `--combo` takes it"""
    framework: str
    """the framework's name"""
    version: str
    """the version's name in the matrix: the upstream version, or a name such as 1.x-compat"""
    upstream: str
    """the upstream version of the framework"""
    title: str
    """framework and version as a title, e.g. PyTorch 2.10.0"""
    target: str
    """the name of the CPU that the image is for"""
    aliases: list[str]
    """other names of the target, e.g. graviton3"""
    backend: str
    """the library that does the arithmetic: acl, eigen, onednn or openblas"""
    provider: str
    """how the framework gets into the image, e.g. wheel"""
    base: str
    """the distribution of the image"""
    python: str
    """the Python version in the image"""
    emulator: str
    """the CPU model that QEMU emulates if the machine is not an Arm server"""
    image: str
    """the name of the proven image, without a registry"""
    state: ComboState
    """proven: the engine has the image, with valid evidence; built: the engine has the image, not proven yet; not
    built: the engine has no image; unverified: no image, and a rule says that the combo was never seen working;
    refused: the combo cannot work; unknown: the engine does not answer"""
    reason: str
    """why the combo is refused, unverified or unknown; empty otherwise"""
    unverified: bool
    """true if a rule says that the combo was never seen working, even if it is built or proven on this machine"""
    nearest: str | None
    """for a refused combo, the id of the nearest one that is known to work; null for the others"""


@dataclass(frozen=True)
class PlannedRow:
    """One image of `invoke plan --json`; the images are in the order in which they would be built."""

    __pydantic_config__: ClassVar = DESCRIBED
    id: str
    """<framework>-<version>-<target>-<backend>, as `--combo` takes it"""
    state: ComboState
    """the state, as in `invoke list --json`"""
    why: str
    """what the state means, and what a build does about it"""
    base: str
    """the distribution of the image, and in parentheses where it comes from: archive or registry"""
    emulator: str
    """the CPU model that QEMU emulates if the machine is not an Arm server"""
    inputs: str
    """sha256 over everything that determines the image"""
    image: str
    """the name that the image gets when it is proven, without a registry"""
    reference: str
    """the immutable name that the image gets when it is built"""
    files: list[str]
    """the paths in the build context, without the downloads"""
    unverified: str | None
    """why the combo counts as never seen working; null for one that is known to work"""


def make_state_cell(state: ComboState, text: str = "") -> Cell:
    """Return a table's cell in the colour of a state; its text is the state's name, or the one given."""
    return Cell(text or state, STYLES.get(state, ""))


def to_documents(rows: Sequence[ListedRow] | Sequence[PlannedRow]) -> list[dict[str, Any]]:
    """Return rows as a JSON document."""
    return [asdict(row) for row in rows]


def make_json_schema(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - a model, or a list of one
    """Return the JSON Schema of a document that a command prints."""
    return {"$schema": DIALECT, **TypeAdapter(kind).json_schema(mode="serialization")}
