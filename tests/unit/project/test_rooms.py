"""The rules for the package's structure, and that each check fails on source that breaks its rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.collection import Collection

import tasks
from tests import rooms
from tests.rooms import Module, parse_module, read_package
from tests.support import ROOT

PACKAGE = read_package(ROOT)
LONGEST_MODULE = 280  # lines
LONGEST_FUNCTION = 55  # lines
TESTS = read_package(ROOT, "tests")
OTHERS = TESTS | read_package(ROOT, "benchmarks") | read_package(ROOT, "training")
LONGEST_TEST_NAME = 60  # characters
VAGUE_NAMES = {"one", "said", "stuff", "thing", "things", "told"}
WITHOUT_UNIT_TESTS = {"engine"}  # it talks to Docker: its tests are in tests/engine
OUTSIDE = {"harness", "image", "project", "smoke"}  # unit tests of the tests, of scripts/ and of the repository
SHORT_NAMES = {  # what everyone calls them
    ("datetime", "dt"), ("jax.numpy", "jnp"), ("numpy", "np"), ("numpy.typing", "npt"), ("strategies", "st"),
    ("tensorflow", "tf"), ("tensorflow.compat.v1", "tf"),
}  # fmt: skip


def is_command(module: Module, name: str) -> bool:
    """Every command's module has one function `run`, which tasks.py calls."""
    return module.room == "cli" and name == "run"


def made_up(**sources: str) -> dict[str, Module]:
    """Return a package of made-up modules; a keyword `plan_locks` is the module armwright.plan.locks."""
    names = {key: f"armwright.{key.replace('_', '.', 1)}" for key in sources}
    return {names[key]: parse_module(names[key], source) for key, source in sources.items()}


def test_no_import_runs_upwards() -> None:
    assert rooms.find_upward_imports(PACKAGE) == []
    assert rooms.find_relative_imports(PACKAGE) == []


def test_every_room_has_a_place_in_the_order() -> None:
    assert rooms.find_unknown_rooms(PACKAGE) == set()
    assert {module.room for module in PACKAGE.values()} - {""} == set(rooms.ROOMS)


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert rooms.find_circle(PACKAGE) == []


def test_every_module_is_in_a_room() -> None:
    assert rooms.find_loose_modules(ROOT) == []


def test_no_two_types_share_a_name() -> None:
    assert rooms.find_repeated_types(PACKAGE) == {}


def test_no_two_public_functions_share_a_name() -> None:
    assert rooms.find_repeated_functions(PACKAGE, is_command) == {}


def test_no_import_renames_what_it_imports() -> None:
    renamed = rooms.find_renaming_imports(PACKAGE | OTHERS)
    assert [(name, *names) for name, *names in renamed if tuple(names) not in SHORT_NAMES] == []


def test_modules_and_functions_are_short() -> None:
    assert rooms.find_long_modules(PACKAGE, LONGEST_MODULE) == {}
    assert rooms.find_long_functions(PACKAGE, LONGEST_FUNCTION) == {}


def test_names_of_variables_say_what_they_hold() -> None:
    assert rooms.find_vague_names(PACKAGE | OTHERS, VAGUE_NAMES) == []


def test_names_of_tests_are_short() -> None:
    assert rooms.find_long_test_names(TESTS, LONGEST_TEST_NAME) == []


def test_every_command_has_a_file_of_its_name() -> None:
    commands = {f"armwright.cli.{name}" for name in Collection.from_module(tasks).tasks}
    assert commands - set(PACKAGE) == set()
    with_run = {
        name
        for name, module in PACKAGE.items()
        if any(is_command(module, public) for public in rooms.public_functions(module))
    }
    assert with_run == commands


def test_the_unit_tests_mirror_the_rooms() -> None:
    folders = {path.parent.relative_to(ROOT / "tests/unit").parts[0] for path in ROOT.glob("tests/unit/*/test_*.py")}
    assert folders - OUTSIDE <= set(rooms.ROOMS)
    assert set(rooms.ROOMS) - folders <= WITHOUT_UNIT_TESTS


def test_an_upward_import_is_found() -> None:
    package = made_up(
        system_errors="from armwright.plan.plan import Plan", plan_plan="from armwright.system import errors"
    )
    assert rooms.find_upward_imports(package) == ["armwright.system.errors imports armwright.plan.plan"]


@pytest.mark.parametrize(
    "source",
    [
        "import armwright.cli.test",
        "from armwright.cli import test",
        "from armwright.cli.test import run",
        "from armwright import cli",
        "def make_plan() -> None:\n    from armwright.cli import test\n",
        "if TYPE_CHECKING:\n    from armwright.cli.test import TIERS\n",
    ],
)
def test_every_form_of_import_is_read(source: str) -> None:
    package = {**made_up(plan_plan=source, cli_test=""), "armwright.cli": parse_module("armwright.cli", "")}
    assert len(rooms.find_upward_imports(package)) == 1


