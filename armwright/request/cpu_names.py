"""The names that `lscpu` prints for CPUs (recipes/cpus.yaml), where /proc/cpuinfo has part numbers.

Three other places name CPUs, each for its own readers. A target's `parts` and `aliases` in recipes/targets/ say which
target a CPU gets and what users call it. PART_NAMES in scripts/naming.py holds product names, as an image has no YAML
reader; a test checks that every part there has a name here. Apple's parts show why these names are not enough:
`lscpu` names the cores (Firestorm-M1), users name the chip (M1), and the target m1 matches Apple's implementer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from armwright.system import yaml_file
from armwright.system.strict_model import StrictModel

FILE = "recipes/cpus.yaml"
Implementer = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{2}$")]
PartNumber = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{2}:0x[0-9a-f]{3}$")]
CpuName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$", max_length=40)]


class CpuNames(StrictModel):
    """The names of implementers and parts.

    Attributes:
        implementers: the names by implementer number.
        parts: the names by "implementer:part", the numbers that /proc/cpuinfo prints.
    """

    implementers: dict[Implementer, CpuName]
    parts: dict[PartNumber, CpuName]

    def title(self, part: str) -> str:
        """Return a CPU's name and number, such as "Kunpeng-920 (0x48:0xd01)"; without a name, its implementer.

        Args:
            part: "implementer:part"; the part is `*` if only the implementer is known.
        """
        implementer = self.implementers.get(part.partition(":")[0])
        name = self.parts.get(part) or (f"a CPU of {implementer}" if implementer else "a CPU")
        return name if part.endswith("*") else f"{name} ({part})"


def load_cpu_names(root: Path) -> CpuNames:
    """Load recipes/cpus.yaml.

    Raises:
        InputError: every mistake in it, with its place.
    """
    return yaml_file.load_yaml(root / FILE, FILE, CpuNames)
