"""Measures how the reading of the matrix grows: synthetic trees of up to 10,000 combos, loaded, checked and listed.

    python benchmarks/matrix.py [--runs N] [--sizes 1250,2500,…]     # from the project's root, inside .venv

Each tree is made of the project's own recipes under other names: its first framework many times, each with five
versions, its targets and backends over and over, and for each framework four rules. What is timed is
`invoke list --all` in a process of its own, from its start to its end: the interpreter, the imports, every file read
and checked, every rule applied, the engine asked once, and every combo printed. The median of several runs counts; the
sizes take turns, so that a slow minute of the machine meets all of them.
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

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from armwright.system import console  # noqa: E402 - the path is set first
from armwright.system.errors import FailedError  # noqa: E402 - as above
from armwright.system.files import write_whole  # noqa: E402 - as above
from benchmarks import outcome  # noqa: E402 - as above

SIZES = (1_250, 2_500, 5_000, 10_000)
VERSIONS, TARGETS, BACKENDS = 5, 10, 5
EACH = VERSIONS * TARGETS * BACKENDS  # combos of one framework
RUNS = 5
AIM = {"seconds": 2.0, "doubling": 2.0}  # issue 3, item 5; twice the combos take at most twice the time


@dataclass(frozen=True)
class Seen:
    """What one size took.

    Attributes:
        combos: how many.
        runs: seconds from start to end, of every run.
        busy: seconds of a processor, of every run; what else the machine did is not in them.
    """

    combos: int
    runs: list[float]
    busy: list[float]

    @property
    def seconds(self) -> float:
        """The median from start to end."""
        return statistics.median(self.runs)

    @property
    def work(self) -> float:
        """The median of a processor's."""
        return statistics.median(self.busy)


def main(words: Sequence[str]) -> int:
    """Measure, print the table, write the document; return the exit code."""
    parser = argparse.ArgumentParser(description="How long a matrix of many combos takes to load, check and list.")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"runs of each size; left out: {RUNS}")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help=f"combos, in multiples of {EACH}")
    chosen = parser.parse_args(words)
    sizes = [int(size) for size in chosen.sizes.split(",")]
    if chosen.runs < 1 or any(size < EACH or size % EACH for size in sizes):
        parser.error(f"--runs is at least 1, and --sizes are multiples of {EACH}")
    return outcome.code(lambda: report(measure(sizes, chosen.runs)))


