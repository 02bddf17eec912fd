"""An insertion into YAML comes first, parses as intended, and leaves all other bytes as they were."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from armwright.bump import yaml_insert
from armwright.system.errors import InputError
from tests.support import ROOT

FIELDS = {"provider": "wheel", "requires": ["lamp==1.1.0", "numpy"], "environment": [{"name": "A", "value": "2"}]}
FLOW = "{provider: wheel, requires: [lamp==1.1.0, numpy], environment: [{name: A, value: '2'}]}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('a: ["1.0", "0.9"] # x\n', 'a: ["1.1", "1.0", "0.9"] # x\n'),
        ("a: ['1.0']", "a: ['1.1', '1.0']"),
        ("a: [ 1.0.0 ]\n", 'a: [ "1.1", 1.0.0 ]\n'),
        ('a:\n  - "1.0" # x\n  - "0.9"\n', 'a:\n  - "1.1"\n  - "1.0" # x\n  - "0.9"\n'),
        ('a:\n- "1.0"\n', 'a:\n- "1.1"\n- "1.0"\n'),
        ('a:\n  # of 1.0\n  - "1.0"\n', 'a:\n  - "1.1"\n  # of 1.0\n  - "1.0"\n'),
        ('a:\n  # all\n\n  # of 1.0\n  - "1.0"\n', 'a:\n  # all\n\n  - "1.1"\n  # of 1.0\n  - "1.0"\n'),
        ('a: [\n    "1.0", # x\n    "0.9",\n  ]\n', 'a: [\n    "1.1",\n    "1.0", # x\n    "0.9",\n  ]\n'),
        ('a: [\n  # of 1.0\n  "1.0"]\n', 'a: [\n  "1.1",\n  # of 1.0\n  "1.0"]\n'),
        ('a:\r\n  - "1.0"\r\nb: 1\r\n', 'a:\r\n  - "1.1"\r\n  - "1.0"\r\nb: 1\r\n'),
        ('\ufeffz: "ü\U0001d538"\na: ["1.0"]', '\ufeffz: "ü\U0001d538"\na: ["1.1", "1.0"]'),
        ('z: "ü\u2028\U0001d538"\na:\n - "1.0"', 'z: "ü\u2028\U0001d538"\na:\n - "1.1"\n - "1.0"'),
    ],
)
def test_item_is_inserted_in_the_notation_of_the_list(old: str, new: str) -> None:
    assert yaml_insert.insert_item(old, ("a",), "1.1") == new


BLOCK = 'a:\n  # of 1.0\n  "1.0": # x\n      provider: wheel\n\n  "0.9":\n    provider: wheel\n'
INSERTED = (
    '  "1.1.0":\n      provider: wheel\n      requires: [lamp==1.1.0, numpy]\n'
    "      environment: [{name: A, value: '2'}]\n"
)


@pytest.mark.parametrize(
    ("old", "at", "inserted"),
    [
        (BLOCK, "  # of 1.0", INSERTED),
        ("a:\n  '1.0': {provider: wheel} # x\n", "  '1.0'", f"  '1.1.0': {FLOW}\n"),
        ('a: {"1.0": {provider: wheel}} # x\n', '"1.0"', f'"1.1.0": {FLOW}, '),
        ('a: {\n  "1.0": {provider: wheel}\n} # x\n', '  "1.0"', f'  "1.1.0": {FLOW},\n'),
    ],
)
def test_entry_is_inserted_in_the_notation_of_its_neighbour(old: str, at: str, inserted: str) -> None:
    new = yaml_insert.insert_entry(old, ("a",), "1.1.0", FIELDS)
    assert new == old.replace(at, inserted + at, 1)
    assert next(iter(yaml.safe_load(new)["a"].items())) == ("1.1.0", FIELDS)


@pytest.mark.parametrize("text", ["a: []\n", "a: 1.0\n", "a:\n", "b: [1]\n", "- a\n", "", "a: {}\n"])
def test_unsupported_list_is_an_error_with_a_hint(text: str) -> None:
    with pytest.raises(InputError, match="'a' has a notation that `invoke bump` cannot extend") as error:
        yaml_insert.insert_item(text, ("a",), "1.1")
    assert "add the version manually" in error.value.hint


@pytest.mark.parametrize(
    "text", ["a: {}\n", "a: [x]\n", "a:\n", "b: 1\n", 'a: {"1.1.0": {b: c}}\n', "a:\n  1.1.0: {}\n"]
)
def test_existing_entry_or_missing_mapping_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match="'a' has a notation that `invoke bump` cannot extend"):
        yaml_insert.insert_entry(text, ("a",), "1.1.0", FIELDS)


def test_insertion_that_changes_other_data_is_refused() -> None:
    with pytest.raises(InputError, match="`invoke bump` cannot extend"):
        yaml_insert.insert_item('a: ["1.0"]\na: ["2.0"]\n', ("a",), "1.1")


def test_insertion_into_project_files_keeps_all_other_bytes() -> None:
    matrix = (ROOT / "matrix.yaml").read_text()
    for framework in yaml.safe_load(matrix)["axes"]["frameworks"]:
        new = yaml_insert.insert_item(matrix, ("axes", "frameworks", framework), "99.0.0")
        assert new.replace('"99.0.0", ', "", 1) == matrix
        recipe = (ROOT / "recipes/frameworks" / framework / "framework.yaml").read_text()
        new = yaml_insert.insert_entry(recipe, ("versions",), "99.0.0", {"provider": "wheel"})
        assert new.replace('  "99.0.0":\n    provider: wheel\n', "", 1) == recipe


@given(st.data())
def test_insertion_keeps_any_surrounding_text(data: st.DataObject) -> None:
    texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)
    versions = data.draw(st.lists(st.from_regex(r"\d{1,2}\.\d", fullmatch=True), min_size=1, max_size=3, unique=True))
    comments = [data.draw(texts) for _ in versions]
    before: dict[str, Any] = {"title": data.draw(texts)}
    head = yaml.safe_dump(before, allow_unicode=data.draw(st.booleans()))
    lines = [f'  - "{version}" # {comment}\n' for version, comment in zip(versions, comments, strict=True)]
    try:
        text = f"{head}axis: # first\n{''.join(lines)}"
        yaml.safe_load(text)
    except yaml.YAMLError:
        return  # a character that YAML does not allow
    new = yaml_insert.insert_item(text, ("axis",), "99.9")
    assert yaml.safe_load(new) == {**before, "axis": ["99.9", *versions]}
    assert new.replace('  - "99.9"\n', "", 1) == text
