"""Measures how the time to load a matrix grows, with synthetic projects of up to 10,000 combos.

    python -m benchmarks.matrix [--runs N] [--sizes 1250,2500,…]     # in the project's root, inside .venv

Each synthetic project repeats the recipes of this one under other names: its first framework many times, with five
versions and four rules each, and its targets and backends. The benchmark measures the process of `invoke list --all`:
starting the interpreter, importing, reading and checking every file, applying every rule, asking the engine once and
printing every combo. The median of several runs counts. The sizes take turns, so a slow minute of the machine affects
all of them.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import yaml

from armwright.system import console
from armwright.system.errors import FailedError
from armwright.system.files import write_whole
from benchmarks import outcome
from benchmarks.outcome import ROOT

SIZES = (1_250, 2_500, 5_000, 10_000)
VERSIONS, TARGETS, BACKENDS = 5, 10, 5
EACH = VERSIONS * TARGETS * BACKENDS  # combos of one framework
RUNS = 5
AIM = {"seconds": 2.0, "doubling": 2.0}  # issue 3, item 5; twice the combos take at most twice the time


@dataclass(frozen=True)
class Timing:
    """How long the project of one size took.

    Attributes:
        combos: the number of combos.
        elapsed: elapsed seconds of each run.
        cpu: CPU seconds of each run; they do not include other processes.
    """

    combos: int
    elapsed: list[float]
    cpu: list[float]

    @property
    def seconds(self) -> float:
        """The median of the elapsed seconds."""
        return statistics.median(self.elapsed)

    @property
    def cpu_seconds(self) -> float:
        """The median of the CPU seconds."""
        return statistics.median(self.cpu)


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, write the document; return the exit code."""
    parser = argparse.ArgumentParser(
        description="Measure how long a matrix of many combos takes to load, check and list."
    )
    parser.add_argument("--runs", type=int, default=RUNS, help=f"runs of each size (default: {RUNS})")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help=f"numbers of combos, multiples of {EACH}")
    chosen = parser.parse_args(arguments)
    sizes = [int(size) for size in chosen.sizes.split(",")]
    if chosen.runs < 1 or any(size < EACH or size % EACH for size in sizes):
        parser.error(f"--runs must be at least 1, and --sizes multiples of {EACH}")
    return outcome.run_benchmark(lambda: report(measure(sizes, chosen.runs)))


