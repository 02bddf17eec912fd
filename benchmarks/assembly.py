"""Compares assembly with two other ways to build the same image: by hand with uv, and `pip install` under emulation.

    python -m benchmarks.assembly [--combo ID] [--runs N] [--no-pip]    # in the project's root, inside .venv

Every side has the same package versions, the same builder and the same exporter, which also unpacks the image. None
runs a proof. Ratios are of sides of one run.

- **assembly** is what `invoke build` does. The wheels and both roots are downloaded once, by a clock of their own.
- **by hand** (benchmarks/by_hand.py) is a Dockerfile that installs the same wheels with uv on the build platform and
  copies them onto the same root, once compressed with zstd as we do and once with gzip, the default. Its inputs are the
  files that assembly has downloaded, so only the builds are compared.
- **pip, emulated** (benchmarks/emulated_pip.py) starts from a given base image and downloads its wheels itself. It is
  compared with assembly's downloads and build, although assembly downloads the base and the build tools too. It runs
  last and once, because it takes minutes: a warm proxy or mirror helps it.

Each build starts with an empty BuildKit cache (`docker buildx prune --all`); the project's own downloads are kept and
not used. The builds of assembly and by hand take turns, and the median counts. No run has a layer of another one,
because the engine would not unpack it again: the files of our image get another date than in a real build, and the
image by hand a lowest layer of its own. The benchmark compares how long images take to build, not how fast they
compute.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from armwright.assembly import assemble, buildx
from armwright.engine.client import Engine
from armwright.matrix import selection
from armwright.matrix.matrix import load_matrix
from armwright.pipeline import preflight
from armwright.plan import locks, render
from armwright.plan.plan import COMPRESSION, Plan, make_plan
from armwright.proof import smoke
from armwright.system import console
from armwright.system.errors import InputError, MachineError
from benchmarks import by_hand, emulated_pip, outcome
from benchmarks.outcome import ROOT
from benchmarks.sides import BuildRun, Side, measure_side, same_index

ASSEMBLY, ZSTD, GZIP, PIP = "assembly", "by hand, zstd", "by hand, gzip", "pip, emulated"
NAMES = {ASSEMBLY: "armwright-bench:assembly", ZSTD: "armwright-bench:zstd", GZIP: "armwright-bench:gzip"}
COMPRESSIONS = {ASSEMBLY: COMPRESSION, ZSTD: COMPRESSION, GZIP: {"compression": "gzip", "oci-mediatypes": "true"}}
# Assembly's share of each other side's seconds and compressed bytes, at most.
AIMS = {ZSTD: (0.8, 0.8), GZIP: (None, None), PIP: (0.25, 0.6)}
RUNS = 3
LEAST_FREE = 2 * preflight.LEAST_FREE
_TIME = re.compile(rb"(?<= -d @)\d+(?= )")  # of the image's files


def main(arguments: Sequence[str]) -> int:
    """Run all sides, print the table, write the document; return the exit code."""
    parser = argparse.ArgumentParser(description="Compare ways to build the same image.")
    parser.add_argument("--combo", default="", help="id from `invoke list` (default: the first)")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"builds of assembly and by hand (default: {RUNS})")
    parser.add_argument("--no-pip", action="store_true", help="leave out the emulated side")
    chosen = parser.parse_args(arguments)
    if chosen.runs < 1:
        parser.error("--runs must be at least 1")
    return outcome.run_benchmark(lambda: run(chosen.combo, chosen.runs, emulate=not chosen.no_pip))


def run(combo: str, runs: int, *, emulate: bool) -> None:
    """Measure one combo.

    Raises:
        InputError: the combo is unknown, or not built from wheels.
        MachineError: the engine or the emulator is missing, or the disk is too small; nothing was started.
        FailedError: one side failed.
    """
    matrix = load_matrix(ROOT)
    plan = make_plan(matrix, selection.select_combos(matrix, selection.Selector(combo=combo or "*"))[0])
    if plan.combo.release.provider != "wheel":
        raise InputError(f"{plan.combo.id} is not built from published wheels, so pip cannot install it", "invoke list")
    engine = Engine()
    emulator = smoke.require_runner(plan.combo.target)
    free = shutil.disk_usage(ROOT).free
    if free < LEAST_FREE:
        raise MachineError(
            f"the disk has {free / 1e9:.1f} GB free, and the benchmark needs {LEAST_FREE / 1e9:.0f} GB",
            "docker system prune",
            hint="run the same command again after that",
        )
    log = outcome.new_log("assembly")
    console.say(outcome.CACHE, "yellow")
    cpu = plan.combo.target.emulator.cpu
    with tempfile.TemporaryDirectory(dir=outcome.OUTPUT, prefix="scratch-") as folder, same_index() as settings:
        try:
            sides = measure_without_emulation(engine, plan, Path(folder), log, runs)
            if emulate:
                ran = emulated_pip.build_with_pip(plan, Path(folder, "pip"), log, settings)
                sides[PIP] = measure_side(engine, emulated_pip.EMULATED, [ran], "gzip", cpu)
        finally:
            for name in (*NAMES.values(), emulated_pip.GIVEN, emulated_pip.EMULATED):
                engine.untag(name)
    report(plan, emulator, engine, sides)


def measure_without_emulation(engine: Engine, plan: Plan, scratch: Path, log: Path, runs: int) -> dict[str, Side]:
    """Build the sides that run no program of the target platform, in turns."""
    started = time.monotonic()
    assemble.fetch_context(scratch, plan)
    fetch = time.monotonic() - started
    ours, theirs = render.context_path(scratch, plan.combo), scratch / "by-hand"
    by_hand.link_context(plan, ours, theirs)
    contexts = {ASSEMBLY: ours, ZSTD: theirs, GZIP: theirs}
    dockerfile = plan.files["Dockerfile"]
    done: dict[str, list[BuildRun]] = {side: [] for side in contexts}
    for number in range(1, runs + 1):
        epoch = plan.lock.epoch - number * outcome.DAY
        replace_file(ours / "Dockerfile", _TIME.sub(str(epoch).encode(), dockerfile))
        for side, context in contexts.items():
            replace_file(theirs / "stamp", f"{side} {number}".encode())
            outcome.empty_cache(log)
            started = time.monotonic()
            steps = buildx.run_build(
                context, log, name=NAMES[side], epoch=epoch, compression=COMPRESSIONS[side], address=engine.address
            )
            done[side].append(BuildRun(time.monotonic() - started, steps))
    cpu = plan.combo.target.emulator.cpu
    sides = {
        side: measure_side(engine, NAMES[side], ran, COMPRESSIONS[side]["compression"], cpu)
        for side, ran in done.items()
    }
    return {**sides, ASSEMBLY: replace(sides[ASSEMBLY], fetch=fetch)}


def replace_file(path: Path, data: bytes) -> None:
    """Write a file anew: BuildKit takes one of the same size and time for unchanged, and it may be a hard link."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def compare_sides(sides: Mapping[str, Side]) -> dict[str, dict[str, float]]:
    """Return assembly's share of the seconds, compressed and unpacked bytes of each other side.

    By hand, the build is compared with the build: the inputs are given. The emulated side downloads its wheels itself,
    so it is compared with downloads and build.
    """
    ours = sides[ASSEMBLY]
    return {
        name: {
            "seconds": ours.seconds / side.seconds if name == PIP else ours.build / side.build,
            "compressed": ours.compressed / side.compressed,
            "unpacked": ours.unpacked / side.unpacked,
        }
        for name, side in sides.items()
        if name != ASSEMBLY
    }


