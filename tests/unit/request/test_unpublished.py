"""A version that is not published is checked as `bump` checks it, whether it is newer or older."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from armwright.bump.proposal import Proposal
from armwright.fetch import index_pages, resolve
from armwright.fetch.index_pages import IndexFile
from armwright.fetch.package_index import PackageIndex, WheelMetadata
from armwright.matrix.matrix import Matrix
from armwright.plan import locks
from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework
from armwright.request import unpublished
from armwright.request.unpublished import UnpublishableError
from armwright.system.errors import FailedError
from tests.request_helpers import read_tree
from tests.support import Tree
from tests.wheelhouse import AARCH64, RECIPE, Wheel, add_lamp, page

OLDER = AARCH64.replace("cp313", "cp311").replace("2_28", "2_17")
HASH = f"    --hash=sha256:{'0a' * 32}"
OLD = """\
  "0.5.0":
    provider: wheel
    base: debian-12
    distribution: lamp-old
    requires: [lamp-old==0.5.0]
"""


class StubIndex(PackageIndex):
    """An index with the wheels of a test."""

    wheels: tuple[Wheel, ...] = ()

    def files(self, distribution: str) -> list[IndexFile]:
        document = {**page([wheel for wheel in self.wheels if wheel.name.replace("_", "-") == distribution])}
        return index_pages.parse_page(
            json.dumps(document).encode(), "application/json", "https://a.example/", distribution
        )

    def metadata(self, file: IndexFile) -> WheelMetadata:
        (wheel,) = (wheel for wheel in self.wheels if wheel.file == file.name)
        return WheelMetadata(tuple(map(Requirement, wheel.requires)), wheel.requires_python)


def make_lamp(root: Path) -> Tree:
    """Make a project whose framework has two versions on two distributions; the older wheels have another name."""
    tree = Tree(root)
    for framework in ("pytorch", "tensorflow"):  # without them the recipes load in a third of the time
        shutil.rmtree(tree.root / "recipes/frameworks" / framework)
    tree.publish("axes:\n  frameworks:\n  targets: [generic, n1]\n  backends: [acl]\n")
    add_lamp(tree)
    (tree.root / "recipes/frameworks/lamp/framework.yaml").write_text(RECIPE + OLD)
    tree.edit("matrix.yaml", 'lamp: ["1.0.0"]', 'lamp: ["1.0.0", "0.5.0"]')
    return tree


@pytest.fixture(scope="module")
def lamp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """The project, which a proposal must not change."""
    tree = make_lamp(tmp_path_factory.mktemp("lamp") / "project")
    before = read_tree(tree.root)
    yield tree
    assert read_tree(tree.root) == before


Propose = Callable[..., Any]


@pytest.fixture(scope="module")
def matrix(lamp: Tree) -> Matrix:
    return lamp.load()


@pytest.fixture
def propose(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> Propose:
    """Propose a version from wheels; the resolver is replaced by one that writes the requirements, or fails."""

    def proposed(version: str, *wheels: Wheel, refused: FailedError | None = None) -> Proposal:
        index = StubIndex(())
        object.__setattr__(index, "wheels", wheels)
        monkeypatch.setattr("armwright.fetch.package_index.find_package_index", lambda: index)

        def make(root: Path, framework: Framework, version: str, _: Base) -> None:
            if refused:
                raise refused
            names = [requirement.replace("wick", "wick==0.5") for requirement in framework.versions[version].requires]
            locks.wheel_lock_path(root, framework.name, version).write_text(
                "".join(f"{name} \\\n{HASH}\n" for name in names)
            )

        monkeypatch.setattr(resolve, "resolve_wheels", make)
        return unpublished.propose_unpublished(matrix, matrix.recipes.frameworks["lamp"], version)

    return proposed


def written_versions(proposal: Proposal, folder: Path) -> list[str]:
    """Write a proposal into a project of its own, and return the published versions."""
    project = make_lamp(folder / "project")
    proposal.write(project.root)
    return project.load().versions("lamp")


def test_newer_version_is_modelled_on_the_newest(propose: Propose, tmp_path: Path) -> None:
    proposal = propose("1.2.0", Wheel("lamp", "1.2.0"))
    assert "+    requires: [lamp==1.2.0, wick]\n+    environment: [{name: LAMP_OIL" in proposal.diff
    assert "+    base: debian-13\n" in proposal.diff
    assert written_versions(proposal, tmp_path) == ["1.2.0", "1.0.0", "0.5.0"]


def test_version_in_between_is_modelled_on_the_older_one(propose: Propose, tmp_path: Path) -> None:
    proposal = propose("0.7.0", Wheel("lamp_old", "0.7.0", tags=OLDER), Wheel("lamp", "0.7.0"))
    assert "+    requires: [lamp-old==0.7.0]\n" in proposal.diff
    assert "+    base: debian-12\n" in proposal.diff
    assert written_versions(proposal, tmp_path) == ["1.0.0", "0.7.0", "0.5.0"]


def test_newer_model_is_used_if_it_has_the_wheels(propose: Propose) -> None:
    proposal = propose("0.9.0", Wheel("lamp_old", "0.6.0"), Wheel("lamp", "0.9.0", tags=OLDER))
    assert "+    requires: [lamp==0.9.0, wick]\n" in proposal.diff
    assert "+    base: debian-12\n" in proposal.diff


def test_oldest_version_is_modelled_on_the_oldest(propose: Propose) -> None:
    assert "+    requires: [lamp-old==0.4.0]\n" in propose("0.4.0", Wheel("lamp_old", "0.4.0")).diff


NO_WHEEL = [f"no wheel for AArch64 and Python {python}" for python in ("3.13 with glibc 2.41", "3.11 with glibc 2.36")]
ABSENT = [f"the package index has no {name} 0.7.0" for name in ("lamp-old", "lamp")]


@pytest.mark.parametrize(
    ("version", "reasons"),
    [
        ("1.1.1", ["the package index has no lamp 1.1.1", "it has 1.1.0, 1.4.0rc1, 1.5.0"]),
        ("0.7.0", [*ABSENT, "it has 1.5.0, 1.3.0, 1.1.0"]),
        ("1.3.0", ["a CUDA build: it requires triton", NO_WHEEL[1]]),
        ("1.4.0rc1", ["a pre-release"]),
        ("1.5.0", NO_WHEEL),
    ],
)
def test_each_refusal_is_reported_once(propose: Propose, version: str, reasons: list[str]) -> None:
    wheels = (
        Wheel("lamp", "1.1.0"), Wheel("lamp", "1.3.0", requires=("triton",)), Wheel("lamp", "1.4.0rc1"),
        Wheel("lamp", "1.5.0", tags="py3-none-win_amd64"),
    )  # fmt: skip
    with pytest.raises(UnpublishableError) as raised:
        propose(version, *wheels)
    assert str(raised.value).split("; ") == reasons


def test_version_without_a_valid_lock_is_refused(propose: Propose) -> None:
    with pytest.raises(UnpublishableError, match="its lock: it did not finish"):
        propose("1.2.0", Wheel("lamp", "1.2.0"), refused=FailedError("it did not finish"))


def test_unpublished_recipe_version_is_refused(tmp_path: Path) -> None:
    lamp = make_lamp(tmp_path / "project")
    lamp.edit("matrix.yaml", 'lamp: ["1.0.0", "0.5.0"]', 'lamp: ["1.0.0"]')
    matrix = lamp.load()
    with pytest.raises(UnpublishableError, match=r"there is a recipe for it, but matrix\.yaml does not publish it"):
        unpublished.propose_unpublished(matrix, matrix.recipes.frameworks["lamp"], "0.5.0")
