"""Only replies of this program may be posted, even if an attacker controls the process that writes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armwright.bump.proposal import Change, Proposal
from armwright.cli.request import RequestArguments, run
from armwright.matrix.matrix import Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline import inventory
from armwright.pipeline.build_combo import ComboResult
from armwright.plan.plan import make_plan
from armwright.proof.evidence import Evidence
from armwright.publish import lookup
from armwright.request import reply
from armwright.request.check_reply import MAX_DOCUMENT, check_markdown, read_reply
from armwright.request.decide import Decision
from armwright.request.parse import Request
from armwright.system.errors import FailedError, InputError
from tests.proofs import document
from tests.request_helpers import REPLY, write_reply

HEAD = f"{reply.MARKER}\n\n"


@pytest.mark.parametrize(
    "chosen",
    [
        Selector("pytorch", "", "n1", ""),
        Selector("pytorch", "2.10.0", "generic", "acl"),
        Selector("tensorflow", "1.15.5", "n1", "eigen"),
        Selector("tensorflow", "", "a64fx", "openblas"),
    ],
)
def test_reply_may_be_posted(
    matrix: Matrix,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    chosen: Selector,
) -> None:
    monkeypatch.setattr(inventory, "take_inventory", lambda loaded: inventory.Inventory(loaded, None))
    monkeypatch.setattr(lookup, "find_staged", lambda *_: lookup.StagedName())
    run(matrix, RequestArguments(chosen=chosen, as_json=True))
    (tmp_path / "reply.json").write_text(capsys.readouterr().out)
    assert read_reply(tmp_path / "reply.json").markdown.startswith(reply.MARKER)


def test_build_result_and_change_may_be_posted(matrix: Matrix) -> None:
    combo = matrix.by_id["pytorch-2.10.0-n1-acl"]
    plan = make_plan(matrix, combo)
    proof = Evidence.model_validate_json(json.dumps(document(plan)))
    request = Request("pytorch", "2.10.0", "n1", "acl")
    decision = Decision("buildable", request, combo.target, "2.10.0", "acl", combo, plan, notes=("`a` | @octocat",))
    for error in (None, FailedError("\x1b[31m@octocat `x`\n```\n</details> | #1")):
        result = ComboResult(combo, proof=proof, error=error)
        check_markdown(reply.make_reply(decision, matrix, "--file FILE", result).markdown)
    lock = Change("recipes/locks/pytorch-2.99.0.txt", None, "```\n@octocat\n")
    change = Decision("change", request, combo.target, "2.99.0", "acl", proposal=Proposal("2.99.0", (lock,)))
    check_markdown(reply.make_reply(change, matrix, "--issue 12").markdown)


@given(st.lists(st.text(), max_size=3))
def test_malformed_reply_may_always_be_posted(mistakes: list[str]) -> None:
    check_markdown(reply.make_malformed_reply(mistakes).markdown)


@pytest.mark.parametrize(
    "text",
    [
        "@octocat", "ask @octo-org/team", "#12", "octo-org/armwright#12", "http://example.com", "www.example.com",
        "[a](b)", "![a](b)", "[a][b]\n\n[b]: http://example.com", "<b>x</b>", "<img src=x>", "<!-- x -->", "&#64;o",
        "\\@octocat", "`a` @octocat `b`", "`a @octocat", "``a` @octocat", "*a*", "__a__", "~~a~~", "> a", "    a",
        "***",
        "1. a", "a  \nb", "```math\nx\n```", "```mermaid\nx\n```", "~~~text @x\n~~~", "$x$", "a\u200bb", "a\u202eb",
        "a\x1b[31m", "a\x00", "\u0430", "| a |\n| --- |\n| `a | @octocat` |", "| a |\n| --- |\n| @octocat |",
        "<details><summary>a</summary><img src=x>\n\n</details>", "<details open><summary>a</summary>\n\n</details>",
        "<details><summary>@octocat</summary>\n\n</details>", "# @octocat", "- @octocat", "- [ ] a", "[^1]\n\n[^1]: a",
        "</details>\n<script>x</script>", "user@example.com", ":+1:_", "a\u2028b", "`a\u202eb`",
        "```text\n\x1b[31m\n```",
    ],
)  # fmt: skip
def test_other_markdown_is_refused(text: str) -> None:
    check_markdown(REPLY)
    with pytest.raises(FailedError, match="nothing was posted"):
        check_markdown(f"{REPLY}\n\n{text}\n")


@pytest.mark.parametrize("text", ["", "no marker", f" {HEAD}", f"{reply.MARKER} x", f"{HEAD}{'x' * 65_536}"])
def test_reply_starts_with_the_marker_and_fits(text: str) -> None:
    with pytest.raises(FailedError, match="does not start with the marker, or is too long"):
        check_markdown(text)


@pytest.mark.parametrize(
    "changed",
    [
        {"label": "bug"},
        {"label": "request: exists"},
        {"kind": "other", "label": "request: other"},
        {"markdown": 1},
        {"markdown": "x"},
        {"more": 1},
        {"diff": "x" * MAX_DOCUMENT},
    ],
)
def test_file_that_is_not_a_reply_is_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    assert read_reply(write_reply(tmp_path)).kind == "buildable"
    with pytest.raises(FailedError, match="nothing was posted"):
        read_reply(write_reply(tmp_path, **changed))


def test_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*: No such file"):
        read_reply(tmp_path / "none.json")
