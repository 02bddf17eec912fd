"""A small signed Debian archive with snapshots of its past, served on 127.0.0.1."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.openpgp import SigningKey

ARCHITECTURES = ("amd64", "arm64")
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Package:
    """A package and its files."""

    name: str
    version: str
    files: Mapping[str, str] = field(default_factory=dict)
    depends: str = ""
    architecture: str = "all"

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version}_{self.architecture}.deb"

    @property
    def control(self) -> str:
        lines = {"Package": self.name, "Version": self.version, "Architecture": self.architecture}
        lines |= {"Maintainer": "Nobody <nobody@example.org>", "Description": "of a test"}
        lines |= {"Depends": self.depends} if self.depends else {}
        return "".join(f"{key}: {value}\n" for key, value in lines.items())

    @property
    def content(self) -> bytes:
        """The package, in Debian's format."""
        members = {
            "debian-binary": b"2.0\n",
            "control.tar": _tar({"./control": self.control}),
            "data.tar": _tar({f"./{path}": text for path, text in self.files.items()}),
        }
        archive = b"!<arch>\n"
        for name, data in members.items():
            archive += f"{name:16}{0:<12}{0:<6}{0:<6}{'100644':8}{len(data):<10}`\n".encode()
            archive += data + b"\n" * (len(data) % 2)
        return archive


def _tar(files: Mapping[str, str]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.GNU_FORMAT) as tar:
        folders = sorted({f"{parent}" for name in files for parent in Path(name).parents if str(parent) != "."})
        for name in folders:
            folder = tarfile.TarInfo(f"./{name}/")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return sink.getvalue()


@dataclass
class DebianArchive:
    """An archive of one suite and its security suite, below a folder.

    Args:
        folder: the folder that is served: <folder>/debian, <folder>/debian-security, <folder>/snapshot.
        key: signs it.
        suite: the name of its suite.
        valid: for how many days an index is valid.
    """

    folder: Path
    key: SigningKey
    suite: str = "trixie"
    valid: int = 36_500

    def publish(self, packages: Iterable[Package], date: datetime, security: Iterable[Package] = ()) -> None:
        """Replace what the archive has, and keep a snapshot of it, taken three hours later."""
        self._publish(self.folder / "debian", self.suite, packages, date)
        self._publish(self.folder / "debian-security", f"{self.suite}-security", security, date)
        taken = f"{date + timedelta(hours=3):%Y%m%dT%H%M%SZ}"
        for name, suite, content in (
            ("debian", self.suite, packages),
            ("debian-security", f"{self.suite}-security", security),
        ):
            self._publish(self.folder / "snapshot" / name / taken, suite, content, date)

    def _publish(self, site: Path, suite: str, packages: Iterable[Package], date: datetime) -> None:
        for path in sorted(site.rglob("*.deb")) if site.exists() else ():
            path.unlink()
        (site / "pool").mkdir(parents=True, exist_ok=True)
        listed = []
        for package in packages:
            content = package.content
            (site / "pool" / package.file).write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            listed.append(f"{package.control}Filename: pool/{package.file}\nSize: {len(content)}\nSHA256: {digest}\n")
        index = "\n".join(listed).encode()
        head = {
            "Origin": "Test", "Suite": suite, "Codename": suite, "Date": f"{date:%a, %d %b %Y %H:%M:%S UTC}",
            "Valid-Until": f"{date + timedelta(days=self.valid):%a, %d %b %Y %H:%M:%S UTC}",
            "Architectures": " ".join(ARCHITECTURES), "Components": "main",
        }  # fmt: skip
        release = "".join(f"{key}: {value}\n" for key, value in head.items()) + "SHA256:\n"
        for architecture in ARCHITECTURES:
            place = f"main/binary-{architecture}/Packages"
            path = site / "dists" / suite / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(index)
            release += f" {hashlib.sha256(index).hexdigest()} {len(index)} {place}\n"
        (site / "dists" / suite / "InRelease").write_text(self.key.sign_text(release))


class ArchiveHandler(SimpleHTTPRequestHandler):
    """Serves a folder; asks for a password below /debian if there is one, and finds the snapshot before a time."""

    credentials = ""

    def do_GET(self) -> None:
        """Serve a file."""
        server: Any = self.server
        server.requested.append(self.path)
        wanted = f"Basic {base64.b64encode(server.credentials.encode()).decode()}"
        guarded = server.credentials and self.path.startswith("/debian")
        if guarded and self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="archive"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.path = self._find_snapshot(self.path)
        super().do_GET()

    def _find_snapshot(self, path: str) -> str:
        found = re.fullmatch(r"(/snapshot/[a-z-]+/)(\d{8}T\d{6}Z)(/.*)", path)
        if not found:
            return path
        folder = Path(str(self.directory)) / found[1].strip("/")
        taken = [entry.name for entry in folder.iterdir() if entry.name <= found[2]] if folder.is_dir() else []
        return found[1] + max(taken) + found[3] if taken else path

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@dataclass(frozen=True)
class Served:
    """A folder that is served: the port, the requested paths, user:password if it asks for one."""

    port: int
    requested: list[str]
    credentials: str

    @property
    def site(self) -> str:
        """The address, with its password."""
        user, _, password = self.credentials.partition(":")
        secret = f"{quote(user)}:{quote(password)}@" if user else ""
        return f"http://{secret}{HOST}:{self.port}"

    @property
    def snapshot(self) -> str:
        """The address of the snapshots, which need no password."""
        return f"http://{HOST}:{self.port}/snapshot"


@contextmanager
def serve(folder: Path, credentials: str = "") -> Iterator[Served]:
    """Serve a folder until the work inside is done."""
    server: Any = ThreadingHTTPServer((HOST, 0), partial(ArchiveHandler, directory=str(folder)))
    server.credentials, server.requested = credentials, []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Served(server.server_address[1], server.requested, credentials)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def at(text: str) -> datetime:
    """Read a time such as 2026-11-20T10:00."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
