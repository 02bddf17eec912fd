"""A request is read from an issue, YAML, JSON or options; every mistake is named by its place, and not repeated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from armwright.matrix.matrix import Matrix
from armwright.request import fields, parse, submission
from armwright.request.fields import MOST, FieldKind
from armwright.request.parse import Request
from armwright.request.submission import MalformedError
from armwright.system.errors import InputError
from tests.asking import asked, read
from tests.hostile.corpus import body

FENCED = "```text\nprocessor : 0\nFeatures : fp asimd\nCPU implementer : 0x41\nCPU part : 0xd0c\n\n### Target\n```"


def of_file(matrix: Matrix, file: Path, text: str) -> Request:
    file.write_text(text)
    form = fields.new_combination(matrix)
    return parse.parse_request(matrix, form, submission.of_file(form, file))


def mistakes(matrix: Matrix, text: str) -> tuple[str, ...]:
    with pytest.raises(MalformedError) as wrong:
        read(matrix, text)
    return wrong.value.mistakes


def test_the_form_has_the_axes_values_and_its_free_field_is_last(matrix: Matrix) -> None:
    form = {one.key: one for one in fields.new_combination(matrix)}
    assert form["framework"].choices == tuple(matrix.axes.frameworks)
    assert form["target"].choices == (fields.UNSURE, *matrix.axes.targets)
    assert form["backend"].choices == (fields.UNSURE, *matrix.axes.backends)
    assert all(len(one.choices) == len(one.shown) for one in form.values())
    assert all(len(shown) <= one.limit for one in form.values() for shown in one.shown)
    assert [one.kind for one in form.values()].index(FieldKind.FREE) == len(form) - 1


def test_what_the_form_makes_is_read(matrix: Matrix) -> None:
    text = body({"dtypes": "fp32, bf16-fast-math", "use": "@all ### Target"})
    assert read(matrix, text) == Request("pytorch", "2.10.0", "n1", "acl", ("fp32", "bf16-fast-math"))


def test_fields_that_were_left_empty_are_left_open(matrix: Matrix) -> None:
    empty = dict.fromkeys(("version", "dtypes", "cpu"), "_No response_")
    assert read(matrix, body({**empty, "backend": "not sure"})) == Request("pytorch", target="n1")
    assert read(matrix, "### Framework\n\nPyTorch\n\n### Target\n\nn1\n") == Request("pytorch", target="n1")


def test_a_pasted_cpu_is_read_out_of_its_fence_and_headings_in_it_are_none(matrix: Matrix) -> None:
    found = read(matrix, body({"target": "not sure", "cpu": FENCED}))
    assert found.target == ""
    assert found.cpu is not None
    assert found.cpu.features == frozenset({"fp", "asimd"})


def test_a_cpu_that_says_too_little_matters_only_where_it_has_to_decide(matrix: Matrix) -> None:
    assert read(matrix, body({"cpu": "a grey box"})).target == "n1"
    (one,) = mistakes(matrix, body({"cpu": "a grey box", "target": "not sure"}))
    assert one.startswith("line 13, 'CPU': it is no name that is known here")
    (one,) = mistakes(matrix, body({"target": "not sure"}))
    assert one.startswith("line 13, 'CPU': it is empty, and it would have to say which target is right")


def test_everything_that_is_wrong_is_named_at_once_with_its_line_and_the_nearest_value(matrix: Matrix) -> None:
    text = body({"framework": "P\u0443Torch", "target": "n9", "backend": "acl\u202e", "dtypes": "fp32, bf61"})
    targets, backends = (", ".join(sorted(["not sure", *one])) for one in (matrix.axes.targets, matrix.axes.backends))
    assert "\n".join(mistakes(matrix, text)) == (
        "line 1, 'Framework': it holds U+0443 (CYRILLIC SMALL LETTER U): "
        "did you mean 'pytorch'? allowed: pytorch, tensorflow\n"
        f"line 9, 'Target': it is none of the values: did you mean 'n2'? allowed: {targets}\n"
        f"line 17, 'Backend': it holds U+202E (RIGHT-TO-LEFT OVERRIDE): did you mean 'acl'? allowed: {backends}\n"
        "line 21, 'Data types': it is none of the values: "
        "did you mean 'bf16'? allowed: bf16, bf16-fast-math, fp16, fp32, int8"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is not made of the form: a heading such as '### Framework', and below it a value"),
        ("### Target\n\nn1\n", "'Framework': it is missing; allowed: pytorch, tensorflow"),
        (body({}).replace("### CPU", "### Cpu"), "line 13: the form has no field of this name; it has: Framework, "),
        (body({"version": "2.10.0\n\n### Target\n\nv1"}), "line 13: 'Target' is there twice"),
        (body({"version": "2.10.0" + " 1" * 50}), "line 5, 'Version': it has more than 24 characters"),
        (body({"version": "newest"}), "line 5, 'Version': it is no version: allowed: 2.10.0, "),
        (body({"version": "2.10.0.0.0"}), "line 5, 'Version': it is no version: did you mean '2.10.0'?"),
        (body({"version": "2.x-mine"}), "line 5, 'Version': it is no version: "),
        (body({"version": "\uff12.10.0"}), "line 5, 'Version': it holds U+FF12 (FULLWIDTH DIGIT TWO): did you mea"),
        (body({"target": "n1\x00"}), "line 9, 'Target': it holds U+0000 (a control character): did you mean 'n1'?"),
        (body({"target": "n1\nv1"}), "line 9, 'Target': it holds U+000A (a control character)"),
        ("x" * (MOST + 1), f"it has more than {MOST} bytes, and was not read"),
        ("\u20ac" * (MOST // 2), f"it has more than {MOST} bytes, and was not read"),
        ("\ud800", "it is not made of the form"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(matrix: Matrix, text: str, told: str) -> None:
    (one,) = mistakes(matrix, text)
    assert one.startswith(told)


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
def test_a_published_version_is_known_in_any_spelling(matrix: Matrix, version: str, read_as: str) -> None:
    framework = "tensorflow" if "x" in version else "pytorch"
    assert asked(matrix, framework=framework, target="n1", version=version).version == read_as


def test_a_name_of_ours_has_no_other_spelling(matrix: Matrix) -> None:
    with pytest.raises(MalformedError, match="it is no version"):
        asked(matrix, framework="tensorflow", target="n1", version="0.0dev0")  # what our names are sorted as


def test_options_take_other_names_of_what_they_name(matrix: Matrix) -> None:
    found = asked(matrix, framework="Torch", version="", target="graviton3", backend="onednn-acl", cpu="")
    assert found == Request("pytorch", target="v1", backend="acl")
    with pytest.raises(MalformedError, match="--target: it is none of the values"):
        asked(matrix, framework="pytorch", target="n1,v1")


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
def test_files_are_read_by_their_suffix_and_numbers_as_they_are_written(
    matrix: Matrix, tmp_path: Path, suffix: str, text: str
) -> None:
    found = of_file(matrix, tmp_path / f"request{suffix}", text)
    assert found == Request("pytorch", "2.10.0", "n1", "acl", ("fp32", "int8"))


@pytest.mark.parametrize(
    ("suffix", "text", "told"),
    [
        (".yaml", "target: n1\nframwork: pytorch\n", "line 2: there is no field of this name: did you mean 'framew"),
        (".yaml", "target: n1\ntarget: v1\n", "line 2: 'target' is there twice"),
        (".yaml", "target: &a n1\n", "line 1: no anchor, alias or tag belongs into a request"),
        (".yaml", "target: !!str n1\n", "line 1: no anchor, alias or tag belongs into a request"),
        (".yaml", "dtypes:\n- [fp32]\n", "line 2: it is nested: a value is text, or a list of texts"),
        (".yaml", "target: {name: n1}\n", "line 1: it is nested: a value is text, or a list of texts"),
        (".yaml", "target: [n1\n", "line 2: it is no YAML"),
        (".yaml", "target: n1\n---\ntarget: v1\n", "line 2: it is no YAML"),
        (".yaml", "- n1\n", "it is no YAML mapping of fields and values"),
        (".json", '{"target": {"name": "n1"}}', "'target': a value is text, or a list of texts"),
        (".json", '{"target": true}', "'target': a value is text, or a list of texts"),
        (".json", '{"target": "n1",\n "target": "v1"}', "'target' is there twice"),
        (".json", '{"target": "n1"', "line 1, column 16: it is no JSON"),
        (".json", "[" * 50_000, "it is nested: a value is text, or a list of texts"),
        (".json", '"n1"', "it is no JSON object of fields and values"),
    ],
)  # fmt: skip
def test_a_file_s_mistake_is_told_with_its_place(
    matrix: Matrix, tmp_path: Path, suffix: str, text: str, told: str
) -> None:
    with pytest.raises(MalformedError) as wrong:
        of_file(matrix, tmp_path / f"request{suffix}", text)
    assert wrong.value.mistakes[0].startswith(told)


def test_of_thousands_of_mistakes_the_first_are_told_and_the_others_counted(matrix: Matrix) -> None:
    told = mistakes(matrix, "### Nothing\n\n" * 4_000)
    assert len(told) == 21
    assert told[-1] == "and 3981 more"


def test_a_file_that_is_too_long_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "request.md"
    with file.open("wb") as large:
        large.truncate(1 << 40)  # a terabyte of nothing, which takes no room on the disk
    with pytest.raises(MalformedError, match="and was not read"):
        submission.content(file)


def test_what_is_no_file_is_wrong_input(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match="cannot be read") as wrong:
            submission.content(path)
        assert not isinstance(wrong.value, MalformedError)
