"""The fields of the form that asks for a combination: one list, by which forms are made and read."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from armwright.matrix.matrix import Matrix
from armwright.recipes.patterns import DTYPES

UNSURE = "not sure"  # a drop-down's word for "you choose"
MOST = 65_536  # bytes of a whole request, and characters of an issue on GitHub
_WORD = 80
_VERSION = 24
_PASTED = 60_000  # /proc/cpuinfo of some 80 CPUs; what the others look like is known by then


class FieldKind(enum.Enum):
    """How a field is filled in, and so how it is read."""

    CHOICE = enum.auto()
    CHOICES = enum.auto()
    VERSION = enum.auto()
    CPU = enum.auto()
    FREE = enum.auto()


@dataclass(frozen=True)
class Field:
    """One field of the form.

    Attributes:
        key: its name in a file and among the command's options.
        heading: its label, which GitHub writes as a heading above the value.
        kind: what it holds; FREE is for people and no program reads it.
        help: what the form says below the label.
        required: it must be filled in.
        choices: its values, where they are a closed set.
        shown: the same values as the form shows them, one for one.
        limit: characters that are the most.
        aliases: other names of a value; a file and an option may use them.
    """

    key: str
    heading: str
    kind: FieldKind
    help: str
    required: bool = False
    choices: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    limit: int = _WORD
    aliases: Mapping[str, str] = field(default_factory=dict)

    def meaning(self, word: str) -> str | None:
        """Return the value that a word means, in any case of its letters: itself, as shown, or another name of it."""
        shown = zip(self.shown, self.choices, strict=True)
        named = {**self.aliases, **dict(shown), **dict(zip(self.choices, self.choices, strict=True))}
        return {name.lower(): value for name, value in named.items()}.get(word.lower())


def new_combination(matrix: Matrix) -> tuple[Field, ...]:
    """Return the form's fields in their order; the free one is last, so that nothing below it is ever read."""
    recipes, axes = matrix.recipes, matrix.axes
    frameworks = [(name, recipes.frameworks[name].title) for name in axes.frameworks]
    targets = [(name, _titled(name, recipes.targets[name].title)) for name in axes.targets]
    backends = [(name, _titled(name, recipes.backends[name].title)) for name in axes.backends]
    unsure = [(UNSURE, UNSURE)]
    return (
        _choice("framework", "Framework", "What the models are written for.", frameworks, matrix.names("frameworks")),
        Field(
            "version", "Version", FieldKind.VERSION, "For example 2.10.0. Left empty: the newest that is known to work.",
            limit=_VERSION,
        ),
        _choice(
            "target", "Target", f"The CPU. Where you are not sure, choose '{UNSURE}' and fill in the next field.",
            unsure + targets, matrix.names("targets"),
        ),
        Field(
            "cpu", "CPU", FieldKind.CPU,
            "What `lscpu` or `cat /proc/cpuinfo` prints on that machine, or what the CPU is called.", limit=_PASTED,
        ),
        _choice(
            "backend", "Backend", "The library that does the arithmetic.", unsure + backends, matrix.names("backends")
        ),
        Field(
            "dtypes", "Data types", FieldKind.CHOICES, "The data types that your models compute in.",
            choices=DTYPES, shown=DTYPES,
        ),
        Field(
            "use", "Use case", FieldKind.FREE, "What you want to run, for the people who read this; no program does.",
            limit=MOST,
        ),
    )  # fmt: skip


def _choice(key: str, heading: str, text: str, named: Iterable[tuple[str, str]], aliases: Mapping[str, str]) -> Field:
    choices, shown = zip(*named, strict=True)
    return Field(key, heading, FieldKind.CHOICE, text, required=True, choices=choices, shown=shown, aliases=aliases)


def _titled(name: str, title: str) -> str:
    return f"{name} - {title}"
