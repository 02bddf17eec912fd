"""Whatever is written into an issue or a file: it is refused in a sentence, or it comes to words of closed sets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from armwright.cli import post
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import make_plan
from armwright.recipes.patterns import DTYPES
from armwright.request import fields, parse, reply, submission, unpublished
from armwright.request.fields import Field
from armwright.request.markdown import code, code_block, folded, markdown_table
from armwright.request.submission import FieldValues, MalformedError
from armwright.request.unpublished import UnfitError
from tests.asking import decide, foreign
from tests.hostile.corpus import CANARY, HEADINGS, PAYLOADS, body

FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
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
STRUCTURE = [*(f"### {one}" for one in HEADINGS.values()), "", "```", "~~~~"]
# A canary is in all that is not right: it must come back nowhere.
noise = st.one_of(
    st.sampled_from(list(PAYLOADS.values())), st.text(max_size=40).map(lambda text: text[:20] + CANARY + text[20:])
)
plain = st.fixed_dictionaries({key: st.sampled_from(some) for key, some in RIGHT.items()})
spoilt = st.tuples(plain, st.dictionaries(st.sampled_from(list(RIGHT)), noise, max_size=2)).map(
    lambda two: two[0] | two[1]
)
values = st.one_of(plain, spoilt)  # what is right is among them, so that what is behind the reading is reached too


@pytest.fixture(scope="module")
def form(matrix: Matrix) -> tuple[Field, ...]:
    return fields.new_combination(matrix)


@pytest.fixture(autouse=True)
def _no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    def unfit(_: Matrix, __: object, version: str) -> None:
        assert VERSION.fullmatch(version)
        raise UnfitError("the package index is not asked here")

    monkeypatch.setattr(unpublished, "propose_unpublished", unfit)


def settle(matrix: Matrix, form: tuple[Field, ...], written: Callable[[], FieldValues]) -> None:
    """Read and answer what was written, and look at everything that comes out."""
    try:
        wanted = parse.parse_request(matrix, form, written())
    except MalformedError as error:
        refuse(error)
        return
    assert wanted.framework in matrix.axes.frameworks
    assert wanted.target in {"", *matrix.axes.targets}
    assert wanted.backend in {"", *matrix.axes.backends}
    assert set(wanted.dtypes) <= set(DTYPES)
    assert not wanted.version or VERSION.fullmatch(wanted.version)
    found = decide(matrix, wanted)
    said = reply.of(found, matrix, "--issue 12").markdown
    post.check_markdown(said)
    assert foreign(said) == []
    assert CANARY not in said
    if found.plan:
        assert found.plan.files == make_plan(matrix, matrix.by_id[found.id]).files
        assert not any(CANARY.encode() in content for content in found.plan.files.values())


def refuse(wrong: MalformedError) -> None:
    said = reply.malformed(wrong.mistakes)
    post.check_markdown(said.markdown)
    assert foreign(said.markdown) == []
    assert CANARY not in said.markdown + wrong.what + wrong.next_step
    assert wrong.mistakes


@FUZZ
@given(values=values, put=st.text(max_size=30), at=st.floats(-1, 1))
def test_an_issue_s_text(matrix: Matrix, form: tuple[Field, ...], values: dict[str, str], put: str, at: float) -> None:
    text = body({key: value or "_No response_" for key, value in values.items()})
    place = round(at * len(text))
    text = text if at < 0 else text[:place] + put + text[place:]
    settle(matrix, form, lambda: submission.of_body(form, text))


@FUZZ
@given(lines=st.lists(st.one_of(st.sampled_from(STRUCTURE), noise)))
def test_headings_fences_and_noise_in_any_order(matrix: Matrix, form: tuple[Field, ...], lines: list[str]) -> None:
    settle(matrix, form, lambda: submission.of_body(form, "\n".join(lines)))


@FUZZ
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")),
        values.map(lambda some: json.dumps(some).encode()),
        values.map(lambda some: "".join(f"{key}: {value}\n" for key, value in some.items()).encode("utf-8", "replace")),
    ),
    suffix=st.sampled_from([".md", ".yaml", ".json"]),
)
def test_a_file(matrix: Matrix, form: tuple[Field, ...], tmp_path: Path, content: bytes, suffix: str) -> None:
    file = tmp_path / f"request{suffix}"
    file.write_bytes(content)
    settle(matrix, form, lambda: submission.of_file(form, file))


@FUZZ
@given(text=st.one_of(st.text(), st.text(alphabet="`|\\\n <!-@[]()*#~"), st.sampled_from(list(PAYLOADS.values()))))
def test_any_text_in_a_comment_is_no_more_than_a_text(text: str) -> None:
    parts = [
        reply.MARKER,
        code(text),
        markdown_table(["a", "b"], [("c", text), (text, text)]),
        folded("lock", code_block(text, "text")),
    ]
    assert foreign("\n\n".join(parts)) == []
