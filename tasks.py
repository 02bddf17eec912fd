"""The commands: each parses its options, calls one function of the package, and returns an exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context

from armwright.cli.command import command

if TYPE_CHECKING:
    from armwright.matrix.matrix import Matrix
    from armwright.matrix.selection import Selector

# The package's modules are imported inside the commands: `invoke --list` and a second `build` stay quick.
ROOT = Path(__file__).resolve().parent
BASE = "archive (default): the distribution's signed archive; registry: a digest-pinned public image"
WHEEL = "a local file to use instead of downloading the wheel that a recipe names; the sha256 must match the recipe"
JSON = "print one JSON document on stdout and nothing else"
REPO = "owner/name of the issue's repository (default: GITHUB_REPOSITORY, then the git remote `origin`)"
REGISTRY = (
    "REGISTRY or REGISTRY/PATH, for example ghcr.io/acme; the path is 'staging' without one (default: "
    "$ARMWRIGHT_REGISTRY, else the local registry)"
)
SCHEMA = "print the JSON Schema of the --json output"
IMAGE = "check this image, by name or digest, instead of the combos of this checkout"


def _matrix() -> Matrix:
    from armwright.matrix.matrix import load_matrix

    return load_matrix(ROOT)


@command(dry_run="print the steps without running them")
def setup(_: Context, dry_run: bool = False) -> None:
    """Install and start what a build needs: Docker Engine, buildx and the emulator. Skips completed steps.

    Example: ./inv setup --dry-run
    """
    from armwright.cli.setup import run

    run(dry_run=dry_run)


@command(json=JSON)
def doctor(_: Context, json: bool = False) -> int:
    """Check this machine for everything a build needs, and print the command that fixes each failure.

    Example: invoke doctor
    """
    from armwright.cli.doctor import run

    return run(_matrix(), as_json=json)


@command(
    name="list", all_="include refused and unverified combos, with the reason for each", json=JSON, schema=SCHEMA,
    grid="print one grid of targets and backends per framework, with every state",
)  # fmt: skip
def list_(_: Context, chosen: Selector, grid: bool = False, json: bool = False, schema: bool = False) -> None:
    """List combos and their state: proven, built, not built, unverified or refused.

    Examples: invoke list --target n1 --all; invoke list --grid
    """
    from armwright.cli.list import run

    run(_matrix(), chosen, as_grid=grid, as_json=json, as_schema=schema)


@command(base=BASE, json=JSON, schema=SCHEMA)
def plan(_: Context, chosen: Selector, base: str = "archive", json: bool = False, schema: bool = False) -> None:
    """Show what `invoke build` would do for each combo, in order, and why.

    Example: invoke plan --target v1
    """
    from armwright.cli.plan import run

    run(_matrix(), chosen, base, as_json=json, as_schema=schema)


@command(base=BASE, fetch="also download what the build needs, so that `docker buildx build` works there", wheel=WHEEL)
def render(_: Context, chosen: Selector, base: str = "archive", fetch: bool = False, wheel: str = "") -> None:
    """Write the build contexts to build/contexts/<id>/ without building. With --all, include unverified combos.

    Examples: invoke render --combo pytorch-2.10.0-n1-acl --fetch; invoke render --all
    """
    from armwright.cli.render import run

    run(_matrix(), chosen, base, fetch=fetch, wheel=wheel)


@command(
    base=BASE,
    smoke="prove each image after building it; with --no-smoke it gets only its immutable name",
    keep_going="continue with the other combos after a failure",
    builder="use this buildx builder instead of the engine's own",
    dry_run="print the plan without building",
    locked="use the committed locks only: fail if a package left the archive and no snapshot has it",
    verbose="print BuildKit's output live, and all checks and kernels of each proof as tables",
    jobs="combos to build in parallel (default: one per CPU, 1.5 GB of free memory each)",
    wheel=WHEEL,
)
def build(  # noqa: PLR0913, PLR0917 - a command's options
    _: Context, chosen: Selector, base: str = "archive", smoke: bool = True, keep_going: bool = False,
    builder: str = "", dry_run: bool = False, locked: bool = False, verbose: bool = False, jobs: str = "",
    wheel: str = "",
) -> int:  # fmt: skip
    """Build images and prove them.

    Examples: invoke build --target n1 --backend acl; invoke build --all --keep-going --jobs 4
    """
    from armwright.cli.build import BuildArguments, run

    given = BuildArguments(base, smoke, keep_going, builder, dry_run, locked, verbose, jobs, wheel)
    return run(_matrix(), chosen, given)


@command(
    image=IMAGE,
    workload="run only this workload",
    dtype="run only this data type: fp32, bf16, fp16, int8 or bf16-fast-math",
    base=BASE,
    json=JSON,
    verbose="print all checks and kernels of each proof as tables",
)
def smoke(  # noqa: PLR0913, PLR0917 - a command's options
    _: Context, chosen: Selector, image: str = "", workload: str = "", dtype: str = "", base: str = "archive",
    json: bool = False, verbose: bool = False,
) -> int:  # fmt: skip
    """Prove images that are already built.

    Examples: invoke smoke --target n1; invoke smoke --image 127.0.0.1:5000/staging/pytorch:2.10.0-n1-acl;
    invoke smoke --target v1 --workload lenet --dtype bf16
    """
    from armwright.cli.smoke import run

    return run(_matrix(), chosen, image, base, workload=workload, dtype=dtype, as_json=json, verbose=verbose)


@command(image=IMAGE, floor="check against the floor of this target instead of the image's own", base=BASE, json=JSON)
def audit(
    _: Context, chosen: Selector, image: str = "", floor: str = "", base: str = "archive", json: bool = False
) -> int:
    """Find CPU instructions that the target may lack and no run-time check guards. Runs nothing.

    Examples: invoke audit --target n1; invoke audit --combo pytorch-2.10.0-n1-acl --floor generic
    """
    from armwright.cli.audit import run

    return run(_matrix(), chosen, image, base, floor=floor, as_json=json)


@command(
    to=f"where images go: {REGISTRY}",
    base=BASE,
    move="move the names that people pull; with --no-move, only immutable names are pushed",
)
def stage(_: Context, chosen: Selector, to: str = "", base: str = "archive", move: bool = True) -> None:
    """Push proven images to a registry. The names that people pull move only after every image has arrived.

    Examples: invoke stage --target n1 --backend acl; invoke stage --target n1 --to ghcr.io/acme;
    invoke stage --all --to registry.example:5000/team/ml --no-move
    """
    from armwright.cli.stage import run

    run(_matrix(), chosen, to, base, move=move)


@command(
    "action",
    action="show, diff, verify, or schema (print the JSON Schema of an evidence file)",
    of="combos, globs or files, separated by commas (default: everything in build/evidence)",
    times="diff: also compare durations and memory",
    json=JSON,
)
def evidence(_: Context, action: str, of: str = "", times: bool = False, json: bool = False) -> int:
    """Show evidence, compare two files, or verify that evidence is consistent and matches its plan and image.

    Examples: invoke evidence verify; invoke evidence diff --of pytorch-2.10.0-n1-acl,/tmp/before.json
    """
    from armwright.cli.evidence import run

    return run(_matrix(), action, of, times=times, as_json=json)


@command(
    "action",
    action="start, stop, show, or gc (free the space of what no image uses; the registry stops meanwhile)",
    port="port on 127.0.0.1 (default: the last one, 5000 at first)",
    superseded="gc: also remove images that only an immutable name has, and that a later image replaced",
    json=JSON,
)
def registry(_: Context, action: str, port: str = "", superseded: bool = False, json: bool = False) -> None:
    """Start, stop or show the local registry on 127.0.0.1, or free space in it.

    Examples: invoke registry start --port 5001; invoke registry show --json; invoke registry gc --superseded
    """
    from armwright.cli.registry import run

    run(ROOT, action, port, superseded=superseded, as_json=json)


@command(
    framework="only this framework's wheels",
    version="only this version's wheels",
    base="only this base's packages",
    check="write nothing; exit with 1 if the archive has newer packages than a base's lock",
    json=JSON,
)
def lock(
    _: Context, framework: str = "", version: str = "", base: str = "", check: bool = False, json: bool = False
) -> int:
    """Resolve and write the hashed locks: wheels of frameworks, packages of bases (default: all).

    Examples: invoke lock --base debian-13; invoke lock --framework pytorch --version 2.10.0; invoke lock --check
    """
    from armwright.cli.lock import LockArguments, run

    return run(_matrix(), LockArguments(framework, version, base, check, json))


@command(
    "framework",
    framework="the framework to look up, for example pytorch",
    version="version to propose (default: the newest acceptable one)",
    write="apply the proposed diff to the recipe, matrix.yaml and the lock",
    json=JSON,
)
def bump(_: Context, framework: str, version: str = "", write: bool = False, json: bool = False) -> None:
    """Check the package index for newer versions of a framework and propose one as a diff.

    Examples: invoke bump pytorch; invoke bump pytorch --version 2.12.0 --write
    """
    from armwright.cli.bump import run

    run(_matrix(), framework, version, write=write, as_json=json)


@command(
    file="read the request from a file: the text of an issue, or its fields as YAML or JSON (by suffix)",
    issue="read the request from this issue: its number or address",
    repo=REPO,
    framework="the framework you need",
    version="the version you need (default: the newest that fits)",
    target="the CPU you need (default: chosen from --cpu)",
    backend="the backend you need (default: the first that fits)",
    cpu="a file with the output of `lscpu` or `cat /proc/cpuinfo` from your machine",
    registry=f"where to search for the image: {REGISTRY}",
    write="change recipes and matrix.yaml as the answer proposes",
    branch="commit that change on a new branch request/<issue or id>, without touching your checkout",
    build="build and prove the combo",
    answer="post the answer as a comment with a label; needs GITHUB_TOKEN or GH_TOKEN",
    json=JSON,
    schema=SCHEMA,
)
def request(  # noqa: PLR0913, PLR0917 - a command's options
    _: Context, file: str = "", issue: str = "", repo: str = "", framework: str = "", version: str = "",
    target: str = "", backend: str = "", cpu: str = "", registry: str = "", write: bool = False,
    branch: bool = False, build: bool = False, answer: bool = False, json: bool = False, schema: bool = False,
) -> int:  # fmt: skip
    """Answer a request for an image: it exists, can be built, needs a data change, or is refused with the reason.

    Examples: invoke request --framework pytorch --target graviton3; invoke request --issue 12 --write --build --answer;
    lscpu > cpu.txt && invoke request --framework pytorch --cpu cpu.txt
    """
    from armwright.cli.request import RequestArguments, run
    from armwright.matrix.selection import Selector

    chosen = Selector(framework, version, target, backend)
    given = RequestArguments(file, issue, repo, chosen, cpu, registry, write, build, answer, branch, as_json=json)
    return run(_matrix(), given, as_schema=schema)


@command(file="the output of `invoke request --json`", issue="the issue's number or address", repo=REPO)
def post(_: Context, file: str, issue: str, repo: str = "") -> None:
    """Check an answer that another process wrote, and post it as an issue comment if it is safe.

    Example: invoke post --file reply.json --issue 12
    """
    from armwright.cli.post import run

    run(ROOT, file, issue, repo)


@command(check="write nothing; exit with 1 if a form is out of date")
def forms(_: Context, check: bool = False) -> None:
    """Regenerate the GitHub issue forms from the matrix and recipes.

    Example: invoke forms --check
    """
    from armwright.cli.forms import run

    run(_matrix(), check=check)


@command(check="write nothing; exit with 1 if a page is out of date")
def docs(_: Context, check: bool = False) -> None:
    """Regenerate the reference pages of the commands and the matrix in docs/reference/.

    Example: invoke docs --check
    """
    from invoke.collection import Collection

    from armwright.cli.docs import run

    run(_matrix(), Collection.from_module(sys.modules[__name__]).tasks, check=check)


@command(tier="checks, unit, engine or image (default: all four, in this order)")
def test(_: Context, tier: str = "") -> int:  # noqa: PT028 - a command, not a test
    """Run the project's linters and tests.

    Example: invoke test --tier unit
    """
    from armwright.cli.test import run

    return run(ROOT, tier)