def measure(sizes: Sequence[int], runs: int) -> list[Seen]:
    """Make a tree of each size and list it, several times in turns."""
    taken = [Seen(size, [], []) for size in sizes]
    with tempfile.TemporaryDirectory(prefix="armwright-matrix-") as folder:
        for size in sizes:
            make_tree(Path(folder, str(size)), size // EACH)
            listed(Path(folder, str(size)), size)  # once for nothing: the files and the byte-code come from the disk
        with console.progress(f"list {', '.join(map(str, sizes))} combos, {runs} times") as shown:
            for run in range(runs):
                for one in taken:
                    shown.update(f"run {run + 1}, {one.combos} combos")
                    seconds, busy = listed(Path(folder, str(one.combos)), one.combos)
                    one.runs.append(seconds)
                    one.busy.append(busy)
    return taken


def listed(tree: Path, combos: int) -> tuple[float, float]:
    """List a tree in a process of its own; return the seconds from start to end, and those of a processor.

    Raises:
        FailedError: it failed, or did not list every combo.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "armwright.cli.program", "list", "--all"],
        cwd=tree, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    rows = sum(line.startswith("framework") for line in done.stdout.splitlines())
    if done.returncode or rows != combos:
        raise FailedError(f"{rows} of {combos} combos were listed, exit {done.returncode}: {done.stderr[-400:]}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def make_tree(tree: Path, frameworks: int) -> None:
    """Write the recipes and the matrix of a synthetic project."""
    ours = yaml.safe_load((ROOT / "matrix.yaml").read_text(encoding="utf-8"))["axes"]
    targets = [f"target{number}" for number in range(TARGETS)]
    backends = [f"backend{number}" for number in range(BACKENDS)]
    names = [f"framework{number}" for number in range(frameworks)]
    versions = [f"1.{number}.0" for number in range(VERSIONS)]
    shutil.copytree(ROOT / "recipes" / "bases", tree / "recipes" / "bases")
    shutil.copy(ROOT / "tasks.py", tree)
    for name, like in zip(targets, cycle(ours["targets"])):
        write(
            tree, "targets", {**recipe("targets", like), "name": name, "aliases": [f"other-{name}"], "fallback": None}
        )
    for name, like in zip(backends, cycle(ours["backends"])):
        write(tree, "backends", {**recipe("backends", like), "name": name, "aliases": []})
    folder = f"frameworks/{next(iter(ours['frameworks']))}"
    framework = recipe(folder, "framework")
    releases = dict(zip(versions, cycle(framework["versions"].values())))
    files = sorted(path.stem for path in (ROOT / "recipes" / folder).glob("*.yaml") if path.stem != "framework")
    over = {name: {**recipe(folder, like), "overrides": []} for name, like in zip(backends, cycle(files))}
    for name in names:
        own = {**framework, "name": name, "aliases": [], "versions": releases}
        for file, data in {"framework": own, **over}.items():
            dump(tree / "recipes" / "frameworks" / name / f"{file}.yaml", data)
    rules = [rule for name in names for rule in rules_of(name, targets, backends)]
    axes = {"frameworks": dict.fromkeys(names, versions), "targets": targets, "backends": backends}
    dump(tree / "matrix.yaml", {"axes": axes, "rules": rules})


def rules_of(framework: str, targets: Sequence[str], backends: Sequence[str]) -> list[dict[str, Any]]:
    """Return four rules such as the project's own: by range, by name, on some targets, over some backends."""
    return [
        {"refuse": {"framework": framework, "version": ">=1.4", "target": targets[0]}, "because": "it dies at import"},
        {"refuse": {"framework": framework, "backend": backends[0], "version": "<1.2"}, "because": "not written then"},
        {"unverified": {"framework": framework, "target": targets[1:3], "version": ">1.1,<1.4"}, "because": "not seen"},
        {"unverified": {"framework": framework, "version": ["1.0.0"]}, "because": "nobody ran it here"},
    ]


def recipe(folder: str, name: str) -> dict[str, Any]:
    """Return one of the project's recipes as plain data."""
    data: dict[str, Any] = yaml.safe_load((ROOT / "recipes" / folder / f"{name}.yaml").read_text(encoding="utf-8"))
    return data


def write(tree: Path, folder: str, data: Mapping[str, Any]) -> None:
    """Write a recipe under its name."""
    dump(tree / "recipes" / folder / f"{data['name']}.yaml", data)


class Spelled(yaml.SafeDumper):
    """Writes every value out: an alias (*) is refused in the project's files."""

    def ignore_aliases(self, _: object) -> bool:
        """Say that nothing is shared."""
        return True


def dump(path: Path, data: object) -> None:
    """Write a YAML file as people do: a mapping over lines, a short list on one."""
    write_whole(path, yaml.dump(data, Dumper=Spelled, sort_keys=False, default_flow_style=None, width=160))


def report(seen: Sequence[Seen]) -> None:
    """Print the table and write build/benchmarks/matrix.json."""
    pairs = list(pairwise(seen))
    growth = {later.combos: later.seconds / earlier.seconds for earlier, later in pairs}
    more = {later.combos: (later.work - earlier.work) / (later.combos - earlier.combos) for earlier, later in pairs}
    console.table(
        "invoke list --all, from its start to its end",
        ["combos", "seconds", "fastest", "slowest", "of a processor", "against the size before", "for each combo more"],
        [
            [
                f"{one.combos:,}", f"{one.seconds:.2f}", f"{min(one.runs):.2f}", f"{max(one.runs):.2f}",
                f"{one.work:.2f}",
                f"{growth[one.combos]:.2f} times" if one.combos in growth else "",
                f"{more[one.combos] * 1e6:.0f} µs" if one.combos in more else "",
            ]
            for one in seen
        ],
    )  # fmt: skip
    machine = f"{outcome.MACHINE}, Python {platform.python_version()}"
    console.say(f"measured on {machine}; aim: {SIZES[-1]:,} combos in < {AIM['seconds']:.0f} s, growing linearly")
    document = {
        "machine": machine,
        "sizes": [{**asdict(one), "seconds": one.seconds} for one in seen],
        "growth": {str(size): ratio for size, ratio in growth.items()},
        "processor_seconds_for_each_combo_more": {str(size): cost for size, cost in more.items()},
        "aim": AIM,
    }
    outcome.write("matrix", document)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
