"""What a run came to: a row for each combo, the counts, every failure with its cause and the next command."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence

from armwright.assembly import buildx
from armwright.matrix.matrix import Combo
from armwright.pipeline.build_combo import ComboResult
from armwright.system import console


def print_summary(results: Sequence[ComboResult], left_out: Sequence[Combo] = (), *, verbose: bool = False) -> int:
    """Print what happened to each combo, and how to go on.

    Args:
        results: of the run, in the order of the matrix.
        left_out: combos that were asked for and are refused or unverified.
        verbose: BuildKit's steps too, where more than one combo was built.

    Returns:
        the exit code: the first problem's, 0 without one.
    """
    columns = ["combo", "outcome", "compressed", "unpacked", "seconds", "digest"]
    columns += ["problem"] if any(result.problem for result in results) else []
    console.table("", columns, [_row(result)[: len(columns)] for result in results])
    built = [result for result in results if result.steps]
    for result in built if verbose or len(built) == 1 else ():
        with console.voice(result.combo.id if len(built) > 1 else ""):
            for line in buildx.summarize_steps(result.steps):
                console.detail(line)
    if len(results) > 1 or left_out:
        console.say(count_outcomes(results, left_out))
    for result in results:
        if result.problem:
            with console.voice(result.combo.id if len(results) > 1 else ""):
                console.error(result.problem)
    if any(result.outcome in {"failed", "not started"} for result in results) and len(results) > 1:
        console.say("the same command goes on from here: what is done is not done again")
    _go_on(results)
    return next((result.problem.code for result in results if result.problem), 0)


def first_line(result: ComboResult) -> str:
    """Return the first line of what went wrong; nothing where nothing did."""
    return result.problem.what.splitlines()[0] if result.problem else ""


def count_outcomes(results: Sequence[ComboResult], left_out: Sequence[Combo] = ()) -> str:
    """Say how many combos came how far: "8 images in 412 s: 7 proven, 1 failed; left out: 12 refused"."""
    outcomes: Counter[str] = Counter(result.outcome for result in results)
    kinds = Counter("unverified" if combo.refusal is None else "refused" for combo in left_out)
    began = [result.began for result in results if result.began]
    seconds = max(max(result.ended for result in results) - min(began), 0) if began else 0
    told = f"{len(results)} image(s) in {seconds:.0f} s: {_counts(outcomes)}"
    return f"{told}; left out: {_counts(kinds)}" if left_out else told


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.items())


def _row(result: ComboResult) -> list[str]:
    image = result.image
    return [
        result.combo.id,
        result.outcome,
        console.megabytes(image.compressed) if image else "",
        console.megabytes(image.unpacked) if image and image.unpacked else "",
        ", ".join(f"{name} {seconds:.0f}" for name, seconds in result.seconds.items()),
        image.digest[:19] if image else "",
        first_line(result),
    ]


def _go_on(results: Sequence[ComboResult]) -> None:
    """Say how an image that is proven is run and shared."""
    proven = next((result for result in results if result.outcome.startswith("proven")), None)
    if proven and proven.image:
        console.say(f"digest  {proven.image.digest}")
        played = "" if platform.machine() == "aarch64" else f" -e QEMU_CPU={proven.combo.target.emulator.cpu}"
        console.say(f"run     docker run --rm --platform linux/arm64{played} {proven.combo.tag}")
        console.say(f"share   ./inv registry start && ./inv stage --combo {proven.combo.id}")
