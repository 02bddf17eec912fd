"""Measures what the combos of one framework version share: the cost of several combos compared with one.

    python -m benchmarks.sharing [--combo ID] [--count N]    # in the project's root, inside .venv

The combos differ only in target and backend, so they have the layers of the distribution and the framework in common.
One side builds one combo, the other side N of them (eight, if the version has that many), with the plan, parallelism
and engine of `invoke build --no-smoke`. The time includes contexts, assembly, export and unpacking. It does not
include downloads, which are done before, and proofs, of which each combo has its own.

Each side starts with an empty BuildKit cache (`docker buildx prune --all`) and in a copy of the project whose files get
another date than in a real build, because the engine might already have those layers. The stored bytes are those that
`docker save` writes: each layer, configuration and manifest once, compressed as in a registry.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from armwright.assembly import assemble
from armwright.engine.client import Engine
from armwright.matrix import selection
from armwright.matrix.matrix import Combo, load_matrix
from armwright.pipeline import build_all, build_combo
from armwright.plan import locks
from armwright.plan.plan import make_plan
from armwright.system import console, process
from armwright.system.errors import FailedError, InputError
from benchmarks import outcome
from benchmarks.outcome import ROOT

COUNT = 8
AIM = {"cost": 1.5, "stored": 1.1}  # issue 3, item 6: eight combos, in multiples of one


@dataclass(frozen=True)
class Side:
    """The measurements of building some combos.

    Attributes:
        combos: their ids.
        seconds: from the plan to the last image in the engine.
        stored: bytes of all layers, configurations and manifests, each counted once.
        each: BuildKit's seconds for each combo.
    """

    combos: list[str]
    seconds: float
    stored: int
    each: dict[str, float]


def main(arguments: Sequence[str]) -> int:
    """Run both sides, print the table, write the document; return the exit code."""
    parser = argparse.ArgumentParser(
        description="Compare building all combos of one framework version with building one."
    )
    parser.add_argument("--combo", default="", help="id from `invoke list` (default: the first)")
    parser.add_argument("--count", type=int, default=COUNT, help=f"number of combos (default: {COUNT})")
    chosen = parser.parse_args(arguments)
    return outcome.run_benchmark(lambda: run(chosen.combo, chosen.count))


def run(combo_id: str, count: int) -> None:
    """Measure the version of one combo.

    Raises:
        InputError: the combo is unknown, or the only one of its version.
        MachineError: the engine is missing, or the disk is too small; nothing was started.
        FailedError: one side failed.
    """
    matrix = load_matrix(ROOT)
    first = selection.select_combos(matrix, selection.Selector(combo=combo_id or "*"))[0]
    family = [combo for combo in matrix.combos if (combo.framework, combo.version) == (first.framework, first.version)]
    family = [first, *(combo for combo in family if combo.is_known_to_work and combo.id != first.id)][:count]
    if len(family) == 1:
        raise InputError(f"{first.framework.name} {first.version} has only one combo", "invoke list --all")
    engine = Engine()
    assemble.fetch_context(ROOT, make_plan(matrix, first))
    log = outcome.new_log("sharing")
    console.say(outcome.CACHE, "yellow")
    with tempfile.TemporaryDirectory(dir=outcome.OUTPUT, prefix="scratch-") as folder:
        single = measure_side(engine, Path(folder, "one"), family[:1], outcome.DAY, log)
        several = measure_side(engine, Path(folder, "all"), family, 2 * outcome.DAY, log)
    report(engine, single, several)


def measure_side(engine: Engine, root: Path, combos: Sequence[Combo], earlier: int, log: Path) -> Side:
    """Build combos in a copy of the project with an empty BuildKit cache, and remove their names afterwards.

    Raises:
        FailedError: one of them could not be built.
    """
    copy = load_matrix(copy_project(root, earlier))
    plans = [make_plan(copy, copy.by_id[combo.id]) for combo in combos]
    outcome.empty_cache(log)
    started = time.monotonic()
    results = build_all.build_combos(copy, [plan.combo for plan in plans], build_combo.BuildOptions(smoke=False))
    seconds = time.monotonic() - started
    try:
        for result in results:
            if result.error:
                raise result.error
            if result.outcome != "built":
                raise FailedError(
                    f"{result.combo.id}: {result.outcome} instead of built, so nothing was measured", "invoke list"
                )
        stored = count_saved([plan.reference for plan in plans], root / "images.tar", log)
    finally:
        for plan in plans:
            engine.untag(plan.reference)
    each = {result.combo.id: result.seconds["build"] for result in results}
    return Side([combo.id for combo in combos], seconds, stored, each)


def copy_project(root: Path, earlier: int) -> Path:
    """Copy the project's data, with base locks dated some seconds earlier, and link to the project's downloads."""
    for name in ("recipes", "dockerfiles", "scripts"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "matrix.yaml", root)
    (root / "build").mkdir()
    (root / "build" / "cache").symlink_to(ROOT / "build" / "cache")
    for path in (root / "recipes" / "bases").glob("*.yaml"):
        held = locks.read_base_lock(root, path.stem)
        created = datetime.fromtimestamp(held.epoch - earlier, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        locks.write_base_lock(root, path.stem, held.model_copy(update={"created": created}))
    return root


def count_saved(references: Sequence[str], archive: Path, log: Path) -> int:
    """Return the bytes of all blobs that `docker save` writes for some images."""
    process.stream(["docker", "save", "--output", str(archive), *references], log)
    try:
        with tarfile.open(archive) as content:
            return sum(entry.size for entry in content if entry.name.startswith("blobs/"))
    finally:
        archive.unlink()


def report(engine: Engine, single: Side, several: Side) -> None:
    """Print the table and write build/benchmarks/sharing.json."""
    slowest = max(several.each.values())
    ratios = {
        "cost": several.seconds / single.seconds,
        "cost of the slowest": several.seconds / slowest,
        "stored": several.stored / single.stored,
    }
    count = len(several.combos)
    console.table(
        f"{count} combos of one version compared with one, {several.combos[0]}",
        ["", "one", str(count), "ratio", f"aim for {COUNT}"],
        [
            ["seconds", f"{single.seconds:.1f}", f"{several.seconds:.1f}", f"{ratios['cost']:.2f}",
             f"<= {AIM['cost']}"],
            ["stored", console.megabytes(single.stored), console.megabytes(several.stored), f"{ratios['stored']:.3f}",
             f"<= {AIM['stored']}"],
        ],
    )  # fmt: skip
    console.say(f"measured on {outcome.MACHINE}, without downloads and proofs")
    console.say(
        f"the slowest of the {count} took {slowest:.1f} s in BuildKit, all {ratios['cost of the slowest']:.2f} times "
        "that; if this differs much from the ratio above, the machine was busy during one side"
    )
    document = {
        "machine": outcome.MACHINE,
        "engine": engine.version,
        "one": asdict(single),
        "all": asdict(several),
        "ratios": ratios,
        "aim": AIM,
    }
    outcome.write_document("sharing", document)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
