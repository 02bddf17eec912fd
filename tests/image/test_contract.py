"""The contract inside the container: what an image prints, contains, lacks, chooses and refuses."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from subprocess import CompletedProcess
from typing import Any

import pytest

N1, V1 = "pytorch-2.10.0-n1-acl", "pytorch-2.10.0-v1-acl"
OPENBLAS, GENERIC = "pytorch-2.10.0-n1-openblas", "pytorch-2.9.1-generic-acl"
Images = Mapping[str, Any]
Contained = Callable[..., CompletedProcess[str]]

LOOK = """
import importlib.util, json, os, pathlib, shutil, sys, sysconfig
def uncompiled(folder):
    files = [path for path in pathlib.Path(folder).rglob("*.py")]
    return len(files), [str(one) for one in files if not os.path.exists(importlib.util.cache_from_source(one))]
torch = pathlib.Path(importlib.util.find_spec("torch").origin)
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "home": os.path.expanduser("~"),
    "programs": {name: shutil.which(name) for name in sys.argv[1:]},
    "lists": [str(one) for one in pathlib.Path("/var/lib/apt").rglob("*")],
    "torch": uncompiled(torch.parent), "stdlib": uncompiled(sysconfig.get_path("stdlib")),
    "status": pathlib.Path("/var/lib/dpkg/status").read_text(),
    "bundle": pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_text().count("BEGIN CERTIFICATE"),
    "zone": str(__import__("zoneinfo").ZoneInfo("Europe/Zurich")),
    "tls": __import__("ssl").OPENSSL_VERSION,
    "writable": [path for path in ("/", "/opt/armwright", str(torch.parent)) if os.access(path, os.W_OK)],
}))
"""
ABSENT = ("pip", "pip3", "gcc", "cc", "c++", "ld", "as", "strip", "make", "apt", "apt-get", "dpkg", "uv", "ensurepip")
USE = """
import json, os, sys
import torch
image = torch.randn(1, 16, 64, 64, generator=torch.Generator().manual_seed(1))
with torch.inference_mode():
    answer = torch.nn.functional.conv2d(image, torch.ones(32, 16, 3, 3))
right = bool(torch.allclose(answer[:, :1], image.unfold(2, 3, 1).unfold(3, 3, 1).sum((1, 4, 5))[:, None], atol=1e-3))
print("ANSWER " + json.dumps({"threads": torch.get_num_threads(), "uid": os.getuid(), "right": right,
    "omp": os.environ.get("OMP_NUM_THREADS"), "cpus": len(os.sched_getaffinity(0))}))
