"""A reply says what was understood, why, and what to do next; untrusted text in it is inert."""

from __future__ import annotations

from typing import Any

import pytest

from armwright.bump.proposal import Change, Proposal
from armwright.matrix.matrix import Matrix
from armwright.pipeline.build_combo import ComboResult
from armwright.plan.plan import Plan
from armwright.proof import evidence
from armwright.publish.lookup import StagedName
from armwright.request import reply, unpublished
from armwright.request.decide import FindStaged
from armwright.request.markdown import code, code_block, markdown_table
from armwright.request.reply import LABELS, Reply
from armwright.system.errors import FailedError
from tests import proofs
from tests.request_helpers import check_inert, decide, nothing_staged, parse_options
from tests.support import ROOT

ID = "pytorch-2.10.0-n1-acl"
HASHES = "".join(f"wax=={number} \\\n" for number in range(20_000))
CHANGES = (
    Change("recipes/locks/pytorch-2.12.0.txt", None, HASHES),
    Change("recipes/frameworks/pytorch/framework.yaml", "versions:\n", "versions:\n  # ```\n"),
    Change("matrix.yaml", "a: 1 # @somebody\n", "a: 2 # @somebody\n"),
)


def make(
    matrix: Matrix,
    *,
    find_staged: FindStaged = nothing_staged,
    result: ComboResult | None = None,
    **values: str,
) -> Reply:
    decision = decide(matrix, parse_options(matrix, **values), find_staged)
    made = reply.make_reply(decision, matrix, "--issue 12", result)
    check_inert(made.markdown)
    assert made.label in LABELS
    assert made.markdown.startswith(f"{reply.MARKER}\n\n### `")
    return made


def result(matrix: Matrix, **given: Any) -> ComboResult:  # noqa: ANN401 - a result's own fields
    return ComboResult(matrix.by_id[ID], **given)


def test_buildable_combo_shows_its_plan_and_command(matrix: Matrix) -> None:
    made = make(matrix, framework="pytorch", target="n1", dtypes="bf16, int8")
    assert made.label == "request: buildable"
    for line in (
        f"### `{ID}` can be built",
        "| version | `2.10.0, the newest that fits` |",
        "| target | `n1, Arm Neoverse N1` |",
        "| base | `Debian 13, Python 3.13` |",
        "| `int8` | `fast` | ",
        f"```sh\n./inv build --combo {ID}\n```",
    ):
        assert line in made.markdown
    assert "| `fp32`" not in made.markdown


def test_existing_image_shows_its_pull_command(matrix: Matrix) -> None:
    def staged(plan: Plan) -> StagedName:
        return StagedName(f"127.0.0.1:5000/staging/{plan.tag}", "its files were not compared")

    made = make(matrix, framework="pytorch", target="n1", find_staged=staged)
    assert made.label == "request: exists"
    assert "its files were not compared" in made.markdown
    assert "```sh\ndocker pull 127.0.0.1:5000/staging/pytorch:2.10.0-n1-acl\n```" in made.markdown


def test_refusal_shows_rule_place_and_nearest_combo(matrix: Matrix) -> None:
    made = make(matrix, framework="pytorch", target="generic", version="2.10.0")
    assert made.label == "request: refused"
    refusal = matrix.by_id["pytorch-2.10.0-generic-acl"].refusal
    assert f"\n`{refusal}` (`matrix.yaml:" in made.markdown
    assert "The nearest combination that is known to work: `pytorch-2.9.1-generic-acl`." in made.markdown
    assert "./inv build --combo pytorch-2.9.1-generic-acl\n" in made.markdown


def test_unverified_combo_says_so(matrix: Matrix) -> None:
    made = make(matrix, framework="tensorflow", target="n1", backend="eigen", version="1.15.5")
    unverified = matrix.by_id["tensorflow-1.15.5-n1-eigen"].unverified
    assert f"It is unverified: it has never been seen working. `{unverified}`" in made.markdown


