"""How many threads a container gets, on a made-up server of 192 cores under each kind of limit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import choices
import machine
import pytest

from armwright.matrix.matrix import Matrix
from armwright.plan.plan import make_plan
from tests.support import Tree
from tests.unit.image.test_machine import V1_MOUNT, V2_MOUNT, plant

N1, TENSORFLOW = "pytorch-2.10.0-n1-acl", "tensorflow-2.21.0-n1-acl"
BOUND = 64  # of numpy's OpenBLAS
Limits = Callable[..., machine.Cpus]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Limits:
    """Count the CPUs on a server of 192, in a container of which some limits are set."""

    def limit(mask: range = range(192), quota: str = "max 100000", present: int = 192) -> machine.Cpus:
        monkeypatch.setattr(os, "cpu_count", lambda: present)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(mask))
        files = {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": V2_MOUNT.format(subtree="/", folder=""),
            "sys/fs/cgroup/cpu.max": quota,
        }
        return machine.usable_cpus(plant(tmp_path, files))

    return limit


def chosen(matrix: Matrix, combo: str, cpus: machine.Cpus, **environ: str) -> dict[str, choices.Choice]:
    """Choose with the combo's own image.json."""
    image = json.loads(make_plan(matrix, matrix.by_id[combo]).files["image/opt/armwright/image.json"])
    seen = machine.Machine("aarch64", machine.Processor(frozenset(), ()), None, cpus, machine.Emulation(emulated=False))
    return {choice.name: choice for choice in choices.choose(image, seen, environ).variables}


@pytest.mark.parametrize(
    ("limits", "number", "reason"),
    [
        ({}, 192, "all 192 CPUs of the machine"),
        ({"quota": "150000 100000"}, 2, "cgroup quota 1.5 CPUs, rounded up; the machine has 192"),
        ({"quota": "10000000 100000"}, 100, "cgroup quota 100 CPUs; the machine has 192"),
        ({"mask": range(64, 96)}, 32, "32 CPUs in the affinity mask; the machine has 192"),
        ({"mask": range(191, 192)}, 1, "1 CPU in the affinity mask; the machine has 192"),
        ({"mask": range(8), "quota": "1600000 100000"}, 8, "8 CPUs in the affinity mask; the machine has 192"),
        ({"mask": range(8), "quota": "350000 100000"}, 4, "cgroup quota 3.5 CPUs, rounded up; the machine has 192"),
        ({"mask": range(2048), "present": 2048}, 2048, "all 2048 CPUs of the machine"),
        ({"mask": range(500, 1800), "present": 2048}, 1300, "1300 CPUs in the affinity mask; the machine has 2048"),
    ],
)
def test_a_container_has_the_cpus_that_its_limits_leave_it(
    server: Limits, limits: dict[str, object], number: int, reason: str
) -> None:
    assert server(**limits) == (number, reason)


def test_a_quota_of_version_1_counts_on_a_large_server_too(tmp_path: Path, server: Limits) -> None:
    server()
    files = {
        "proc/self/cgroup": "1:cpu,cpuacct:/docker/abc\n0::/docker/abc\n",
        "proc/self/mountinfo": V1_MOUNT.format(subtree="/docker/abc", folder="cpu", controllers="cpu,cpuacct"),
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    assert machine.usable_cpus(plant(tmp_path, files)).number == 2


def test_a_sandbox_that_forbids_the_question_leaves_all_cpus(
    server: Limits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_: int) -> set[int]:
        raise PermissionError

    server(quota="400000 100000")
    monkeypatch.setattr(os, "sched_getaffinity", forbidden)
    assert machine.usable_cpus(tmp_path).number == 4
    assert machine.usable_cpus(tmp_path / "no quota") == (192, "all 192 CPUs of the machine")


@pytest.mark.parametrize(
    ("combo", "unbounded"),
    [(N1, "OMP_NUM_THREADS"), (TENSORFLOW, "TF_NUM_INTRAOP_THREADS")],
    ids=["pytorch", "tensorflow"],
)
def test_the_framework_gets_every_cpu_and_numpy_its_maximum(
    matrix: Matrix, server: Limits, combo: str, unbounded: str
) -> None:
    choices = chosen(matrix, combo, server())
    assert choices[unbounded].value == "192"
    assert choices[unbounded].reason.endswith(" (all 192 CPUs of the machine)")
    assert choices["OPENBLAS_NUM_THREADS"].value == str(BOUND)
    assert choices["OPENBLAS_NUM_THREADS"].reason.endswith(" (at most 64; all 192 CPUs of the machine)")


@pytest.mark.parametrize(("cpus", "threads"), [(BOUND - 1, "63"), (BOUND, "64"), (BOUND + 1, "64"), (1, "1")], ids=str)
def test_the_bound_changes_nothing_below_it(matrix: Matrix, server: Limits, cpus: int, threads: str) -> None:
    choices = chosen(matrix, N1, server(mask=range(cpus)))
    assert choices["OPENBLAS_NUM_THREADS"].value == threads
    assert (" (at most 64; " in choices["OPENBLAS_NUM_THREADS"].reason) == (cpus > BOUND)
    assert choices["OMP_NUM_THREADS"].value == str(cpus)


def test_a_quota_bounds_the_threads_of_both_frameworks(matrix: Matrix, server: Limits) -> None:
    cpus = server(quota="150000 100000")
    for combo, names in ((N1, ["OMP_NUM_THREADS"]), (TENSORFLOW, ["TF_NUM_INTRAOP_THREADS"])):
        choices = chosen(matrix, combo, cpus)
        for name in (*names, "OPENBLAS_NUM_THREADS"):
            assert (choices[name].value, "cgroup quota 1.5 CPUs, rounded up" in choices[name].reason) == ("2", True)


def test_what_the_user_set_is_above_every_bound(matrix: Matrix, server: Limits) -> None:
    choices = chosen(matrix, N1, server(), OPENBLAS_NUM_THREADS="100")
    assert (choices["OPENBLAS_NUM_THREADS"].value, choices["OPENBLAS_NUM_THREADS"].origin) == ("100", "kept")


def test_every_framework_bounds_numpys_threads_and_says_why(matrix: Matrix) -> None:
    for framework in matrix.recipes.frameworks.values():
        bounded = {variable.name: variable for variable in framework.environment}["OPENBLAS_NUM_THREADS"]
        assert bounded.most == BOUND
        assert str(BOUND) in bounded.reason


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("most: 64", "most: 0", "'most'"),
        ("most: 64", "most: '64'", "'most'"),
        (
            'value: "{cpus}"\n    most: 64',
            'value: "8"\n    most: 64',
            "'most' limits {cpus}, but the value does not contain {cpus}",
        ),
    ],
)
def test_a_bound_that_bounds_nothing_is_refused(tree: Tree, old: str, new: str, mistake: str) -> None:
    tree.edit("recipes/frameworks/pytorch/framework.yaml", old, new)
    assert mistake in "\n".join(tree.mistakes())
