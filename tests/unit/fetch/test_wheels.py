"""Downloads of wheels with real pip, from an index on this machine that refuses them, and under harmful settings."""

from __future__ import annotations

import base64
import hashlib
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from armwright.fetch import wheels
from armwright.matrix.matrix import Matrix
from armwright.system.errors import ArmwrightError, MachineError
from tests.unit.system.test_pip_settings import HARMFUL

NAME = "lamp-1.0-py3-none-any.whl"


class Index(BaseHTTPRequestHandler):
    """An index of one wheel, which answers with one status to all who do not know its password."""

    status = 200
    wheel: ClassVar[bytes] = b""
    login = "Basic " + base64.b64encode(b"me:hush").decode()

    def do_GET(self) -> None:
        refused = self.status != 200 and self.headers.get("Authorization") != self.login
        page = f'<a href="/{NAME}">{NAME}</a>'.encode()
        body = b"" if refused else page if self.path.endswith("/") else self.wheel
        self.send_response(self.status if refused else 200)
        self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/zip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        self.send_response(407)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The index's host and port; pip is configured for it by its configuration file."""
    path = tmp_path / NAME
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lamp-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: lamp\nVersion: 1.0\n")
        archive.writestr("lamp-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("lamp-1.0.dist-info/RECORD", "")
    monkeypatch.setattr(Index, "wheel", path.read_bytes())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = f"127.0.0.1:{server.server_port}"
    configure(monkeypatch, tmp_path, f"http://{place}/simple")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield place
    server.shutdown()
    server.server_close()


def configure(monkeypatch: pytest.MonkeyPatch, folder: Path, address: str) -> None:
    file = folder / f"{hashlib.sha256(address.encode()).hexdigest()}.conf"  # pip's settings are read once for a file
    file.write_text(f"[global]\nindex-url = {address}\nextra-index-url =\nfind-links =\nretries = 0\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))


def download(matrix: Matrix, cache: Path) -> Path:
    lock = f"lamp==1.0 \\\n    --hash=sha256:{hashlib.sha256(Index.wheel).hexdigest()}\n"
    return wheels.ensure_wheels(cache, matrix.recipes.bases["debian-13"], lock, cache / "log")


def test_settings_for_other_work_do_not_reach_a_download(
    matrix: Matrix, index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert index
    for name, value in HARMFUL.items():
        monkeypatch.setenv(name, value)
    folder = download(matrix, tmp_path / "cache")
    assert [path.name for path in folder.iterdir()] == [NAME]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize(
    ("status", "why", "hint"),
    [
        (401, "wants a login (HTTP 401)", "index-url"),
        (403, "refuses the request (HTTP 403)", "index-url"),
        (407, "is behind a proxy that wants a login (HTTP 407)", "HTTPS_PROXY"),
        (500, "is out of order (HTTP 500)", "later"),
    ],
)
def test_index_that_refuses_is_not_one_without_the_wheel(  # noqa: PLR0913, PLR0917 - the fields of a case
    matrix: Matrix, index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, why: str, hint: str
) -> None:
    assert index
    monkeypatch.setattr(Index, "status", status)
    with pytest.raises(MachineError) as refused:
        download(matrix, tmp_path / "cache")
    assert refused.value.what.startswith(f"the package index {why}; ")
    assert refused.value.next_step == "pip config list"
    assert hint in refused.value.hint
    assert list((tmp_path / "cache" / "wheels").iterdir()) == []


def test_login_in_the_index_url_is_used_and_not_shown(
    matrix: Matrix, index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Index, "status", 401)
    configure(monkeypatch, tmp_path, f"http://me:wrong@{index}/simple")
    with pytest.raises(ArmwrightError) as refused:
        download(matrix, tmp_path / "cache")
    assert "wrong" not in refused.value.what + (tmp_path / "cache" / "log").read_text()
    configure(monkeypatch, tmp_path, f"http://me:hush@{index}/simple")
    assert [path.name for path in download(matrix, tmp_path / "cache").iterdir()] == [NAME]


def test_proxy_that_wants_a_login_is_named(
    matrix: Matrix, index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, tmp_path, "https://index.example/simple")
    monkeypatch.setenv("PIP_PROXY", f"http://{index}")
    with pytest.raises(MachineError, match="is behind a proxy that wants a login"):
        download(matrix, tmp_path / "cache")
