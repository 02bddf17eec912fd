"""Real registries for tests, and proxies before them for what docker-registry does not do.

A registry is Debian's docker-registry in a process of its own, with a login, TLS or in maintenance if the test says so.
A proxy passes every request on, unless a rule answers it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from armwright.publish.registry_client import RegistryClient, digest_of
from armwright.system import process

USER, PASSWORD = "ada", "s3cret-word"
_HASH = "$2b$10$BJGXww8KXSc1TENiuU5RJuoS2cx6JIDVfZtOW/1LtP9eI5hSj9fty"  # bcrypt of PASSWORD
AUTHORIZATION = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@dataclass
class Certificates:
    """A certificate authority, and the certificate that it signed for this machine's addresses."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path, *names: str) -> Certificates:
    """Make an authority and a certificate for names and addresses."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Certificates(folder / "ca.crt", folder / "server.crt", folder / "server.key")
    ca_key, request, extensions = folder / "ca.key", folder / "server.csr", folder / "extensions"
    entries = [f"{'IP' if name[0].isdigit() or ':' in name else 'DNS'}:{name}" for name in names]
    extensions.write_text(f"subjectAltName={','.join(entries)}\n")
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority",
             "-keyout", str(ca_key), "-out", str(files.authority))  # fmt: skip
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=registry", "-keyout", str(files.key),
             "-out", str(request))  # fmt: skip
    _openssl("x509", "-req", "-in", str(request), "-CA", str(files.authority), "-CAkey", str(ca_key), "-days", "2",
             "-CAcreateserial", "-extfile", str(extensions), "-out", str(files.certificate))  # fmt: skip
    return files


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, check=False, text=True)  # noqa: S607
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def run_registry(  # noqa: PLR0913 - what a registry can be
    folder: Path,
    address: str,
    *,
    login: bool = False,
    certificates: Certificates | None = None,
    read_only: bool = False,
    deletes: bool = True,
) -> Iterator[str]:
    """Run docker-registry; yield its address."""
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "data")},
            "delete": {"enabled": deletes},
            "maintenance": {"readonly": {"enabled": read_only}},
        },
        "http": {"addr": address},
    }
    if login:
        (folder / "htpasswd").write_text(f"{USER}:{_HASH}\n")
        settings["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    if certificates:
        settings["http"]["tls"] = {"certificate": str(certificates.certificate), "key": str(certificates.key)}
    (folder / "config.yml").write_text(yaml.safe_dump(settings))
    arguments = [process.require_program("docker-registry"), "serve", str(folder / "config.yml")]
    with (folder / "log").open("ab") as log:
        server = subprocess.Popen(arguments, stdout=log, stderr=log)
    try:
        _await_answer(address, server)
        yield address
    finally:
        server.terminate()
        server.wait()


def _await_answer(address: str, server: subprocess.Popen[bytes]) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), timeout=2):
            return
        time.sleep(0.05)
    raise AssertionError(f"the registry at {address} does not answer")


@dataclass(frozen=True)
class Reply:
    """What a proxy answers instead of the registry."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A request that a proxy got."""

    method: str
    path: str
    body: bytes
    headers: Mapping[str, str]

    @property
    def authorization(self) -> str:
        return self.headers.get("Authorization", "")


Rule = Callable[[Asked], Reply | None]


