"""The command `forms`: writes the GitHub issue forms."""

from __future__ import annotations

from armwright.matrix.matrix import Matrix
from armwright.request.issue_forms import make_forms
from armwright.system import console
from armwright.system.errors import FailedError
from armwright.system.files import write_whole


def run(matrix: Matrix, *, check: bool = False) -> None:
    """Write each form that is out of date.

    Args:
        matrix: the loaded matrix.
        check: write nothing, and fail if a form is out of date.

    Raises:
        FailedError: with `check`, a form differs from what the matrix and the recipes give.
    """
    forms = make_forms(matrix)
    outdated = [path for path, text in forms.items() if _read(matrix, path) != text]
    if check and outdated:
        raise FailedError(f"out of date: {', '.join(outdated)}", "invoke forms")
    for path in outdated:
        write_whole(matrix.root / path, forms[path])
        console.say(f"wrote {path}")
    if not outdated:
        console.say("the forms are up to date")


def _read(matrix: Matrix, path: str) -> str | None:
    file = matrix.root / path
    return file.read_text(encoding="utf-8") if file.exists() else None
