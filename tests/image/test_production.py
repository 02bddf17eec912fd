"""What docs/how-to/run-in-production.md says, seen: signals, forks, shared memory, and the examples."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from subprocess import CompletedProcess
from typing import Any

import pytest

from armwright.engine.containers import PLATFORM
from tests import examples

OPENBLAS = "pytorch-2.10.0-n1-openblas"
SECONDS = 600  # until a server is ready, under emulation on a busy machine
Images = Mapping[str, Any]
Contained = Callable[..., CompletedProcess[str]]
Docker = Callable[..., CompletedProcess[str]]
Start = Callable[..., str]
IDLE = ("python3", "-u", "-c", "import time; print('ready'); time.sleep(600)")
ASK = (
    "import json, urllib.request as r; print(r.urlopen(r.Request('http://127.0.0.1:8080/{}', data={})).read().decode())"
)
FORK = """
import multiprocessing, torch
def work(queue):
    torch.set_num_threads(1)
    queue.put(float((torch.ones(600, 600) @ torch.ones(600, 600)).sum()))
torch.ones(600, 600) @ torch.ones(600, 600)
context = multiprocessing.get_context("fork")
queue = context.SimpleQueue()
child = context.Process(target=work, args=(queue,))
child.start()
print("ANSWER", queue.get())
"""
SHARE = """
import torch
try:
    torch.ones(4_000_000).share_memory_()
    print("ANSWER shared")
except RuntimeError as error:
    print("ANSWER", error)
"""


@pytest.fixture
def start(docker: Docker, proven: Images) -> Iterator[Start]:
    """Start containers in the background, and remove them at the end."""
    names: list[str] = []

    def run(options: Sequence[str], *words: str) -> str:
        name = f"armwright-test-{uuid.uuid4().hex[:8]}"
        strict = ["--detach", "--name", name, "--platform", PLATFORM, "--network", "none"]
        names.append(name)
        image = proven[OPENBLAS]
        done = docker("run", *strict, "--env", "QEMU_CPU=neoverse-n1", *options, image.reference, *words)
        assert done.returncode == 0, done.stderr
        return name

    yield run
    for name in names:
        docker("rm", "--force", name)


def wait_until(found: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not found():
        assert time.monotonic() < end
        time.sleep(1)


def end_code(docker: Docker, name: str, seconds: int) -> int:
    """Stop a container, and return its exit code: 137 if it had to be killed."""
    done = docker("stop", "--time", str(seconds), name)
    assert done.returncode == 0, done.stderr
    return int(docker("inspect", "--format", "{{.State.ExitCode}}", name).stdout)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 143),
        (("--env", "ARMWRIGHT_INIT=0"), 137),
        (("--init", "--env", "ARMWRIGHT_INIT=0"), 143),
        (("--init",), 143),
    ],
)
def test_sigterm_ends_a_program_without_a_handler(
    start: Start, docker: Docker, options: tuple[str, ...], code: int
) -> None:
    name = start(options, *IDLE)
    wait_until(lambda: "ready" in docker("logs", name).stdout)
    assert end_code(docker, name, 600 if code != 137 else 1) == code


def test_exit_codes_pass_through_process_1(proven: Images, contained: Contained) -> None:
    script = "import os, signal, sys; sys.exit(9) if sys.argv[1:] else os.kill(os.getpid(), signal.SIGSEGV)"
    assert contained(proven[OPENBLAS], "python3", "-c", script, "exit").returncode == 9
    assert contained(proven[OPENBLAS], "python3", "-c", script).returncode == 139
    assert contained(proven[OPENBLAS], "no-such-program").returncode == 127


def test_a_forked_child_with_one_thread_computes(proven: Images, contained: Contained) -> None:
    done = contained(proven[OPENBLAS], "python3", "-c", FORK, options=["--tmpfs", "/tmp:mode=1777"])
    assert "ANSWER 216000000.0" in done.stdout, done.stderr


@pytest.mark.parametrize(("size", "answer"), [("1m", "unable to allocate shared memory"), ("64m", "shared")])
def test_shared_memory_is_as_large_as_the_container_s(
    proven: Images, contained: Contained, size: str, answer: str
) -> None:
    done = contained(proven[OPENBLAS], "python3", "-c", SHARE, options=["--shm-size", size])
    assert answer in done.stdout, done.stderr


@pytest.mark.parametrize("user", ["", "1000680000:0"])
def test_the_manifest_s_settings_run_and_its_probes_succeed(start: Start, docker: Docker, user: str) -> None:
    pod = examples.read_pod()
    (container,) = pod["containers"]
    options = [*examples.list_pod_options(pod), *(["--user", user] if user else [])]
    name = start(options, *container["args"])
    path, port = container["livenessProbe"]["httpGet"]["path"], container["ports"][0]["containerPort"]
    probe = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{port}{path}').read().decode())"
    wait_until(lambda: docker("exec", name, "python3", "-I", "-c", probe).returncode == 0)
    threads = min(int(container["resources"]["limits"]["cpu"]), len(os.sched_getaffinity(0)))
    assert json.loads(docker("exec", name, "python3", "-I", "-c", probe).stdout) == {"threads": threads}
    answered = docker("exec", name, "python3", "-I", "-c", ASK.format("predict", "b'[1, 2, 3, 4]'"))
    assert abs(sum(json.loads(answered.stdout)["answer"]) - 1) < 1e-5
    assert end_code(docker, name, pod["terminationGracePeriodSeconds"] * 20) == 143


def test_the_compose_file_s_settings_run_and_it_is_healthy(start: Start, docker: Docker) -> None:
    service = examples.read_service()
    name = start([*examples.list_service_options(service)], *service["command"])
    how, *words = service["healthcheck"]["test"]
    assert how == "CMD"
    wait_until(lambda: docker("exec", name, *words).returncode == 0)
    assert end_code(docker, name, 600) == 143