def refuse(status: int, code: str, message: str, **headers: str) -> Reply:
    """Return an error as the distribution specification writes it."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, body, {"Content-Type": "application/json", **named})


class _Handler(BaseHTTPRequestHandler):
    """Answers a request by the proxy's rule, or passes it on."""

    protocol_version = "HTTP/1.1"
    address: str
    rule: Callable[[Asked], Reply | None]
    asked: list[Asked]

    def log_message(self, *_: object) -> None:
        pass

    def handle_one_request(self) -> None:
        """Answer TLS as a server of plain HTTP does in Go and nginx: at once, and in HTTP."""
        if self.connection.recv(1, socket.MSG_PEEK) == b"\x16":
            self.connection.recv(1 << 16)
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.close_connection = True
        else:
            super().handle_one_request()

    def _serve(self) -> None:
        request = Asked(self.command, self.path, self._read_body(), dict(self.headers.items()))
        self.asked.append(request)
        reply = type(self).rule(request) or self._pass_on(request)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            if name.lower() not in {"content-length", "transfer-encoding", "connection", "date"}:
                self.send_header(name, value)
        stated = next((value for name, value in reply.headers.items() if name.lower() == "content-length"), None)
        self.send_header("Content-Length", stated if stated and not reply.body else str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _pass_on(self, request: Asked) -> Reply:
        connection = HTTPConnection(self.address, timeout=60)
        kept = {name: value for name, value in request.headers.items() if name.lower() != "transfer-encoding"}
        connection.request(request.method, request.path, request.body, kept)
        with contextlib.closing(connection), connection.getresponse() as response:
            return Reply(response.status, response.read(), dict(response.getheaders()))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names of http.server


@contextlib.contextmanager
def run_proxy(address: str, rule: Rule, asked: list[Asked] | None = None) -> Iterator[str]:
    """Run a proxy before a registry; yield its address. It adds each request to `asked`."""
    members = {"address": address, "rule": staticmethod(rule), "asked": [] if asked is None else asked}
    handler = type("Handler", (_Handler,), members)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def token_service(granted: str = "pull,push") -> Rule:
    """Return a rule that asks for a token, as Docker Hub and GHCR do, and gives one for the test's user.

    Args:
        granted: the actions that the user may do.
    """

    def rule(asked: Asked) -> Reply | None:
        if asked.path.startswith("/token"):
            if asked.authorization != AUTHORIZATION:
                return refuse(401, "UNAUTHORIZED", "incorrect username or password")
            return Reply(200, b'{"token": "a-token"}', {"Content-Type": "application/json"})
        writes = asked.method not in {"GET", "HEAD"}
        if asked.authorization == "Bearer a-token" and (not writes or "push" in granted):
            return None
        realm = f"http://{asked.headers['Host']}/token"
        challenge = f'Bearer realm="{realm}",service="test",scope="repository:x:{"pull,push" if writes else "pull"}"'
        if asked.authorization.startswith("Bearer"):
            challenge += ',error="insufficient_scope"'
        return refuse(401, "UNAUTHORIZED", "authentication required", WWW_Authenticate=challenge)

    return rule


def immutable_tags(asked_before: set[str]) -> Rule:
    """Return a rule that does what ECR does with immutable tags: a tag that was put once is not put again."""

    def rule(asked: Asked) -> Reply | None:
        if asked.method == "PUT" and "/manifests/" in asked.path and "sha256:" not in asked.path:
            if asked.path in asked_before:
                text = "The image tag already exists and cannot be overwritten because the repository is immutable."
                return refuse(400, "TAG_INVALID", text)
            asked_before.add(asked.path)
        return None

    return rule


def no_zstd(asked: Asked) -> Reply | None:
    """Refuse manifests with zstd layers, as registries do that know only gzip."""
    if asked.method == "PUT" and "/manifests/" in asked.path and b"tar+zstd" in asked.body:
        return refuse(400, "MANIFEST_INVALID", "manifest invalid: unsupported media type of a layer")
    return None


def put_image(client: RegistryClient, tag: str, text: str = "other") -> str:
    """Put a small image under a tag of staging/pytorch; return its digest, which follows from the text."""
    config = put_blob(client, json.dumps({"architecture": "arm64", "os": "linux", "text": text}).encode())
    kind = "application/vnd.oci.image.manifest.v1+json"
    document = {"schemaVersion": 2, "mediaType": kind, "layers": [],
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config}}  # fmt: skip
    body = json.dumps(document).encode()
    client.write_manifest("staging/pytorch", tag, body, kind)
    return digest_of(body)


def put_blob(client: RegistryClient, content: bytes) -> Mapping[str, Any]:
    """Put a blob into staging/pytorch; return its digest and size."""
    digest = digest_of(content)
    begun = client._request("POST", "staging/pytorch", "blobs/uploads/")
    url = f"{begun.headers['Location']}&digest={digest}"
    client._exchange("PUT", url, {"Content-Type": "application/octet-stream"}, content)
    return {"digest": digest, "size": len(content)}
