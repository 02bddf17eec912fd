"""Rendering: the Dockerfile from its templates, and a build context as files on disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

from armwright.matrix.matrix import Combo


def _read_templates(folder: Path) -> tuple[tuple[str, str], ...]:
    return tuple((path.name, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.j2")))


@lru_cache(maxsize=8)
def _environment(templates: tuple[tuple[str, str], ...]) -> Environment:
    """Return jinja's environment for templates by name and text; the same templates are compiled once."""
    environment = Environment(
        loader=DictLoader(dict(templates)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - a Dockerfile, not HTML; every value matches a closed pattern (recipes/patterns.py)
    )
    environment.filters["quoted"] = _quoted
    return environment


def _quoted(text: str) -> str:
    """Quote a value for LABEL as JSON, with `$` escaped so that no variable is expanded."""
    return json.dumps(text, ensure_ascii=False).replace("$", "\\$")


def render_dockerfile(root: Path, context: Mapping[str, Any]) -> bytes:
    """Render the Dockerfile of a plan.

    Args:
        root: the project's root, the folder with dockerfiles/.
        context: the variables of the template.

    Raises:
        jinja2.UndefinedError: a template uses a variable that the context does not have.
    """
    return _environment(_read_templates(root / "dockerfiles")).get_template("Dockerfile.j2").render(context).encode()


def context_path(root: Path, combo: Combo) -> Path:
    """Return the folder of a combo's context, below a project's root."""
    return root / "build" / "contexts" / combo.id


def write_context(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a build context and remove everything else in its folder, downloads included.

    BuildKit treats a file with the same path, size and time as unchanged, also between combos. So the time of each file
    is derived from its content, and other content has another time. The Dockerfile sets the times that the image has.

    Args:
        folder: the context, build/contexts/<id>.
        files: path to content.
    """
    contents = {folder / name: data for name, data in files.items()}
    parents = {PurePosixPath(name).parent for name in files}
    folders = {folder, *(folder / part for path in parents for part in (path, *path.parents))}
    if folder.is_symlink():  # what it leads to is not ours to empty
        folder.unlink()
    _clear(folder, folders, contents)
    for path in sorted(folders):
        path.mkdir(parents=True, exist_ok=True)
    for path, data in contents.items():
        if not path.exists() or path.read_bytes() != data:
            path.unlink(missing_ok=True)  # it may be a hard link to a cached download
            path.write_bytes(data)
        path.chmod(0o644)
        os.utime(path, ns=(_time(data), _time(data)))
    for path in folders - {folder}:
        path.chmod(0o755)


def _time(data: bytes) -> int:
    """Derive a time from content: nanoseconds since 1970, before 2006."""
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big") >> 4


def _clear(folder: Path, folders: Collection[Path], files: Collection[Path]) -> None:
    """Remove everything below a folder except these folders and files."""
    for path in folder.iterdir() if folder.is_dir() else ():
        real = not path.is_symlink()
        if real and path in folders and path.is_dir():
            _clear(path, folders, files)
        elif path.is_dir() and real:
            shutil.rmtree(path)
        elif path not in files or not real:
            path.unlink()
