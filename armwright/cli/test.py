"""The command `test`: linters, types and three tiers of tests, in the order in which a mistake is cheapest to find."""

from __future__ import annotations

import functools
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from armwright.matrix import matrix
from armwright.plan import render
from armwright.plan.plan import make_plan
from armwright.system import console, process
from armwright.system.errors import FailedError, InputError, nearest

TIERS = ("checks", "unit", "engine", "image")
_ZIZMOR = ("zizmor", "--offline", "--no-progress", "--quiet", "--persona=pedantic", "--strict-collection")
_SCHEMAS = {
    "github-workflows": "workflows/*.yml",
    "github-issue-forms": "ISSUE_TEMPLATE/[!c]*.yml",
    "github-issue-config": "ISSUE_TEMPLATE/config.yml",
    "dependabot": "dependabot.yml",
}
_COMMENT = re.compile(rb"^[ \t]*#(?!.*(hadolint|shellcheck)).*$", re.MULTILINE)  # a linter reads what is said to it
_VALUE = re.compile(rb'(org\.[\w.]+=)"(?:[^"\\]|\\.)*"')


def run(root: Path, tier: str = "") -> int:
    """Run one tier, or all of them; the first that fails ends the run.

    Args:
        root: the project's root.
        tier: checks (linters and types), unit (no engine, no network), engine (real Docker), image (builds and proves).

    Returns:
        the exit code.

    Raises:
        InputError: there is no such tier.
    """
    if tier and tier not in TIERS:
        raise InputError(f"--tier {tier!r} is not known: {nearest(tier, TIERS)}", "invoke test --help")
    _install(root)
    started = time.monotonic()
    for one in [tier] if tier else TIERS:
        console.step(f"test: {one}")
        code = _checks(root) if one == "checks" else _pytest(root, one)
        if code:
            raise FailedError(f"the tier '{one}' failed", f"invoke test --tier {one}")
        console.detail(f"{one}: {time.monotonic() - started:.0f} s so far")
    return 0


def _install(root: Path) -> None:
    """Add what the tests need to the virtual environment, from its hashed lock; nothing is done twice."""
    lock = root / "requirements" / "test.lock"
    stamp = Path(sys.prefix) / "test.lock"
    if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
        return
    console.step("install what the tests need, from requirements/test.lock")
    words = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--requirement",
        str(lock),
    ]
    process.stream(words, root / "build" / "logs" / "test-requirements.log")
    stamp.write_bytes(lock.read_bytes())


def _checks(root: Path) -> int:
    """Run every linter over everything it can read, the rendered Dockerfiles of the whole matrix included."""
    scripts = [str(path) for path in (root / "inv", root / ".ci" / "run") if "sh" in path.read_text().splitlines()[0]]
    checks: list[tuple[str, Callable[[], int]]] = [
        ("ruff check", lambda: _call(root, "ruff", "check", ".")),
        ("ruff format", lambda: _call(root, "ruff", "format", "--check", ".")),
        ("mypy --strict", lambda: _call(root, "mypy")),
        ("shellcheck", lambda: _call(root, "shellcheck", *scripts)),
        ("hadolint", lambda: _hadolint(root)),
        ("zizmor", lambda: _call(root, *_ZIZMOR, ".github")),
        *[(f"schema of {kind}", functools.partial(_schema, root, kind, found)) for kind, found in _SCHEMAS.items()],
    ]
    failed = []
    for name, check in checks:
        console.detail(name)
        if check():
            failed.append(name)
    for name in failed:
        console.say(f"failed: {name}", "red")
    return 1 if failed else 0


def _hadolint(root: Path) -> int:
    """Lint one Dockerfile of each kind: they differ in their labels and comments, and little else."""
    loaded = matrix.load_matrix(root)
    possible = [combo for combo in loaded.combos if combo.refusal is None]
    kinds: dict[bytes, Path] = {}
    everything = [(combo, source) for combo in possible for source in loaded.base(combo).sources]
    for combo, source in everything:
        dockerfile = make_plan(loaded, combo, source).files["Dockerfile"]
        context = root / "build" / "lint" / f"{combo.id}-{source}"
        if kinds.setdefault(kind(dockerfile), context) == context:
            render.write_context(context, {"Dockerfile": dockerfile})
    console.detail(f"hadolint: {len(kinds)} kinds among {len(everything)} Dockerfiles")
    return _call(root, "hadolint", *(str(context / "Dockerfile") for context in kinds.values()))


def _schema(root: Path, kind: str, pattern: str) -> int:
    """Hold files of GitHub's against their schema, as the checker ships it: no network is needed."""
    files = sorted(str(path) for path in (root / ".github").glob(pattern))
    return _call(root, "check-jsonschema", "--builtin-schema", f"vendor.{kind}", *files)


def kind(dockerfile: bytes) -> bytes:
    """Return a Dockerfile without what a linter does not read: its comments and the values of its labels."""
    return _VALUE.sub(rb"\1", _COMMENT.sub(b"", dockerfile))


def _pytest(root: Path, tier: str) -> int:
    return _call(root, "pytest", str(root / "tests" / tier), "--durations=5")


def _call(root: Path, *words: str) -> int:
    return process.run_attached(words, cwd=root, env={"PYTHONDONTWRITEBYTECODE": "1"})
