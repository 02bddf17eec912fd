"""Reading files from an image: nothing in it runs, missing files are left out, and too many bytes are refused."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from armwright.assembly import buildx
from armwright.engine import client
from armwright.engine.client import Engine, Image
from armwright.plan.plan import COMPRESSION
from armwright.system.errors import FailedError

DOCKERFILE = "FROM scratch\nCOPY one /folder/one\nCOPY two /folder/below/two\nCOPY two /three\n"


@pytest.fixture
def image(name: str, context: Callable[..., Path], tmp_path: Path, engine: Engine) -> Image:
    folder = context(DOCKERFILE, one="first", two="second")
    buildx.run_build(folder, tmp_path / "log", name=name, epoch=1_700_000_000, compression=COMPRESSION)
    built = engine.find(name)
    assert built is not None
    return built


def contents(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        files = {member.name: opened.extractfile(member) for member in opened if member.isreg()}
    return {name: content.read() for name, content in files.items() if content}


def test_files_and_folders_are_read_and_missing_ones_left_out(name: str, image: Image, engine: Engine) -> None:
    archives = engine.read(name, ["/folder", "/three", "/four"])
    assert {path: contents(archive) for path, archive in archives.items()} == {
        "/folder": {"folder/one": b"first", "folder/below/two": b"second"},
        "/three": {"three": b"second"},
    }
    assert len(image.layers) == 3
    assert image.configuration["Labels"] is None


def test_no_container_is_left_behind(name: str, image: Image, engine: Engine, docker: Callable[..., str]) -> None:
    engine.read(name, ["/three"])
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={image.digest}") == ""


def test_more_bytes_than_allowed_are_refused(
    name: str, image: Image, monkeypatch: pytest.MonkeyPatch, docker: Callable[..., str]
) -> None:
    monkeypatch.setattr(client, "READABLE", 1000)
    with pytest.raises(FailedError, match=r"/folder in .* is larger than"):
        Engine().read(name, ["/folder"])
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={image.digest}") == ""
