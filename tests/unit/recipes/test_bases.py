"""Differences between distributions: links before unpacking, and libraries that strip breaks."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from armwright.fetch import debian_roots, debian_sources, debian_tree
from armwright.fetch.apt_folder import AptFolder
from armwright.matrix.matrix import Matrix
from armwright.plan.locks import BaseLock, Deb
from armwright.plan.plan import FILE_TIME, make_plan
from armwright.system.errors import FailedError
from tests.archive import Package
from tests.support import Tree

LOCK = BaseLock(created="2026-11-21T00:00:00Z", root={"dash": Deb(version="1", sha256="0" * 64)}, tools={})


def make_debs(folder: Path, *files: str) -> dict[Path, str]:
    """Write a package of these files; return it with its control fields."""
    package = Package("one", "1.0", dict.fromkeys(files, "content"))
    path = folder / package.file
    path.write_bytes(package.content)
    return {path: package.control}


@pytest.mark.parametrize(
    ("base", "links"),
    [
        ("debian-11-python-3.7", {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "usr/bin/sh": "dash"}),
        ("debian-12", {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib"}),
        ("debian-13", {}),
    ],
)
def test_old_debian_root_is_linked_into_usr_before_unpacking(
    matrix: Matrix, tmp_path: Path, base: str, links: dict[str, str]
) -> None:
    tar = tmp_path / "root.tar"
    debian_tree.write_tree(tar, matrix.recipes.bases[base].archive, make_debs(tmp_path, "bin/dash", "lib/libc.so"))
    with tarfile.open(tar) as archive:
        assert {entry.name: entry.linkname for entry in archive if entry.issym()} == links
        folder = "usr/" if links else ""
        assert {f"{folder}bin/dash", f"{folder}lib/libc.so"} <= set(archive.getnames())
        assert len(set(archive.getnames())) == len(archive.getnames())
        assert {entry.mtime for entry in archive} == {FILE_TIME}
        assert {(entry.uid, entry.gid, entry.uname) for entry in archive} == {(0, 0, "")}


def test_builder_is_fetched_for_arm_from_its_part_of_the_lock(
    matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, list[str]]] = []

    class Recorder(AptFolder):
        def update(self, *_: object, **__: object) -> None:
            pass

        def download(self, names: Sequence[str]) -> list[Path]:
            asked.append((self.architecture, list(names)))
            raise FailedError("nothing is fetched in this test")

    monkeypatch.setattr(debian_roots, "AptFolder", Recorder)
    monkeypatch.setattr(debian_sources, "list_mirror_sources", lambda *_, **__: [])
    compiling = LOCK.model_copy(update={"builder": {"gcc-9": Deb(version="9.3.0-22", sha256="0" * 64)}})
    base = matrix.recipes.bases["debian-11-python-3.7"]
    with pytest.raises(FailedError, match="nothing is fetched"):
        debian_roots.ensure_root(tmp_path, base, compiling, "builder", tmp_path / "log")
    assert asked == [("arm64", ["gcc-9=9.3.0-22"])]


def test_root_with_other_links_has_another_name_in_the_cache(tree: Tree, tmp_path: Path) -> None:
    def name() -> str:
        base = tree.load().recipes.bases["debian-12"]
        return debian_roots.root_path(tmp_path, base, LOCK, "root", "arm64").name

    before = name()
    assert name() == before
    tree.edit("recipes/bases/debian-12.yaml", "folders: [bin, sbin, lib]", "folders: [bin, sbin, lib, lib64]")
    assert name() != before


@pytest.mark.parametrize(("version", "left"), [("2.5.1", True), ("2.9.1", False)])
def test_libraries_that_strip_breaks_are_not_stripped(matrix: Matrix, version: str, left: bool) -> None:  # noqa: FBT001
    dockerfile = make_plan(matrix, matrix.by_id[f"pytorch-{version}-n1-acl"]).files["Dockerfile"].decode()
    strip = next(line for line in dockerfile.splitlines() if line.endswith("-strip --strip-unneeded {} +"))
    assert strip.startswith(r"find . -type f -not -path './*.libs/*' \( -name" if left else r"find . -type f \( -name")


@pytest.mark.parametrize("folders", ["[../bin]", "[a b]", "['$(id)']", "[]"])
def test_merged_folder_must_be_a_plain_name(tree: Tree, folders: str) -> None:
    tree.edit("recipes/bases/debian-12.yaml", "folders: [bin, sbin, lib]", f"folders: {folders}")
    assert ["'folders':" in line for line in tree.mistakes()] == [True]
