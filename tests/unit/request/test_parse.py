"""Requests in an issue, YAML, JSON or options; mistakes are reported by place, without repeating the text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from armwright.matrix.matrix import Matrix
from armwright.request import fields, parse, submission
from armwright.request.fields import MAX_REQUEST, FieldKind
from armwright.request.parse import Request
from armwright.request.submission import MalformedError
from armwright.system.errors import InputError
from tests.hostile.corpus import body
from tests.request_helpers import parse_body, parse_options

FENCED = "```text\nprocessor : 0\nFeatures : fp asimd\nCPU implementer : 0x41\nCPU part : 0xd0c\n\n### Target\n```"


NESTED = "nested values are not allowed: a value must be text or a list of texts"


def parse_file(matrix: Matrix, file: Path, text: str) -> Request:
    file.write_text(text)
    form = fields.make_fields(matrix)
    return parse.parse_request(matrix, form, submission.read_request_file(form, file))


def mistakes(matrix: Matrix, text: str) -> tuple[str, ...]:
    with pytest.raises(MalformedError) as raised:
        parse_body(matrix, text)
    return raised.value.mistakes


def test_form_offers_the_axes_and_ends_with_free_text(matrix: Matrix) -> None:
    form = {field.key: field for field in fields.make_fields(matrix)}
    assert form["framework"].choices == tuple(matrix.axes.frameworks)
    assert form["target"].choices == (fields.UNSURE, *matrix.axes.targets)
    assert form["backend"].choices == (fields.UNSURE, *matrix.axes.backends)
    assert all(len(field.choices) == len(field.shown) for field in form.values())
    assert all(len(shown) <= field.limit for field in form.values() for shown in field.shown)
    assert [field.kind for field in form.values()].index(FieldKind.FREE) == len(form) - 1


def test_filled_in_form_is_read(matrix: Matrix) -> None:
    text = body({"dtypes": "fp32, bf16-fast-math", "use": "@all ### Target"})
    assert parse_body(matrix, text) == Request("pytorch", "2.10.0", "n1", "acl", ("fp32", "bf16-fast-math"))


def test_empty_fields_are_left_open(matrix: Matrix) -> None:
    empty = dict.fromkeys(("version", "dtypes", "cpu"), "_No response_")
    assert parse_body(matrix, body({**empty, "backend": "not sure"})) == Request("pytorch", target="n1")
    assert parse_body(matrix, "### Framework\n\nPyTorch\n\n### Target\n\nn1\n") == Request("pytorch", target="n1")


def test_pasted_cpu_is_read_from_its_fence(matrix: Matrix) -> None:
    request = parse_body(matrix, body({"target": "not sure", "cpu": FENCED}))
    assert request.target == ""
    assert request.cpu is not None
    assert request.cpu.features == frozenset({"fp", "asimd"})


def test_unclear_cpu_matters_only_without_a_target(matrix: Matrix) -> None:
    assert parse_body(matrix, body({"cpu": "a grey box"})).target == "n1"
    (mistake,) = mistakes(matrix, body({"cpu": "a grey box", "target": "not sure"}))
    assert mistake.startswith("line 13, 'CPU': not a known CPU name")
    (mistake,) = mistakes(matrix, body({"target": "not sure"}))
    assert mistake.startswith("line 13, 'CPU': missing; it is needed to choose a target")


def test_all_mistakes_are_reported_together(matrix: Matrix) -> None:
    text = body({"framework": "P\u0443Torch", "target": "n9", "backend": "acl\u202e", "dtypes": "fp32, bf61"})
    targets, backends = (
        ", ".join(sorted(["not sure", *names])) for names in (matrix.axes.targets, matrix.axes.backends)
    )
    assert "\n".join(mistakes(matrix, text)) == (
        "line 1, 'Framework': contains U+0443 (CYRILLIC SMALL LETTER U): "
        "did you mean 'pytorch'? allowed: pytorch, tensorflow\n"
        f"line 9, 'Target': not an allowed value: did you mean 'n2'? allowed: {targets}\n"
        f"line 17, 'Backend': contains U+202E (RIGHT-TO-LEFT OVERRIDE): did you mean 'acl'? allowed: {backends}\n"
        "line 21, 'Data types': not an allowed value: "
        "did you mean 'bf16'? allowed: bf16, bf16-fast-math, fp16, fp32, int8"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "this is not a filled-in form: it needs a heading such as '### Framework' with a value below it"),
        ("### Target\n\nn1\n", "'Framework': missing; allowed: pytorch, tensorflow"),
        (body({}).replace("### CPU", "### Cpu"), "line 13: unknown heading; the form has: Framework, "),
        (body({"version": "2.10.0\n\n### Target\n\nv1"}), "line 13: 'Target' is given twice"),
        (body({"version": "2.10.0" + " 1" * 50}), "line 5, 'Version': longer than 24 characters"),
        (body({"version": "newest"}), "line 5, 'Version': not a version: allowed: 2.10.0, "),
        (body({"version": "2.10.0.0.0"}), "line 5, 'Version': not a version: did you mean '2.10.0'?"),
        (body({"version": "2.x-mine"}), "line 5, 'Version': not a version: "),
        (body({"version": "2.10.0-c"}), "line 5, 'Version': not a version: did you mean '2.10.0'?"),
        (body({"version": "2.10.0-r"}), "line 5, 'Version': not a version: did you mean '2.10.0'?"),
        (body({"version": "2.10.0post"}), "line 5, 'Version': not a version: did you mean '2.10.0'?"),
        (body({"version": "2.10.0rev1"}), "line 5, 'Version': not a version: did you mean '2.10.0'?"),
        (body({"cpu": "~~Neoverse N1~~"}), "line 13, 'CPU': an issue may not show all of this Markdown"),
        ("- x\n\n  " + body({}), "line 3: an issue may show this heading as something else"),
        ("<!--\n" + body({}), "line 1: HTML is not allowed here, because an issue does not show all of it"),
        (body({"backend": "not sure <!-- acl -->"}), "line 19: HTML is not allowed here"),
        (body({"version": "\uff12.10.0"}), "line 5, 'Version': contains U+FF12 (FULLWIDTH DIGIT TWO): did you mea"),
        (body({"target": "n1\x00"}), "line 9, 'Target': contains U+0000 (a control character): did you mean 'n1'?"),
        (body({"target": "n1\nv1"}), "line 9, 'Target': contains U+000A (a control character)"),
        ("x" * (MAX_REQUEST + 1), f"the request is longer than {MAX_REQUEST} bytes and was not read"),
        ("\u20ac" * (MAX_REQUEST // 2), f"the request is longer than {MAX_REQUEST} bytes and was not read"),
        ("\ud800", "this is not a filled-in form"),
    ],
)  # fmt: skip
def test_mistake_is_reported_with_its_place(matrix: Matrix, text: str, expected: str) -> None:
    (mistake,) = mistakes(matrix, text)
    assert mistake.startswith(expected)


@pytest.mark.parametrize(
    ("version", "read_as"),
    [
        ("2.10", "2.10.0"),
        ("02.10.0", "2.10.0"),
        ("1.x-compat", "1.x-compat"),
        ("2.11.0rc1", "2.11.0rc1"),
        ("3.0", "3.0"),
    ],
)  # fmt: skip
def test_published_version_is_known_in_any_spelling(matrix: Matrix, version: str, read_as: str) -> None:
    framework = "tensorflow" if "x" in version else "pytorch"
    assert parse_options(matrix, framework=framework, target="n1", version=version).version == read_as


def test_named_version_has_one_spelling(matrix: Matrix) -> None:
    with pytest.raises(MalformedError, match="not a version"):
        parse_options(matrix, framework="tensorflow", target="n1", version="0.0dev0")  # how named versions are sorted


def test_options_accept_aliases(matrix: Matrix) -> None:
    request = parse_options(matrix, framework="Torch", version="", target="graviton3", backend="onednn-acl", cpu="")
    assert request == Request("pytorch", target="v1", backend="acl")
    with pytest.raises(MalformedError, match="--target: not an allowed value"):
        parse_options(matrix, framework="pytorch", target="n1,v1")


PLAIN = {"framework": "pytorch", "version": "2.10.0", "target": "n1", "backend": "acl", "dtypes": ["fp32", "int8"]}


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".json", json.dumps({**PLAIN, "use": None})),
        (".json", json.dumps(PLAIN).replace('"2.10.0"', "2.10")),
        (".yaml", "framework: pytorch\nversion: 2.10\ntarget: n1\nbackend: acl\ndtypes: [fp32, int8]\nuse: ~\n"),
        (".yml", "# mine\nframework: PyTorch\nversion: '2.10'\ntarget: altra\nbackend: acl\ndtypes:\n- fp32\n- int8\n"),
        (".md", body({"dtypes": "fp32, int8"})),
        ("", body({"dtypes": "fp32, int8"}).replace("\n", "\r\n")),
    ],
)
def test_files_are_read_by_suffix(matrix: Matrix, tmp_path: Path, suffix: str, text: str) -> None:
    request = parse_file(matrix, tmp_path / f"request{suffix}", text)
    assert request == Request("pytorch", "2.10.0", "n1", "acl", ("fp32", "int8"))


@pytest.mark.parametrize(
    ("suffix", "text", "expected"),
    [
        (".yaml", "target: n1\nframwork: pytorch\n", "line 2: unknown field: did you mean 'framew"),
        (".yaml", "target: n1\ntarget: v1\n", "line 2: 'target' is given twice"),
        (".yaml", "target: &a n1\n", "line 1: anchors, aliases and tags are not allowed"),
        (".yaml", "target: !!str n1\n", "line 1: anchors, aliases and tags are not allowed"),
        (".yaml", "dtypes:\n- [fp32]\n", f"line 2: {NESTED}"),
        (".yaml", "target: {name: n1}\n", f"line 1: {NESTED}"),
        (".yaml", "target: [n1\n", "line 2: not valid YAML"),
        (".yaml", "target: n1\n---\ntarget: v1\n", "line 2: not valid YAML"),
        (".yaml", "- n1\n", "not a YAML mapping of fields and values"),
        (".json", '{"target": {"name": "n1"}}', "'target': a value must be text or a list of texts"),
        (".json", '{"target": true}', "'target': a value must be text or a list of texts"),
        (".json", '{"target": "n1",\n "target": "v1"}', "'target' is given twice"),
        (".json", '{"target": "n1"', "line 1, column 16: not valid JSON"),
        (".json", "[" * 50_000, NESTED),
        (".json", '"n1"', "not a JSON object of fields and values"),
    ],
)  # fmt: skip
def test_mistake_in_a_file_is_reported_with_its_place(
    matrix: Matrix, tmp_path: Path, suffix: str, text: str, expected: str
) -> None:
    with pytest.raises(MalformedError) as raised:
        parse_file(matrix, tmp_path / f"request{suffix}", text)
    assert raised.value.mistakes[0].startswith(expected)


def test_only_the_first_mistakes_are_listed(matrix: Matrix) -> None:
    listed = mistakes(matrix, "### Nothing\n\n" * 4_000)
    assert len(listed) == 21
    assert listed[-1] == "and 3981 more"


def test_oversized_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "request.md"
    with file.open("wb") as large:
        large.truncate(1 << 40)  # a sparse terabyte, which takes no disk space
    with pytest.raises(MalformedError, match="and was not read"):
        submission.read_text(file)


def test_unreadable_file_is_an_input_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match="cannot read") as raised:
            submission.read_text(path)
        assert not isinstance(raised.value, MalformedError)
