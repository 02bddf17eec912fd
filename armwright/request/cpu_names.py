"""What `lscpu` calls a CPU (recipes/cpus.yaml): it prints names where /proc/cpuinfo has numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from armwright.recipes.model import Recipe
from armwright.system import yaml_file
from armwright.system.yaml_file import Mistakes

FILE = "recipes/cpus.yaml"
Implementer = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{2}$")]
Number = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{2}:0x[0-9a-f]{3}$")]
Called = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$", max_length=40)]


class Cpus(Recipe):
    """The names.

    Attributes:
        implementers: by their numbers.
        parts: by implementer and part, as /proc/cpuinfo has them.
    """

    implementers: dict[Implementer, Called]
    parts: dict[Number, Called]

    def title(self, part: str) -> str:
        """Return what a CPU is called: "Kunpeng-920 (0x48:0xd01)"; its numbers alone where it has no name here.

        Args:
            part: implementer and part; `*` for a part that is not known.
        """
        implementer = self.implementers.get(part.partition(":")[0])
        name = self.parts.get(part) or (f"a CPU of {implementer}" if implementer else "a CPU")
        return name if part.endswith("*") else f"{name} ({part})"


def load_cpu_names(root: Path) -> Cpus:
    """Load recipes/cpus.yaml.

    Raises:
        InputError: every mistake in it, with its place.
    """
    mistakes = Mistakes()
    document = yaml_file.read_yaml(root / FILE, FILE, mistakes)
    facts = yaml_file.parse_document(document, Cpus, mistakes) if document else None
    mistakes.raise_if_any()
    assert facts is not None  # noqa: S101 - where it is None, there was a mistake
    return facts
