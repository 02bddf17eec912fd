"""Mistakes in YAML files are reported with file, line and column, all at once, and never as a traceback."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from armwright.system import yaml_file
from armwright.system.errors import InputError
from armwright.system.yaml_file import Mistakes


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Wheel(Strict):
    name: str
    size: int = 0


class Car(Strict):
    name: str
    python: str = ""
    wheels: list[Wheel] = []
    spare: Wheel | None = None
    doors: dict[str, Wheel] = {}


def read_mistakes(text: str | bytes, model: type[BaseModel] = Car) -> list[str]:
    """Return the mistakes in a file of this text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "car.yaml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        mistakes = Mistakes()
        document = yaml_file.read_yaml(path, "car.yaml", mistakes)
        if document:
            yaml_file.parse_document(document, model, mistakes)
    return [str(mistake) for mistake in mistakes.found]


def test_valid_file_becomes_a_model(tmp_path: Path) -> None:
    (tmp_path / "car.yaml").write_text('name: "2CV"\nwheels: [{name: left, size: 2}]\n')
    mistakes = Mistakes()
    document = yaml_file.read_yaml(tmp_path / "car.yaml", "car.yaml", mistakes)
    assert document is not None
    assert yaml_file.parse_document(document, Car, mistakes) == Car(name="2CV", wheels=[Wheel(name="left", size=2)])
    assert not mistakes.found


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("name: a\nnmae: b\n", "2:1", "unknown key 'nmae': did you mean 'name'?"),
        ("name: a\nbody:\n  - x\n", "2:1", "unknown key 'body'"),
        ("name: a\nwheels:\n  - name: left\n    sise: 3\n", "4:5", "unknown key 'sise': did you mean 'size'?"),
        ("name: a\nspare: {nam: x, name: y}\n", "2:9", "unknown key 'nam': did you mean 'name'?"),
        ("name: a\ndoors:\n  back: {nam: x, name: y}\n", "3:10", "unknown key 'nam': did you mean 'name'?"),
        ("# nothing\nwheels: []\n", "2:1", "'name' is missing"),
        ("name: a\nwheels:\n  - size: 3\n", "3:5", "'name' is missing"),
        ("name: a\nwheels: [{name: b}, {name: c, size: big}]\n", "2:37", "'size': Input should be a valid integer"),
        ("name: a\nwheels: 4\n", "2:9", "'wheels': Input should be a valid list"),
        ("name:\n  first: a\n", "2:3", "'name' must be text"),
        ("name: a\nname: b\n", "2:1", "'name' is given twice"),
        ("name: a\nspare:\n  name: b\n  name: c\n", "4:3", "'name' is given twice"),
        ("name: a\nwheels: [{name: b, name: c}]\n", "2:20", "'name' is given twice"),
        ("name: [a\n", "2:1", "not YAML"),
        ("name: a\n\tsize: 3\n", "2:1", "not YAML"),
        ("name: a\n---\nname: b\n", "2:1", "not YAML"),
        ("", "1:1", "'name' is missing"),
        ("- a\n- b\n", "1:1", "'the file'"),
    ],
)
def test_mistake_is_reported_at_its_place(text: str, place: str, message: str) -> None:
    (mistake,) = read_mistakes(text)
    assert mistake.startswith(f"car.yaml:{place}: ")
    assert message in mistake


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("name: a\npython: 3.13\n", "2:9", "'python' must be text: put 3.13 in quotes"),
        ("name: a\npython: 3.10\n", "2:9", "'python' must be text: put 3.10 in quotes"),  # and not 3.1
        ("name: no\n", "1:7", "'name' must be text: put no in quotes"),
        ("name: a\npython: 2026-11-20\n", "2:9", "'python' must be text: put 2026-11-20 in quotes"),
        ("name: a\ndoors:\n  2.10: {name: b}\n", "3:3", "the key '2.10' must be text: put 2.10 in quotes"),
        ("name: a\npython:\n", "2:8", "'python' must be text"),
    ],
)
def test_text_that_yaml_reads_as_a_number_needs_quotes(text: str, place: str, message: str) -> None:
    assert read_mistakes(text) == [f"car.yaml:{place}: {message}"]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("name: a\n? [b, c]\n: d\n", "2:3", "a key must be a scalar"),
        ("name: a\nspare: {? {b: c} : d}\n", "2:11", "a key must be a scalar"),
        ("name: &n a\npython: *n\n", "1:7", "alias"),
        ("name: a\nwheels: &w [*w]\n", "2:9", "alias"),  # a loop
        ("name: 2026-13-45\n", "1:7", "not a value: '2026-13-45'"),
        ("name: 0x_\n", "1:7", "not a value: '0x_'"),
        ("name: !!int many\n", "1:7", "not a value: 'many'"),
        ("name: !!bool perhaps\n", "1:7", "not a value"),
        ("name: !!python/name:os.system x\n", "1:7", "not a value"),
        ("name: a\n<<: {python: b}\n", "2:1", "not a value: '<<'"),
        (f"name: {'7' * 5000}\n", "1:7", "not a value"),  # Python refuses to convert so many digits
    ],
)
def test_unusual_yaml_is_refused_at_its_place(text: str, place: str, message: str) -> None:
    first = read_mistakes(text)[0]
    assert first.startswith(f"car.yaml:{place}: ")
    assert message in first


