"""Single files: downloaded once, kept only with the right hash, replaced by the user's own, or a clear error."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO, Any

import pytest
from packaging.version import Version

from armwright.assembly.assemble import fetch_context
from armwright.fetch import debian_roots, downloads, library_cache, package_index, wheels
from armwright.fetch.index_pages import IndexFile
from armwright.fetch.package_index import PackageIndex
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan, make_plan
from armwright.recipes.source_builds import Download, PythonFile
from armwright.system import http
from armwright.system.errors import FailedError, InputError, MachineError
from armwright.system.http import ResponseHead

CONTENT = b"some bytes"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
WHEEL = "lamp-1.0-py3-none-any.whl"


def source(port: int = 1) -> Download:
    return Download(file="a.tar.gz", sha256=DIGEST, url=f"https://127.0.0.1:{port}/a.tar.gz", found="nowhere, a test")


def lamp(content: bytes = CONTENT) -> PythonFile:
    return PythonFile(file=WHEEL, sha256=hashlib.sha256(content).hexdigest(), found="nowhere, a test")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A host that sends the same bytes for every address; returns the requested addresses."""
    requested: list[str] = []

    def answer(url: str, sink: IO[bytes], **_: Any) -> ResponseHead:  # noqa: ANN401 - any option
        requested.append(url)
        sink.write(CONTENT)
        return ResponseHead(200, {}, url)

    monkeypatch.setattr(http, "fetch", answer)
    return requested


def list_downloads(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "downloads").rglob("*") if path.is_file())


def test_file_is_downloaded_once_and_kept_by_its_hash(tmp_path: Path, sent: list[str]) -> None:
    first = downloads.ensure_download(tmp_path, source(), "")
    assert first.read_bytes() == CONTENT
    assert downloads.ensure_download(tmp_path, source(), "") == first
    assert sent == ["https://127.0.0.1:1/a.tar.gz"]
    assert list_downloads(tmp_path) == [f"{DIGEST[:12]}-a.tar.gz"]


def test_file_with_another_hash_is_refused_and_not_kept(tmp_path: Path, sent: list[str]) -> None:
    wanted = source().model_copy(update={"sha256": "0" * 64})
    with pytest.raises(FailedError, match=f"a different a.tar.gz: its sha256 is {DIGEST}, the recipe has {'0' * 64}"):
        downloads.ensure_download(tmp_path, wanted, "")
    assert sent
    assert list_downloads(tmp_path) == []


def test_unreachable_host_gives_the_callers_advice(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib3.util.Retry.sleep", lambda *_: None)
    with pytest.raises(MachineError, match=f"^127.0.0.1:{port} cannot be reached: Connection refused") as error:
        downloads.ensure_download(tmp_path, source(port), "invoke build", "elsewhere")
    assert (error.value.next_step, error.value.hint) == ("invoke build", "elsewhere")
    assert list_downloads(tmp_path) == []


def test_file_without_address_comes_from_the_index(
    tmp_path: Path, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [IndexFile(name, f"https://files.example/{name}", Version("1.0")) for name in ("lamp-0.9.tar.gz", WHEEL)]
    monkeypatch.setattr(package_index, "find_package_index", lambda: PackageIndex(()))
    monkeypatch.setattr(PackageIndex, "files", lambda _, name: files if name == "lamp" else [])
    assert downloads.ensure_download(tmp_path, lamp(), "").read_bytes() == CONTENT
    assert sent == [f"https://files.example/{WHEEL}"]
    files.pop()
    with pytest.raises(FailedError, match=r"the package index has no lamp-1\.0"):
        downloads.ensure_download(tmp_path / "other", lamp(), "")


def test_users_wheel_replaces_its_download(tmp_path: Path) -> None:
    own = tmp_path / "any name"
    own.write_bytes(CONTENT)
    kept = downloads.adopt_file(tmp_path, [lamp(), lamp(b"another")], own)
    assert downloads.ensure_download(tmp_path, lamp(), "") == kept
    assert kept.read_bytes() == CONTENT
    assert own.exists()


def test_wheel_with_another_hash_is_refused_with_both(tmp_path: Path) -> None:
    own = tmp_path / "own.whl"
    own.write_bytes(b"other bytes")
    digest = hashlib.sha256(b"other bytes").hexdigest()
    with pytest.raises(InputError, match=f"own.whl is a different file: its sha256 is {digest}; {WHEEL} has {DIGEST}"):
        downloads.adopt_file(tmp_path, [lamp()], own)
    assert not (tmp_path / "downloads").exists()


def test_wheel_for_combos_without_one_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.whl"
    own.write_bytes(CONTENT)
    sdist = PythonFile(file="lamp-1.0.tar.gz", sha256=DIGEST, found="nowhere, a test")
    with pytest.raises(InputError, match="no selected combo uses a wheel"):
        downloads.adopt_file(tmp_path, [sdist], own)


def test_unreadable_wheel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        downloads.adopt_file(tmp_path, [lamp()], tmp_path / "own.whl")


def test_build_that_cannot_reach_a_host_says_what_to_run_where(
    matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, host: str, **__: object) -> ResponseHead:
        raise MachineError(f"{host} cannot be reached: Name or service not known", "invoke doctor")

    monkeypatch.setattr(http, "fetch", unreachable)
    monkeypatch.setattr(debian_roots, "ensure_root", lambda *_: tmp_path)
    monkeypatch.setattr(library_cache, "ensure_library_cache", lambda _: tmp_path)
    monkeypatch.setattr(wheels, "ensure_wheels", lambda *_: tmp_path)
    combo = matrix.by_id["tensorflow-1.15.0-n1-eigen"]
    monkeypatch.setattr(Plan, "downloads", combo.release.files)
    with pytest.raises(MachineError, match="cannot be reached: Name or service not known") as error:
        fetch_context(tmp_path, make_plan(matrix, combo))
    host = combo.release.files[0].place
    assert error.value.next_step == ("./inv build --framework tensorflow --version 1.15.0 --target n1 --backend eigen")
    assert error.value.hint == (
        f"run it on a machine that reaches {host}, or here with --wheel {combo.release.files[0].file}; "
        "until then the combo stays unverified"
    )
