"""What several test files share: the project's data, a copy of it to spoil, and a reader of Dockerfiles."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from armwright.matrix.matrix import Matrix, load_matrix
from armwright.plan.plan import Plan, Source, make_plan
from armwright.system.errors import InputError

ROOT = Path(__file__).resolve().parents[1]


# What the tests of words and rules publish: the project's own matrix grows, and they do not speak of that.
SMALL = """\
axes:
  frameworks:
    pytorch: ["2.10.0", "2.9.1"]
  targets: [generic, n1, v1, a64fx]
  backends: [openblas, acl]
rules:
  - refuse: {framework: pytorch, version: "==2.10.0", target: generic}
    because: >-
      its wheel dies with an illegal instruction at import on Armv8.0 CPUs
"""


class Tree:
    """A copy of the project's data in a folder of its own, to be changed at will."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("recipes", "dockerfiles", "scripts"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "matrix.yaml", root)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace the first occurrence of a text; a text that is not there is a mistake of the test."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} no longer holds {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def publish(self, text: str) -> None:
        """Replace what is published: the whole of matrix.yaml."""
        (self.root / "matrix.yaml").write_text(text, encoding="utf-8")

    def load(self) -> Matrix:
        return load_matrix(self.root)

    def mistakes(self) -> list[str]:
        """Load, and return the lines that say what is wrong."""
        with pytest.raises(InputError) as refused:
            self.load()
        return [line.strip() for line in refused.value.what.splitlines()[1:]]

    def plan(self, combo: str, source: Source = "archive") -> Plan:
        matrix = self.load()
        return make_plan(matrix, matrix.by_id[combo], source)


@dataclass
class Stage:
    """One stage of a Dockerfile: its FROM line without options, its platform, its instructions."""

    name: str
    origin: str
    platform: str
    instructions: list[str] = field(default_factory=list)

    def words(self) -> list[str]:
        """Return the instructions' names: COPY, RUN, ..."""
        return [one.split(None, 1)[0] for one in self.instructions]


def stages(dockerfile: bytes) -> list[Stage]:
    """Take a Dockerfile apart as BuildKit does: comments, continued lines, here-documents."""
    text = dockerfile.decode()
    assert text.endswith("\n")
    lines = iter(text.split("\n"))
    found: list[Stage] = []
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        whole = line
        while whole.endswith("\\"):
            whole = whole[:-1] + next(lines)
        ends = re.search(r"<<-?['\"]?(\w+)['\"]?", whole)
        if ends:
            whole += "\n" + "\n".join(iter(lambda: next(lines), ends[1]))
        origin = re.fullmatch(r"FROM (?:--platform=(\S+) )?(\S+)(?: AS (\S+))?", whole)
        if origin:
            parent = next((stage for stage in found if stage.name == origin[2]), None)
            found.append(Stage(origin[3] or "", origin[2], origin[1] or (parent.platform if parent else "")))
        else:
            assert found, f"before the first FROM: {whole}"
            found[-1].instructions.append(whole)
    return found
