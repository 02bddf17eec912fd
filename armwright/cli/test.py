"""The command `test`: linters, type checks and three tiers of tests, the fastest tier first."""

from __future__ import annotations

import functools
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from armwright.matrix.matrix import load_matrix
from armwright.plan import render
from armwright.plan.plan import make_plan
from armwright.system import console, pip_tool, process
from armwright.system.errors import FailedError, InputError, nearest

TIERS = ("checks", "unit", "engine", "image")
# One process per CPU. In the unit tier, a process without tests takes some from another, so all end at the same time.
# The files of the other tiers share fixtures; tests of the engine mostly wait, and an emulated Python is one thread.
_PARALLEL = {
    "unit": ("--numprocesses=auto", "--dist=worksteal"),
    "engine": ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile", "--no-loadscope-reorder"),
    "image": ("--numprocesses=auto", "--maxprocesses=4", "--dist=loadfile"),
}
_MEMORY, _MEMORY_BYTES = Path("/dev/shm"), 512 * 1024**2  # noqa: S108 - a file system in memory, on every Linux
_ZIZMOR = ("zizmor", "--offline", "--no-progress", "--quiet", "--persona=pedantic", "--strict-collection")
_SCHEMAS = {
    "github-workflows": "workflows/*.yml",
    "github-issue-forms": "ISSUE_TEMPLATE/[!c]*.yml",
    "github-issue-config": "ISSUE_TEMPLATE/config.yml",
    "dependabot": "dependabot.yml",
}
_COMMENT = re.compile(rb"^[ \t]*#(?!.*(hadolint|shellcheck)).*$", re.MULTILINE)  # linters read their own directives
_VALUE = re.compile(rb'(org\.[\w.]+=)"(?:[^"\\]|\\.)*"')


def run(root: Path, tier: str = "") -> int:
    """Run one tier, or all of them until one fails.

    Args:
        root: the project's root.
        tier: checks (linters and types), unit (no engine, no network), engine (real Docker), image (builds and proves).

    Returns:
        the exit code.

    Raises:
        InputError: the tier is unknown.
        FailedError: the tier failed.
    """
    if tier and tier not in TIERS:
        raise InputError(f"--tier {tier!r} is not known: {nearest(tier, TIERS)}", "invoke test --help")
    _install(root)
    started = time.monotonic()
    for name in [tier] if tier else TIERS:
        console.step(f"test: {name}")
        code = _run_checks(root) if name == "checks" else _run_pytest(root, name)
        if code:
            raise FailedError(f"the tier '{name}' failed", f"invoke test --tier {name}")
        console.detail(f"{name}: {time.monotonic() - started:.0f} s so far")
    return 0


def _install(root: Path) -> None:
    """Install what the tests need from its hashed lock into the virtual environment, if the lock has changed."""
    lock = root / "requirements" / "test.lock"
    stamp = Path(sys.prefix) / "test.lock"
    if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
        return
    console.step("install what the tests need, from requirements/test.lock")
    options = ["--quiet", "--require-hashes", "--no-deps", "--requirement", str(lock)]
    log = root / "build" / "logs" / "test-requirements.log"
    environment = pip_tool.read_pip_environment("install")
    process.stream([sys.executable, "-m", "pip", "install", *options], log, env=environment)
    stamp.write_bytes(lock.read_bytes())


def _run_checks(root: Path) -> int:
    """Run all linters and the type checker, also on the rendered Dockerfiles; return 1 if one of them fails."""
    scripts = [str(path) for path in (root / "inv", root / ".ci" / "run") if "sh" in path.read_text().splitlines()[0]]
    checks: list[tuple[str, Callable[[], int]]] = [
        ("ruff check", lambda: _run_tool(root, "ruff", "check", ".")),
        ("ruff format", lambda: _run_tool(root, "ruff", "format", "--check", ".")),
        ("mypy --strict", lambda: _run_tool(root, "mypy")),
        ("shellcheck", lambda: _run_tool(root, "shellcheck", *scripts)),
        ("hadolint", lambda: _lint_dockerfiles(root)),
        ("zizmor", lambda: _run_tool(root, *_ZIZMOR, ".github")),
        *[
            (f"schema {schema}", functools.partial(_check_schema, root, schema, glob))
            for schema, glob in _SCHEMAS.items()
        ],
    ]
    failed = []
    for name, check in checks:
        console.detail(name)
        if check():
            failed.append(name)
    for name in failed:
        console.say(f"failed: {name}", "red")
    return 1 if failed else 0


def _lint_dockerfiles(root: Path) -> int:
    """Run hadolint on one of the Dockerfiles that differ only in labels and comments, for all combos and bases."""
    matrix = load_matrix(root)
    possible = [combo for combo in matrix.combos if combo.refusal is None]
    pairs = [(combo, source) for combo in possible for source in matrix.base(combo).sources]
    contexts: dict[bytes, Path] = {}
    for combo, source in pairs:
        dockerfile = make_plan(matrix, combo, source).files["Dockerfile"]
        context = root / "build" / "lint" / f"{combo.id}-{source}"
        if contexts.setdefault(linted_text(dockerfile), context) == context:
            render.write_context(context, {"Dockerfile": dockerfile})
    console.detail(f"hadolint: {len(contexts)} different ones among {len(pairs)} Dockerfiles")
    return _run_tool(root, "hadolint", *(str(context / "Dockerfile") for context in contexts.values()))


def _check_schema(root: Path, schema: str, glob: str) -> int:
    """Validate files in .github against a schema that the checker ships; needs no network."""
    files = sorted(str(path) for path in (root / ".github").glob(glob))
    return _run_tool(root, "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)


def linted_text(dockerfile: bytes) -> bytes:
    """Return a Dockerfile without what hadolint does not read: its comments and the values of its labels."""
    return _VALUE.sub(rb"\1", _COMMENT.sub(b"", dockerfile))


def _run_pytest(root: Path, tier: str) -> int:
    """Run a tier of tests. Compiled tests stay in build/bytecode; without them, collecting takes twice as long."""
    environment = {
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(root / "build" / "bytecode"),
        **(_find_memory_folder() if tier == "unit" else {}),
    }
    options = ["--durations=5", *_PARALLEL.get(tier, ())]
    return process.run_attached(["pytest", str(root / "tests" / tier), *options], cwd=root, env=environment)


def _find_memory_folder() -> dict[str, str]:
    """Return pytest's variable for temporary files in memory, if it has room: tests write 60,000 small files."""
    usable = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _MEMORY_BYTES
    if not usable or os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC:
        return {}
    return {"PYTEST_DEBUG_TEMPROOT": str(_MEMORY)}


def _run_tool(root: Path, *arguments: str) -> int:
    return process.run_attached(arguments, cwd=root, env={"PYTHONDONTWRITEBYTECODE": "1"})
