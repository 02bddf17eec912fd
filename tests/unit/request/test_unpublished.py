"""A version that is not published is judged as `bump` judges, wherever it stands among those that are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from armwright.bump.proposal import Proposal
from armwright.fetch import index_pages, resolve
from armwright.fetch import package_index as indexes
from armwright.fetch.index_pages import File
from armwright.fetch.package_index import Index, Metadata
from armwright.plan import locks
from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework
from armwright.request import unpublished
from armwright.request.unpublished import UnfitError
from armwright.system.errors import FailedError
from tests.asking import everything
from tests.support import Tree
from tests.wheelhouse import AARCH64, Wheel, add_lamp, page

OLDER = AARCH64.replace("cp313", "cp311").replace("2_28", "2_17")
HASH = f"    --hash=sha256:{'0a' * 32}"
OLD = """\
  "0.5.0":
    provider: wheel
    base: debian-12
    distribution: lamp-old
    requires: [lamp-old==0.5.0]
"""


class Told(Index):
    """An index with the wheels that a test wants."""

    wheels: tuple[Wheel, ...] = ()

    def files(self, distribution: str) -> list[File]:
        document = {**page([one for one in self.wheels if one.name.replace("_", "-") == distribution])}
        return index_pages.parse_page(
            json.dumps(document).encode(), "application/json", "https://a.example/", distribution
        )

    def metadata(self, file: File) -> Metadata:
        (wheel,) = (one for one in self.wheels if one.file == file.name)
        return Metadata(tuple(map(Requirement, wheel.requires)), wheel.requires_python)


@pytest.fixture
def lamp(tree: Tree) -> Tree:
    """A framework with two versions on two distributions; the older one's wheels have another name."""
    add_lamp(tree)
    tree.edit("recipes/frameworks/lamp.yaml", "backends: #", f"{OLD}\nbackends: #")
    tree.edit("matrix.yaml", 'lamp: ["1.0.0"]', 'lamp: ["1.0.0", "0.5.0"]')
    return tree


Propose = Callable[..., Any]


@pytest.fixture
def propose(lamp: Tree, monkeypatch: pytest.MonkeyPatch) -> Propose:
    """Propose a version among wheels; the resolver only writes down what is required, or refuses."""

    def proposed(version: str, *wheels: Wheel, refused: FailedError | None = None) -> Proposal:
        index = Told(())
        object.__setattr__(index, "wheels", wheels)
        monkeypatch.setattr(indexes, "of_this_host", lambda: index)

        def make(root: Path, framework: Framework, version: str, _: Base) -> None:
            if refused:
                raise refused
            names = [one.replace("wick", "wick==0.5") for one in framework.versions[version].requires]
            locks.wheel_lock_path(root, framework.name, version).write_text(
                "".join(f"{one} \\\n{HASH}\n" for one in names)
            )

        monkeypatch.setattr(resolve, "resolve_wheels", make)
        matrix = lamp.load()
        return unpublished.propose_unpublished(matrix, matrix.recipes.frameworks["lamp"], version)

    return proposed


def test_a_newer_version_is_modelled_on_the_newest(propose: Propose, lamp: Tree) -> None:
    before = everything(lamp.root)
    found = propose("1.2.0", Wheel("lamp", "1.2.0"))
    assert "+    requires: [lamp==1.2.0, wick]\n+    environment: [{name: LAMP_OIL" in found.diff
    assert "+    base: debian-13\n" in found.diff
    assert everything(lamp.root) == before
    found.write(lamp.root)
    assert lamp.load().versions("lamp") == ["1.2.0", "1.0.0", "0.5.0"]


def test_a_version_in_between_is_modelled_on_the_next_older_one(propose: Propose, lamp: Tree) -> None:
    found = propose("0.7.0", Wheel("lamp_old", "0.7.0", tags=OLDER), Wheel("lamp", "0.7.0"))
    assert "+    requires: [lamp-old==0.7.0]\n" in found.diff
    assert "+    base: debian-12\n" in found.diff
    found.write(lamp.root)
    assert lamp.load().versions("lamp") == ["1.0.0", "0.7.0", "0.5.0"]


def test_where_the_older_one_s_wheels_end_the_next_newer_one_is_the_model(propose: Propose) -> None:
    found = propose("0.9.0", Wheel("lamp_old", "0.6.0"), Wheel("lamp", "0.9.0", tags=OLDER))
    assert "+    requires: [lamp==0.9.0, wick]\n" in found.diff
    assert "+    base: debian-12\n" in found.diff


def test_a_version_older_than_all_is_modelled_on_the_oldest(propose: Propose) -> None:
    assert "+    requires: [lamp-old==0.4.0]\n" in propose("0.4.0", Wheel("lamp_old", "0.4.0")).diff


NO_WHEEL = [f"no wheel for AArch64 and Python {one}" for one in ("3.13 with glibc 2.41", "3.11 with glibc 2.36")]
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
def test_what_speaks_against_a_version_is_told_once(propose: Propose, version: str, reasons: list[str]) -> None:
    wheels = (
        Wheel("lamp", "1.1.0"), Wheel("lamp", "1.3.0", requires=("triton",)), Wheel("lamp", "1.4.0rc1"),
        Wheel("lamp", "1.5.0", tags="py3-none-win_amd64"),
    )  # fmt: skip
    with pytest.raises(UnfitError) as unfit:
        propose(version, *wheels)
    assert str(unfit.value).split("; ") == reasons


def test_a_version_whose_lock_is_refused_is_refused(propose: Propose) -> None:
    with pytest.raises(UnfitError, match="its lock: it did not finish"):
        propose("1.2.0", Wheel("lamp", "1.2.0"), refused=FailedError("it did not finish"))


def test_a_version_that_is_in_the_recipe_and_not_published_is_told(propose: Propose, lamp: Tree) -> None:
    lamp.edit("matrix.yaml", 'lamp: ["1.0.0", "0.5.0"]', 'lamp: ["1.0.0"]')
    with pytest.raises(UnfitError, match=r"its recipe is there, and matrix\.yaml does not name it"):
        propose("0.5.0", Wheel("lamp_old", "0.5.0"))
