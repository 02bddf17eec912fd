"""The fields of the form that requests a combination: one list to make the forms from, and to read requests by."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from armwright.matrix.matrix import Matrix
from armwright.recipes.patterns import DTYPES

UNSURE = "not sure"  # the drop-down option that leaves the choice to the program
MAX_REQUEST = 65_536  # bytes of a whole request, and GitHub's limit for an issue in characters
_MAX_VALUE = 80
_MAX_VERSION = 24
_MAX_CPU = 60_000  # /proc/cpuinfo of about 80 CPUs; more CPUs only repeat the same lines


class FieldKind(enum.Enum):
    """What a field holds; this decides its form element and how it is read."""

    CHOICE = enum.auto()
    CHOICES = enum.auto()
    VERSION = enum.auto()
    CPU = enum.auto()
    FREE = enum.auto()


@dataclass(frozen=True)
class Field:
    """One field of the form.

    Attributes:
        key: its name in a YAML or JSON request, and the name of its command-line option.
        heading: its label; GitHub writes it as a heading above the value.
        kind: what it holds; no program reads a FREE field.
        help: the description below the label.
        required: whether it must be filled in.
        choices: the allowed values, if they are a closed set.
        shown: the same values as the form shows them, in the same order.
        limit: the maximum number of characters.
        aliases: other names of values, for files and options.
    """

    key: str
    heading: str
    kind: FieldKind
    help: str
    required: bool = False
    choices: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    limit: int = _MAX_VALUE
    aliases: Mapping[str, str] = field(default_factory=dict)

    def find_choice(self, text: str) -> str | None:
        """Return the value that a text names: the value itself, as the form shows it, or an alias; ignores case."""
        shown = zip(self.shown, self.choices, strict=True)
        names = {**self.aliases, **dict(shown), **dict(zip(self.choices, self.choices, strict=True))}
        return {name.lower(): value for name, value in names.items()}.get(text.lower())


def make_fields(matrix: Matrix) -> tuple[Field, ...]:
    """Return the fields of the form in order. The FREE field is last, so that nothing below it is read."""
    recipes, axes = matrix.recipes, matrix.axes
    frameworks = [(name, recipes.frameworks[name].title) for name in axes.frameworks]
    targets = [(name, _label(name, recipes.targets[name].title)) for name in axes.targets]
    backends = [(name, _label(name, recipes.backends[name].title)) for name in axes.backends]
    unsure = [(UNSURE, UNSURE)]
    return (
        _choice("framework", "Framework", "The framework of your model.", frameworks, matrix.names("frameworks")),
        Field(
            "version", "Version", FieldKind.VERSION,
            "For example 2.10.0. Leave empty for the newest version that is known to work.", limit=_MAX_VERSION,
        ),
        _choice(
            "target", "Target",
            f"The CPU that runs the image. If you do not know it, select '{UNSURE}' and fill in the field CPU below.",
            unsure + targets, matrix.names("targets"),
        ),
        Field(
            "cpu", "CPU", FieldKind.CPU,
            "The output of `lscpu` or `cat /proc/cpuinfo` on that machine, or the name of the CPU, such as Graviton3.",
            limit=_MAX_CPU,
        ),
        _choice(
            "backend", "Backend", f"The library that does the arithmetic. Select '{UNSURE}' to let the program choose.",
            unsure + backends, matrix.names("backends"),
        ),
        Field(
            "dtypes", "Data types", FieldKind.CHOICES, "The data types that your model computes in.",
            choices=DTYPES, shown=DTYPES,
        ),
        Field(
            "use", "Use case", FieldKind.FREE, "What you want to run. Only people read this field.", limit=MAX_REQUEST
        ),
    )  # fmt: skip


def _choice(key: str, heading: str, text: str, values: Iterable[tuple[str, str]], aliases: Mapping[str, str]) -> Field:
    choices, shown = zip(*values, strict=True)
    return Field(key, heading, FieldKind.CHOICE, text, required=True, choices=choices, shown=shown, aliases=aliases)


def _label(name: str, title: str) -> str:
    return f"{name} - {title}"
