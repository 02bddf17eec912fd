"""Differences between distributions: links before unpacking, and libraries that strip breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from armwright.fetch import debian_roots
from armwright.matrix.matrix import Matrix
from armwright.plan.locks import BaseLock, Deb
from armwright.plan.plan import make_plan
from armwright.system import process
from armwright.system.errors import FailedError
from tests.support import Tree

MERGING = '--setup-hook=cd "$1" && mkdir -p usr/bin usr/sbin usr/lib && ln -s usr/bin usr/sbin usr/lib .'
SHELL = '--setup-hook=cd "$1" && ln -s dash usr/bin/sh'
LOCK = BaseLock(created="2026-11-21T00:00:00Z", root={"dash": Deb(version="1", sha256="0" * 64)}, tools={})


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the arguments of every program that would run for minutes; none of them starts."""
    recorded_arguments: list[str] = []

    def refuse(arguments: list[str], *_: object, **__: object) -> None:
        recorded_arguments.extend(arguments)
        raise FailedError("nothing is unpacked in this test")

    monkeypatch.setattr(process, "stream", refuse)
    monkeypatch.setattr(process, "require_program", lambda name: name)
    monkeypatch.setattr(process, "capture", lambda *_, **__: "")
    return recorded_arguments


@pytest.mark.parametrize(
    ("base", "merging"), [("debian-11-python-3.7", [MERGING, SHELL]), ("debian-12", [MERGING]), ("debian-13", [])]
)
def test_old_debian_root_is_linked_into_usr_before_unpacking(
    matrix: Matrix, recorded: list[str], tmp_path: Path, base: str, merging: list[str]
) -> None:
    with pytest.raises(FailedError, match="nothing is unpacked"):
        debian_roots.ensure_root(tmp_path, matrix.recipes.bases[base], LOCK, "root", tmp_path / "log")
    assert [argument for argument in recorded if argument.startswith("--setup-hook")] == merging


def test_builder_is_unpacked_for_arm_from_its_part_of_the_lock(
    matrix: Matrix, recorded: list[str], tmp_path: Path
) -> None:
    compiling = LOCK.model_copy(update={"builder": {"gcc-9": Deb(version="9.3.0-22", sha256="0" * 64)}})
    with pytest.raises(FailedError, match="nothing is unpacked"):
        debian_roots.ensure_root(
            tmp_path, matrix.recipes.bases["debian-11-python-3.7"], compiling, "builder", tmp_path / "log"
        )
    assert {"--architectures=arm64", "--include=gcc-9=9.3.0-22"} <= set(recorded)


def test_root_with_other_links_has_another_name_in_the_cache(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian_roots, "unpack_root", lambda *_: {})

    def name() -> str:
        return debian_roots.ensure_root(
            tmp_path, tree.load().recipes.bases["debian-12"], LOCK, "root", tmp_path / "log"
        ).tar.name

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
