"""How many threads the frameworks and numpy really run in a container that is limited."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from subprocess import CompletedProcess
from typing import Any

import pytest

N1, OPENBLAS, COMPAT = "pytorch-2.10.0-n1-acl", "pytorch-2.10.0-n1-openblas", "tensorflow-1.x-compat-n1-acl"
Images = Mapping[str, Any]
Contained = Callable[..., CompletedProcess[str]]

HOST = len(os.sched_getaffinity(0))
PYTHON = "/usr/bin/python3"
# No image has a taskset: Python narrows its own mask, then becomes what the image would have started with. Its start-up
# hook is left out, which would decide before that.
MASK = f"""
import os, sys
os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
os.execv("{PYTHON}", ["{PYTHON}", "-I", "-S", "/opt/armwright/entrypoint.py", *sys.argv[1:]])
"""
LIMITS: dict[str, tuple[list[str], list[str], int]] = {  # options, what precedes the command, CPUs
    "none": ([], [], HOST),
    "quota": (["--cpus", "1"], [], 1),
    "cpuset": (["--cpuset-cpus", str(min(os.sched_getaffinity(0)))], [], 1),
    "mask": (["--entrypoint", PYTHON], ["-S", "-c", MASK], 1),
}
BLAS = """
import ctypes, json, os, re
import numpy
def blas(part, prefix, suffix):
    path = min(line.split()[-1] for line in open("/proc/self/maps") if part in line and "openblas" in line)
    library = ctypes.CDLL(path)
    describe = getattr(library, prefix + "openblas_get_config" + suffix)
    describe.restype = ctypes.c_char_p
    most = int(re.search(rb"MAX_THREADS=(\\d+)", describe())[1])
    return {"threads": getattr(library, prefix + "openblas_get_num_threads" + suffix)(), "most": most}
"""
TORCH = f"""{BLAS}
import torch
torch.ones(300, 300) @ torch.ones(300, 300)
reported = re.findall(r"(?:at::get_num_threads|omp_get_max_threads)\\(\\) : (\\d+)", torch.__config__.parallel_info())
print("ANSWER", json.dumps({{
    "torch": torch.get_num_threads(), "reported": [int(number) for number in reported],
    "framework": blas("/torch", "", ""), "numpy": blas("/numpy.libs/", "scipy_", "64_"),
}}))
"""
TENSORFLOW = f"""{BLAS}
import tensorflow as tf
def tasks():
    return len(os.listdir("/proc/self/task"))
imported = tasks()
with tf.Session(graph=tf.Graph()) as session:
    with session.graph.as_default():
        matrix = tf.placeholder(tf.float32, [256, 256])
        product = tf.matmul(matrix, matrix)
    session.run(product, {{matrix: numpy.ones((256, 256), "f")}})
    print("ANSWER", json.dumps({{"more": tasks() - imported, "numpy": blas("/numpy.libs/", "", "64_")}}))
"""
OTHERS = 2  # beside those inside one operator: tf_Compute and tf_graph_runner, as newer versions name them


def answer(done: CompletedProcess[str]) -> dict[str, Any]:
    line = next((line for line in done.stdout.splitlines() if line.startswith("ANSWER ")), None)
    assert line is not None, f"exit {done.returncode}: {done.stderr}"
    return dict(json.loads(line.removeprefix("ANSWER ")))


def limited(contained: Contained, image: object, limit: str, *arguments: str) -> CompletedProcess[str]:
    options, first, _ = LIMITS[limit]
    return contained(image, *first, *arguments, options=options)


@pytest.mark.parametrize("limit", ["quota", "cpuset", "mask"])
def test_pytorch_and_numpy_use_the_containers_cpus(proven: Images, contained: Contained, limit: str) -> None:
    threads = answer(limited(contained, proven[N1], limit, "python3", "-c", TORCH))
    cpus = LIMITS[limit][2]
    assert (threads["torch"], threads["reported"]) == (cpus, [cpus, cpus])
    assert (threads["framework"]["threads"], threads["numpy"]["threads"]) == (cpus, cpus)


@pytest.mark.parametrize("limit", LIMITS)
def test_tensorflow_and_numpy_use_the_containers_cpus(proven: Images, contained: Contained, limit: str) -> None:
    threads = answer(limited(contained, proven[COMPAT], limit, "python3", "-c", TENSORFLOW))
    cpus = LIMITS[limit][2]
    assert (threads["more"] - OTHERS, threads["numpy"]["threads"]) == (cpus, cpus)


def test_openblas_caps_its_threads_as_the_image_says(proven: Images, contained: Contained) -> None:
    asked = ["--env", "OMP_NUM_THREADS=130", "--env", "OPENBLAS_NUM_THREADS=1"]
    threads = answer(contained(proven[OPENBLAS], "python3", "-c", TORCH, options=asked))
    settings = {variable.name: variable for variable in proven[OPENBLAS].plan.combo.environment}
    assert threads["torch"] == 130
    assert threads["framework"] == {"threads": 128, "most": 128}
    assert "OpenBLAS uses at most 128" in settings["OMP_NUM_THREADS"].reason
    assert threads["numpy"] == {"threads": 1, "most": settings["OPENBLAS_NUM_THREADS"].most}


@pytest.mark.parametrize(
    ("limit", "reason"),
    [("none", "of the machine"), ("quota", "cgroup quota 1 CPU"), ("cpuset", "1 CPU in the"), ("mask", "1 CPU in the")],
)
def test_the_image_says_how_many_threads_it_chose_and_why(
    proven: Images, contained: Contained, limit: str, reason: str
) -> None:
    done = limited(contained, proven[N1], limit, "info", "--json")
    document = json.loads(done.stdout)
    choices = {choice["name"]: choice for choice in document["choices"]}
    assert document["machine"]["cpus"]["number"] == LIMITS[limit][2]
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        assert (choices[name]["value"], choices[name]["origin"]) == (str(LIMITS[limit][2]), "set")
        assert HOST == 1 or reason in choices[name]["reason"]
