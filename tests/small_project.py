"""A copy of the project whose images take seconds: a framework of one file, on a base that tests serve."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from armwright.engine.client import Engine, Image
from armwright.host.inspect import read_os_release
from armwright.pipeline import build_all
from armwright.pipeline.build_combo import BuildOptions
from armwright.plan import locks
from armwright.plan.locks import BaseLock, Deb
from armwright.plan.plan import Plan
from armwright.system import files
from tests.archive import ARCHITECTURES, Package, at
from tests.support import Tree
from tests.wheelhouse import packed

BASE, COMBO = "debian-13", "pytorch-2.10.0-n1-openblas"
BEGIN = at("2026-11-20T10:00:00")  # when the archive that the lock names was published
PACKAGES = (
    Package("base-files", "13", {"etc/os-release": "ID=debian\n", "usr/bin/true": "", "root/.profile": "umask 022\n"}),
    Package("ca-certificates", "1", {"usr/share/ca-certificates/one.crt": "a certificate\n"}),
    Package("netbase", "6.4", {"etc/services": "http 80/tcp\n"}, depends="base-files"),
    Package(
        "python3", "3.13", {"usr/lib/python3.13/os.py": "name = 'posix'\n", "usr/lib/python3/debian.py": "A = 1\n"}
    ),
)
TOOL = Package("mawk", "1.3")
NEWER = replace(PACKAGES[2], version="6.5", files={"etc/services": "http 80/tcp\nhttps 443/tcp\n"})
MOVED = (*PACKAGES[:2], NEWER, PACKAGES[3], TOOL)  # what the archive has after its point release
WHEEL = "torch-2.10.0-cp313-cp313-manylinux_2_28_aarch64.whl"
INFO = "torch-2.10.0.dist-info"
CONTENT = {
    "torch/__init__.py": b"VERSION = '2.10.0'\n",
    f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: torch\nVersion: 2.10.0\n",
    f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp313-cp313-manylinux_2_28_aarch64\n",
    f"{INFO}/RECORD": b"torch/__init__.py,,\n",
}
Tools = Mapping[str, Mapping[str, Deb]]


def make_base_lock(packages: Sequence[Package], created: datetime, tools: Tools) -> BaseLock:
    """Return the lock of packages of the small archive."""
    root = {package.name: lock_package(package) for package in packages}
    held = {name: dict(debs) for name, debs in tools.items()}
    return BaseLock(created=f"{created:%Y-%m-%dT%H:%M:%SZ}", root=root, tools=held)


def lock_package(package: Package) -> Deb:
    """Return what a lock says about a package."""
    return Deb(version=package.version, sha256=hashlib.sha256(package.content).hexdigest())


def use_mirror(site: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure this host's apt with a mirror."""
    codename = read_os_release()["VERSION_CODENAME"]
    sources = folder / "sources.list"
    sources.write_text(f"deb {site}/debian {codename} main\ndeb {site}/debian-security {codename}-security main\n")
    config = folder / "host-apt.conf"
    config.write_text(
        'Dir::Etc::Main "/dev/null";\nDir::Etc::Parts "/dev/null";\nDir::Etc::SourceParts "/dev/null";\n'
        f'Dir::Etc::SourceList "{sources}";\nAcquire::Retries "0";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(config))


class SmallProject(Tree):
    """A clone of the project in a folder.

    Args:
        root: the folder.
        tools: the packages of the build tools; None for one of the small archive, which can build nothing.
        tools_tar: the cached root of the build tools.
    """

    def __init__(self, root: Path, tools: Tools | None = None, tools_tar: Path | None = None) -> None:
        super().__init__(root)
        self.tools = tools or {name: {TOOL.name: lock_package(TOOL)} for name in ARCHITECTURES}
        recipe = root / "recipes/bases" / f"{BASE}.yaml"
        text = recipe.read_text()
        names = "".join(f"    - {{name: {package.name}, reason: a test needs it}}\n" for package in PACKAGES)
        begin, end = text.index("  packages:\n"), text.index("  python: /usr/bin/python3")
        text = f"{text[:begin]}  packages:\n{names}{text[end:]}"
        recipe.write_text(
            text[: text.index("tools:\n")] + f"tools:\n  - {{name: {TOOL.name}, reason: a test needs it}}\n"
        )
        self.lock(PACKAGES, BEGIN)
        self.wheels = root.with_name(f"{root.name}-wheels")
        self.wheels.mkdir()
        content = packed(CONTENT)
        (self.wheels / WHEEL).write_bytes(content)
        pinned = f"torch==2.10.0 \\\n    --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"
        locks.wheel_lock_path(root, "pytorch", "2.10.0").write_text(pinned)
        if tools_tar is not None:
            roots = root / "build" / "cache" / "roots"
            roots.mkdir(parents=True)
            files.seal(Path(shutil.copy(tools_tar, roots)))

    def lock(self, packages: Sequence[Package], created: datetime) -> None:
        """Write the project's lock."""
        locks.write_base_lock(self.root, BASE, make_base_lock(packages, created, self.tools))

    def use_wheels(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let pip find this project's one wheel, and nothing else."""
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(self.wheels))

    def build(self, engine: Engine, monkeypatch: pytest.MonkeyPatch, *, locked: bool = False) -> tuple[Plan, Image]:
        """Build the combo without a proof, as the command does; the image has no name afterwards."""
        self.use_wheels(monkeypatch)
        matrix = self.load()
        (result,) = build_all.build_combos(matrix, [matrix.by_id[COMBO]], BuildOptions(smoke=False, locked=locked))
        assert result.error is None, result.error
        assert result.outcome == "built"
        assert result.image is not None
        plan = self.plan(COMBO)
        engine.untag(plan.reference)
        return plan, result.image