def report(plan: Plan, emulator: str, engine: Engine, sides: Mapping[str, Side]) -> None:
    """Print the table and write build/benchmarks/assembly.json."""
    ratios = compare_sides(sides)
    rows = []
    for name, side in sides.items():
        ratio, (most_seconds, most_bytes) = ratios.get(name), AIMS.get(name, (None, None))
        rows.append([
            name, f"{side.fetch:.0f}" if side.fetch else "", f"{side.build:.1f}",
            f"{min(side.builds):.1f} to {max(side.builds):.1f}", console.megabytes(side.compressed),
            console.megabytes(side.unpacked), _share(ratio, "seconds", most_seconds),
            _share(ratio, "compressed", most_bytes),
        ])  # fmt: skip
    columns = ["side", "fetch s", "build s", "of the runs", "compressed", "unpacked", "assembly's time", "and size"]
    console.table(f"{plan.combo.id}: how long the build of an image takes", columns, rows)
    for step, seconds in sorted(sides[ASSEMBLY].steps.items(), key=lambda item: -item[1]):
        console.say(f"{seconds:6.1f} s  {step}")
    how = f"with {emulator}" if emulator else "without emulation, so the ratio to pip means little"
    console.say(f"measured on {outcome.MACHINE}, {how}; the speed of inference is not compared")
    document = {
        "combo": plan.combo.id,
        "packages": dict(locks.locked_packages(plan.files["requirements.txt"].decode())),
        "machine": outcome.MACHINE,
        "emulator": emulator,
        "engine": engine.version,
        "sides": {name: {**asdict(side), "build": side.build} for name, side in sides.items()},
        "ratios": ratios,
        "aims": {name: dict(zip(("seconds", "compressed"), aim, strict=True)) for name, aim in AIMS.items()},
    }
    outcome.write_document("assembly", document)


def _share(ratio: Mapping[str, float] | None, what: str, most: float | None) -> str:
    """Return a cell: assembly's share of a side, and the aim."""
    aim = f" (aim <= {most})" if most else ""
    return f"{ratio[what]:.2f}{aim}" if ratio else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
