"""Any text in an issue or a file is refused with a message, or gives a request of names from closed sets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from armwright.matrix.matrix import Matrix
from armwright.recipes.patterns import DTYPES
from armwright.request import fields, parse, reply, submission, unpublished
from armwright.request.fields import Field
from armwright.request.markdown import code, code_block, folded, markdown_table
from armwright.request.submission import FieldValues, MalformedError
from armwright.request.unpublished import UnpublishableError
from tests.hostile.corpus import CANARY, HEADINGS, PAYLOADS, body
from tests.request_helpers import check_inert, decide, find_markup, plan_once

FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
PLAN = plan_once()
VERSION = re.compile(r"[0-9]+(\.([0-9]+|x)){1,3}([a-z]+[0-9]*)?(-[a-z]+)?")
CPUS = (
    "", "altra", "Neoverse-V1", "CPU implementer : 0x48\nCPU part : 0xd01", "Vendor ID: 0x00\nFlags: fp asimd atomics",
    "Features : fp asimd\nCPU implementer : 0x41\nCPU part : 0xd08", "Flags: fp asimd atomics fphp\n asimdhp asimddp",
)  # fmt: skip
RIGHT = {
    "framework": ("PyTorch", "pytorch", "tensorflow", "TF"),
    "version": ("", "2.10.0", "2.9.1", "1.15.5", "1.x-compat", "2.0.0", "99.0"),
    "target": ("n1", "not sure", "v1 - Arm Neoverse V1", "graviton2", "generic", "m1"),
    "cpu": CPUS,
    "backend": ("acl", "openblas", "eigen", "onednn", "not sure"),
    "dtypes": ("", "fp32", "bf16, fp16", "int8, bf16-fast-math"),
    "use": ("",),
}
STRUCTURE = [*(f"### {heading}" for heading in HEADINGS.values()), "", "```", "~~~~"]
# Every wrong value contains the canary, which must not appear in any output.
noise = st.one_of(
    st.sampled_from(list(PAYLOADS.values())), st.text(max_size=40).map(lambda text: text[:20] + CANARY + text[20:])
)
plain = st.fixed_dictionaries({key: st.sampled_from(texts) for key, texts in RIGHT.items()})
mixed = st.tuples(plain, st.dictionaries(st.sampled_from(list(RIGHT)), noise, max_size=2)).map(
    lambda two: two[0] | two[1]
)
values = st.one_of(plain, mixed)  # also right values, so that the code behind the parser is reached


@pytest.fixture(scope="module")
def form(matrix: Matrix) -> tuple[Field, ...]:
    return fields.make_fields(matrix)


@pytest.fixture(autouse=True)
def _no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Matrix, __: object, version: str) -> None:
        assert VERSION.fullmatch(version)
        raise UnpublishableError("this test has no package index")

    monkeypatch.setattr(unpublished, "propose_unpublished", refuse)
    monkeypatch.setattr("armwright.request.decide.make_plan", PLAN)


def check_submission(matrix: Matrix, form: tuple[Field, ...], read: Callable[[], FieldValues]) -> None:
    """Parse and answer a submission, and check everything that comes out."""
    try:
        request = parse.parse_request(matrix, form, read())
    except MalformedError as error:
        check_refusal(error)
        return
    assert request.framework in matrix.axes.frameworks
    assert request.target in {"", *matrix.axes.targets}
    assert request.backend in {"", *matrix.axes.backends}
    assert set(request.dtypes) <= set(DTYPES)
    assert not request.version or VERSION.fullmatch(request.version)
    decision = decide(matrix, request)
    markdown = reply.make_reply(decision, matrix, "--issue 12").markdown
    check_inert(markdown)
    assert CANARY not in markdown
    if decision.plan:
        assert decision.plan.combo is matrix.by_id[decision.id]
        assert not any(CANARY.encode() in content for content in decision.plan.files.values())


def check_refusal(error: MalformedError) -> None:
    markdown = reply.make_malformed_reply(error.mistakes).markdown
    check_inert(markdown)
    assert CANARY not in markdown + error.what + error.next_step + error.hint
    assert error.mistakes


@FUZZ
@given(values=values, put=st.text(max_size=30), at=st.floats(-1, 1))
def test_any_issue_text_is_harmless(
    matrix: Matrix, form: tuple[Field, ...], values: dict[str, str], put: str, at: float
) -> None:
    text = body({key: value or "_No response_" for key, value in values.items()})
    place = round(at * len(text))
    text = text if at < 0 else text[:place] + put + text[place:]
    check_submission(matrix, form, lambda: submission.read_issue_body(form, text))


@FUZZ
@given(lines=st.lists(st.one_of(st.sampled_from(STRUCTURE), noise)))
def test_any_headings_and_fences_are_harmless(matrix: Matrix, form: tuple[Field, ...], lines: list[str]) -> None:
    check_submission(matrix, form, lambda: submission.read_issue_body(form, "\n".join(lines)))


@FUZZ
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")),
        values.map(lambda texts: json.dumps(texts).encode()),
        values.map(
            lambda texts: "".join(f"{key}: {value}\n" for key, value in texts.items()).encode("utf-8", "replace")
        ),
    ),
    suffix=st.sampled_from([".md", ".yaml", ".json"]),
)
def test_any_file_is_harmless(
    matrix: Matrix, form: tuple[Field, ...], tmp_path: Path, content: bytes, suffix: str
) -> None:
    file = tmp_path / f"request{suffix}"
    file.write_bytes(content)
    check_submission(matrix, form, lambda: submission.read_request_file(form, file))


@FUZZ
@given(text=st.one_of(st.text(), st.text(alphabet="`|\\\n <!-@[]()*#~"), st.sampled_from(list(PAYLOADS.values()))))
def test_any_text_is_inert_in_a_comment(text: str) -> None:
    parts = [
        reply.MARKER,
        code(text),
        markdown_table(["a", "b"], [("c", text), (text, text)]),
        folded("lock", code_block(text, "text")),
    ]
    assert find_markup("\n\n".join(parts)) == []
