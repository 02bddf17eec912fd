"""The file tree of an image as text: every difference that a program could see is one, and no other."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from armwright.audit import file_tree

GLOBS = ["dev", "etc", "etc/hostname"]
FILE: dict[str, Any] = {
    "name": "usr/lib/a.so", "mode": 0o644, "mtime": 315619200, "uid": 0, "gid": 0, "content": b"abc",
}  # fmt: skip


def pack(*entries: dict[str, Any]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for fields in entries:
            entry, content = tarfile.TarInfo(), fields.get("content", b"")
            for name, value in fields.items():
                if name != "content":
                    setattr(entry, name, value)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    stream.seek(0)
    return stream


def read(*entries: dict[str, Any]) -> dict[str, str]:
    tree: dict[str, str] = {}
    entered = file_tree.collect_tree(file_tree.list_entries(pack(*entries), GLOBS), tree)
    assert [entry.path for entry in entered] == [*tree]
    return tree


@pytest.mark.parametrize(
    "change",
    [
        {"mode": 0o755},
        {"mode": 0o4644},
        {"uid": 1},
        {"gid": 1},
        {"mtime": 1},
        {"content": b"abd"},
        {"content": b"abcd"},
        {"type": tarfile.SYMTYPE, "linkname": "abc", "content": b""},
        {"type": tarfile.LNKTYPE, "linkname": "abc", "content": b""},
        {"type": tarfile.DIRTYPE, "content": b""},
        {"type": tarfile.FIFOTYPE, "content": b""},
        {"pax_headers": {"SCHILY.xattr.security.capability": "1"}},
    ],
    ids=str,
)
def test_each_property_of_a_file_counts(change: dict[str, Any]) -> None:
    tree, changed = read(FILE), read({**FILE, **change})
    assert file_tree.find_differences(tree, changed) == ["changed usr/lib/a.so"]
    assert file_tree.hash_tree(tree) != file_tree.hash_tree(changed)


def test_added_and_missing_files_are_named() -> None:
    other = {**FILE, "name": "usr/lib/b.so"}
    assert file_tree.find_differences(read(FILE), read(other)) == ["missing usr/lib/a.so", "added usr/lib/b.so"]


def test_the_order_and_the_names_beginning_do_not_count() -> None:
    other = {**FILE, "name": "usr/lib/b.so"}
    tree = read(FILE, other)
    assert file_tree.hash_tree(tree) == file_tree.hash_tree(read(other, {**FILE, "name": "./usr/lib/a.so"}))


def test_what_an_engine_makes_is_left_out() -> None:
    folder = {"type": tarfile.DIRTYPE}
    made: list[dict[str, Any]] = [{"name": "dev", **folder}, {"name": "etc/hostname"}, {"name": ".", **folder}]
    assert read(*made) == {}
    assert list(read({"name": "etc/hostname", "content": b"builder7"})) == ["etc/hostname"]


def test_a_part_is_the_same_as_the_whole() -> None:
    part = pack({**FILE, "name": "lib/a.so"}).getvalue()
    assert file_tree.read_part(part, "usr") == read(FILE)
