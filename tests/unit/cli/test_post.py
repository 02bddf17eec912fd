"""What may be posted: our own replies, and nothing that somebody who took over their writer would like to post."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from armwright.bump.proposal import Change, Proposal
from armwright.cli import post, request
from armwright.cli.request import RequestArguments
from armwright.matrix.matrix import Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline import inventory
from armwright.pipeline.build_combo import ComboResult
from armwright.plan.plan import make_plan
from armwright.proof.evidence import Evidence
from armwright.publish import lookup
from armwright.request import reply
from armwright.request.decide import Decision
from armwright.request.parse import Request
from armwright.system.errors import FailedError, InputError
from tests.hub import BOT, REPOSITORY, TOKEN, serving
from tests.proofs import document

HEAD = f"{reply.MARKER}\n\n"
OURS = f"""{HEAD}### `pytorch-2.10.0-n1-acl` can be built

| data type | there |  |
| --- | --- | --- |
| `fp32` | `fast` | `a \\| b @octocat` |

- `line 3: [x](http://example.com)`

<details><summary>recipes/frameworks/pytorch.yaml</summary>

```diff
+ <b>@everyone</b> #1
```

</details>
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(**changed: object) -> Path:
        document = {"kind": "buildable", "label": "request: buildable", "mistakes": [], "markdown": OURS, **changed}
        (tmp_path / "reply.json").write_text(json.dumps(document))
        return tmp_path / "reply.json"

    return write


@pytest.mark.parametrize(
    "asked",
    [
        Selector("pytorch", "", "n1", ""),
        Selector("pytorch", "2.10.0", "generic", "acl"),
        Selector("tensorflow", "1.15.5", "n1", "eigen"),
        Selector("tensorflow", "", "a64fx", "openblas"),
    ],
)
def test_a_reply_of_ours_may_be_posted(
    matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: Selector
) -> None:
    monkeypatch.setattr(inventory, "take_inventory", lambda loaded: inventory.Inventory(loaded, None))
    monkeypatch.setattr(lookup, "find_staged", lambda *_: "")
    request.run(matrix, RequestArguments(chosen=asked, as_json=True))
    (tmp_path / "reply.json").write_text(capsys.readouterr().out)
    assert post.read_answer(tmp_path / "reply.json").markdown.startswith(reply.MARKER)


def test_what_was_tried_and_what_needs_a_change_may_be_posted(matrix: Matrix) -> None:
    combo = matrix.by_id["pytorch-2.10.0-n1-acl"]
    made = make_plan(matrix, combo)
    proof = Evidence.model_validate_json(json.dumps(document(made)))
    asked = Request("pytorch", "2.10.0", "n1", "acl")
    found = Decision("buildable", asked, combo.target, "2.10.0", "acl", combo, made, notes=("`a` | @octocat",))
    for problem in (None, FailedError("\x1b[31m@octocat `x`\n```\n</details> | #1")):
        said = reply.of(found, matrix, "--file FILE", ComboResult(combo, proof=proof, problem=problem))
        post.check_markdown(said.markdown)
    lock = Change("recipes/locks/pytorch-2.99.0.txt", None, "```\n@octocat\n")
    change = Decision("change", asked, combo.target, "2.99.0", "acl", proposal=Proposal("2.99.0", (lock,)))
    post.check_markdown(reply.of(change, matrix, "--issue 12").markdown)


@given(some.lists(some.text(), max_size=3))
def test_whatever_a_request_holds_our_words_about_it_may_be_posted(mistakes: list[str]) -> None:
    post.check_markdown(reply.malformed(mistakes).markdown)


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
def test_what_none_of_ours_has_is_not_posted(text: str) -> None:
    post.check_markdown(OURS)
    with pytest.raises(FailedError, match="nothing was posted"):
        post.check_markdown(f"{OURS}\n\n{text}\n")


@pytest.mark.parametrize("text", ["", "no marker", f" {HEAD}", f"{reply.MARKER} x", f"{HEAD}{'x' * 65_536}"])
def test_it_begins_with_the_marker_and_fits(text: str) -> None:
    with pytest.raises(FailedError, match="does not begin with the marker, or is too long"):
        post.check_markdown(text)


@pytest.mark.parametrize(
    "changed",
    [
        {"label": "bug"},
        {"label": "request: exists"},
        {"kind": "other", "label": "request: other"},
        {"markdown": 1},
        {"markdown": "x"},
        {"more": 1},
        {"diff": "x" * post.MOST},
    ],
)
def test_a_file_that_is_no_reply_is_not_posted(written: Callable[..., Path], changed: dict[str, object]) -> None:
    assert post.read_answer(written()).kind == "buildable"
    with pytest.raises(FailedError, match="nothing was posted"):
        post.read_answer(written(**changed))


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        post.read_answer(tmp_path / "none.json")


def test_a_checked_reply_goes_into_the_issue(
    written: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as server:
        server.open(7, labels=["request"])
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        monkeypatch.setenv("GITHUB_API_URL", server.address)
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        post.run(tmp_path, str(written()), "7")
        assert [(one.author, one.body) for one in server.tickets[7].comments] == [(BOT, OURS)]
        assert server.tickets[7].labels == ["request", "request: buildable"]
        assert capsys.readouterr().out.startswith(f"https://github.com/{REPOSITORY}/issues/7#issuecomment-")
        before = len(server.seen)
        with pytest.raises(FailedError):
            post.run(tmp_path, str(written(markdown=f"{OURS}\n@octocat")), "7")
        assert len(server.seen) == before
