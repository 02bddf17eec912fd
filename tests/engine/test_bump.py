"""`bump` with a real index of small wheels, served over HTTP on this machine, and the real resolver."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from armwright.plan import locks
from armwright.system import http, process
from armwright.system.errors import FailedError, MachineError
from tests.support import ROOT, Tree
from tests.wheelhouse import Wheel, add_lamp, html, page

X86 = "cp313-cp313-manylinux_2_28_x86_64"
LATER = "cp314-cp314-manylinux_2_28_aarch64"
WHEELS = (
    Wheel("lamp", "1.0.0"),
    Wheel("lamp", "1.1.0", requires=("wick>=1", 'triton; platform_machine == "x86_64"'), size=300_000),
    Wheel("lamp", "1.1.0", X86, requires=("nvidia-burner",)),
    Wheel("lamp", "1.2.0", requires=("wick>=2",)),  # no such version exists
    Wheel("lamp", "1.3.0", requires=("burner",)),  # it needs CUDA
    Wheel("lamp", "1.4.0", LATER),
    Wheel("lamp", "1.5.0", hashed=False),
    Wheel("lamp", "1.6.0", X86),
    Wheel("lamp", "1.7.0", requires=('nvidia-burner==1.0; platform_system == "Linux"', "triton")),
    Wheel("lamp", "1.8.0", requires=('triton; platform_machine == "aarch64"',), beside=True),
    Wheel("lamp", "1.9.0", requires_python=">=3.14"),
    Wheel("lamp", "1.10.0", yanked="it burns"),
    Wheel("lamp", "2.0.0rc1"),
    Wheel("wick", "1.0", "py3-none-any"),
    Wheel("burner", "1.0", "py3-none-any", requires=("triton",)),
    Wheel("triton", "3.0", "py3-none-any"),
)
REASONS = {
    "2.0.0rc1": "a pre-release",
    "1.10.0": "withdrawn upstream: 'it burns'",
    "1.9.0": "it requires Python >=3.14, and Debian 13 has 3.13",
    "1.8.0": "a CUDA build: it requires triton",
    "1.7.0": "a CUDA build: it requires nvidia-burner, triton",
    "1.6.0": "no wheel for AArch64 and Python 3.13 with glibc 2.41",
    "1.5.0": "its wheel has no sha256 on the index",
    "1.4.0": "no wheel for AArch64 and Python 3.13 with glibc 2.41",
    "1.3.0": "its lock: recipes/locks/lamp-1.3.0.txt:",
    "1.2.0": "its lock: No solution found when resolving dependencies",
}
SECRET = "oil:secret"  # noqa: S105 - the test index requires it


class Folder(SimpleHTTPRequestHandler):
    """Serves a folder as a static index does: without JSON and without ranges."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != "Basic b2lsOnNlY3JldA==":
            self.send_error(401)
        elif self.path == "/busy":
            self.send_error(503)
        else:
            self._serve()

    def _serve(self) -> None:
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


