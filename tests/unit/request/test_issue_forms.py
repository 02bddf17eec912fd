"""The issue forms fit the matrix, and GitHub accepts them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import check_jsonschema
import pytest
import yaml
from jsonschema import Draft7Validator

from armwright.matrix.matrix import Matrix
from armwright.request.fields import UNSURE, make_fields
from armwright.request.issue_forms import FOLDER, LABEL, make_forms
from tests.support import ROOT, Tree

SCHEMAS = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor"
REQUEST_FORM = f"{FOLDER}/new-combination.yml"
NAMES = [f"{FOLDER}/{name}.yml" for name in ("new-combination", "wrong-result", "performance")]


def _elements(text: str) -> dict[str, dict[str, Any]]:
    return {element["id"]: element for element in yaml.safe_load(text)["body"] if element["type"] != "markdown"}


def test_forms_in_the_repository_are_up_to_date(matrix: Matrix) -> None:
    for path, text in make_forms(matrix).items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, "invoke forms"


def test_forms_offer_exactly_what_is_published(tree: Tree, matrix: Matrix) -> None:
    tree.publish("axes: {frameworks: {pytorch: ['2.9.1']}, targets: [n1, a64fx], backends: [acl]}\n")
    small, large = (_elements(make_forms(loaded)[REQUEST_FORM]) for loaded in (tree.load(), matrix))
    offered = {key: element["attributes"].get("options") for key, element in small.items()}
    assert offered["framework"] == ["PyTorch"]
    assert offered["target"] == [UNSURE, "n1 - Arm Neoverse N1", "a64fx - Fujitsu A64FX"]
    assert offered["backend"] == [UNSURE, "acl - oneDNN with the Arm Compute Library"]
    assert len(large["target"]["attributes"]["options"]) == len(matrix.axes.targets) + 1


def test_form_has_every_field_under_its_heading(matrix: Matrix) -> None:
    elements = _elements(make_forms(matrix)[REQUEST_FORM])
    for field in make_fields(matrix):
        shown = elements.pop(field.key)
        assert shown["attributes"]["label"] == field.heading
        assert tuple(shown["attributes"].get("options", ())) == field.shown
        assert shown.get("validations", {}).get("required", False) == field.required
    assert elements == {}


def test_pasted_output_is_rendered_as_text(matrix: Matrix) -> None:
    assert _elements(make_forms(matrix)[REQUEST_FORM])["cpu"]["attributes"]["render"] == "text"


@pytest.mark.parametrize("path", NAMES)
def test_github_accepts_the_form(matrix: Matrix, path: str) -> None:
    form = yaml.safe_load(make_forms(matrix)[path])
    schema = json.loads((SCHEMAS / "github-issue-forms.json").read_text())
    assert [error.message for error in Draft7Validator(schema).iter_errors(form)] == []
    elements = list(_elements(make_forms(matrix)[path]).values())
    # rules of GitHub's page on validation errors that the schema does not have
    labels = [element["attributes"]["label"] for element in elements]
    assert len(set(labels)) == len(labels)
    ids = [element["id"] for element in form["body"] if "id" in element]
    assert len(set(ids)) == len(ids) == len(elements)
    for element in elements:
        options = element["attributes"].get("options", ["x"])
        assert len(set(options)) == len(options)
        assert all(isinstance(option, str) and option and option.lower() != "none" for option in options)


def test_only_the_request_form_starts_the_workflow(matrix: Matrix) -> None:
    labels = {path: yaml.safe_load(text).get("labels") for path, text in make_forms(matrix).items()}
    assert [path for path, names in labels.items() if names and LABEL in names] == [REQUEST_FORM]


def test_bug_forms_require_the_image(matrix: Matrix) -> None:
    made = make_forms(matrix)
    for path in NAMES[1:]:
        assert UNSURE not in made[path]
        assert all(
            _elements(made[path])[key]["validations"]["required"]
            for key in ("framework", "version", "target", "backend")
        )


def test_config_is_valid(matrix: Matrix) -> None:
    config = yaml.safe_load(make_forms(matrix)[f"{FOLDER}/config.yml"])
    schema = json.loads((SCHEMAS / "github-issue-config.json").read_text())
    assert [error.message for error in Draft7Validator(schema).iter_errors(config)] == []
