"""Registries that the engine sees in another way than this machine: a daemon of the test's own, with its settings."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from armwright.engine.client import Engine, PushError
from armwright.publish import refusals
from armwright.publish.refusals import Attempt, explain_push_text
from armwright.system import process
from tests.registries import make_certificates, run_registry

Run = Callable[..., "contextlib.AbstractContextManager[Engine]"]


@pytest.fixture
def own_engine(monkeypatch: pytest.MonkeyPatch, engine: Engine, name: str, make: Callable[..., object]) -> Run:
    """Run a daemon with settings and variables; it has one small image, under `name`."""
    make(name)

    @contextlib.contextmanager
    def run(variables: Mapping[str, str] | None = None, **settings: object) -> Iterator[Engine]:
        with (
            tempfile.TemporaryDirectory(prefix="aw-", ignore_cleanup_errors=True) as folder,  # sockets need short paths
            _run_daemon(Path(folder), variables or {}, settings) as address,
        ):
            archive = b"".join(engine._api.get_image(name))
            monkeypatch.setenv("DOCKER_HOST", address)
            own = Engine()
            list(own._api.load_image(archive))
            yield own

    return run


@contextlib.contextmanager
def _run_daemon(folder: Path, variables: Mapping[str, str], settings: Mapping[str, object]) -> Iterator[str]:
    """Run dockerd in a folder; yield its address for DOCKER_HOST.

    It shares this machine's network, where the registries are. `--bridge none` would remove the bridge of its engine.
    """
    configuration = {"features": {"containerd-snapshotter": True}, **settings}
    (folder / "daemon.json").write_text(json.dumps(configuration))
    address = f"unix://{folder}/docker.sock"
    arguments = [
        process.require_program("dockerd"), "--config-file", str(folder / "daemon.json"),
        "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"), "--host", address,
        "--pidfile", str(folder / "pid"), "--bridge", "docker0", "--iptables=false", "--ip6tables=false",
    ]  # fmt: skip
    with (folder / "log").open("ab") as log:
        daemon = subprocess.Popen(arguments, stdout=log, stderr=log, env={**os.environ, **variables})
    try:
        deadline = time.monotonic() + 120
        while not _answers(folder / "docker.sock") and time.monotonic() < deadline:
            assert daemon.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield address
    finally:
        daemon.terminate()
        daemon.wait()


def test_ipv6_registry_takes_what_the_engine_allows(own_engine: Run, name: str, tmp_path: Path) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
        port = free.getsockname()[1]
    host = f"[::1]:{port}"
    with (
        run_registry(tmp_path / "six", host),
        own_engine(**{"insecure-registries": [host]}) as engine,
    ):
        assert engine.allows_plain_http(host)
        assert not engine.allows_plain_http("[::1]:1") or "::1/128" in str(engine._api.info())
        engine.tag(name, f"{host}/staging/six:1")
        engine.push(f"{host}/staging/six:1", {}, lambda _: None)


def test_authority_that_the_engine_does_not_know_is_named(own_engine: Run, name: str, tmp_path: Path) -> None:
    address = _find_address()
    with socket.create_server((address, 0)) as free:
        host = f"{address}:{free.getsockname()[1]}"
    made = make_certificates(tmp_path / "tls", address)
    with run_registry(tmp_path / "secure", host, certificates=made), own_engine() as engine:
        error = _push(engine, name, host)
    assert f"the Docker Engine does not trust the certificate of {host}" in error.what
    assert error.next_step == f"sudo install -D -m 644 CA.crt /etc/docker/certs.d/{host}/ca.crt"


def test_proxy_of_the_engine_is_named(own_engine: Run, name: str, tmp_path: Path) -> None:
    address = _find_address()
    with socket.create_server((address, 0)) as free:
        host = f"{address}:{free.getsockname()[1]}"
    made = make_certificates(tmp_path / "tls", address)
    variables = {"HTTPS_PROXY": "http://127.0.0.1:9", "SSL_CERT_FILE": str(made.authority)}
    with run_registry(tmp_path / "secure", host, certificates=made), own_engine(variables) as engine:
        error = _push(engine, name, host)
    assert f"the proxy of the Docker Engine refused the connection to {host}" in error.what
    assert error.next_step.startswith("docker info --format 'http {{.HTTPProxy}}")
    assert f"add {address} to NO_PROXY" in error.hint


def _push(engine: Engine, name: str, host: str) -> refusals.UnusableError:
    engine.tag(name, f"{host}/staging/pytorch:1")
    with pytest.raises(PushError) as failed:
        engine.push(f"{host}/staging/pytorch:1", {}, lambda _: None)
    error = explain_push_text(Attempt(host, "staging/pytorch", by=refusals.ENGINE), failed.value.text)
    assert isinstance(error, refusals.UnusableError), failed.value.text
    return error


def _answers(door: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as attempt:
        attempt.connect(str(door))
        attempt.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b" 200 " in attempt.recv(64)
    return False


def _find_address() -> str:
    """Return an address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])
