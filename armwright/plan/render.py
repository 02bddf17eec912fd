"""From a plan to a context: the Dockerfile by its template, and the files on disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


@lru_cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - a Dockerfile, not HTML; every value comes from a closed pattern (recipes.py)
    )
    environment.filters["quoted"] = _quoted
    return environment


def _quoted(text: str) -> str:
    """Quote a value for LABEL: as JSON, with no variable in it expanded."""
    return json.dumps(text, ensure_ascii=False).replace("$", "\\$")


def render_dockerfile(root: Path, context: Mapping[str, Any]) -> bytes:
    """Render the Dockerfile of a plan.

    Args:
        root: the project's root, the folder with dockerfiles/.
        context: the template's variables.

    Raises:
        jinja2.UndefinedError: a template names what the plan does not have.
    """
    return _environment(root / "dockerfiles").get_template("Dockerfile.j2").render(context).encode()


def write_context(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a context's own files; what an earlier plan left there is removed, downloads too.

    BuildKit takes a file of the same path, size and time for unchanged, also from one combo to the next. So a file's
    time is made from its content: another content has another time. The Dockerfile gives the files the time they have
    in the image.

    Args:
        folder: the context, build/contexts/<id>.
        files: path to content.
    """
    wanted = {folder / name: data for name, data in files.items()}
    named = {PurePosixPath(name).parent for name in files}
    folders = {folder, *(folder / one for path in named for one in (path, *path.parents))}
    _clear(folder, folders, wanted)
    for path in sorted(folders):
        path.mkdir(parents=True, exist_ok=True)
    for path, data in wanted.items():
        if not path.exists() or path.read_bytes() != data:
            path.unlink(missing_ok=True)  # it may be a link to something that is still needed
            path.write_bytes(data)
        path.chmod(0o644)
        os.utime(path, ns=(_time(data), _time(data)))
    for path in folders - {folder}:
        path.chmod(0o755)


def _time(data: bytes) -> int:
    """Return a time between 1970 and 2006, in nanoseconds, that no other content has."""
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big") >> 4


def _clear(folder: Path, folders: Collection[Path], files: Collection[Path]) -> None:
    """Remove everything below a folder that is not one of these folders and files."""
    for path in folder.iterdir() if folder.is_dir() else ():
        real = not path.is_symlink()
        if real and path in folders and path.is_dir():
            _clear(path, folders, files)
        elif path.is_dir() and real:
            shutil.rmtree(path)
        elif path not in files or not real:
            path.unlink()