def test_multiplying_aliases_are_refused_before_expansion() -> None:
    lines = ["a: &a [x, x]"] + [
        f"{new}: &{new} [*{old}, *{old}]" for old, new in zip("abcdefghijklm", "bcdefghijklmn", strict=True)
    ]
    assert "alias" in read_mistakes("\n".join(lines))[0]


@pytest.mark.parametrize("content", [b"\xff\xfe\xff", b"name: \x00\n", b"name: " + b"[" * 3_000 + b"]" * 3_000])
def test_unreadable_content_is_one_mistake_in_one_line(content: bytes) -> None:
    (mistake,) = read_mistakes(content)
    assert mistake.startswith("car.yaml:1:1: cannot be read: ")
    assert "\n" not in mistake


def test_absent_file_is_a_mistake(tmp_path: Path) -> None:
    mistakes = Mistakes()
    assert yaml_file.read_yaml(tmp_path / "absent.yaml", "absent.yaml", mistakes) is None
    assert "absent.yaml:1:1: cannot be read: " in str(mistakes.found[0])


def test_one_error_lists_the_mistakes_of_all_files_in_order(tmp_path: Path) -> None:
    mistakes = Mistakes()
    for name, text in (("b.yaml", "size: 1\nwidth: 2\n"), ("a.yaml", "[\n"), ("c.yaml", "name: a\nname: 1\n")):
        (tmp_path / name).write_text(text)
        document = yaml_file.read_yaml(tmp_path / name, name, mistakes)
        if document:
            yaml_file.parse_document(document, Wheel, mistakes)
    with pytest.raises(InputError) as refused:
        mistakes.raise_if_any()
    head, *lines = refused.value.what.splitlines()
    assert head == "4 mistakes in the data:"
    assert [line.split(": ")[0].strip() for line in lines] == ["a.yaml:2:1", "b.yaml:1:1", "b.yaml:2:1", "c.yaml:2:1"]
    assert refused.value.code == 2
    assert "nothing was started" in refused.value.hint
    assert not refused.value.next_step


def test_no_mistakes_raise_nothing() -> None:
    Mistakes().raise_if_any()


YAML_PIECES = st.sampled_from([
    "name: a", "name", ": ", "- ", "[", "]", "{", "}", ", ", "\n", "\n  ", "&a ", "*a", "<<: ", "!!int ", "!!set ",
    "!!timestamp ", "!!omap ", "? ", "|\n ", ">-\n ", "'", '"', "#", "%YAML 1.1\n", "---\n", "...\n", "0x_", "0b_",
    "1:99", "2026-13-45", ".inf", "~", "=", "\t", "\\x", "é", "\u2028", "1.10", "wheels: ", "doors: ", "spare: ",
])  # fmt: skip


@given(st.one_of(st.text(max_size=80), st.lists(YAML_PIECES, max_size=14).map("".join)))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_only_mistakes_with_a_place(text: str) -> None:
    for mistake in read_mistakes(text.encode(errors="surrogatepass")):
        name, line, column, message = mistake.split(":", 3)
        assert (name, line.isdigit(), column.isdigit()) == ("car.yaml", True, True)
        assert message.strip()
