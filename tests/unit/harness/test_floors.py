"""The judge of the floor matrix: it must see each way in which an image can fail on a CPU that it is not for."""

from __future__ import annotations

import pytest

from armwright.matrix.matrix import Matrix
from tests import floors

N1 = ("fp", "asimd", "atomics", "fphp", "asimdhp", "asimddp")
REFUSAL = "This image is for X and needs fphp (half precision) and asimddp (dot product), which this CPU does not have;"


@pytest.mark.parametrize(
    ("cpu", "code", "out", "err", "words"),
    [
        ("neoverse-n1", 0, "the page", "", ""),
        ("neoverse-v1", 0, "the page", "", ""),
        ("neoverse-n1", 132, "", "", "died of a signal"),
        ("neoverse-n1", None, "", "", "did not end"),
        ("neoverse-n1", 0, "the page", "qemu: uncaught target signal 4", "died of a signal"),
        ("neoverse-n1", 1, "", "Traceback (most recent call last):", "a traceback"),
        ("neoverse-n1", 78, REFUSAL, "", "a run was due"),
        ("neoverse-n1", 0, REFUSAL, "", "ended well and refuses"),
        ("cortex-a72", 0, "the page", "", "a refusal was due"),
        ("cortex-a72", 78, "", "", "does not name"),
        ("cortex-a72", 78, REFUSAL, "", "does not name asimdhp, atomics"),
        ("cortex-a72", 78, "needs atomics (x), fphp (x), asimdhp (x) and asimddp (x), which … does not have", "", ""),
    ],
)
def test_each_ending_is_judged(cpu: str, code: int | None, out: str, err: str, words: str) -> None:
    found = floors.problem(N1, cpu, code, out, err)
    assert words in found
    assert bool(words) == bool(found)


def test_every_target_s_cpu_is_known_and_has_its_own_floor(matrix: Matrix) -> None:
    for target in matrix.recipes.targets.values():
        assert floors.expected(target.floor, target.emulator.cpu) == "run", target.name


def test_the_matrix_has_runs_and_refusals_both_ways(matrix: Matrix) -> None:
    targets = matrix.recipes.targets
    n1, a64fx, v1 = targets["n1"], targets["a64fx"], targets["v1"]
    assert floors.expected(n1.floor, a64fx.emulator.cpu) == "refusal"
    assert floors.expected(a64fx.floor, n1.emulator.cpu) == "refusal"
    assert floors.expected(a64fx.floor, v1.emulator.cpu) == "run"
    assert all(floors.expected(targets["generic"].floor, one.emulator.cpu) == "run" for one in targets.values())


def test_an_option_that_changes_features_is_not_taken_for_a_model() -> None:
    with pytest.raises(AssertionError, match="sve=off"):
        floors.features("neoverse-v1,sve=off")
