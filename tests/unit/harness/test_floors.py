"""The floor matrix: every way an image can fail on a CPU below or above its floor is noticed."""

from __future__ import annotations

import pytest

from armwright.matrix.matrix import Matrix
from tests import floors

N1 = ("fp", "asimd", "atomics", "fphp", "asimdhp", "asimddp")
REFUSAL = "This image is for X and needs fphp (half precision) and asimddp (dot product), which this CPU does not have;"


@pytest.mark.parametrize(
    ("cpu", "code", "out", "err", "expected"),
    [
        ("neoverse-n1", 0, "the page", "", ""),
        ("neoverse-v1", 0, "the page", "", ""),
        ("neoverse-n1", 132, "", "", "was killed by a signal"),
        ("neoverse-n1", None, "", "", "did not end"),
        ("neoverse-n1", 0, "the page", "qemu: uncaught target signal 4", "was killed by a signal"),
        ("neoverse-n1", 1, "", "Traceback (most recent call last):", "printed a traceback"),
        ("neoverse-n1", 78, REFUSAL, "", "expected a run"),
        ("neoverse-n1", 0, REFUSAL, "", "its exit code is 0"),
        ("cortex-a72", 0, "the page", "", "expected a refusal"),
        ("cortex-a72", 78, "", "", "does not name"),
        ("cortex-a72", 78, REFUSAL, "", "does not name asimdhp, atomics"),
        ("cortex-a72", 78, "needs atomics (x), fphp (x), asimdhp (x) and asimddp (x), which … does not have", "", ""),
    ],
)
def test_each_outcome_is_judged(cpu: str, code: int | None, out: str, err: str, expected: str) -> None:
    problem = floors.find_problem(N1, cpu, code, out, err)
    assert expected in problem
    assert bool(expected) == bool(problem)


def test_every_target_s_cpu_meets_its_own_floor(matrix: Matrix) -> None:
    for target in matrix.recipes.targets.values():
        assert floors.expected(target.floor, target.emulator.cpu) == "run", target.name


def test_the_matrix_has_runs_and_refusals_both_ways(matrix: Matrix) -> None:
    targets = matrix.recipes.targets
    n1, a64fx, v1 = targets["n1"], targets["a64fx"], targets["v1"]
    assert floors.expected(n1.floor, a64fx.emulator.cpu) == "refusal"
    assert floors.expected(a64fx.floor, n1.emulator.cpu) == "refusal"
    assert floors.expected(a64fx.floor, v1.emulator.cpu) == "run"
    assert all(floors.expected(targets["generic"].floor, target.emulator.cpu) == "run" for target in targets.values())


def test_a_cpu_option_that_changes_features_is_rejected() -> None:
    with pytest.raises(AssertionError, match="sve=off"):
        floors.features("neoverse-v1,sve=off")
