"""The command `build`: plans, builds and proves images."""

from __future__ import annotations

from typing import NamedTuple

from armwright.cli import plan
from armwright.matrix import selection
from armwright.matrix.matrix import Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline import build_all, preflight, summary
from armwright.pipeline.build_combo import BuildOptions
from armwright.pipeline.selected import adopt_wheel, parse_source, select_buildable


class BuildArguments(NamedTuple):
    """The options of `invoke build` as they were given, unparsed."""

    base: str
    smoke: bool
    keep_going: bool
    builder: str
    dry_run: bool
    locked: bool
    verbose: bool
    jobs: str
    wheel: str


def run(matrix: Matrix, chosen: Selector, given: BuildArguments) -> int:
    """Build and prove the selected combos, and print a summary.

    Args:
        matrix: the loaded matrix.
        chosen: the selected combos.
        given: the options of the command.

    Returns:
        the exit code: that of the first error, 0 without one.

    Raises:
        InputError: the selector, an option or a lock is wrong; nothing was started.
        MachineError: the engine does not answer or the disk is full; nothing was started.
    """
    if given.dry_run:
        plan.run(matrix, chosen, given.base, as_json=False)
        return 0
    if given.wheel:
        adopt_wheel(matrix, chosen, given.wheel)
    options = BuildOptions(
        smoke=given.smoke,
        keep_going=given.keep_going,
        builder=given.builder,
        source=parse_source(given.base),
        locked=given.locked,
        verbose=given.verbose,
        jobs=preflight.parse_jobs(given.jobs),
    )
    results = build_all.build_combos(matrix, select_buildable(matrix, chosen), options)
    return summary.print_summary(results, selection.omitted_combos(matrix, chosen), verbose=options.verbose)
