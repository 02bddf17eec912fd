"""Loads which instructions need which CPU feature (recipes/isa.yaml), and which files check for it at run time.

The second is recipes/dispatch.yaml.
"""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from armwright.recipes.patterns import Feature, Glob, Reason, Sentence
from armwright.system import yaml_file
from armwright.system.strict_model import StrictModel
from armwright.system.yaml_file import Document, Mistakes

ISA, DISPATCH = "recipes/isa.yaml", "recipes/dispatch.yaml"
BASE = "base"  # instead of a feature: instructions that every AArch64 CPU has
# An instruction as the manual draws it, bit 31 first; x is any bit.
Bits = Annotated[str, StringConstraints(pattern=r"^[01x]{8}( [01x]{8}){3}$")]
Span = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,8}-[0-9a-f]{1,8}$")]  # hexadecimal file offsets


class BitPattern(StrictModel):
    """The bits that identify one kind of instruction."""

    bits: Bits
    name: Sentence

    @cached_property
    def mask(self) -> int:
        """The bits that are fixed, as ones."""
        return int("".join("0" if bit == "x" else "1" for bit in self._digits), 2)

    @cached_property
    def value(self) -> int:
        """The values of the fixed bits."""
        return int(self._digits.replace("x", "0"), 2)

    @property
    def _digits(self) -> str:
        return self.bits.replace(" ", "")


class Encoding(StrictModel):
    """The patterns of one feature."""

    feature: Feature
    source: Sentence
    patterns: list[BitPattern] = Field(min_length=1)


class Implied(StrictModel):
    """A feature that every CPU has that has some other features."""

    by: list[Feature] = Field(min_length=1)
    source: Reason


class Guard(StrictModel):
    """Neighbours of an instruction that are a run-time check for the feature it needs."""

    feature: Feature
    name: Sentence
    source: Reason
    before: list[BitPattern] = Field(min_length=1)
    after: list[BitPattern] = Field(default=[])


class Instructions(StrictModel):
    """recipes/isa.yaml; of several patterns that match a word, the first counts."""

    features: list[Encoding] = Field(min_length=1)
    implied: dict[Feature, Implied] = Field(default={})
    guards: list[Guard] = Field(default=[])

    @model_validator(mode="after")
    def _check_feature_names(self) -> Instructions:
        known = self.names
        for feature in (*self.implied, *(guard.feature for guard in self.guards)):
            if feature not in known:
                raise ValueError(f"no pattern needs the feature '{feature}'")
        return self

    @property
    def names(self) -> list[str]:
        """The features that have patterns, in the file's order."""
        return list(dict.fromkeys(encoding.feature for encoding in self.features if encoding.feature != BASE))

    def expand_floor(self, floor: Collection[str]) -> set[str]:
        """Return a floor together with the features it implies."""
        return {*floor, *(name for name, implied in self.implied.items() if set(implied.by) <= set(floor))}


class Declaration(StrictModel):
    """Files in which code above the floor is expected, and why it is safe or what goes wrong.

    Attributes:
        paths: globs over paths in an image, matched from the right, folder by folder.
        combos: globs over combo ids; the declaration holds for these combos only.
        features: the features that the code needs.
        by: which run-time check guards the code, and when it runs.
        source: where that is documented, or how it was observed.
        within: ranges of file offsets that it covers; the whole file if empty.
        kind: "chosen": a run-time check guards the code; "data": constants between functions that look like
            instructions; "fault": nothing guards the code, and `by` says what reaches it and how the process crashes.
    """

    paths: list[Glob] = Field(min_length=1)
    combos: list[Glob] = Field(default=["*"], min_length=1)
    features: list[Feature] = Field(min_length=1)
    by: Reason
    source: Reason
    within: list[Span] = Field(default=[])
    kind: Literal["chosen", "data", "fault"] = "chosen"

    def covers_span(self, first: int, last: int) -> bool:
        """Return whether it covers the code between two offsets of a file."""
        ends = (span.split("-") for span in self.within)
        return not self.within or any(int(start, 16) <= first and last <= int(end, 16) for start, end in ends)

    def covers_file(self, combo: str, path: str, feature: str) -> bool:
        """Return whether it covers a feature in a file of a combo's image."""
        of_combo = any(fnmatchcase(combo, glob) for glob in self.combos)
        return of_combo and feature in self.features and any(PurePosixPath(path).match(glob) for glob in self.paths)


class Dispatch(StrictModel):
    """recipes/dispatch.yaml."""

    files: list[Declaration] = Field(default=[])


def load_instructions(root: Path) -> Instructions:
    """Load recipes/isa.yaml.

    Raises:
        InputError: every mistake in the file, with line and column.
    """
    return yaml_file.load_yaml(root / ISA, ISA, Instructions)


def load_dispatch(root: Path, known: Instructions) -> list[Declaration]:
    """Load recipes/dispatch.yaml.

    Raises:
        InputError: every mistake in the file, with line and column.
    """

    def check_features(document: Document, dispatch: Dispatch, mistakes: Mistakes) -> None:
        for index, declaration in enumerate(dispatch.files):
            for position, feature in enumerate(declaration.features):
                if feature not in known.names:
                    text = f"no pattern in {ISA} needs the feature '{feature}'"
                    mistakes.add(document, ("files", index, "features", position), text)

    return yaml_file.load_yaml(root / DISPATCH, DISPATCH, Dispatch, check_features).files
