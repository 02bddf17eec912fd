"""The audit of a real image: its files are exported from the engine, and nothing in it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from armwright.assembly import buildx
from armwright.audit import image_audit
from armwright.engine.client import Engine, Image
from armwright.plan.plan import COMPRESSION
from armwright.system.errors import FailedError
from tests.elf import NOP, RET, elf
from tests.support import Tree

DOCKERFILE = """\
FROM scratch
LABEL org.armwright.combo="pytorch-2.10.0-n1-acl"
COPY bare.so /usr/lib/bare.so
COPY guarded.so /usr/lib/below/guarded.so
COPY Dockerfile /etc/motd
"""
LDADD = 0xB8200020
GUARDED = (0x39426610, 0x34000070, LDADD, RET)


@pytest.fixture
def image(name: str, context: Callable[..., Path], tmp_path: Path, engine: Engine) -> Image:
    folder = context(DOCKERFILE)
    (folder / "bare.so").write_bytes(elf([NOP, LDADD, RET]))
    (folder / "guarded.so").write_bytes(elf([*GUARDED]))
    buildx.run_build(folder, tmp_path / "log", name=name, epoch=1_700_000_000, compression=COMPRESSION)
    built = engine.find(name)
    assert built is not None
    return built


def test_findings_name_the_file_and_no_container_remains(
    tree: Tree, name: str, image: Image, engine: Engine, docker: Callable[..., str]
) -> None:
    audit = image_audit.audit_image(tree.root, engine, name, image, tree.load().recipes.targets["generic"])
    assert [(row.path, row.state, row.feature, row.bare) for row in audit.rows] == [
        ("usr/lib/bare.so", "above", "atomics", 1),
        ("usr/lib/below/guarded.so", "guarded", "atomics", 0),
    ]
    assert (audit.image, audit.files) == (image.digest, 2)
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={name}") == ""


def test_an_image_is_read_once_for_all_floors(
    tree: Tree, name: str, image: Image, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = tree.load().recipes.targets
    assert image_audit.audit_image(tree.root, engine, name, image, targets["generic"]).findings
    monkeypatch.setattr(engine, "export", lambda _: pytest.fail("read again"))
    assert image_audit.audit_image(tree.root, engine, name, image, targets["n1"]).rows == []


def test_a_removed_image_fails_with_an_error(tree: Tree, name: str, image: Image, engine: Engine) -> None:
    engine.untag(name)
    with pytest.raises(FailedError, match="the Docker Engine refused"):
        image_audit.audit_image(tree.root, engine, name, image, tree.load().recipes.targets["n1"])