"""


@pytest.fixture(scope="module")
def inside(proven: Images, contained: Contained) -> Mapping[str, Any]:
    """What a plain Python finds in the image."""
    done = contained(proven[N1], "python3", "-", *ABSENT, "python3", "sh", given=LOOK)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_without_a_command_it_describes_itself_and_the_machine(proven: Images, contained: Contained) -> None:
    done = contained(proven[N1])
    assert (done.returncode, done.stderr) == (0, "")
    for text in (
        "PyTorch 2.10.0 for Arm Neoverse N1",
        "Arm Compute Library 52.6.0",
        "OMP_NUM_THREADS=",
        "Next",
    ):
        assert text in done.stdout
    for text in ("Arm Neoverse N1 (0x41:0xd0c), emulated by QEMU as neoverse-n1", "docker run IMAGE smoke"):
        assert text in done.stdout
    assert f"{len(os.sched_getaffinity(0))}: " in done.stdout


def test_it_runs_as_its_own_user(inside: Mapping[str, Any]) -> None:
    assert (inside["uid"], inside["gid"], inside["home"]) == (1000, 1000, "/home/armwright")
    assert inside["writable"] == []


def test_it_has_no_compiler_package_tools_or_package_lists(inside: Mapping[str, Any]) -> None:
    assert {name: path for name, path in inside["programs"].items() if name in ABSENT and path} == {}
    assert inside["lists"] == []
    assert inside["programs"]["python3"]
    assert inside["programs"]["sh"]


def test_byte_code_of_everything_is_in_the_image(inside: Mapping[str, Any]) -> None:
    for files, uncompiled in (inside["torch"], inside["stdlib"]):
        assert files > 400
        assert uncompiled == []


def test_scanners_find_the_packages_and_tls_its_authorities(inside: Mapping[str, Any]) -> None:
    assert "Package: python3\n" in inside["status"]
    assert "Package: libc6\n" in inside["status"]
    assert inside["bundle"] > 100
    assert inside["tls"].startswith("OpenSSL 3")
    assert inside["zone"] == "Europe/Zurich"


def test_any_command_is_executed_as_given_with_its_exit_code(proven: Images, contained: Contained) -> None:
    done = contained(proven[N1], "sh", "-c", 'echo "$1"; exit 5', "sh", "a  b", options=["--env", "ARMWRIGHT_QUIET=1"])
    assert (done.returncode, done.stdout, done.stderr) == (5, "a  b\n", "")
    assert contained(proven[N1], "no-such-program").returncode == 127


def test_torch_under_exec_uses_all_cpus_of_the_container(proven: Images, contained: Contained) -> None:
    done = contained(proven[N1], "exec", "python3", "-c", USE, options=["--env", "ONEDNN_VERBOSE=1"])
    printed = answer(done)
    cpus = len(os.sched_getaffinity(0))
    assert printed == {"threads": cpus, "cpus": cpus, "omp": str(cpus), "uid": 1000, "right": True}
    assert [line for line in done.stdout.splitlines() if "exec,cpu,convolution" in line]


def test_a_cpu_quota_and_an_unknown_user_are_respected(proven: Images, contained: Contained) -> None:
    printed = answer(contained(proven[N1], "python3", "-c", USE, options=["--cpus", "1", "--user", "12345:54321"]))
    assert (printed["threads"], printed["omp"], printed["uid"], printed["right"]) == (1, "1", 12345, True)


def test_an_affinity_mask_is_respected(proven: Images, contained: Contained) -> None:
    printed = answer(contained(proven[V1], "python3", "-c", USE, options=["--cpuset-cpus", "0"]))
    assert (printed["threads"], printed["omp"], printed["cpus"], printed["right"]) == (1, "1", 1, True)


def test_user_code_in_the_openblas_image_runs_no_onednn(proven: Images, contained: Contained) -> None:
    done = contained(proven[OPENBLAS], "python3", given=USE, options=["--env", "ONEDNN_VERBOSE=1"])
    assert answer(done)["right"]
    assert [line for line in done.stdout.splitlines() if ",exec," in line] == []


PRINT_MODE = ("python3", "-c", "import os; print(os.environ.get('ONEDNN_DEFAULT_FPMATH_MODE'))")


def test_bf16_is_off_unless_asked_for(proven: Images, contained: Contained) -> None:
    asked = ["--env", "ARMWRIGHT_BF16=1"]
    assert contained(proven[V1], *PRINT_MODE).stdout == "None\n"
    assert contained(proven[V1], *PRINT_MODE, options=asked).stdout == "BF16\n"
    without = contained(proven[N1], *PRINT_MODE, options=asked)
    assert (without.stdout, without.returncode) == ("None\n", 0)
    assert without.stderr == "armwright: ARMWRIGHT_BF16=1 has no effect: this CPU has no bf16.\n"


@pytest.mark.usefixtures("another_cpu")
@pytest.mark.parametrize("arguments", [("python3", "-c", "import torch"), ("smoke", "--json"), ("exec", "true")])
def test_a_cpu_below_the_floor_is_refused_in_one_sentence(
    proven: Images, contained: Contained, arguments: tuple[str, ...]
) -> None:
    done = contained(proven[V1], *arguments, cpu="neoverse-n1")
    assert (done.returncode, done.stdout) == (78, "")
    (sentence,) = done.stderr.splitlines()
    assert "sve" in sentence.lower()
    assert "Arm Neoverse N1" in sentence
    assert sentence.endswith("pytorch:2.10.0-n1-acl runs here.")


@pytest.mark.usefixtures("another_cpu")
def test_the_refusal_falls_back_to_an_older_version(proven: Images, contained: Contained) -> None:
    done = contained(proven[N1], "python3", "-c", "import torch", cpu="cortex-a72")
    assert (done.returncode, done.stdout) == (78, "")
    (sentence,) = done.stderr.splitlines()
    assert "atomics" in sentence
    assert sentence.endswith("pytorch:2.9.1-generic-acl runs here.")


@pytest.mark.usefixtures("another_cpu")
def test_below_the_floor_the_page_exits_with_the_refusals_code(proven: Images, contained: Contained) -> None:
    done = contained(proven[V1], cpu="neoverse-n1")
    assert done.returncode == 78
    assert "pytorch:2.10.0-n1-acl runs here." in done.stdout
    assert "This machine" in done.stdout


def answer(done: CompletedProcess[str]) -> dict[str, Any]:
    """Return the program's own line; libraries may print others."""
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    return dict(json.loads(line.removeprefix("ANSWER ")))
