"""The issue forms, held against the matrix and against what GitHub allows in a form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import check_jsonschema
import pytest
import yaml
from jsonschema import Draft7Validator

from armwright.cli import forms
from armwright.matrix.matrix import Matrix
from armwright.request.fields import UNSURE, new_combination
from armwright.system.errors import FailedError
from tests.support import ROOT, Tree

SCHEMAS = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor"
ASKING = f"{forms.FOLDER}/new-combination.yml"
NAMES = [f"{forms.FOLDER}/{name}.yml" for name in ("new-combination", "wrong-result", "performance")]


def _elements(text: str) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in yaml.safe_load(text)["body"] if one["type"] != "markdown"}


def test_the_forms_in_the_repository_are_what_the_matrix_makes_them(matrix: Matrix) -> None:
    for path, text in forms.make_forms(matrix).items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, "invoke forms"
    forms.run(matrix, check=True)


def test_a_value_that_is_published_is_offered_and_one_that_is_not_is_not(tree: Tree, matrix: Matrix) -> None:
    tree.publish("axes: {frameworks: {pytorch: ['2.9.1']}, targets: [n1, a64fx], backends: [acl]}\n")
    small, large = (_elements(forms.make_forms(one)[ASKING]) for one in (tree.load(), matrix))
    offered = {key: one["attributes"].get("options") for key, one in small.items()}
    assert offered["framework"] == ["PyTorch"]
    assert offered["target"] == [UNSURE, "n1 - Arm Neoverse N1", "a64fx - Fujitsu A64FX"]
    assert offered["backend"] == [UNSURE, "acl - oneDNN with the Arm Compute Library"]
    assert len(large["target"]["attributes"]["options"]) == len(matrix.axes.targets) + 1


def test_every_field_that_is_read_is_in_the_form_under_the_heading_by_which_it_is_read(matrix: Matrix) -> None:
    elements = _elements(forms.make_forms(matrix)[ASKING])
    for field in new_combination(matrix):
        shown = elements.pop(field.key)
        assert shown["attributes"]["label"] == field.heading
        assert tuple(shown["attributes"].get("options", ())) == field.shown
        assert shown.get("validations", {}).get("required", False) == field.required
    assert elements == {}


def test_what_is_pasted_from_a_terminal_is_no_markup(matrix: Matrix) -> None:
    assert _elements(forms.make_forms(matrix)[ASKING])["cpu"]["attributes"]["render"] == "text"


@pytest.mark.parametrize("path", NAMES)
def test_github_takes_the_form(matrix: Matrix, path: str) -> None:
    form = yaml.safe_load(forms.make_forms(matrix)[path])
    schema = json.loads((SCHEMAS / "github-issue-forms.json").read_text())
    assert [one.message for one in Draft7Validator(schema).iter_errors(form)] == []
    elements = [one for one in form["body"] if one["type"] != "markdown"]
    # what the schema does not say, and GitHub's page on validation errors does
    for unique in ([one["id"] for one in elements], [one["attributes"]["label"] for one in elements]):
        assert len(set(unique)) == len(unique)
    for one in elements:
        options = one["attributes"].get("options", ["x"])
        assert len(set(options)) == len(options)
        assert all(isinstance(option, str) and option and option.lower() != "none" for option in options)


def test_only_the_form_that_a_program_answers_has_the_label_that_starts_it(matrix: Matrix) -> None:
    labels = {path: yaml.safe_load(text).get("labels") for path, text in forms.make_forms(matrix).items()}
    assert [path for path, found in labels.items() if found and forms.LABEL in found] == [ASKING]


def test_nobody_is_unsure_of_the_image_that_they_have(matrix: Matrix) -> None:
    made = forms.make_forms(matrix)
    for path in NAMES[1:]:
        assert UNSURE not in made[path]
        assert all(
            _elements(made[path])[key]["validations"]["required"]
            for key in ("framework", "version", "target", "backend")
        )


def test_the_config_is_one(matrix: Matrix) -> None:
    config = yaml.safe_load(forms.make_forms(matrix)[f"{forms.FOLDER}/config.yml"])
    schema = json.loads((SCHEMAS / "github-issue-config.json").read_text())
    assert [one.message for one in Draft7Validator(schema).iter_errors(config)] == []


def test_writing_is_done_once_and_a_check_writes_nothing(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = tree.load()
    with pytest.raises(FailedError, match=f"not in step with the matrix: {ASKING}, ") as outdated:
        forms.run(loaded, check=True)
    assert outdated.value.next_step == "invoke forms"
    assert not (tree.root / ".github").exists()
    forms.run(loaded)
    forms.run(loaded, check=True)
    (tree.root / ASKING).write_text("edited")
    capsys.readouterr()
    forms.run(loaded)
    assert capsys.readouterr().err.splitlines() == [f"wrote {ASKING}"]
    assert (tree.root / ASKING).read_text() == forms.make_forms(loaded)[ASKING]
