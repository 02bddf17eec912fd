"""Small wheels and their entries on an index, for tests of the package index."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from typing import Any

from tests.support import Tree

AARCH64 = "cp313-cp313-manylinux_2_28_aarch64"


@dataclass(frozen=True)
class Wheel:
    """A wheel and its entry on the index.

    Attributes:
        hashed: whether the index has its sha256.
        beside: whether the index has its METADATA as a separate file (PEP 658).
        size: bytes of incompressible content after the METADATA.
    """

    name: str
    version: str
    tags: str = AARCH64
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    yanked: str | None = None
    hashed: bool = True
    beside: bool = False
    size: int = 100
    content: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", packed({f"{self._info}/METADATA": self.metadata, **self._rest}))

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}-{self.tags}.whl"

    @property
    def _info(self) -> str:
        return f"{self.name}-{self.version}.dist-info"

    @property
    def metadata(self) -> bytes:
        lines = ["Metadata-Version: 2.1", f"Name: {self.name}", f"Version: {self.version}"]
        lines += [f"Requires-Python: {self.requires_python}"] if self.requires_python else []
        lines += [f"Requires-Dist: {requirement}" for requirement in self.requires]
        return "\n".join([*lines, "", "A description.", ""]).encode()

    @property
    def _rest(self) -> dict[str, bytes]:
        return {
            f"{self.name}/__init__.py": random.Random(1).randbytes(self.size),  # noqa: S311 - nothing secret
            f"{self._info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {self.tags}\n".encode(),
            f"{self._info}/RECORD": b"",
        }

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def entry(self) -> dict[str, Any]:
        """Return its entry on a JSON page (PEP 691)."""
        entry: dict[str, Any] = {"filename": self.file, "url": f"../../files/{self.file}", "hashes": {}}
        if self.hashed:
            entry["hashes"] = {"sha256": self.sha256}
        if self.requires_python:
            entry["requires-python"] = self.requires_python
        if self.yanked is not None:
            entry["yanked"] = self.yanked or True
        if self.beside:
            entry["core-metadata"] = {"sha256": hashlib.sha256(self.metadata).hexdigest()}
        return entry

    def link(self) -> str:
        """Return its link on an HTML page (PEP 503)."""
        fragment = f"#sha256={self.sha256}" if self.hashed else ""
        more = f' data-requires-python="{escape(self.requires_python)}"' if self.requires_python else ""
        more += f' data-yanked="{escape(self.yanked)}"' if self.yanked is not None else ""
        more += f' data-core-metadata="sha256={hashlib.sha256(self.metadata).hexdigest()}"' if self.beside else ""
        return f'<a href="../../files/{self.file}{fragment}"{more}>{self.file}</a>'


def packed(files: dict[str, bytes]) -> bytes:
    """Pack a zip file; the same files make the same bytes."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)  # not with the clock's time
    return sink.getvalue()


def page(wheels: Iterable[Wheel]) -> dict[str, Any]:
    """Return the JSON page of a distribution (PEP 691)."""
    return {"meta": {"api-version": "1.1"}, "name": "lamp", "files": [wheel.entry() for wheel in wheels]}


def html(wheels: Iterable[Wheel]) -> str:
    """Return the HTML page of a distribution (PEP 503)."""
    links = "<br/>\n".join(wheel.link() for wheel in wheels)
    head = '<head><meta name="pypi:repository-version" content="1.0"></head>'
    return f"<!DOCTYPE html><html>{head}<body>{links}</body></html>"


RECIPE = """\
# A framework that only tests use.
name: lamp
title: Lamp
aliases: [lantern]
module: lamp
distribution: lamp
workloads: [lenet]

versions:
  # the first one
  "1.0.0": # it burns
    provider: wheel
    base: debian-13
    requires: [lamp==1.0.0, wick]
    libraries: {Wax: "1.0"} # its proof compares it
    environment:
      - {name: LAMP_OIL, value: "10", reason: it burns brighter}
"""

BACKEND = """\
kernels:
  onednn:
    "*":
      - id: no-onednn
        implementations: []
        reason: oneDNN does not run
"""


def add_lamp(tree: Tree) -> None:
    """Add the framework lamp to a copy of the project."""
    folder = tree.root / "recipes/frameworks/lamp"
    folder.mkdir()
    (folder / "framework.yaml").write_text(RECIPE)
    (folder / "acl.yaml").write_text(BACKEND)
    tree.edit("matrix.yaml", "  frameworks:\n", '  frameworks:\n    lamp: ["1.0.0"] # as bright as it gets\n')