class Modern(Folder):
    """Serves a folder as large indexes do: with JSON on request, and with ranges."""

    def _serve(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.is_dir() and "vnd.pypi.simple.v1+json" in self.headers.get("Accept", ""):
            return self._send(200, (path / "index.json").read_bytes(), "application/vnd.pypi.simple.v1+json")
        span = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not span or not path.is_file():
            return super()._serve()
        content = path.read_bytes()
        start = int(span[1]) if span[1] else max(0, len(content) - int(span[2]))
        end = min(int(span[2]) + 1, len(content)) if span[1] and span[2] else len(content)
        return self._send(206, content[start:end], "application/zip", f"bytes {start}-{end - 1}/{len(content)}")

    def _send(self, status: int, content: bytes, kind: str, part: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if part:
            self.send_header("Content-Range", part)
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def serving(folder: Path, kind: type[Folder]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(kind, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{SECRET}@127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def wheel_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheels and their index pages in both formats."""
    folder = tmp_path_factory.mktemp("index")
    (folder / "files").mkdir()
    for name in {wheel.name for wheel in WHEELS}:
        wheels = [wheel for wheel in WHEELS if wheel.name == name]
        (folder / "simple" / name).mkdir(parents=True)
        (folder / "simple" / name / "index.html").write_text(html(wheels))
        (folder / "simple" / name / "index.json").write_text(json.dumps({**page(wheels), "name": name}))
        for wheel in wheels:
            (folder / "files" / wheel.file).write_bytes(wheel.content)
            if wheel.beside:
                (folder / "files" / f"{wheel.file}.metadata").write_bytes(wheel.metadata)
    return folder


class CommandResult(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


@dataclass
class Project:
    """A copy of the project with the framework lamp, and the environment of a machine whose pip uses one index."""

    tree: Tree
    environment: dict[str, str] = field(default_factory=dict)

    def invoke(self, *arguments: str) -> CommandResult:
        done = subprocess.run(
            [sys.executable, "-m", "armwright.cli.program", "--search-root", str(self.tree.root), *arguments],
            cwd=self.tree.root, env=self.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert "secret" not in done.stdout + done.stderr
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def texts(self) -> dict[str, bytes]:
        files = [self.tree.root / "matrix.yaml", *(self.tree.root / "recipes").rglob("*")]
        return {str(file.relative_to(self.tree.root)): file.read_bytes() for file in files if file.is_file()}


@pytest.fixture
def project(tree: Tree, tmp_path: Path) -> Project:
    add_lamp(tree)
    shutil.copy(ROOT / "tasks.py", tree.root)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    added = {
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "COLUMNS": "500",
    }
    return Project(tree, {**kept, **added})


@pytest.fixture(params=[Folder, Modern], ids=["a folder over HTTP", "JSON and ranges"])
def indexed(project: Project, wheel_folder: Path, request: pytest.FixtureRequest) -> Iterator[Project]:
    with serving(wheel_folder, request.param) as address:
        Path(project.environment["PIP_CONFIG_FILE"]).write_text(f"[global]\nindex-url = {address}/simple\n")
        yield project


def test_newest_acceptable_version_of_a_real_index_is_written(indexed: Project) -> None:
    before = indexed.texts()
    result = indexed.invoke("bump", "lamp")
    assert result.code == 0, result.err
    assert indexed.texts() == before
    assert "nothing was written; to write the changes, run: invoke bump lamp --write" in result.err
    lines = result.out.splitlines()
    for version, reason in REASONS.items():
        assert any(re.match(rf"{re.escape(version)} +refused +{re.escape(reason)}", line) for line in lines), version
    assert any("1.1.0" in line and "its lock resolves" in line for line in lines)
    assert "triton is a CUDA distribution" in result.out
    diff = result.out[result.out.index("--- /dev/null") :]

    wrote = indexed.invoke("bump", "lamp", "--write")
    assert wrote.code == 0, wrote.err
    assert wrote.out == result.out
    after = indexed.texts()
    text = after["recipes/locks/lamp-1.1.0.txt"].decode()
    locks.check_wheel_lock(text, "the new lock")
    assert locks.locked_packages(text) == {"lamp": "1.1.0", "wick": "1.0"}
    hashes = set(re.findall(r"sha256:([0-9a-f]{64})", text))
    assert hashes == {
        wheel.sha256 for wheel in WHEELS if (wheel.name, wheel.version) in {("lamp", "1.1.0"), ("wick", "1.0")}
    }
    assert indexed.tree.load().versions("lamp") == ["1.1.0", "1.0.0"]

    applied = _apply_diff(before, diff, indexed.tree.root.parent / "applied")
    assert applied == after
    again = indexed.invoke("bump", "lamp")
    assert (again.code, "1.1.0" in again.out) == (0, False)
    assert "Lamp 1.1.0 is still the newest version: no newer version can be published" in again.err


def _apply_diff(before: dict[str, bytes], diff: str, folder: Path) -> dict[str, bytes]:
    """Apply a diff to a copy of the files with git, and return the files."""
    for name, content in before.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    subprocess.run([process.require_program("git"), "apply", "-"], input=diff, text=True, cwd=folder, check=True)
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_json_output_is_one_document(indexed: Project) -> None:
    result = indexed.invoke("bump", "lantern", "--version", "1.1.0", "--json")
    assert result.code == 0, result.err
    document: dict[str, Any] = json.loads(result.out)
    assert (document["proposed"], document["written"]) == ("1.1.0", False)
    assert document["diff"].startswith("--- /dev/null")
    assert [row["verdict"] for row in document["versions"]] == ["ok"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bump", "lamp", "--version", "1.8.0"], "Lamp 1.8.0 is refused: a CUDA build: it requires triton"),
        (["bump", "lamp", "--version", "1.3.0"], "triton is a CUDA distribution"),
        (["bump", "lamp", "--version", "9.9"], "the package index has no lamp 9.9"),
        (["bump", "lump"], "the framework 'lump' is not known: did you mean 'lamp'"),
    ],
)
def test_unacceptable_version_exits_with_2_and_writes_nothing(
    project: Project, wheel_folder: Path, arguments: list[str], message: str
) -> None:
    before = project.texts()
    with serving(wheel_folder, Modern) as address:
        Path(project.environment["PIP_CONFIG_FILE"]).write_text(f"[global]\nindex-url = {address}/simple\n")
        result = project.invoke(*arguments, "--write")
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "\nnext:  " in result.err
    assert project.texts() == before


def test_unreachable_index_exits_with_3_and_hides_its_address(project: Project, port: int) -> None:
    address = f"http://{SECRET}@127.0.0.1:{port}/simple"
    Path(project.environment["PIP_CONFIG_FILE"]).write_text(f"[global]\nindex-url = {address}\n")
    result = project.invoke("bump", "lamp")
    assert (result.code, result.out) == (3, "")
    assert "error: the package index cannot be reached: Connection refused" in result.err
    assert "pip config list" in result.err
    assert str(port) not in result.err


def test_index_without_the_framework_exits_with_2(project: Project, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with serving(tmp_path / "empty", Folder) as address:
        Path(project.environment["PIP_CONFIG_FILE"]).write_text(f"[global]\nindex-url = {address}/simple\n")
        result = project.invoke("bump", "lamp")
    assert (result.code, result.out) == (2, "")
    assert "the package index has no distribution lamp" in result.err


def test_error_about_an_answer_hides_the_address(wheel_folder: Path) -> None:
    with serving(wheel_folder, Folder) as address:
        file = f"{address}/files/{WHEELS[1].file}"
        sink = io.BytesIO()
        size = len(WHEELS[1].content)
        assert http.fetch(file, sink, limit=size, host="the index").status == 200
        assert sink.getvalue() == WHEELS[1].content
        with pytest.raises(FailedError, match=rf"^the index answered with more than {size - 1} bytes$"):
            http.fetch(file, io.BytesIO(), limit=size - 1, host="the index")
        with pytest.raises(FailedError, match=r"^the index answered with 503$"):
            http.fetch(f"{address}/busy", io.BytesIO(), limit=size, host="the index")
        with pytest.raises(MachineError, match=r"^the index wants a login \(HTTP 401\)$"):
            http.fetch(file.replace(f"{SECRET}@", ""), io.BytesIO(), limit=size, host="the index")
        assert http.fetch(f"{address}/none", io.BytesIO(), limit=size, host="the index", accept=(404,)).status == 404
    with pytest.raises(MachineError, match=r"^the index cannot be reached: Connection refused$"):
        http.fetch(file, io.BytesIO(), limit=size, host="the index")
