"""What a distribution needs done differently: links before unpacking, libraries that its strip would break."""

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
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep the words of every program that would work for minutes; none of them starts."""
    words: list[str] = []

    def refuse(arguments: list[str], *_: object, **__: object) -> None:
        words.extend(arguments)
        raise FailedError("nothing is unpacked in this test")

    monkeypatch.setattr(process, "stream", refuse)
    monkeypatch.setattr(process, "require_program", lambda name: name)
    monkeypatch.setattr(process, "capture", lambda *_, **__: "")
    return words


@pytest.mark.parametrize(
    ("base", "merging"), [("debian-11-python-3.7", [MERGING, SHELL]), ("debian-12", [MERGING]), ("debian-13", [])]
)
def test_the_root_of_an_older_debian_is_linked_into_usr_before_anything_is_unpacked(
    matrix: Matrix, asked: list[str], tmp_path: Path, base: str, merging: list[str]
) -> None:
    with pytest.raises(FailedError, match="nothing is unpacked"):
        debian_roots.ensure_root(tmp_path, matrix.recipes.bases[base], LOCK, "root", tmp_path / "log")
    assert [word for word in asked if word.startswith("--setup-hook")] == merging


def test_what_compiles_is_unpacked_for_the_target_platform_from_its_own_part_of_the_lock(
    matrix: Matrix, asked: list[str], tmp_path: Path
) -> None:
    compiling = LOCK.model_copy(update={"builder": {"gcc-9": Deb(version="9.3.0-22", sha256="0" * 64)}})
    with pytest.raises(FailedError, match="nothing is unpacked"):
        debian_roots.ensure_root(
            tmp_path, matrix.recipes.bases["debian-11-python-3.7"], compiling, "builder", tmp_path / "log"
        )
    assert {"--architectures=arm64", "--include=gcc-9=9.3.0-22"} <= set(asked)


def test_a_root_with_other_links_is_another_root_in_the_cache(
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
def test_what_debian_12s_strip_would_break_is_left_as_it_is(matrix: Matrix, version: str, left: bool) -> None:  # noqa: FBT001
    dockerfile = make_plan(matrix, matrix.by_id[f"pytorch-{version}-n1-acl"]).files["Dockerfile"].decode()
    strip = next(line for line in dockerfile.splitlines() if line.endswith("-strip --strip-unneeded {} +"))
    assert strip.startswith(r"find . -type f -not -path './*.libs/*' \( -name" if left else r"find . -type f \( -name")


@pytest.mark.parametrize("folders", ["[../bin]", "[a b]", "['$(id)']", "[]"])
def test_a_folder_of_the_root_is_a_plain_name(tree: Tree, folders: str) -> None:
    tree.edit("recipes/bases/debian-12.yaml", "folders: [bin, sbin, lib]", f"folders: {folders}")
    assert ["'folders':" in line for line in tree.mistakes()] == [True]
