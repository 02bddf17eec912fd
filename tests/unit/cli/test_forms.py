"""The command `forms`: the forms are written, or only checked."""

from __future__ import annotations

import pytest

from armwright.cli import forms
from armwright.matrix.matrix import Matrix
from armwright.request.issue_forms import FOLDER, make_forms
from armwright.system.errors import FailedError
from tests.support import Tree

REQUEST_FORM = f"{FOLDER}/new-combination.yml"


def test_forms_of_the_project_pass_the_check(matrix: Matrix) -> None:
    forms.run(matrix, check=True)


def test_forms_are_written_once_and_check_writes_nothing(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = tree.load()
    with pytest.raises(FailedError, match=f"out of date: {REQUEST_FORM}, ") as outdated:
        forms.run(loaded, check=True)
    assert outdated.value.next_step == "invoke forms"
    assert not (tree.root / ".github").exists()
    forms.run(loaded)
    forms.run(loaded, check=True)
    (tree.root / REQUEST_FORM).write_text("edited")
    capsys.readouterr()
    forms.run(loaded)
    assert capsys.readouterr().err.splitlines() == [f"wrote {REQUEST_FORM}"]
    assert (tree.root / REQUEST_FORM).read_text() == make_forms(loaded)[REQUEST_FORM]
