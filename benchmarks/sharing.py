"""Measures what combos of one framework version share: what all of them cost, against one of them.

    python benchmarks/sharing.py [--combo ID] [--count N]    # from the project's root, inside .venv

The combos differ in target and backend only, so the distribution and the framework below them are the same layers. One
side builds one combo, the other side N of them (eight, where the version has as many), as `invoke build --no-smoke`
does it: its plan, its parallelism, its engine. In both times: contexts, assembly, export, unpacking. Not in them: the
downloads, which are given, and proofs, which no combo shares with another.

Each side starts with an empty BuildKit cache (`docker buildx prune --all`) and as a project of its own whose files get
another date than those of a real build: else the engine might already hold their layers. What is stored is counted in
what `docker save` writes: every layer, configuration and manifest once, compressed as a registry gets them.
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

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from armwright.assembly import assemble  # noqa: E402 - the path is set first
from armwright.engine.client import Engine  # noqa: E402 - as above
from armwright.matrix import matrix, selection  # noqa: E402 - the path is set first
from armwright.matrix.matrix import Combo  # noqa: E402 - as above
from armwright.pipeline import build_all, build_combo  # noqa: E402 - the path is set first
from armwright.plan import locks  # noqa: E402 - the path is set first
from armwright.plan.plan import make_plan  # noqa: E402 - as above
from armwright.system import console, process  # noqa: E402 - the path is set first
from armwright.system.errors import FailedError, InputError  # noqa: E402 - as above
from benchmarks import outcome  # noqa: E402 - as above

COUNT = 8
AIM = {"cost": 1.5, "stored": 1.1}  # issue 3, item 6: of one, for eight


@dataclass(frozen=True)
class Side:
    """The making of some combos.

    Attributes:
        combos: their ids.
        seconds: from the plan to the last image in the engine.
        stored: bytes of all their layers, configurations and manifests, each counted once.
        each: seconds in BuildKit, combo by combo.
    """

    combos: list[str]
    seconds: float
    stored: int
    each: dict[str, float]


def main(words: Sequence[str]) -> int:
    """Run both sides, print the table, write the document; return the exit code."""
    parser = argparse.ArgumentParser(description="All combos of one framework version against one of them.")
    parser.add_argument("--combo", default="", help="an id, as `invoke list` shows it; left out: the matrix's first")
    parser.add_argument("--count", type=int, default=COUNT, help="how many combos; left out: 8")
    chosen = parser.parse_args(words)
    return outcome.code(lambda: run(chosen.combo, chosen.count))


def run(combo: str, count: int) -> None:
    """Measure the version of one combo.

    Raises:
        InputError: there is no such combo, or its version has no other.
        MachineError: the engine is missing, or the disk is too small; nothing was started.
        FailedError: one side failed.
    """
    known = matrix.load_matrix(ROOT)
    first = selection.select_combos(known, selection.Selector(combo=combo or "*"))[0]
    family = [one for one in known.combos if (one.framework, one.version) == (first.framework, first.version)]
    family = [first, *(one for one in family if one.sound and one.id != first.id)][:count]
    if len(family) == 1:
        raise InputError(f"{first.framework.name} {first.version} has one combo: there is nothing to share", "")
    engine = Engine()
    assemble.fetch_context(ROOT, make_plan(known, first))
    log = outcome.log("sharing")
    console.say(outcome.CACHE, "yellow")
    with tempfile.TemporaryDirectory(dir=outcome.OUTPUT, prefix="scratch-") as folder:
        one = side(engine, Path(folder, "one"), family[:1], outcome.DAY, log)
        all_ = side(engine, Path(folder, "all"), family, 2 * outcome.DAY, log)
    report(engine, one, all_)


def side(engine: Engine, root: Path, combos: Sequence[Combo], earlier: int, log: Path) -> Side:
    """Build combos in a project of their own, from an empty BuildKit cache; their names go away again.

    Raises:
        FailedError: one of them could not be built.
    """
    own = matrix.load_matrix(project(root, earlier))
    plans = [make_plan(own, own.by_id[combo.id]) for combo in combos]
    outcome.empty_cache(log)
    started = time.monotonic()
    results = build_all.build_combos(own, [one.combo for one in plans], build_combo.BuildOptions(smoke=False))
    seconds = time.monotonic() - started
    try:
        for result in results:
            if result.error:
                raise result.error
            if result.outcome != "built":
                raise FailedError(f"{result.combo.id}: {result.outcome}, and so nothing was measured", "invoke list")
        stored = saved([one.reference for one in plans], root / "images.tar", log)
    finally:
        for one in plans:
            engine.untag(one.reference)
    each = {result.combo.id: result.seconds["build"] for result in results}
    return Side([combo.id for combo in combos], seconds, stored, each)


def project(root: Path, earlier: int) -> Path:
    """Copy the project's data; every lock of a base is that many seconds earlier. Downloads are those at hand."""
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


def saved(references: Sequence[str], archive: Path, log: Path) -> int:
    """Return the bytes of everything that images are made of, each blob once."""
    process.stream(["docker", "save", "--output", str(archive), *references], log)
    try:
        with tarfile.open(archive) as content:
            return sum(entry.size for entry in content if entry.name.startswith("blobs/"))
    finally:
        archive.unlink()


def report(engine: Engine, one: Side, all_: Side) -> None:
    """Print the table and write build/benchmarks/sharing.json."""
    first = max(all_.each.values())
    ratios = {
        "cost": all_.seconds / one.seconds,
        "cost of their first": all_.seconds / first,
        "stored": all_.stored / one.stored,
    }
    count = len(all_.combos)
    console.table(
        f"{count} combos of one version against one: {all_.combos[0]} and its like",
        ["", "one", str(count), "ratio", f"aim for {COUNT}"],
        [
            ["seconds", f"{one.seconds:.1f}", f"{all_.seconds:.1f}", f"{ratios['cost']:.2f}", f"<= {AIM['cost']}"],
            ["stored", console.megabytes(one.stored), console.megabytes(all_.stored), f"{ratios['stored']:.3f}",
             f"<= {AIM['stored']}"],
        ],
    )  # fmt: skip
    console.say(f"measured on {outcome.MACHINE}; downloads were given, nothing was proven")
    console.say(
        f"the first of the {count} took {first:.1f} s, all of them {ratios['cost of their first']:.2f} of that; where "
        "this is far from the ratio above, the machine had something else to do on one of the sides"
    )
    document = {
        "machine": outcome.MACHINE,
        "engine": engine.version,
        "one": asdict(one),
        "all": asdict(all_),
        "ratios": ratios,
        "aim": AIM,
    }
    outcome.write("sharing", document)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
