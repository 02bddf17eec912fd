"""What must become of an image of each target on each target's emulated CPU, said without asking any image."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

# Of the features that any floor names, those that QEMU's models have. QEMU 10.0 (target/arm/tcg/cpu64.c) gives
# each the ID registers of its manual: Arm's Technical Reference Manuals, Fujitsu's specification of A64FX.
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
    """Return what a CPU has, by the emulator's name for it; its options change only the part number here."""
    model, *options = cpu.split(",")
    assert all(option.startswith("midr=") for option in options), f"an option that may change the features: {cpu}"
    return MODELS[model]


def expected(floor: Collection[str], cpu: str) -> Literal["run", "refusal"]:
    """Say what must become of an image with this floor on this CPU."""
    return "run" if features(cpu).issuperset(floor) else "refusal"


def problem(floor: Collection[str], cpu: str, code: int | None, out: str, err: str) -> str:
    """Say what is wrong with how `docker run IMAGE` ended; empty where nothing is.

    Args:
        floor: of the image's target.
        cpu: the emulator's name.
        code: the exit code; None where it had to be stopped.
        out: its standard output, the page.
        err: its standard error.
    """
    wanted = expected(floor, cpu)
    words = " ".join(out.split())
    named, refuses, _ = words.partition("does not have")
    unsaid = sorted(name for name in set(floor) - features(cpu) if f"{name} " not in named)
    faults = {
        "it did not end": code is None,
        f"it died of a signal ({code}): {err}": (code or 0) >= FIRST_SIGNAL or "signal" in err,
        f"a traceback instead of words: {err}": "Traceback" in out + err,
        f"a {wanted} was due, and it ended with {code}: {err}": code != {"run": 0, "refusal": REFUSED}[wanted],
        f"the refusal does not name {', '.join(unsaid)}: {words}": wanted == "refusal" and bool(unsaid or not refuses),
        f"it ended well and refuses: {words}": wanted == "run" and bool(refuses),
    }
    return next((words for words, true in faults.items() if true), "")
