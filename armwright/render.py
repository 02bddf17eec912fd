"""From a plan to a context: the Dockerfile by its template, and the files on disk with times that never change."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
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


def dockerfile(root: Path, context: Mapping[str, Any]) -> bytes:
    """Render the Dockerfile of a plan.

    Args:
        root: the project's root, the folder with dockerfiles/.
        context: the template's variables.

    Raises:
        jinja2.UndefinedError: a template names what the plan does not have.
    """
    return _environment(root / "dockerfiles").get_template("Dockerfile.j2").render(context).encode()


def write(folder: Path, files: Mapping[str, bytes], epoch: int) -> None:
    """Write a context's own files; what an earlier plan left there is removed, downloads too.

    Args:
        folder: the context, build/contexts/<id>.
        files: path to content.
        epoch: seconds since 1970, the modification time of every file and folder, so that layers never differ by time.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o644)
        os.utime(path, (epoch, epoch))
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            path.chmod(0o755)
            os.utime(path, (epoch, epoch))
