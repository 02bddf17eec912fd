"""From a plan to a context: the Dockerfile by its template, and the files on disk."""

from __future__ import annotations

import json
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


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a context's own files; what an earlier plan left there is removed, downloads too.

    The files keep the time at which they are written: BuildKit takes a file of the same size and time for unchanged.
    The Dockerfile gives them the time they have in the image.

    Args:
        folder: the context, build/contexts/<id>.
        files: path to content.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o644)
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
