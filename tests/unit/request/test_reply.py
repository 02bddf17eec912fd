"""A comment says what was understood, why, and what comes next; nothing in it is more than a text."""

from __future__ import annotations

from typing import Any

import pytest

from armwright.bump.proposal import Change, Proposal
from armwright.cli import post
from armwright.matrix.matrix import Matrix
from armwright.pipeline.build_combo import ComboResult
from armwright.plan.plan import Plan
from armwright.proof import evidence
from armwright.request import reply, unpublished
from armwright.request.markdown import code, code_block, markdown_table
from armwright.request.reply import LABELS, Reply
from armwright.system.errors import FailedError
from tests import proofs
from tests.asking import asked, decide, foreign, nothing_staged

ID = "pytorch-2.10.0-n1-acl"
HASHES = "".join(f"wax=={number} \\\n" for number in range(20_000))
CHANGES = (
    Change("recipes/locks/pytorch-2.12.0.txt", None, HASHES),
    Change("recipes/frameworks/pytorch.yaml", "versions:\n", "versions:\n  # ```\n"),
    Change("matrix.yaml", "a: 1 # @somebody\n", "a: 2 # @somebody\n"),
)


def said(matrix: Matrix, *, staged: Any = nothing_staged, result: ComboResult | None = None, **values: str) -> Reply:  # noqa: ANN401
    found = decide(matrix, asked(matrix, **values), staged)
    made = reply.of(found, matrix, "--issue 12", result)
    assert foreign(made.markdown) == []
    post.check_markdown(made.markdown)
    assert made.label in LABELS
    assert made.markdown.startswith(f"{reply.MARKER}\n\n### `")
    return made


def result(matrix: Matrix, **given: Any) -> ComboResult:  # noqa: ANN401 - a result's own fields
    return ComboResult(matrix.by_id[ID], **given)


def test_what_can_be_built_is_told_with_its_plan_and_the_command(matrix: Matrix) -> None:
    made = said(matrix, framework="pytorch", target="n1", dtypes="bf16, int8")
    assert made.label == "request: buildable"
    for line in (
        f"### `{ID}` can be built",
        "| version | `2.10.0: the newest that will do` |",
        "| target | `n1, Arm Neoverse N1` |",
        "| base | `Debian 13, Python 3.13` |",
        "| `int8` | `fast` | ",
        f"```sh\n./inv build --combo {ID}\n```",
    ):
        assert line in made.markdown
    assert "| `fp32`" not in made.markdown


def test_what_is_there_is_told_with_its_pull_command(matrix: Matrix) -> None:
    def staged(plan: Plan) -> str:
        return f"127.0.0.1:5000/staging/{plan.tag}"

    made = said(matrix, framework="pytorch", target="n1", staged=staged)
    assert made.label == "request: exists"
    assert "```sh\ndocker pull 127.0.0.1:5000/staging/pytorch:2.10.0-n1-acl\n```" in made.markdown


def test_a_refusal_is_told_with_the_rule_its_place_and_the_nearest(matrix: Matrix) -> None:
    made = said(matrix, framework="pytorch", target="generic", version="2.10.0")
    assert made.label == "request: refused"
    assert "`its wheel dies with an illegal instruction at import on Armv8.0 CPUs (pytorch#176993); " in made.markdown
    assert "` (`matrix.yaml:" in made.markdown
    assert "The nearest that is known to work: `pytorch-2.9.1-generic-acl`." in made.markdown
    assert "./inv build --combo pytorch-2.9.1-generic-acl\n" in made.markdown


def test_what_is_unverified_says_so(matrix: Matrix) -> None:
    made = said(matrix, framework="tensorflow", target="n1", backend="eigen", version="1.15.5")
    assert "It is unverified: written completely, and never seen working. `a native Arm builder" in made.markdown


def test_why_a_target_is_right_is_told_and_what_a_person_must_add(matrix: Matrix) -> None:
    text = "Features : fp asimd atomics fphp asimdhp asimddp\nCPU implementer : 0x48\nCPU part : 0xd01\n"
    made = said(matrix, framework="pytorch", cpu=text)
    assert (
        "| target | `n1, Arm Neoverse N1: it is Kunpeng-920 (0x48:0xd01), for which no target is made; "
        in made.markdown
    )
    assert "A person can add one, and no program" in made.markdown
    assert "CONTRIBUTING.md says which, in the section “A target”." in made.markdown
    assert "A person can add one" not in said(matrix, framework="pytorch", target="n1").markdown


def test_a_change_is_told_as_a_diff_and_what_is_too_long_is_left_out(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpublished, "propose_unpublished", lambda *_: Proposal("2.12.0", CHANGES))
    made = said(matrix, framework="pytorch", target="n1", version="2.12.0")
    assert made.label == "request: change"
    assert "-a: 1 # @somebody\n+a: 2 # @somebody\n```" in made.markdown
    assert "````diff\n" in made.markdown
    assert "invoke request --issue 12 --write\n./inv build --combo pytorch-2.12.0-n1-acl\n" in made.markdown
    assert "wax==19999" not in made.markdown
    assert "What is too long for a comment is left out" in made.markdown


def test_a_proof_is_told_with_its_checks_answers_and_kernels(matrix: Matrix) -> None:
    found = decide(matrix, asked(matrix, framework="pytorch", target="n1"))
    assert found.plan is not None
    proof = evidence.Evidence.model_validate(proofs.document(found.plan))
    made = said(matrix, framework="pytorch", target="n1", result=result(matrix, outcome="proven", proof=proof))
    assert made.label == "request: built"
    assert f"### `{ID}` was built and proven" in made.markdown
    assert "checks hold on Arm Neoverse N1, emulated by QEMU neoverse-n1`" in made.markdown
    assert "| `lenet` | `fp32` | `accuracy` | " in made.markdown
    assert "| `convolution` | `" in made.markdown
    assert f"./inv stage --combo {ID}\n" in made.markdown


def test_a_failure_is_told_with_its_cause_and_nothing_in_it_means_anything(matrix: Matrix) -> None:
    problem = FailedError("it died: @somebody see https://evil.example/ \x1b[31m\n```\n# heading\n" + "x" * 100_000)
    made = said(matrix, framework="pytorch", target="n1", result=result(matrix, outcome="failed", problem=problem))
    assert made.label == "request: failed"
    assert "````text\nit died: @somebody see https://evil.example/ [31m\n```\n# heading\n" in made.markdown
    assert "\x1b" not in made.markdown
    assert len(made.markdown) <= reply.LONGEST


def test_what_cannot_be_understood_is_listed() -> None:
    made = reply.malformed([f"line {number}: `@{number}`" for number in range(20)])
    assert made.label == "request: malformed"
    assert foreign(made.markdown) == []
    post.check_markdown(made.markdown)
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
def test_a_code_span_holds_any_text(text: str, shown: str) -> None:
    assert code(text) == shown


def test_a_code_block_is_longer_fenced_than_what_it_holds() -> None:
    assert code_block("a\n````\nb\n", "text") == "`````text\na\n````\nb\n`````"


def test_a_cell_cannot_end_its_row() -> None:
    assert markdown_table(["a", ""], [("own", "x|y")], own=1) == "| a |  |\n| --- | --- |\n| own | `x\\|y` |"
