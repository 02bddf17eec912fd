"""The end of a build: a row per combo, the counts, each error with its cause and the next command, how to continue."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence

from armwright.assembly import buildx
from armwright.matrix.matrix import Combo
from armwright.pipeline.build_combo import ComboResult, Outcome
from armwright.publish.destination import share_command
from armwright.system import console
from armwright.system.console import BAD, DOUBTFUL, GOOD, QUIET
from armwright.system.errors import ArmwrightError
from armwright.system.table_layout import Cell

_STYLES: dict[Outcome, str] = {
    "proven": GOOD, "proven before": GOOD, "built": DOUBTFUL, "built before": DOUBTFUL, "failed": BAD,
    "interrupted": DOUBTFUL, "not started": QUIET,
}  # fmt: skip


def print_summary(results: Sequence[ComboResult], left_out: Sequence[Combo] = (), *, verbose: bool = False) -> int:
    """Print what happened to each combo, and how to continue.

    Args:
        results: of the build, in the order of the matrix.
        left_out: the selected combos that are refused or unverified.
        verbose: print BuildKit's steps too.

    Returns:
        the exit code: that of the first error, 0 without one.
    """
    columns = ["combo", "outcome", "compressed", "unpacked", "seconds", "digest"]
    columns += ["error"] if any(result.error for result in results) else []
    console.table("", columns, [_row(result)[: len(columns)] for result in results])
    for result in results if verbose else ():
        with console.prefix(result.combo.id if len(results) > 1 else ""):
            for line in buildx.summarize_steps(result.steps):
                console.detail(line)
    if len(results) > 1 or left_out:
        console.say(count_outcomes(results, left_out))
    for result in results:
        if result.error:
            with console.prefix(result.combo.id if len(results) > 1 else ""):
                console.error(result.error)
    if any(result.outcome in {"failed", "not started"} for result in results) and len(results) > 1:
        console.say("run the same command again to continue: what is done is not repeated")
    _print_next_commands(results)
    return next((result.error.code for result in results if result.error), 0)


def describe_error(result: ComboResult) -> str:
    """Return the first line of a result's error; empty without one."""
    return result.error.what.splitlines()[0] if result.error else ""


def describe_cause(error: ArmwrightError) -> str:
    """Return the first line of an error, with the first item of the list that it may begin."""
    first, *others = error.what.splitlines()
    return f"{first} {others[0].strip()}" if first.endswith(":") and others else first


def count_images(number: int) -> str:
    """Return a number of images: "1 image", "2 images"."""
    return f"{number} image{'' if number == 1 else 's'}"


def count_outcomes(results: Sequence[ComboResult], left_out: Sequence[Combo] = ()) -> str:
    """Count the combos by outcome: "8 images in 412 s: 7 proven, 1 failed; skipped: 12 refused"."""
    outcomes: Counter[str] = Counter(result.outcome for result in results)
    kinds = Counter("unverified" if combo.refusal is None else "refused" for combo in left_out)
    began = [result.began for result in results if result.began]
    seconds = max(max(result.ended for result in results) - min(began), 0) if began else 0
    counted = f"{count_images(len(results))} in {seconds:.0f} s: {_counts(outcomes)}"
    return f"{counted}; skipped: {_counts(kinds)}" if left_out else counted


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.items())


def _row(result: ComboResult) -> list[str | Cell]:
    image = result.image
    return [
        result.combo.id,
        Cell(result.outcome, _STYLES[result.outcome]),
        console.megabytes(image.compressed) if image else "",
        console.megabytes(image.unpacked) if image and image.unpacked else "",
        _seconds(result),
        image.digest[:19] if image else "",
        describe_error(result),
    ]


def _seconds(result: ComboResult) -> str:
    """Return the seconds of each part: "fetch 20, build 42 (export 12), smoke 67"."""
    export = sum(step.seconds for step in result.steps if step.name.startswith("exporting"))
    parts = {name: f"{name} {seconds:.0f}" for name, seconds in result.seconds.items()}
    if export and "build" in parts:
        parts["build"] += f" (export {export:.0f})"
    return ", ".join(parts.values())


def _print_next_commands(results: Sequence[ComboResult]) -> None:
    """Print how the first proven image is run and shared."""
    proven = next((result for result in results if result.outcome.startswith("proven")), None)
    if proven and proven.image:
        emulated = "" if platform.machine() == "aarch64" else f" -e QEMU_CPU={proven.combo.target.emulator.cpu}"
        console.say(f"digest  {proven.image.digest}")
        console.say(f"run     docker run --rm --platform linux/arm64{emulated} {proven.combo.tag}")
        console.say(f"share   {share_command(proven.combo.id)}")
