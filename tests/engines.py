"""Second Docker Engines for tests: each with folders, sockets and certificates of its own, and removed afterwards.

Each has a network namespace of its own. `dockerd --bridge none` removes the bridge docker0, and in the machine's own
namespace that is the bridge of the machine's engine, whose containers would then have no network.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armwright.system import process

STORE = {"features": {"containerd-snapshotter": True}}
OLD_STORE = {"features": {"containerd-snapshotter": False}}
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""
PATIENCE = 60  # seconds for an engine to start on a busy machine


@dataclass(frozen=True)
class SecondEngine:
    """An engine of a test: the address of its socket, and its folder."""

    host: str
    folder: Path
    process: subprocess.Popen[bytes]

    def docker(self, *arguments: str, given: bytes = b"") -> str:
        """Run docker's command line on this engine; it must succeed."""
        command = [process.require_program("docker"), "--host", self.host, *arguments]
        done = subprocess.run(command, input=given, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()


@contextlib.contextmanager
def start_engine(
    folder: Path, settings: Mapping[str, Any], *options: str, listener: socket.socket | None = None
) -> Iterator[SecondEngine]:
    """Start an engine without a network in a folder, and stop it at the end. It can be reached by its socket only.

    Args:
        folder: a new folder; a short path, because of the sockets in it.
        settings: the content of its daemon.json.
        options: more options of dockerd.
        listener: a socket on which it listens too, with TLS if the options switch it on.
    """
    (folder / "daemon.json").write_text(json.dumps(settings))
    host = f"unix://{folder}/docker.sock"
    arguments = [
        process.require_program("unshare"), "--net",
        process.require_program("dockerd"), "--config-file", str(folder / "daemon.json"), "--host", host,
        "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid"),
        "--bridge", "none", "--iptables=false", "--ip6tables=false", *options,
    ]  # fmt: skip
    descriptors = [listener.fileno()] if listener else []
    if listener:  # as systemd passes sockets: the first one has the number 3
        arguments = [sys.executable, "-c", ACTIVATE, str(listener.fileno()), *arguments]
        arguments += ["--host", "fd://"]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True, pass_fds=descriptors)
    try:
        _wait_for(host, running, folder / "log")
        yield SecondEngine(host, folder, running)
    finally:
        running.terminate()
        try:
            running.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def _wait_for(host: str, running: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    command = [process.require_program("docker"), "--host", host, "version"]
    while subprocess.run(command, capture_output=True, check=False).returncode:
        assert running.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def make_certificates(folder: Path) -> None:
    """Write ca.pem, cert.pem and key.pem, for an engine on 127.0.0.1 and for its clients."""
    subject = ["-subj", "/CN=engine", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    authority = ["-x509", "-keyout", "ca-key.pem", "-out", "ca.pem"]
    _openssl(folder, "req", *subject, "-subj", "/CN=authority", *authority)
    _openssl(folder, "req", *subject, "-keyout", "key.pem", "-out", "request.pem")
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    signed = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2", "-extfile", "extensions"]
    _openssl(folder, "x509", "-req", "-in", "request.pem", "-out", "cert.pem", *signed)


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run([process.require_program("openssl"), *arguments], cwd=folder, check=True, capture_output=True)
