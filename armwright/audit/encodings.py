"""Which instructions need which feature (recipes/isa.yaml), and who chooses them as it runs (recipes/dispatch.yaml)."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, TypeVar

from pydantic import Field, StringConstraints, model_validator

from armwright.recipes.model import Recipe
from armwright.recipes.patterns import Feature, Glob, Reason, Sentence
from armwright.system import yaml_file
from armwright.system.yaml_file import Mistakes

BASE = "base"  # in place of a feature: an exception that every CPU has
# As the manual draws an instruction, bit 31 first; x is any bit.
Bits = Annotated[str, StringConstraints(pattern=r"^[01x]{8}( [01x]{8}){3}$")]
Span = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,8}-[0-9a-f]{1,8}$")]  # from the first to the last offset
RecipeModel = TypeVar("RecipeModel", bound=Recipe)


class BitPattern(Recipe):
    """Words that are one kind of instruction."""

    bits: Bits
    name: Sentence

    @property
    def mask(self) -> int:
        """The bits that are fixed."""
        return int("".join("0" if bit == "x" else "1" for bit in self._digits), 2)

    @property
    def value(self) -> int:
        """What they are."""
        return int(self._digits.replace("x", "0"), 2)

    @property
    def _digits(self) -> str:
        return self.bits.replace(" ", "")


class Encoding(Recipe):
    """The patterns of one feature."""

    feature: Feature
    source: Sentence
    words: list[BitPattern] = Field(min_length=1)


class Implied(Recipe):
    """A feature that a CPU has when it has some others."""

    by: list[Feature] = Field(min_length=1)
    source: Reason


class Guard(Recipe):
    """Words around an instruction that show that a program asks the CPU before it gets there."""

    feature: Feature
    name: Sentence
    source: Reason
    before: list[BitPattern] = Field(min_length=1)
    after: list[BitPattern] = Field(default=[])


class Instructions(Recipe):
    """What recipes/isa.yaml says; the first pattern that matches a word is its kind."""

    features: list[Encoding] = Field(min_length=1)
    implied: dict[Feature, Implied] = Field(default={})
    guards: list[Guard] = Field(default=[])

    @model_validator(mode="after")
    def _what_is_named_is_looked_for(self) -> Instructions:
        known = self.names
        for feature in (*self.implied, *(guard.feature for guard in self.guards)):
            if feature not in known:
                raise ValueError(f"no pattern is of the feature '{feature}'")
        return self

    @property
    def names(self) -> list[str]:
        """Every feature that is looked for, in the file's order."""
        return list(dict.fromkeys(one.feature for one in self.features if one.feature != BASE))

    def within(self, floor: Collection[str]) -> set[str]:
        """Return a floor with what it implies."""
        return {*floor, *(name for name, one in self.implied.items() if set(one.by) <= set(floor))}


class Declaration(Recipe):
    """Files whose instructions of some features are chosen at run time, by what, and how that is known.

    Attributes:
        paths: globs over paths in an image, matched from the right, folder by folder.
        combos: globs over the ids of combos, where only their files were looked into.
        features: what they may hold above the floor.
        by: what asks the CPU, and when.
        source: where that is written, or how it was seen.
        within: only those between two offsets in the file; without it the whole file is meant.
        kind: "data" where these words are no instructions but constants that stand among code; "fault" where nobody
            chooses: `by` says what reaches them on a CPU without the feature, and with what it then dies.
    """

    paths: list[Glob] = Field(min_length=1)
    combos: list[Glob] = Field(default=["*"], min_length=1)
    features: list[Feature] = Field(min_length=1)
    by: Reason
    source: Reason
    within: list[Span] = Field(default=[])
    kind: Literal["chosen", "data", "fault"] = "chosen"

    def holds(self, first: int, last: int) -> bool:
        """Say whether it speaks of what is between two offsets in a file that it covers."""
        ends = (span.split("-") for span in self.within)
        return not self.within or any(int(start, 16) <= first and last <= int(end, 16) for start, end in ends)

    def covers(self, combo: str, path: str, feature: str) -> bool:
        """Say whether it speaks of a feature in a file of a combo's image."""
        of_combo = any(fnmatchcase(combo, glob) for glob in self.combos)
        return of_combo and feature in self.features and any(PurePosixPath(path).match(glob) for glob in self.paths)


class Dispatch(Recipe):
    """What recipes/dispatch.yaml says."""

    files: list[Declaration] = Field(default=[])


def instructions(root: Path) -> Instructions:
    """Load recipes/isa.yaml.

    Raises:
        InputError: every mistake in it, with its place.
    """
    return _load(root, "isa", Instructions)


def dispatch(root: Path, known: Instructions) -> list[Declaration]:
    """Load recipes/dispatch.yaml.

    Raises:
        InputError: every mistake in it, with its place.
    """
    return _load(root, "dispatch", Dispatch, known.names).files


def _load(root: Path, name: str, model: type[RecipeModel], known: Collection[str] = ()) -> RecipeModel:
    mistakes = Mistakes()
    path = root / "recipes" / f"{name}.yaml"
    document = yaml_file.read_yaml(path, str(path.relative_to(root)), mistakes)
    facts = yaml_file.parse_document(document, model, mistakes) if document else None
    if document and isinstance(facts, Dispatch):
        for index, one in enumerate(facts.files):
            for position, feature in enumerate(one.features):
                if feature not in known:
                    text = f"no pattern in recipes/isa.yaml is of the feature '{feature}'"
                    mistakes.add(document, ("files", index, "features", position), text)
    mistakes.raise_if_any()
    assert facts is not None  # noqa: S101 - where it is None, there was a mistake
    return facts
