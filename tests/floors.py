"""The expected outcome of each target's image on each target's emulated CPU, computed without any image."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

# The features of QEMU's models, among those that some floor requires. QEMU 10.0 (target/arm/tcg/cpu64.c) gives each
# model the ID registers of its manual: Arm's Technical Reference Manuals, Fujitsu's specification of A64FX.
_ARMV8_0 = frozenset({"fp", "asimd"})
_ARMV8_2 = _ARMV8_0 | {"atomics", "fphp", "asimdhp"}
MODELS: Mapping[str, frozenset[str]] = {
    "cortex-a72": _ARMV8_0,
    "cortex-a76": _ARMV8_2 | {"asimddp"},
    "neoverse-n1": _ARMV8_2 | {"asimddp"},
    "neoverse-v1": _ARMV8_2 | {"asimddp", "sve", "bf16", "i8mm"},
    "neoverse-n2": _ARMV8_2 | {"asimddp", "sve", "sve2", "bf16", "i8mm"},
    "a64fx": _ARMV8_2 | {"sve"},
}
REFUSED = 78
FIRST_SIGNAL = 128


def features(cpu: str) -> frozenset[str]:
    """Return the features of a CPU by the emulator's name for it; the options may change only the part number."""
    model, *options = cpu.split(",")
    assert all(option.startswith("midr=") for option in options), f"an option that can change the features: {cpu}"
    return MODELS[model]


def expected(floor: Collection[str], cpu: str) -> Literal["run", "refusal"]:
    """Return whether an image with a floor must run on a CPU or refuse it."""
    return "run" if features(cpu).issuperset(floor) else "refusal"


def find_problem(floor: Collection[str], cpu: str, code: int | None, out: str, err: str) -> str:
    """Return what is wrong with how `docker run IMAGE` ended; empty if nothing is.

    Args:
        floor: the floor of the image's target.
        cpu: the emulator's name for the CPU.
        code: the exit code; None if the container had to be stopped.
        out: the container's standard output, the page.
        err: its standard error.
    """
    outcome = expected(floor, cpu)
    text = " ".join(out.split())
    named, refuses, _ = text.partition("does not have")
    unnamed = sorted(name for name in set(floor) - features(cpu) if f"{name} " not in named)
    problems = {
        "it did not end": code is None,
        f"it was killed by a signal ({code}): {err}": (code or 0) >= FIRST_SIGNAL or "signal" in err,
        f"it printed a traceback: {err}": "Traceback" in out + err,
        f"expected a {outcome}, but the exit code is {code}: {err}": code != {"run": 0, "refusal": REFUSED}[outcome],
        f"the refusal does not name {', '.join(unnamed)}: {text}": outcome == "refusal" and (unnamed or not refuses),
        f"it refuses the CPU, but its exit code is 0: {text}": outcome == "run" and refuses,
    }
    return next((problem for problem, holds in problems.items() if holds), "")
