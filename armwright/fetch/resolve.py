"""Resolves locks: a framework's wheels on this host's package index, and a base's packages in its archive."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from armwright.fetch import debian_roots, debian_sources
from armwright.fetch.debian_roots import TARGET_ARCHITECTURE
from armwright.plan import locks
from armwright.plan.locks import BaseLock, Deb
from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework
from armwright.system import console, pip_tool, process
from armwright.system.files import write_whole
from armwright.system.pip_settings import make_uv_environment


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
    text = process.capture(arguments, env={**make_uv_environment(os.environ), **read_index_environment()})
    path = locks.wheel_lock_path(root, framework.name, version)
    title = f"{framework.title} {framework.versions[version].upstream or version}"  # the same wheels: the same file
    head = f"# The wheels of {title} on {base.title}, by `invoke lock`: exact versions and hashes.\n"
    kept = "".join(line + "\n" for line in text.splitlines() if not line.startswith("--"))
    locks.check_wheel_lock(head + kept, str(path.relative_to(root)))
    write_whole(path, head + kept)
    console.detail(f"{path.relative_to(root)}: {len(locks.locked_packages(kept))} wheels")


def read_index_environment() -> Mapping[str, str]:
    """Translate this host's pip configuration (index, extra indexes, CA bundle) into uv's variables."""
    settings = pip_tool.read_pip_settings()
    environment: dict[str, str] = {}
    if "index-url" in settings:
        environment["UV_DEFAULT_INDEX"] = settings["index-url"]
    extra = [url for url in settings.get("extra-index-url", "").split() if not url.startswith("file:")]
    if extra:
        environment["UV_INDEX"] = " ".join(extra)
    if "cert" in settings:
        environment["SSL_CERT_FILE"] = settings["cert"]
    if "proxy" in settings:
        environment |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), settings["proxy"])
    return environment


def resolve_base(cache: Path, base: Base, log: Path) -> BaseLock:
    """Resolve a base's packages in the archive as it is now.

    Its time is that of the archive, not the clock's: who resolves the same archive gets the same lock.

    Raises:
        InputError: the archive does not have a package.
        MachineError: the archive cannot be reached.
    """
    sources = debian_sources.list_mirror_sources(base)
    tools = [package.name for package in base.tools]
    root = [package.name for package in base.archive.packages]
    builder = [package.name for package in base.builder.packages] if base.builder else []
    with (
        console.progress(f"resolve {base.name}") as progress,
        debian_roots.apt_scratch(cache / "roots") as scratch,
    ):
        run = debian_roots.AptRun(scratch, log, progress)
        archives = {name: debian_roots.open_archive(sources, run, name) for name in ("amd64", "arm64")}
        target = archives[TARGET_ARCHITECTURE]
        return BaseLock(
            created=max(archive.read_newest_date() for archive in archives.values()),
            root=target.resolve(root),
            tools={name: archive.resolve(tools) for name, archive in archives.items()},
            builder=target.resolve(builder) if builder else {},
        )


def read_archive_date(cache: Path, base: Base, log: Path) -> str:
    """Return when the archive of a base was published last: its last point release or security update.

    Raises:
        MachineError: the archive cannot be reached.
    """
    sources = debian_sources.list_mirror_sources(base)
    with (
        console.progress(f"date of the archive of {base.name}") as progress,
        debian_roots.apt_scratch(cache / "roots") as scratch,
    ):
        run = debian_roots.AptRun(scratch, log, progress)
        return debian_roots.open_archive(sources, run, TARGET_ARCHITECTURE).read_newest_date()


def refresh_base_lock(root: Path, cache: Path, base: Base, log: Path, *, own: bool = False) -> list[str]:
    """Resolve a base again and write its lock.

    Args:
        root: the project's root.
        cache: the folder build/cache.
        base: the distribution.
        log: the log file for apt's output.
        own: write this checkout's own lock, below build/, instead of the project's.

    Returns:
        one line for each changed package, "openssl 3.5.6-1 -> 3.5.7-1". If nothing changed, no file is written, so that
        the lock's time and the digests derived from it stay the same.
    """
    read = locks.read_base_lock if own else locks.read_project_lock
    old = read(root, base.name) if locks.base_lock_path(root, base.name).exists() else None
    new = resolve_base(cache, base, log)
    changes = compare_locks(old, new)
    if not changes:
        return []
    new = keep_images(old, new)
    if own:
        locks.write_own_lock(root, base.name, new)
    else:
        locks.write_base_lock(root, base.name, new)
    return changes


def keep_images(old: BaseLock | None, new: BaseLock) -> BaseLock:
    """Return a new lock that keeps the time of the images if only build tools changed, so that no image moves."""
    if old is None or (old.root, old.builder) != (new.root, new.builder):
        return new
    later = None if new.created == old.created else new.created
    return new.model_copy(update={"created": old.created, "tools_created": later})


def compare_locks(old: BaseLock | None, new: BaseLock) -> list[str]:
    """Return one line for each package that differs, those of the image first."""
    lines = _compare("", old.root if old else {}, new.root)
    lines += _compare("compilers: ", old.builder if old else {}, new.builder)
    for architecture, tools in new.tools.items():
        lines += _compare(f"build tools for {architecture}: ", old.tools.get(architecture, {}) if old else {}, tools)
    return lines


def _compare(title: str, before: Mapping[str, Deb], after: Mapping[str, Deb]) -> list[str]:
    versions = {name: (before.get(name), after.get(name)) for name in sorted({*before, *after})}
    return [
        f"{title}{name} {was.version if was else '(new)'} -> {now.version if now else '(gone)'}"
        for name, (was, now) in versions.items()
        if was != now
    ]
