"""Shared by several test files: a copy of the project's data to change, and a parser of Dockerfiles."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from armwright.matrix.matrix import Matrix, load_matrix
from armwright.plan.plan import Plan, Source, make_plan
from armwright.system.errors import InputError

ROOT = Path(__file__).resolve().parents[1]


# A matrix for tests of names and rules, so that they do not depend on the growing matrix of the project.
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


@cache
def _read_project() -> tuple[list[str], dict[str, bytes]]:
    """Read the files that matrix, plans and images depend on, once for all copies: folders, and content by path."""
    folders = [ROOT / name for name in ("recipes", "dockerfiles", "scripts")]
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    paths = [ROOT / "matrix.yaml", *(path for path in paths if "__pycache__" not in path.parts)]
    files = {str(path.relative_to(ROOT)): path.read_bytes() for path in paths}
    return sorted({str(Path(name).parent) for name in files}), files


class Tree:
    """A copy of the project's data in a folder, which a test may change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        folders, files = _read_project()
        for folder in folders:
            os.makedirs(f"{root}/{folder}", exist_ok=True)  # noqa: PTH103 - faster than pathlib, in 400 tests
        for name, content in files.items():
            with open(f"{root}/{name}", "wb") as file:  # noqa: PTH123 - as above
                file.write(content)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace the first occurrence of a text; fails if there is none."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} does not contain {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def publish(self, text: str) -> None:
        """Replace the content of matrix.yaml."""
        (self.root / "matrix.yaml").write_text(text, encoding="utf-8")

    def load(self) -> Matrix:
        return load_matrix(self.root)

    def mistakes(self) -> list[str]:
        """Load, and return the mistakes that the error lists."""
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

    def keywords(self) -> list[str]:
        """Return the keywords of the instructions: COPY, RUN, ..."""
        return [instruction.split(None, 1)[0] for instruction in self.instructions]


def parse_stages(dockerfile: bytes) -> list[Stage]:
    """Parse a Dockerfile as BuildKit does: comments, continued lines, here-documents."""
    text = dockerfile.decode()
    assert text.endswith("\n")
    lines = iter(text.split("\n"))
    stages: list[Stage] = []
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
            parent = next((stage for stage in stages if stage.name == origin[2]), None)
            stages.append(Stage(origin[3] or "", origin[2], origin[1] or (parent.platform if parent else "")))
        else:
            assert stages, f"before the first FROM: {whole}"
            stages[-1].instructions.append(whole)
    return stages
