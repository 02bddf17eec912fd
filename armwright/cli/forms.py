"""The issue forms: what people fill in on GitHub, made from the matrix, so that they offer what is published.

What GitHub allows in them is its form schema, against which the checks hold them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import yaml

from armwright.matrix.matrix import Matrix
from armwright.request.fields import UNSURE, Field, FieldKind, new_combination
from armwright.system import console
from armwright.system.errors import FailedError
from armwright.system.files import write_whole

FOLDER = ".github/ISSUE_TEMPLATE"
LABEL = "request"  # the new combination's: what the workflow looks for
BY = "# Made by `invoke forms` from matrix.yaml, recipes/ and armwright/ask/; change these instead.\n"
_TOLD = Field(
    "told", "What the image says", FieldKind.CPU,
    "What `docker run IMAGE` prints on that machine: versions, CPU, and what it chose.", required=True,
)  # fmt: skip
_WRONG = (
    Field(
        "program", "Program", FieldKind.FREE,
        "The smallest program that shows it, with what it reads, or how to get at both.", required=True,
    ),
    Field("found", "Result", FieldKind.FREE, "What comes out.", required=True),
    Field("meant", "Right result", FieldKind.FREE, "What should come out, and how you know that.", required=True),
    Field("smoke", "Proof", FieldKind.CPU, "What `docker run IMAGE smoke` prints on that machine; it takes some minutes."),
)  # fmt: skip
_SLOW = (
    Field(
        "program", "Program", FieldKind.FREE,
        "The model and the program, or how to get at both; batch size, data type, threads.", required=True,
    ),
    Field(
        "measured", "Measured", FieldKind.FREE,
        "Numbers with their unit, of how many runs, and how they differ; on a real CPU: emulation measures nothing.",
        required=True,
    ),
    Field(
        "compared", "Compared with", FieldKind.FREE,
        "The same program elsewhere: which image or packages, on the same machine or which other.", required=True,
    ),
)  # fmt: skip


def make_forms(matrix: Matrix) -> dict[str, str]:
    """Return the forms, each by its path below the project's root."""
    asked = new_combination(matrix)
    used = (*(_known(one) for one in asked if one.key in {"framework", "version", "target", "backend"}), _TOLD)
    forms = {
        "new-combination": _form(
            "New combination", "A framework, a version, a CPU or a backend that is not published.",
            "What is chosen below is checked by a program, which answers here. It reads no word of the last field.",
            LABEL, asked,
        ),
        "wrong-result": _form(
            "Wrong result", "An image computes something wrong, refuses, or ends.",
            "Please leave out what others must not see: issues are public.", "wrong result", (*used, *_WRONG),
        ),
        "performance": _form(
            "Performance", "An image is slower than it could be.",
            "Armwright makes no claim of speed, and wants to know where it is lost.", "performance", (*used, *_SLOW),
        ),
        "config": {"blank_issues_enabled": True},
    }  # fmt: skip
    return {f"{FOLDER}/{name}.yml": BY + _dumped(form) for name, form in forms.items()}


def run(matrix: Matrix, *, check: bool = False) -> None:
    """Write the forms; nothing is written twice.

    Args:
        matrix: the loaded matrix.
        check: write nothing, and fail where one would be.

    Raises:
        FailedError: a form is not what the matrix makes it.
    """
    made = make_forms(matrix)
    outdated = [path for path, text in made.items() if _text(matrix, path) != text]
    if check and outdated:
        raise FailedError(f"not in step with the matrix: {', '.join(outdated)}", "invoke forms")
    for path in outdated:
        write_whole(matrix.root / path, made[path])
        console.say(f"wrote {path}")
    if not outdated:
        console.say("the forms are in step with the matrix")


def _dumped(form: dict[str, Any]) -> str:
    return yaml.safe_dump(form, sort_keys=False, width=120, allow_unicode=True)


def _text(matrix: Matrix, path: str) -> str | None:
    place = matrix.root / path
    return place.read_text(encoding="utf-8") if place.exists() else None


def _known(field: Field) -> Field:
    """Ask for what somebody has, and not for what they want: nobody is unsure of that."""
    sure = [(value, shown) for value, shown in zip(field.choices, field.shown, strict=True) if value != UNSURE]
    choices, shown = zip(*sure, strict=True) if sure else ((), ())
    texts = {"version": "As in the image's name, for example 2.10.0.", "target": "As in the image's name."}
    return replace(field, choices=choices, shown=shown, required=True, help=texts.get(field.key, field.help))


def _form(name: str, description: str, before: str, label: str, fields: Sequence[Field]) -> dict[str, Any]:
    body = [{"type": "markdown", "attributes": {"value": before}}, *map(_element, fields)]
    return {"name": name, "description": description, "labels": [label], "body": body}


def _element(field: Field) -> dict[str, Any]:
    """Make an element; what is pasted from a terminal gets a code block, in which nothing is markup."""
    attributes: dict[str, Any] = {"label": field.heading, "description": field.help}
    if field.kind in {FieldKind.CHOICE, FieldKind.CHOICES}:
        attributes |= {"multiple": field.kind is FieldKind.CHOICES, "options": list(field.shown)}
    elif field.kind is FieldKind.CPU:
        attributes |= {"render": "text"}
    kinds = {FieldKind.CHOICE: "dropdown", FieldKind.CHOICES: "dropdown", FieldKind.VERSION: "input"}
    element = {"type": kinds.get(field.kind, "textarea"), "id": field.key, "attributes": attributes}
    return {**element, "validations": {"required": True}} if field.required else element
