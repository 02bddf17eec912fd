"""Resolves locks: a framework's wheels on this host's package index, and a base's packages in its archive."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from armwright.fetch.debian_roots import TARGET_ARCHITECTURE, CachedRoot, unpack_root
from armwright.plan import locks
from armwright.plan.locks import BaseLock, Deb
from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework
from armwright.system import console, process
from armwright.system.errors import some
from armwright.system.files import write_whole


def resolve_wheels(root: Path, framework: Framework, version: str, base: Base) -> None:
    """Resolve a framework version for AArch64 on this host's package index and write its lock.

    The resolver evaluates dependency markers for AArch64; pip would evaluate them for this machine.

    Raises:
        InputError: the resolved wheels violate `locks.check_wheel_lock`.
        FailedError: the resolver failed; the message has its output.
    """
    console.step(f"lock {framework.name} {version}")
    requirements = root / "build" / "lock" / f"{framework.name}-{version}.in"
    requirements.parent.mkdir(parents=True, exist_ok=True)
    lines = framework.versions[version].requires
    requirements.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    arguments = ["uv", "pip", "compile", "--quiet", "--no-config", "--no-header", "--no-annotate", "--generate-hashes"]
    arguments += ["--no-emit-index-url", "--no-emit-find-links", "--no-python-downloads", "--only-binary", ":all:"]
    arguments += ["--python-platform", f"aarch64-{base.manylinux}", "--python-version", base.python, str(requirements)]
    text = process.capture(arguments, env=read_index_environment())
    path = locks.wheel_lock_path(root, framework.name, version)
    title = f"{framework.title} {framework.versions[version].upstream or version}"  # the same wheels: the same file
    head = f"# The wheels of {title} on {base.title}, by `invoke lock`: exact versions and hashes.\n"
    kept = "".join(line + "\n" for line in text.splitlines() if not line.startswith("--"))
    locks.check_wheel_lock(head + kept, str(path.relative_to(root)))
    write_whole(path, head + kept)
    console.detail(f"{path.relative_to(root)}: {len(locks.locked_packages(kept))} wheels")


def read_index_environment() -> Mapping[str, str]:
    """Translate this host's pip configuration (index, extra indexes, CA bundle) into uv's variables."""
    settings = dict(_parse_settings(process.capture(["pip", "config", "list"]).splitlines()))
    environment: dict[str, str] = {}
    if "index-url" in settings:
        environment["UV_DEFAULT_INDEX"] = settings["index-url"]
    extra = [url for url in settings.get("extra-index-url", "").split() if not url.startswith("file:")]
    if extra:
        environment["UV_INDEX"] = " ".join(extra)
    if "cert" in settings:
        environment["SSL_CERT_FILE"] = settings["cert"]
    return environment


def _parse_settings(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        key, _, value = line.partition("=")
        yield key.rpartition(".")[2], str(ast.literal_eval(value))  # pip prints a Python string literal


def resolve_base(cache: Path, base: Base, log: Path) -> BaseLock:
    """Resolve a base's packages in the archive as it is now."""

    def resolve(architecture: str, names: Sequence[str]) -> dict[str, Deb]:
        with console.progress(f"resolve {base.name} for {architecture}: {some(names, 4)}") as progress:
            scratch = CachedRoot(cache / "roots" / "resolve.tar", cache / "roots" / "resolve.status")
            try:
                return unpack_root(base, architecture, names, scratch, log, progress)
            finally:
                scratch.tar.unlink(missing_ok=True)
                scratch.status.unlink(missing_ok=True)

    tools = [package.name for package in base.tools]
    builder = [package.name for package in base.builder.packages] if base.builder else []
    return BaseLock(
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        root=resolve(TARGET_ARCHITECTURE, [package.name for package in base.archive.packages]),
        tools={architecture: resolve(architecture, tools) for architecture in ("amd64", "arm64")},
        builder=resolve(TARGET_ARCHITECTURE, builder) if builder else {},
    )


def refresh_base_lock(root: Path, cache: Path, base: Base, log: Path) -> list[str]:
    """Resolve a base again and write its lock.

    Args:
        root: the project's root.
        cache: the folder build/cache.
        base: the distribution.
        log: the log file for mmdebstrap's output.

    Returns:
        one line for each changed package of the image, "openssl 3.5.6-1 -> 3.5.7-1". If nothing changed, the file is
        not written, so that its creation time and the digests derived from it stay the same.
    """
    old = locks.read_base_lock(root, base.name) if locks.base_lock_path(root, base.name).exists() else None
    new = resolve_base(cache, base, log)
    if old is not None and (old.root, old.tools, old.builder) == (new.root, new.tools, new.builder):
        return []
    locks.write_base_lock(root, base.name, new)
    before, after = (old.root if old else {}), new.root
    versions = {name: (before.get(name), after.get(name)) for name in sorted({*before, *after})}
    return [
        f"{name} {was.version if was else '(new)'} -> {now.version if now else '(gone)'}"
        for name, (was, now) in versions.items()
        if was != now
    ] or ["build tools only"]
