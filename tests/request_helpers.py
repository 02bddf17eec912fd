"""Helpers for the tests of requests: decisions without engine, registry or network, and a check of Markdown.

`find_markup` is a second opinion on the check before posting (armwright/request/check_reply.py), written separately.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from armwright.matrix.matrix import Combo, Matrix
from armwright.pipeline.inventory import Inventory
from armwright.plan.plan import Plan, make_plan
from armwright.publish.lookup import StagedName
from armwright.request import fields, parse, reply, submission
from armwright.request.check_reply import check_markdown
from armwright.request.decide import Decision, FindStaged, decide_request
from armwright.request.parse import Request

REPLY = f"""{reply.MARKER}

### `pytorch-2.10.0-n1-acl` can be built

| data type | support |  |
| --- | --- | --- |
| `fp32` | `fast` | `a \\| b @octocat` |

- `line 3: [x](http://example.com)`

<details><summary>recipes/frameworks/pytorch/framework.yaml</summary>

```diff
+ <b>@everyone</b> #1
```

</details>
"""  # it has every kind of Markdown that replies have
_HTML = re.compile(r"<!-- armwright: answer -->|<details><summary>[\w./ -]+</summary>|</details>", re.ASCII)
_PROSE = re.compile(r"[A-Za-z0-9 ,.:;()'“”-]*")  # the text outside of code
_TEXTS = {"text", "code_inline", "code_block", "fence"}
_BLOCKS = ("paragraph", "heading", "bullet_list", "list_item", "table", "thead", "tbody", "tr", "th", "td")
_PARSER = MarkdownIt("commonmark").enable("table")


def nothing_staged(_: Plan) -> StagedName:
    """Find no staged image."""
    return StagedName()


def parse_body(matrix: Matrix, body: str) -> Request:
    """Parse the body of an issue."""
    form = fields.make_fields(matrix)
    return parse.parse_request(matrix, form, submission.read_issue_body(form, body))


def parse_options(matrix: Matrix, **values: str) -> Request:
    """Parse options."""
    form = fields.make_fields(matrix)
    return parse.parse_request(
        matrix, form, {key: submission.FieldValue(text, f"--{key}") for key, text in values.items()}
    )


def decide(matrix: Matrix, request: Request, find_staged: FindStaged = nothing_staged) -> Decision:
    """Decide on a machine whose engine has no images."""
    return decide_request(matrix, request, Inventory(matrix, {}), find_staged)


def plan_once() -> Callable[[Matrix, Combo], Plan]:
    """Return a `make_plan` that plans each combo once, and checks that a request plans only combos of the matrix."""
    plans: dict[str, Plan] = {}

    def plan(matrix: Matrix, combo: Combo) -> Plan:
        assert combo is matrix.by_id[combo.id]
        if combo.id not in plans:
            plans[combo.id] = make_plan(matrix, combo)
        return plans[combo.id]

    return plan


def find_markup(markdown: str) -> list[str]:
    """Return everything in a comment that is neither inert text in code nor plain words and layout around it."""
    assert markdown.startswith(f"{reply.MARKER}\n")
    assert len(markdown) <= reply.MAX_REPLY
    tokens = _leaves(_PARSER.parse(markdown))
    return [f"{token.type}: {token.content or token.markup!r}" for token in tokens if not _is_inert(token)]


@functools.cache  # hundreds of requests give the same reply
def check_inert(markdown: str) -> None:
    """Check a reply with both checks."""
    assert find_markup(markdown) == []
    check_markdown(markdown)


def _leaves(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        if token.type == "inline":
            yield from _leaves(token.children or [])
        else:
            yield token


def _is_inert(token: Token) -> bool:
    if token.type in _TEXTS:
        printable = all(character.isprintable() or character == "\n" for character in token.content)
        return printable and (token.type != "text" or _PROSE.fullmatch(token.content) is not None)
    if token.type in {"html_block", "html_inline"}:
        return _HTML.fullmatch(token.content.strip()) is not None
    return token.type == "softbreak" or token.type.removesuffix("_open").removesuffix("_close") in _BLOCKS


def read_tree(root: Path) -> dict[str, bytes]:
    """Read every file below a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def write_reply(folder: Path, **changed: object) -> Path:
    """Write a file as `invoke request --json` does, with some of its keys changed."""
    document = {"kind": "buildable", "label": "request: buildable", "mistakes": [], "markdown": REPLY, **changed}
    path = folder / "reply.json"
    path.write_text(json.dumps(document))
    return path