def measure(sizes: Sequence[int], runs: int) -> list[Timing]:
    """Write a project of each size and list each of them several times, in turns."""
    timings = [Timing(size, [], []) for size in sizes]
    with tempfile.TemporaryDirectory(prefix="armwright-matrix-") as folder:
        for size in sizes:
            make_tree(Path(folder, str(size)), size // EACH)
            time_list(Path(folder, str(size)), size)  # not counted: it reads the files and byte-code from the disk
        with console.progress(f"list {', '.join(map(str, sizes))} combos, {runs} times") as shown:
            for run in range(runs):
                for timing in timings:
                    shown.update(f"run {run + 1}, {timing.combos} combos")
                    elapsed, cpu = time_list(Path(folder, str(timing.combos)), timing.combos)
                    timing.elapsed.append(elapsed)
                    timing.cpu.append(cpu)
    return timings


def time_list(tree: Path, combos: int) -> tuple[float, float]:
    """Run `invoke list --all` on a synthetic project; return its elapsed seconds and its CPU seconds.

    Raises:
        FailedError: it failed, or did not list every combo.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "armwright.cli.program", "--search-root", str(tree), "list", "--all"],
        cwd=tree, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    elapsed, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    rows = sum(line.startswith("framework") for line in done.stdout.splitlines())
    if done.returncode or rows != combos:
        raise FailedError(f"{rows} of {combos} combos were listed, exit {done.returncode}: {done.stderr[-400:]}")
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def make_tree(tree: Path, frameworks: int) -> None:
    """Write the recipes and the matrix of a synthetic project."""
    axes = yaml.safe_load((ROOT / "matrix.yaml").read_text(encoding="utf-8"))["axes"]
    targets = [f"target{number}" for number in range(TARGETS)]
    backends = [f"backend{number}" for number in range(BACKENDS)]
    names = [f"framework{number}" for number in range(frameworks)]
    versions = [f"1.{number}.0" for number in range(VERSIONS)]
    shutil.copytree(ROOT / "recipes" / "bases", tree / "recipes" / "bases")
    shutil.copy(ROOT / "recipes" / "numerics.yaml", tree / "recipes")
    shutil.copy(ROOT / "tasks.py", tree)
    for name, like in zip(targets, cycle(axes["targets"])):
        changes = {"name": name, "aliases": [f"other-{name}"], "fallback": None}
        write_recipe(tree, "targets", {**read_recipe("targets", like), **changes})
    for name, like in zip(backends, cycle(axes["backends"])):
        write_recipe(tree, "backends", {**read_recipe("backends", like), "name": name, "aliases": []})
    folder = f"frameworks/{next(iter(axes['frameworks']))}"
    framework = read_recipe(folder, "framework")
    releases = dict(zip(versions, cycle(framework["versions"].values())))
    files = sorted(path.stem for path in (ROOT / "recipes" / folder).glob("*.yaml") if path.stem != "framework")
    over = {name: {**read_recipe(folder, like), "overrides": []} for name, like in zip(backends, cycle(files))}
    for name in names:
        own = {**framework, "name": name, "aliases": [], "versions": releases}
        for file, data in {"framework": own, **over}.items():
            dump_yaml(tree / "recipes" / "frameworks" / name / f"{file}.yaml", data)
    rules = [rule for name in names for rule in make_rules(name, targets, backends)]
    axes = {"frameworks": dict.fromkeys(names, versions), "targets": targets, "backends": backends}
    dump_yaml(tree / "matrix.yaml", {"axes": axes, "rules": rules})


def make_rules(framework: str, targets: Sequence[str], backends: Sequence[str]) -> list[dict[str, Any]]:
    """Return four rules like the project's: by range, by name, for some targets, for some backends."""
    return [
        {"refuse": {"framework": framework, "version": ">=1.4", "target": targets[0]}, "because": "its import fails"},
        {
            "refuse": {"framework": framework, "backend": backends[0], "version": "<1.2"},
            "because": "it has no such backend",
        },
        {
            "unverified": {"framework": framework, "target": targets[1:3], "version": ">1.1,<1.4"},
            "because": "not tested",
        },
        {"unverified": {"framework": framework, "version": ["1.0.0"]}, "because": "not run on hardware"},
    ]


def read_recipe(folder: str, name: str) -> dict[str, Any]:
    """Return one of the project's recipes as plain data."""
    data: dict[str, Any] = yaml.safe_load((ROOT / "recipes" / folder / f"{name}.yaml").read_text(encoding="utf-8"))
    return data


def write_recipe(tree: Path, folder: str, data: Mapping[str, Any]) -> None:
    """Write a recipe to the file of its name."""
    dump_yaml(tree / "recipes" / folder / f"{data['name']}.yaml", data)


class PlainDumper(yaml.SafeDumper):
    """Writes no alias (*), which the project's files must not contain."""

    def ignore_aliases(self, _: object) -> bool:
        """Return True: write each value in full."""
        return True


def dump_yaml(path: Path, data: object) -> None:
    """Write a YAML file: mappings in block style, short lists on one line."""
    write_whole(path, yaml.dump(data, Dumper=PlainDumper, sort_keys=False, default_flow_style=None, width=160))


def report(timings: Sequence[Timing]) -> None:
    """Print the table and write build/benchmarks/matrix.json."""
    pairs = list(pairwise(timings))
    growth = {later.combos: later.seconds / earlier.seconds for earlier, later in pairs}
    cost = {
        later.combos: (later.cpu_seconds - earlier.cpu_seconds) / (later.combos - earlier.combos)
        for earlier, later in pairs
    }
    console.table(
        "the process of `invoke list --all`",
        ["combos", "seconds", "fastest", "slowest", "CPU seconds", "times the previous size", "CPU per added combo"],
        [
            [
                f"{timing.combos:,}", f"{timing.seconds:.2f}", f"{min(timing.elapsed):.2f}",
                f"{max(timing.elapsed):.2f}", f"{timing.cpu_seconds:.2f}",
                f"{growth[timing.combos]:.2f}" if timing.combos in growth else "",
                f"{cost[timing.combos] * 1e6:.0f} µs" if timing.combos in cost else "",
            ]
            for timing in timings
        ],
    )  # fmt: skip
    machine = f"{outcome.MACHINE}, Python {platform.python_version()}"
    console.say(f"measured on {machine}; aim: {SIZES[-1]:,} combos in < {AIM['seconds']:.0f} s, growing linearly")
    document = {
        "machine": machine,
        "sizes": [{**asdict(timing), "seconds": timing.seconds} for timing in timings],
        "growth": {str(size): ratio for size, ratio in growth.items()},
        "cpu_seconds_per_added_combo": {str(size): seconds for size, seconds in cost.items()},
        "aim": AIM,
    }
    outcome.write_document("matrix", document)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
