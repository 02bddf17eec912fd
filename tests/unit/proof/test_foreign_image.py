"""An image by name: its report is a proof only if it was built in this checkout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from armwright.assembly import record
from armwright.plan.plan import Plan
from armwright.proof import check_image, foreign_image, wording
from armwright.proof.evidence import Evidence
from armwright.system.errors import FailedError
from tests import proofs
from tests.support import Tree

COMBO = "pytorch-2.10.0-n1-acl"
FAKED = {"opt/armwright/smoke/smoke.py": b"print('proven')\n"}


@pytest.fixture
def plan(tree: Tree) -> Plan:
    return tree.plan(COMBO)


def explain(tree: Tree, plan: Plan, changes: Mapping[str, bytes | None] | None = None, **facts: Any) -> str:  # noqa: ANN401 - fields of an image
    engine: Any = proofs.OneImage(plan, changes, **facts)
    return foreign_image.explain_own_word(tree.load(), engine, plan.reference, engine.image)


def test_an_image_that_was_built_here_is_compared_whole(tree: Tree, plan: Plan) -> None:
    record.write_record(tree.root, plan, proofs.DIGEST)
    assert explain(tree, plan) == ""


def test_an_image_from_elsewhere_has_only_its_own_word(tree: Tree, plan: Plan) -> None:
    assert "was not built in this checkout" in explain(tree, plan)


@pytest.mark.parametrize("recorded", [True, False])
def test_an_image_that_is_not_what_its_labels_say_is_refused(tree: Tree, plan: Plan, *, recorded: bool) -> None:
    if recorded:
        record.write_record(tree.root, plan, proofs.DIGEST)
    with pytest.raises(FailedError, match="is not what its labels say; it was not started") as refused:
        explain(tree, plan, FAKED)
    assert "changed opt/armwright/smoke/smoke.py" in refused.value.what


def test_another_digest_than_the_recorded_one_is_refused(tree: Tree, plan: Plan) -> None:
    record.write_record(tree.root, plan, f"sha256:{'2' * 64}")
    with pytest.raises(FailedError, match="image digest"):
        explain(tree, plan)


@pytest.mark.parametrize(
    "label", [{"org.armwright.inputs": f"sha256:{'3' * 64}"}, {"org.armwright.combo": "pytorch-9.9.9-n1-acl"}]
)
def test_without_a_plan_nothing_is_compared(tree: Tree, plan: Plan, label: dict[str, str]) -> None:
    labels = check_image.read_planned_image(plan.files["Dockerfile"].decode()).labels
    assert "no plan with its inputs" in explain(tree, plan, FAKED, labels={**labels, **label})


def test_the_verdict_says_whose_word_it_is(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    proof = Evidence.model_validate(proofs.document(plan))
    wording.print_verdict(proof)
    assert capsys.readouterr().err == f"{COMBO}: proven\n"
    wording.print_verdict(proof, "nothing was compared")
    printed = capsys.readouterr().err.replace("\n", " ")
    assert f"{COMBO}: every check holds by the image's own word, which is no proof: nothing was compared" in printed
