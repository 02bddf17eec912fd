"""Resolving a framework version: exact wheels and hashes for AArch64, from the host's own package index."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

from armwright.plan.locks import check_wheel_lock, locked_packages, wheel_lock_path
from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework
from armwright.system import console, process
from armwright.system.files import write_whole


def resolve_wheels(root: Path, framework: Framework, version: str, base: Base) -> None:
    """Resolve a framework version for AArch64 on the host's own package index and write its lock.

    The resolver evaluates dependency markers for AArch64, not for this machine (pip does not).

    Raises:
        InputError: what was resolved is refused by `check_wheels`.
        FailedError: the resolver failed; its words are in the message.
    """
    console.step(f"lock {framework.name} {version}")
    requirements = root / "build" / "lock" / f"{framework.name}-{version}.in"
    requirements.parent.mkdir(parents=True, exist_ok=True)
    requirements.write_text("".join(f"{one}\n" for one in framework.versions[version].requires), encoding="utf-8")
    words = ["uv", "pip", "compile", "--quiet", "--no-config", "--no-header", "--no-annotate", "--generate-hashes"]
    words += ["--no-emit-index-url", "--no-emit-find-links", "--no-python-downloads", "--only-binary", ":all:"]
    words += ["--python-platform", f"aarch64-{base.manylinux}", "--python-version", base.python, str(requirements)]
    text = process.capture(words, env=read_index_environment())
    path = wheel_lock_path(root, framework.name, version)
    title = f"{framework.title} {framework.versions[version].upstream or version}"  # the same wheels: the same file
    head = f"# The wheels of {title} on {base.title}, by `invoke lock`: exact versions and hashes.\n"
    kept = "".join(line + "\n" for line in text.splitlines() if not line.startswith("--"))
    check_wheel_lock(head + kept, str(path.relative_to(root)))
    write_whole(path, head + kept)
    console.detail(f"{path.relative_to(root)}: {len(locked_packages(kept))} wheels")


def read_index_environment() -> Mapping[str, str]:
    """Translate the host's pip configuration (index, extra indexes, CA bundle) into uv's variables."""
    settings = dict(_settings(process.capture(["pip", "config", "list"]).splitlines()))
    found: dict[str, str] = {}
    if "index-url" in settings:
        found["UV_DEFAULT_INDEX"] = settings["index-url"]
    extra = [url for url in settings.get("extra-index-url", "").split() if not url.startswith("file:")]
    if extra:
        found["UV_INDEX"] = " ".join(extra)
    if "cert" in settings:
        found["SSL_CERT_FILE"] = settings["cert"]
    return found


def _settings(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        key, _, value = line.partition("=")
        yield key.rpartition(".")[2], str(ast.literal_eval(value))  # pip prints a Python text, with its escapes