def test_the_same_room_and_lower_rooms_may_be_imported() -> None:
    package = made_up(
        plan_plan="from armwright.plan import locks\nimport json\nimport armwright",
        plan_locks="from armwright.system.errors import InputError",
        system_errors="import armwright.matrixlike",
    )
    assert rooms.find_upward_imports(package) == []
    assert rooms.find_circle(package) == []


def test_a_loose_module_may_not_import_from_a_room() -> None:
    package = {"armwright.tools": parse_module("armwright.tools", "from armwright.system import errors")}
    assert len(rooms.find_upward_imports({**package, **made_up(system_errors="")})) == 1


def test_a_relative_import_is_found() -> None:
    assert rooms.find_relative_imports(made_up(plan_plan="from . import locks")) == ["armwright.plan.plan:1"]


def test_a_circle_in_a_room_is_found() -> None:
    package = made_up(
        plan_plan="from armwright.plan.locks import read",
        plan_locks="from armwright.plan import render",
        plan_render="def f():\n    from armwright.plan.plan import make_plan",
    )
    assert set(rooms.find_circle(package)) == set(package)


def test_an_unknown_room_and_a_loose_module_are_found(tmp_path: Path) -> None:
    assert rooms.find_unknown_rooms(made_up(attic_box="", plan_plan="")) == {"attic"}
    for name in ("__init__.py", "tools.py", "plan/plan.py"):
        path = tmp_path / "armwright" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")
    assert rooms.find_loose_modules(tmp_path) == ["tools.py"]
    assert set(rooms.read_package(tmp_path)) == {"armwright", "armwright.tools", "armwright.plan.plan"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("class Source: ...", "class Source: ..."),
        ("class Source: ...", "Source = Literal['archive', 'registry']"),
        ("Source: TypeAlias = str", "Source = NewType('Source', str)"),
        ("T = TypeVar('T')", "T = TypeVar('T')"),
        ("class _Entry: ...", "def f():\n    class _Entry: ..."),
    ],
)
def test_a_type_name_in_two_modules_is_found(first: str, second: str) -> None:
    (places,) = rooms.find_repeated_types(made_up(plan_plan=first, proof_state=second)).values()
    assert places == ["armwright.plan.plan", "armwright.proof.state"]


def test_constants_may_share_a_name() -> None:
    assert rooms.find_repeated_types(made_up(plan_plan="_ROOT = 1\nroot = 2", proof_state="_ROOT = 1")) == {}


def test_a_function_name_in_two_modules_is_found() -> None:
    package = made_up(
        cli_build="def run(): ...",
        cli_list="def run(): ...",
        plan_plan="def load(): ...\ndef _read(): ...",
        proof_state="async def load(): ...\ndef _read(): ...",
    )
    assert rooms.find_repeated_functions(package, is_command) == {
        "load": ["armwright.plan.plan", "armwright.proof.state"]
    }
    assert "run" in rooms.find_repeated_functions({**package, **made_up(plan_locks="def run(): ...")}, lambda *_: False)


def test_a_renaming_import_is_found() -> None:
    package = made_up(plan_plan="from armwright.plan import locks as files\nimport json as j\nimport os")
    assert [names for _, *names in rooms.find_renaming_imports(package)] == [["locks", "files"], ["json", "j"]]


def test_a_long_module_and_a_long_function_are_found() -> None:
    package = made_up(
        plan_plan="class A:\n    @property\n    def f(self):\n        a = 1\n        b = 2\n        return a + b"
    )
    assert rooms.find_long_modules(package, 5) == {"armwright.plan.plan": 6}
    assert rooms.find_long_modules(package, 6) == {}
    assert rooms.find_long_functions(package, 3) == {"armwright.plan.plan.f": 4}
    assert rooms.find_long_functions(package, 4) == {}


def test_a_long_test_name_is_found() -> None:
    package = made_up(plan_plan="def test_it(): ...\nclass A:\n    async def test_all(self): ...\ndef help_it(): ...")
    assert rooms.find_long_test_names(package, 7) == ["armwright.plan.plan.test_all"]
    assert rooms.find_long_test_names(package, 8) == []


def test_a_vague_name_is_found() -> None:
    package = made_up(plan_plan="thing = 1\ndef f(one): return [thing for stuff in one]", plan_locks="things = 1")
    assert rooms.find_vague_names(package, {"thing", "one", "stuff"}) == [
        "armwright.plan.plan:1 thing", "armwright.plan.plan:2 one", "armwright.plan.plan:2 stuff",
    ]  # fmt: skip