def test_approximate_target_is_explained(matrix: Matrix) -> None:
    text = "Features : fp asimd atomics fphp asimdhp asimddp\nCPU implementer : 0x48\nCPU part : 0xd01\n"
    made = make(matrix, framework="pytorch", cpu=text)
    assert "| target | `n1, Arm Neoverse N1: no target is made for Kunpeng-920 (0x48:0xd01); " in made.markdown
    assert "No target is made for this CPU. To add one, a person has to" in made.markdown
    assert "see `docs/how-to/add-a-target.md`." in made.markdown
    assert (ROOT / "docs/how-to/add-a-target.md").is_file()
    assert "No target is made" not in make(matrix, framework="pytorch", target="n1").markdown


def test_change_shows_a_diff_without_parts_that_are_too_long(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpublished, "propose_unpublished", lambda *_: Proposal("2.12.0", CHANGES))
    made = make(matrix, framework="pytorch", target="n1", version="2.12.0")
    assert made.label == "request: change"
    assert "-a: 1 # @somebody\n+a: 2 # @somebody\n```" in made.markdown
    assert "````diff\n" in made.markdown
    assert "invoke request --issue 12 --write\n./inv build --combo pytorch-2.12.0-n1-acl\n" in made.markdown
    assert "wax==19999" not in made.markdown
    assert "Some parts are too long for a comment" in made.markdown


def test_proof_shows_checks_metrics_and_kernels(matrix: Matrix) -> None:
    decision = decide(matrix, parse_options(matrix, framework="pytorch", target="n1"))
    assert decision.plan is not None
    proof = evidence.Evidence.model_validate(proofs.document(decision.plan))
    made = make(matrix, framework="pytorch", target="n1", result=result(matrix, outcome="proven", proof=proof))
    assert made.label == "request: built"
    assert f"### `{ID}` was built and proven" in made.markdown
    assert "checks hold on Arm Neoverse N1, emulated by QEMU neoverse-n1`" in made.markdown
    assert "| `lenet` | `fp32` | `accuracy` | " in made.markdown
    assert "| `convolution` | `" in made.markdown
    assert f"./inv stage --combo {ID}\n" in made.markdown


def test_failure_shows_its_error_as_inert_text(matrix: Matrix) -> None:
    problem = FailedError("it crashed: @somebody see https://evil.example/ \x1b[31m\n```\n# heading\n" + "x" * 100_000)
    made = make(matrix, framework="pytorch", target="n1", result=result(matrix, outcome="failed", error=problem))
    assert made.label == "request: failed"
    assert "````text\nit crashed: @somebody see https://evil.example/ [31m\n```\n# heading\n" in made.markdown
    assert "\x1b" not in made.markdown
    assert len(made.markdown) <= reply.MAX_REPLY


def test_mistakes_of_a_malformed_request_are_listed() -> None:
    made = reply.make_malformed_reply([f"line {number}: `@{number}`" for number in range(20)])
    assert made.label == "request: malformed"
    check_inert(made.markdown)
    assert made.markdown.count("\n- ``") == 20


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "`plain`"),
        ("", "`-`"),
        ("two\nlines\t", "`two lines`"),
        ("a`b", "`` a`b ``"),
        ("``", "``` `` ```"),
        ("a\u202eb\u200b\x00", "`ab`"),
        ("x" * 3_000, f"`{'x' * 2_000}…`"),
    ],
)
def test_code_span_holds_any_text(text: str, shown: str) -> None:
    assert code(text) == shown


def test_code_block_fence_is_longer_than_any_in_its_text() -> None:
    assert code_block("a\n````\nb\n", "text") == "`````text\na\n````\nb\n`````"


def test_cell_cannot_end_its_row() -> None:
    assert markdown_table(["a", ""], [("own", "x|y")], trusted=1) == "| a |  |\n| --- | --- |\n| own | `x\\|y` |"
