"""The local registry, run for real on a free port."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from armwright.cli import registry
from armwright.publish import destination, garbage, local_registry, lookup
from armwright.publish.registry_client import RegistryClient
from armwright.system import daemon, http
from armwright.system.errors import FailedError, MachineError
from tests.registries import put_blob, put_image

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "build" / "registry"
    yield folder
    local_registry.stop_registry(folder)


def test_registry_starts_once_answers_and_stops_once(home: Path, port: int) -> None:
    first, started = local_registry.start_registry(home, port)
    assert (started, first.running, first.address) == (True, True, f"127.0.0.1:{port}")
    assert http.get(f"http://127.0.0.1:{port}/v2/").ok
    again, started = local_registry.start_registry(home, port)
    assert (started, again.pid) == (False, first.pid)
    assert local_registry.stop_registry(home)
    assert not local_registry.stop_registry(home)
    assert not local_registry.read_registry_status(home).running
    assert not local_registry.is_registry_answering(home)


def test_killed_registry_keeps_its_data(home: Path, port: int) -> None:
    status, _ = local_registry.start_registry(home, port)
    upload = http.request("POST", f"http://{status.address}/v2/staging/thing/blobs/uploads/").headers["Location"]
    digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of "hello"
    http.request(
        "PUT", f"{upload}&digest={digest}", data=b"hello", headers={"Content-Type": "application/octet-stream"}
    )
    assert status.pid is not None
    os.kill(status.pid, signal.SIGKILL)
    while daemon.find_daemon(home / "pid", "docker-registry"):
        time.sleep(0.01)
    assert not local_registry.read_registry_status(home).running
    assert local_registry.start_registry(home, port)[1]
    assert http.get(f"http://{status.address}/v2/staging/thing/blobs/{digest}").content == b"hello"


def test_reused_process_id_is_not_taken_for_the_registry(home: Path, port: int) -> None:
    home.mkdir(parents=True)
    (home / "pid").write_text(f"{os.getpid()}\n")
    assert not local_registry.stop_registry(home)
    (home / "pid").write_text(f"{os.getpid()}\n")
    assert local_registry.start_registry(home, port)[1]


def test_parallel_starts_start_one_registry(home: Path, port: int) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: local_registry.start_registry(home, port), range(4)))
    assert sum(started for _, started in results) == 1
    assert len({status.pid for status, _ in results}) == 1


def test_taken_port_is_refused_with_the_process(home: Path) -> None:
    with socket.create_server((local_registry.HOST, 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(MachineError, match=f"port {taken} .*process {os.getpid()}") as caught:
            local_registry.start_registry(home, taken)
    assert caught.value.next_step == f"invoke registry start --port {taken % 65535 + 1}"


def test_second_port_is_refused_while_the_registry_runs(home: Path, port: int) -> None:
    local_registry.start_registry(home, port)
    with pytest.raises(MachineError, match=f"is already running on port {port}") as refused:
        local_registry.start_registry(home, port + 1)
    assert refused.value.next_step == f"invoke registry stop && invoke registry start --port {port + 1}"


def test_start_without_a_port_uses_the_last_one(tmp_path: Path, home: Path, port: int) -> None:
    assert local_registry.start_registry(home, port)[1]
    assert not local_registry.start_registry(home)[1]
    assert destination.choose_destination(tmp_path).host == f"127.0.0.1:{port}"
    local_registry.stop_registry(home)
    assert destination.choose_destination(tmp_path).host == f"127.0.0.1:{port}"
    assert local_registry.start_registry(home)[0].address == f"127.0.0.1:{port}"
    assert lookup.read_destination(tmp_path).answers


def test_gc_frees_what_no_image_uses(tmp_path: Path, home: Path, port: int, capsys: Capsys) -> None:
    client = RegistryClient(local_registry.start_registry(home, port)[0].address)
    kept = put_image(client, "1-n1-acl", "kept")
    put_blob(client, b"never used" * 1000)
    unused = home / "data" / "docker/registry/v2/repositories/staging/pytorch/_uploads/1"
    unused.mkdir(parents=True)
    (unused / "data").write_bytes(b"broken off" * 1000)
    with pytest.raises(FailedError, match="an image is being pushed") as refused:
        garbage.collect_garbage(home, lambda _: None)
    assert refused.value.next_step == "sleep 60 && invoke registry gc"
    for path in (unused, unused / "data"):
        os.utime(path, (0, 0))
    registry.run(tmp_path, "gc")
    assert re.search(r"removed 1 blobs, 1 unfinished uploads: 0\.0 MB freed", capsys.readouterr().out)
    assert client.find_digest("staging/pytorch", "1-n1-acl") == kept  # it runs again
    local_registry.stop_registry(home)
    registry.run(tmp_path, "gc", as_json=True)
    assert json.loads(capsys.readouterr().out)["blobs"] == 0
    assert not local_registry.read_registry_status(home).running


def test_gc_removes_superseded_images_on_demand(home: Path, port: int) -> None:
    client = RegistryClient(local_registry.start_registry(home, port)[0].address)
    tags = {
        "1-n1-acl-000000000001": "old", "1-n1-acl-000000000002": "new", "1-n1-acl": "new",
        "1-v1-acl-000000000003": "alone", "1-n2-acl-000000000004": "named", "mine": "named", "1-n2-acl": "newer",
    }  # fmt: skip
    for tag, text in tags.items():
        put_image(client, tag, text)
    assert garbage.collect_garbage(home, lambda _: None).images == ()
    lines: list[str] = []
    collected = garbage.collect_garbage(home, lines.append, superseded=True)
    assert collected.images == ("staging/pytorch:1-n1-acl-000000000001",)
    assert collected.blobs == 2  # its manifest and its configuration
    assert "removed staging/pytorch:1-n1-acl-000000000001" in lines
    assert client.list_tags("staging/pytorch") == sorted(tags.keys() - {"1-n1-acl-000000000001"})


def test_gc_of_an_empty_registry_is_no_error(home: Path, port: int) -> None:
    assert garbage.collect_garbage(home, lambda _: None, superseded=False).freed == 0
    local_registry.start_registry(home, port)
    assert garbage.collect_garbage(home, lambda _: None, superseded=True).freed == 0
    assert local_registry.read_registry_status(home).running


def test_registry_that_exits_at_once_shows_its_log(home: Path) -> None:
    with pytest.raises(MachineError, match=r"exited with [1-9][\s\S]*parsing"):
        daemon.start_daemon(
            ["docker-registry", "serve", "/dev/null"], home / "log", lambda: local_registry.is_registry_answering(home)
        )


def test_silent_daemon_is_stopped(home: Path) -> None:
    with pytest.raises(MachineError, match=r"did not answer in 0 s"):
        daemon.start_daemon(["sleep", "600"], home / "log", lambda: False, patience=0.3)


def test_unreachable_address_is_one_sentence(port: int) -> None:
    with pytest.raises(MachineError, match=r"cannot be reached: Connection refused$") as caught:
        http.get(f"http://127.0.0.1:{port}/v2/")
    assert caught.value.next_step == "invoke registry start"


def test_error_status_raises_unless_it_is_accepted(home: Path, port: int) -> None:
    address = local_registry.start_registry(home, port)[0].address
    with pytest.raises(FailedError, match="/v2/none/manifests/1 was answered with 404"):
        http.get(f"http://{address}/v2/none/manifests/1")
    assert http.get(f"http://{address}/v2/none/manifests/1", accept=(404,)).status_code == 404


def test_command_prints_what_it_did(tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    for action in ("show", "start", "start", "show", "stop", "stop"):
        registry.run(tmp_path, action, str(port))
    lines = [line.split(";")[0].split("(")[0].strip() for line in capsys.readouterr().out.splitlines()]
    place = f"on 127.0.0.1:{port}"
    states = (
        "not running",
        f"started {place}",
        f"runs {place}",
        f"runs {place}",
        "stopped",
        "was not running",
    )
    assert lines == [f"registry: {state}" for state in states]


def test_loopback_is_reached_without_a_proxy(home: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert local_registry.start_registry(home, port)[1]
