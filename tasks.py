"""The commands: each parses its words, calls one function of the package, and turns its result into an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context

from armwright.cli import parsing
from armwright.cli.command import command
from armwright.system import console

if TYPE_CHECKING:
    from armwright.matrix.matrix import Matrix
    from armwright.matrix.selection import Selector

# The package's modules are imported inside the commands: `invoke --list` and a second `build` stay quick.
ROOT = Path(__file__).resolve().parent
BASE = "archive (the default): unpack the distribution's signed archive; registry: a digest-pinned public image"
WHEEL = "a file in place of the wheel that a recipe takes from an address; its sha256 must be the recipe's"
JSON = "one JSON document on stdout and nothing else"
REPO = "owner/name, where the issue is; left out: GITHUB_REPOSITORY, else git's remote `origin`"
SCHEMA = "the JSON Schema of what --json prints"

parsing.answer_wrong_words()


def _matrix() -> Matrix:
    from armwright.matrix import matrix

    return matrix.load(ROOT)


@command(dry_run="say the steps and do nothing")
def setup(_: Context, dry_run: bool = False) -> None:
    """Bring this machine to where it can build; nothing is done twice.

    Example: ./inv setup --dry-run
    """
    from armwright.host import setup as steps

    steps.run(dry_run=dry_run)


@command(json=JSON)
def doctor(_: Context, json: bool = False) -> int:
    """Check every precondition; name for each failure the command that mends it.

    Example: invoke doctor
    """
    from armwright.cli import doctor as checks

    return checks.run(
        ROOT, {model for target in _matrix().recipes.targets.values() for model in target.emulator.models}, as_json=json
    )


@command(
    name="list", all_="refused and unverified combos too, each with the reason", json=JSON, schema=SCHEMA,
    grid="for each framework a grid of targets and backends, whatever their state",
)  # fmt: skip
def list_(_: Context, chosen: Selector, grid: bool = False, json: bool = False, schema: bool = False) -> None:
    """Show the combos of all versions and their state: proven, built, not built, unverified, refused.

    Examples: invoke list --target n1 --all; invoke list --grid
    """
    from armwright.cli import listing
    from armwright.pipeline import documents

    if schema:
        console.document(documents.schema(list[documents.Listed]))
        return
    listing.combos(_matrix(), chosen, as_grid=grid, as_json=json)


@command(base=BASE, json=JSON, schema=SCHEMA)
def plan(_: Context, chosen: Selector, base: str = "archive", json: bool = False, schema: bool = False) -> None:
    """Show what would be built, in order, and why.

    Example: invoke plan --target v1
    """
    from armwright.cli import listing
    from armwright.pipeline import documents

    if schema:
        console.document(documents.schema(list[documents.Planned]))
        return
    listing.plans(_matrix(), chosen, base, as_json=json)


@command(base=BASE, fetch="put the downloads beside them, so that plain `docker buildx build` builds them", wheel=WHEEL)
def render(_: Context, chosen: Selector, base: str = "archive", fetch: bool = False, wheel: str = "") -> None:
    """Write the contexts to build/contexts/<id>/.

    With --all the unverified ones too: a context is only read.

    Examples: invoke render --combo pytorch-2.10.0-n1-acl --fetch; invoke render --all
    """
    from armwright.cli import listing

    matrix = _matrix()
    if wheel:
        listing.adopt(matrix, chosen, wheel)
    listing.contexts(matrix, chosen, base, fetch=fetch)


@command(
    base=BASE,
    smoke="prove what was built; --no-smoke leaves it unproven, under its immutable name only",
    keep_going="a failed combo does not end the run",
    builder="a buildx builder other than the engine's own",
    dry_run="show the plan and stop",
    locked="fail, rather than make a base's lock anew, where the archive moved on",
    verbose="show BuildKit's words as they come, and every proof as a whole",
    jobs="combos that are worked on at once; left out: one for each CPU, as far as the free memory goes (1.5 GB each)",
    wheel=WHEEL,
)
def build(  # noqa: PLR0913, PLR0917 - a command's options
    _: Context, chosen: Selector, base: str = "archive", smoke: bool = True, keep_going: bool = False,
    builder: str = "", dry_run: bool = False, locked: bool = False, verbose: bool = False, jobs: str = "",
    wheel: str = "",
) -> int:  # fmt: skip
    """Plan, build and prove images.

    Examples: invoke build --target n1 --backend acl; invoke build --all --keep-going --jobs 4
    """
    from armwright.cli import listing
    from armwright.matrix import selection
    from armwright.pipeline import build_all, summary
    from armwright.pipeline import build_combo as builds

    matrix = _matrix()
    if dry_run:
        listing.plans(matrix, chosen, base, as_json=False)
        return 0
    if wheel:
        listing.adopt(matrix, chosen, wheel)
    options = builds.Options(
        smoke, keep_going, builder, listing.source(base), locked, verbose, jobs=build_all.count(jobs)
    )
    results = build_all.build(matrix, listing.possible(matrix, chosen), options)
    return summary.tell(results, selection.left_out(matrix, chosen), verbose=verbose)


@command(
    image="any image of ours, by name or digest; needs no build tree",
    workload="only this one",
    dtype="only this data type: fp32, bf16, fp16, int8 or bf16-fast-math",
    base=BASE,
    json=JSON,
)
def smoke(  # noqa: PLR0913, PLR0917 - one option each
    _: Context,
    chosen: Selector,
    image: str = "",
    workload: str = "",
    dtype: str = "",
    base: str = "archive",
    json: bool = False,
) -> int:
    """Prove images that exist.

    Examples: invoke smoke --target n1; invoke smoke --image 127.0.0.1:5000/staging/pytorch:2.10.0-n1-acl;
    invoke smoke --target v1 --workload lenet --dtype bf16
    """
    from armwright.cli import listing, smoke

    matrix, part = _matrix(), smoke.Part(workload, dtype)
    if image:
        return smoke.of_image(matrix, image, chosen, part, as_json=json)
    combos = listing.built(listing.possible(matrix, chosen))
    return smoke.of_combos(matrix, combos, part, listing.source(base), as_json=json)


@command(
    image="any image of ours, by name or digest; needs no build tree",
    floor="another target's: would the files be right there too?",
    base=BASE,
    json=JSON,
)
def audit(
    _: Context, chosen: Selector, image: str = "", floor: str = "", base: str = "archive", json: bool = False
) -> int:
    """Look for instructions above a target's floor that nobody chooses at run time; no image is started.

    Examples: invoke audit --target n1; invoke audit --combo pytorch-2.10.0-n1-acl --floor generic
    """
    from armwright.cli import audit, listing

    matrix = _matrix()
    if image:
        return audit.of_image(matrix, image, chosen, floor, as_json=json)
    combos = listing.built(listing.possible(matrix, chosen))
    return audit.of_combos(matrix, combos, listing.source(base), floor, as_json=json)


@command(to="host and port of the registry; left out: 127.0.0.1:5000", base=BASE)
def stage(_: Context, chosen: Selector, to: str = "", base: str = "archive") -> None:
    """Push proven images to staging: immutable names first, everybody's names last.

    Example: invoke stage --target n1 --backend acl
    """
    from armwright.cli import listing
    from armwright.publish import stage as staging

    matrix = _matrix()
    combos = listing.built(listing.possible(matrix, chosen))
    for staged in staging.stage(matrix, combos, to or staging.LOCAL, listing.source(base)):
        console.result(f"docker pull {staged.name}  # {staged.digest}")


@command(
    "action",
    action="show, diff, verify, or schema (the JSON Schema of a file)",
    of="combos, globs over them, or files, with commas between; left out: all that is under build/evidence",
    times="diff: compare times and memory too",
    json=JSON,
)
def evidence(_: Context, action: str, of: str = "", times: bool = False, json: bool = False) -> int:
    """Show proofs, compare two, or verify them against themselves, their plans and their images.

    Examples: invoke evidence verify; invoke evidence diff --of pytorch-2.10.0-n1-acl,/tmp/before.json
    """
    from armwright.cli import evidence

    return evidence.run(_matrix(), action, of, times=times, as_json=json)


@command("action", action="start, stop or show", port="left out: 5000", json=JSON)
def registry(_: Context, action: str, port: str = "", json: bool = False) -> None:
    """Run the local registry that serves as staging, on 127.0.0.1.

    Example: invoke registry start
    """
    from armwright.publish import local_registry as daemon

    daemon.run(ROOT, action, port=port or daemon.PORT, as_json=json)


@command(framework="this framework's wheels", version="only this version's", base="this base's packages")
def lock(_: Context, framework: str = "", version: str = "", base: str = "") -> None:
    """Write hashed locks anew: wheels of the frameworks, packages of the bases; without options all of them.

    Examples: invoke lock --base debian-13; invoke lock --framework pytorch --version 2.10.0
    """
    from armwright.cli import lock

    lock.run(_matrix(), framework, version, base)


@command(
    "framework",
    framework="e.g. pytorch",
    version="this one; left out: the newest that nothing speaks against",
    write="apply the diff that is shown: recipe, matrix.yaml and lock",
    json=JSON,
)
def bump(_: Context, framework: str, version: str = "", write: bool = False, json: bool = False) -> None:
    """Judge the newer versions on the package index, and propose one as a diff.

    Examples: invoke bump pytorch; invoke bump pytorch --version 2.12.0 --write
    """
    from armwright.cli import bump as bumps

    bumps.run(_matrix(), framework, version, write=write, as_json=json)


@command(
    file="the request as a file: an issue's text, or the fields' keys as YAML or JSON (by its suffix)",
    issue="the request as an issue: its number or address",
    repo=REPO,
    framework="the request as options: this framework",
    version="this version; left out: the newest that will do",
    target="for this CPU; left out: --cpu decides",
    backend="over this one; left out: the first that will do",
    cpu="a file with what `lscpu` or `cat /proc/cpuinfo` printed there",
    registry="host and port of the registry that may have the image; left out: 127.0.0.1:5000",
    write="make the change of data that it needs",
    branch="commit that change on a new branch request/<number or id>; nothing else is touched",
    build="build and prove it",
    answer="write the answer into the issue, as one comment and a label; the token is GITHUB_TOKEN or GH_TOKEN",
    json=JSON,
    schema=SCHEMA,
)
def request(  # noqa: PLR0913, PLR0917 - a command's options
    _: Context, file: str = "", issue: str = "", repo: str = "", framework: str = "", version: str = "",
    target: str = "", backend: str = "", cpu: str = "", registry: str = "", write: bool = False,
    branch: bool = False, build: bool = False, answer: bool = False, json: bool = False, schema: bool = False,
) -> int:  # fmt: skip
    """Answer a request: the combination exists, can be built, needs a change of data, or is refused, and why.

    Examples: invoke request --framework pytorch --target graviton3; invoke request --issue 12 --write --build --answer;
    lscpu > cpu.txt && invoke request --framework pytorch --cpu cpu.txt
    """
    from armwright.cli import request as ask
    from armwright.matrix.selection import Selector
    from armwright.pipeline import documents
    from armwright.request.document import Answered

    if schema:
        console.document(documents.schema(Answered))
        return 0
    chosen = Selector(framework, version, target, backend)
    return ask.run(
        _matrix(),
        ask.Options(file, issue, repo, chosen, cpu, registry, write, build, answer, branch, as_json=json),
    )


@command(file="what `invoke request --json` printed", issue="the issue's number or address", repo=REPO)
def post(_: Context, file: str, issue: str, repo: str = "") -> None:
    """Post an answer that another process wrote into an issue, after a look at whether it is one of ours.

    Example: invoke post --file reply.json --issue 12
    """
    from armwright.cli import post

    post.run(ROOT, file, issue, repo)


@command(check="write nothing, and fail where one is outdated")
def forms(_: Context, check: bool = False) -> None:
    """Write the issue forms, which offer what the matrix publishes.

    Example: invoke forms --check
    """
    from armwright.cli import forms as issue_forms

    issue_forms.run(_matrix(), check=check)


@command(tier="checks, unit, engine or image; left out: all of them, in this order")
def test(_: Context, tier: str = "") -> int:  # noqa: PT028 - a command, not a test
    """Run the project's checks and tests.

    Example: invoke test --tier unit
    """
    from armwright.cli import test

    return test.run(ROOT, tier)
