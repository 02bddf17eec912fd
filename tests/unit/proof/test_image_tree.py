"""The manifest of an image: shared and own part, what is read again, and an image from elsewhere compared whole."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from armwright.audit import file_tree
from armwright.audit.file_tree import Tree
from armwright.plan.plan import Plan
from armwright.proof import evidence, foreign_image, image_tree
from armwright.proof.evidence import Evidence
from armwright.system.errors import FailedError
from tests import proofs, support

COMBO = "pytorch-2.10.0-n1-acl"
BASE = {"usr/lib/libtorch.so": b"library", "etc/passwd": b"root"}
BYTE_CODE = {"usr/local/lib/armwright/start.pyc": b"code"}


class WholeImage(proofs.OneImage):
    """An engine with one image that has files below Armwright's own, and byte-code."""

    def __init__(self, plan: Plan, changes: Mapping[str, bytes | None] | None = None) -> None:
        super().__init__(plan, {**BASE, **BYTE_CODE, **(changes or {})})

    def pack(self, names: Sequence[str], parent: str = "") -> io.BytesIO:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name in sorted(names):
                entry = tarfile.TarInfo(name.removeprefix(parent).lstrip("/"))
                entry.size = len(self.files[name])
                archive.addfile(entry, io.BytesIO(self.files[name]))
        stream.seek(0)
        return stream

    @contextmanager
    def export(self, _: str) -> Iterator[IO[bytes]]:
        yield self.pack([*self.files])

    def read(self, _: str, paths: Sequence[str]) -> dict[str, bytes]:
        under = {path: [name for name in self.files if f"/{name}/".startswith(f"{path}/")] for path in paths}
        found = {path: names for path, names in under.items() if names}
        return {path: self.pack(names, path.strip("/").rpartition("/")[0]).getvalue() for path, names in found.items()}


@pytest.fixture
def plan(tree: support.Tree) -> Plan:
    return tree.plan(COMBO)


def read_shared(engine: Any) -> Tree:  # noqa: ANN401 - a fake
    with engine.export("") as archive:
        return {entry.path: file_tree.describe_entry(entry) for entry in file_tree.list_entries(archive)}


def make(plan: Plan, changes: Mapping[str, bytes | None] | None = None) -> tuple[Any, dict[str, str]]:
    engine: Any = WholeImage(plan, changes)
    return engine, image_tree.make_manifest(engine, plan, engine.image, read_shared(engine))


def put_proof(root: Path, plan: Plan, manifest: Tree) -> None:
    """Write valid evidence, as it comes from another machine, with a manifest."""
    document = {**proofs.document(plan), "files": file_tree.hash_tree(manifest)}
    evidence.write_evidence(root, Evidence.model_validate(document))
    image_tree.write_manifest(image_tree.manifest_path(root, COMBO), manifest)


def test_a_manifest_has_every_file_of_its_image(plan: Plan) -> None:
    engine, manifest = make(plan)
    assert manifest == read_shared(engine)
    assert set(manifest) == set(engine.files)


def test_the_own_files_are_those_of_the_combo(plan: Plan) -> None:
    others = {"opt/armwright/image.json": b"{}", "opt/armwright/other": b"", "usr/local/lib/armwright/x": b""}
    other: Any = WholeImage(plan, others)
    engine: Any = WholeImage(plan)
    assert image_tree.make_manifest(engine, plan, engine.image, read_shared(other)) == read_shared(engine)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"usr/lib/libtorch.so": b"librarY"}, "changed usr/lib/libtorch.so"),
        ({"usr/local/lib/armwright/start.pyc": b"evil"}, "changed usr/local/lib/armwright/start.pyc"),
        ({"etc/ld.so.preload": b"/evil.so"}, "added etc/ld.so.preload"),
        ({"etc/passwd": None}, "missing etc/passwd"),
    ],
)
def test_an_image_from_elsewhere_is_compared_whole(
    tree: support.Tree, plan: Plan, changes: dict[str, bytes | None], expected: str
) -> None:
    engine, manifest = make(plan)
    put_proof(tree.root, plan, manifest)
    assert foreign_image.explain_own_word(tree.load(), engine, plan.reference, engine.image) == ""
    broken, _ = make(plan, changes)
    with pytest.raises(FailedError, match=expected):
        foreign_image.explain_own_word(tree.load(), broken, plan.reference, broken.image)


def test_a_manifest_that_the_evidence_is_not_about_is_not_used(tree: support.Tree, plan: Plan) -> None:
    engine, manifest = make(plan)
    put_proof(tree.root, plan, manifest)
    image_tree.write_manifest(image_tree.manifest_path(tree.root, COMBO), {**manifest, "evil": "file"})
    assert "not compared" in foreign_image.explain_own_word(tree.load(), engine, plan.reference, engine.image)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x1f\x8b\x08"])
def test_a_damaged_manifest_reads_as_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "proof.files.json.gz"
    file.write_bytes(content)
    assert image_tree.read_manifest(file) is None
    image_tree.write_manifest(file, {"a": "file"})
    assert image_tree.read_manifest(file) == {"a": "file"}
    assert image_tree.read_manifest(tmp_path / "absent") is None
