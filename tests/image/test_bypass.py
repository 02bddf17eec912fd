"""What the entrypoint decides holds where it is replaced: --entrypoint, a pod's command, docker exec."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from subprocess import CompletedProcess
from typing import Any

import pytest

from armwright.engine.containers import PLATFORM

V1, OPENBLAS, EIGEN = "pytorch-2.10.0-v1-acl", "pytorch-2.10.0-n1-openblas", "tensorflow-2.21.0-n1-eigen"
Images = Mapping[str, Any]
Contained = Callable[..., CompletedProcess[str]]
Docker = Callable[..., CompletedProcess[str]]
PYTHON = ("--entrypoint", "python3")
SHOW = "import json, os, sys; print(json.dumps({'environ': dict(os.environ), 'modules': sorted(sys.modules)}))"
BELOW = "import subprocess, sys; subprocess.run([sys.executable, '-c', " + repr(SHOW) + "])"


@pytest.fixture
def running(docker: Docker, proven: Images) -> Iterator[str]:
    """A container of one CPU that runs, to execute programs in."""
    name = f"armwright-test-{uuid.uuid4().hex[:8]}"
    image = proven[OPENBLAS]
    options = ["--platform", PLATFORM, "--network", "none", "--read-only", "--cpus", "1", "--user", "12345"]
    started = docker(
        "run", "--detach", "--rm", "--name", name, *options, "--env", "QEMU_CPU=neoverse-n1", image.reference,
        "sleep", "600",
    )  # fmt: skip
    assert started.returncode == 0, started.stderr
    yield name
    docker("rm", "--force", name)


def environ(done: CompletedProcess[str]) -> dict[str, str]:
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return dict(json.loads(done.stdout)["environ"])


@pytest.mark.parametrize("flags", [(), ("-I",), ("-E", "-s")])
def test_python_as_the_entrypoint_has_threads_from_the_quota(
    proven: Images, contained: Contained, flags: tuple[str, ...]
) -> None:
    found = environ(contained(proven[OPENBLAS], *flags, "-c", SHOW, options=["--cpus", "1", *PYTHON]))
    assert (found["OMP_NUM_THREADS"], found["OPENBLAS_NUM_THREADS"]) == ("1", "1")


def test_a_shell_as_the_entrypoint_starts_such_pythons_too(proven: Images, contained: Contained) -> None:
    options = ["--cpuset-cpus", "0", "--entrypoint", "sh"]
    found = environ(contained(proven[EIGEN], "-c", f'exec python3 -c "{SHOW}"', options=options))
    assert (found["TF_NUM_INTRAOP_THREADS"], found["TF_NUM_INTEROP_THREADS"]) == ("1", "1")


def test_a_program_executed_in_a_container_has_them(running: str, docker: Docker) -> None:
    found = environ(docker("exec", running, "python3", "-c", SHOW))
    assert (found["OMP_NUM_THREADS"], found["USER"]) == ("1", "12345")


def test_what_the_user_set_is_kept_without_the_entrypoint(proven: Images, contained: Contained) -> None:
    options = ["--env", "OMP_NUM_THREADS=7", "--env", "OPENBLAS_NUM_THREADS=", *PYTHON]
    found = environ(contained(proven[OPENBLAS], "-c", SHOW, options=options))
    assert (found["OMP_NUM_THREADS"], found["OPENBLAS_NUM_THREADS"]) == ("7", "")


def test_processes_below_inherit_and_decide_nothing(proven: Images, contained: Contained) -> None:
    for options, words in (((), ("python3", "-c", SHOW)), (PYTHON, ("-c", BELOW))):
        done = contained(proven[OPENBLAS], *words, options=["--cpus", "1", *options])
        assert environ(done)["OMP_NUM_THREADS"] == "1"
        assert "armwright_start" not in json.loads(done.stdout)["modules"]


@pytest.mark.usefixtures("another_cpu")
@pytest.mark.parametrize("entrypoint", ["python3", "sh"])
def test_a_cpu_below_the_floor_is_refused_without_the_entrypoint(
    proven: Images, contained: Contained, entrypoint: str
) -> None:
    program = "import torch"
    words = ("-c", program if entrypoint == "python3" else f"python3 -I -c '{program}'")
    done = contained(proven[V1], *words, cpu="neoverse-n1", options=["--entrypoint", entrypoint])
    assert (done.returncode, done.stdout) == (78, "")
    (sentence,) = done.stderr.splitlines()
    assert sentence.endswith("pytorch:2.10.0-n1-acl runs here.")


def test_bf16_is_a_switch_without_the_entrypoint_too(proven: Images, contained: Contained) -> None:
    options = ["--env", "ARMWRIGHT_BF16=1", *PYTHON]
    assert environ(contained(proven[V1], "-c", SHOW, options=options))["ONEDNN_DEFAULT_FPMATH_MODE"] == "BF16"


def test_python_without_site_is_the_only_one_left_alone(proven: Images, contained: Contained) -> None:
    found = environ(contained(proven[OPENBLAS], "-S", "-c", SHOW, options=["--cpus", "1", *PYTHON]))
    assert "OMP_NUM_THREADS" not in found


def test_user_modules_of_our_names_are_found(proven: Images, contained: Contained) -> None:
    code = "import image, machine, start; print(image.__file__)"
    options = ["--tmpfs", "/tmp:mode=1777", "--entrypoint", "sh"]
    script = f'cd /tmp; for name in image machine start; do echo > $name.py; done; python3 -c "{code}"'
    done = contained(proven[OPENBLAS], "-c", script, options=options)
    assert (done.returncode, done.stdout, done.stderr) == (0, "/tmp/image.py\n", "")
