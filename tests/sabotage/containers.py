"""Tamperings with what surrounds a container: the process that made it, and docker's configuration of proxies."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from docker import DockerClient
from docker.utils.proxy import ProxyConfig

from armwright.engine import abandoned, containers
from armwright.system.errors import FailedError
from tests.registries import Asked, Reply, run_proxy
from tests.sabotage.ledger import Outcome
from tests.sabotage.tampering import Tampering, Workplace, expect_true

PROXY = "http://ada:s3cret@proxy.example:3128"
_UNUSED = "127.0.0.1:9"  # nothing is passed on
OWN = (
    "import json, time; from armwright.engine import abandoned\n"
    "print(json.dumps(abandoned.make_labels('smoke')), flush=True)\ntime.sleep(600)\n"
)


def killed(number: signal.Signals) -> Callable[[Workplace], Outcome]:
    """Kill the process that made a container."""

    def attempt(_: Workplace) -> Outcome:
        repository = Path(__file__).resolve().parents[2]
        with subprocess.Popen(
            [sys.executable, "-c", OWN], stdout=subprocess.PIPE, cwd=repository, env={**os.environ, "PYTHONPATH": "."}
        ) as child:
            assert child.stdout is not None
            labels = json.loads(child.stdout.readline())
            assert not abandoned.is_abandoned(labels)
            child.send_signal(number)
            child.wait()
        return expect_true("no container left", "1 of killed runs", noticed=abandoned.is_abandoned(labels))

    return attempt


def reuse_number(_: Workplace) -> Outcome:
    """Give the number of the process that made a container to another process, which lives."""
    assert not abandoned.is_abandoned(abandoned.make_labels("smoke"))
    labels = {abandoned.OWNER: f"{socket.gethostname()} {os.getpid()} 1"}
    return expect_true("no container left", "1 of killed runs", noticed=abandoned.is_abandoned(labels))


def proxied(act: Callable[[DockerClient], object]) -> Callable[[Workplace], Outcome]:
    """Let docker's configuration have proxies with a password, and make a container.

    Args:
        act: makes a container with the client of an engine, which creates it and then fails.
    """

    def attempt(_: Workplace) -> Outcome:
        asked: list[Asked] = []

        def answer(request: Asked) -> Reply:
            created = request.path.partition("?")[0].endswith("/create")
            known = created or request.method == "GET"
            return Reply(201 if created else 200, b'{"Id": "a"}') if known else Reply(500, b'{"message": "no"}')

        with run_proxy(_UNUSED, answer, asked) as address:
            client = DockerClient(base_url=f"tcp://{address}", version="1.44")
            api: Any = client.api
            api._proxy_configs = ProxyConfig(http=PROXY, https=PROXY)
            client.containers.create("any", "-")  # as a container of anyone else
            assert PROXY.encode() in asked[0].body
            asked.clear()
            with contextlib.suppress(FailedError):
                act(client)
            client.close()
        created = [request.body for request in asked if request.path.partition("?")[0].endswith("/create")]
        noticed = len(created) == 1 and b"s3cret" not in created[0]
        return expect_true("environment", "no variable of docker's configuration", noticed=noticed)

    return attempt


def read_files(client: DockerClient) -> None:
    """Make a container that never runs, as for reading an image's files."""
    with containers.unstarted(client, "any"):
        pass


def run_program(client: DockerClient) -> None:
    """Make a container as for a proof; the engine refuses to start it."""
    containers.run_container(client, "any", ["smoke"], {"QEMU_CPU": "neoverse-n1"}, 9, None, "json-file")


def _proxied(act: Callable[[DockerClient], object]) -> Tampering:
    return Tampering("container", "environment", "no variable", proxied(act))


def _left(attempt: Callable[[Workplace], Outcome]) -> Tampering:
    return Tampering("container", "no container left", "1 of killed runs", attempt)


CONTAINERS: Mapping[str, Tampering] = {
    "a proxy with a password where a proof runs": _proxied(run_program),
    "a proxy with a password where an image is read": _proxied(read_files),
    "a container of a run that was killed": _left(killed(signal.SIGKILL)),
    "a container of a run that was terminated": _left(killed(signal.SIGTERM)),
    "a container of a process whose number was given away": _left(reuse_number),
}
