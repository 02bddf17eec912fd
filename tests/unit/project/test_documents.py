"""The documents: every command parses, every link resolves, every number about the matrix is the matrix's."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from invoke.collection import Collection
from pydantic import BaseModel

import armwright
import tasks
from armwright.cli import docs
from armwright.matrix.matrix import Matrix
from armwright.proof.evidence import Evidence
from armwright.recipes.bases import Base
from armwright.recipes.frameworks import FrameworkBackend, FrameworkFile
from armwright.recipes.source_builds import Interpreter, SourceBuild
from armwright.recipes.targets import Target
from tests import documents, how_to
from tests.documents import CommandLine
from tests.forks import run_commands
from tests.support import ROOT

PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in documents.documents()}
COMMANDS = [command for page, text in PAGES.items() for command in documents.command_lines(page, text)]
GROWING = [page for page, text in PAGES.items() if documents.data_blocks(text)]
LONGEST = 800  # words of README
WIDTH = 120  # characters of a line outside tables
READING = {"list", "plan", "--list", "--help"}  # commands that read, and need no engine and no network
ANSWERING = ("--schema", "--check")  # options that make a command read
NETWORK = {"lock"}  # commands that need the network even then


@pytest.fixture
def grown(matrix: Matrix, request: pytest.FixtureRequest) -> Callable[[str], Matrix]:
    """Return the matrix for a page's commands: with the data that the page adds."""
    return lambda page: how_to.follow(request.getfixturevalue("tree"), Path(page).stem) if page in GROWING else matrix


def mistakes(text: str, matrix: Matrix) -> list[str]:
    explanations = [documents.explain_mistake(command, matrix) for command in documents.command_lines("page.md", text)]
    return [mistake for mistake in explanations if mistake]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_parses(grown: Callable[[str], Matrix], page: str) -> None:
    lines = [command for command in COMMANDS if command.page == page]
    matrix = grown(page)
    explained = {str(line): documents.explain_mistake(line, matrix) for line in lines}
    assert {line: mistake for line, mistake in explained.items() if mistake} == {}


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("invoke build --taget n1", "unknown option '--taget'"),
        ("invoke biuld --target n1", "unknown command 'biuld'"),
        ("invoke build --target n9", "--target 'n9'"),
        ("invoke build --combo pytorch-2.9.1-n1-eigen", "refused"),
        ("invoke plan --combo pytorch-2.10.0-n1-mkl", "no combo matches"),
        ("invoke build --target", "option --target needs a value"),
        ("invoke lock --base debian-9", "base 'debian-9'"),
        ("invoke smoke --workload lenett", "workload 'lenett'"),
        ("invoke smoke --dtype fp8", "dtype 'fp8'"),
        ("invoke test --tier tests", "tier 'tests'"),
        ("invoke registry restart", "action 'restart'"),
        ("./inv --help biuld", "'biuld'"),
        ("sudo A=1 ./inv setup && invoke plan --tarrget n1 > file", "unknown option '--tarrget'"),
        ("mkdocs build", "the program 'mkdocs'"),
        ("python benchmarks/speed.py", "there is no benchmarks/speed.py"),
        ("python -m training.resnet", "there is no training/resnet.py"),
    ],
)
def test_the_checker_finds_a_wrong_command(matrix: Matrix, line: str, mistake: str) -> None:
    (explanation,) = mistakes(f"# Page\n\n```sh\n{line}\n```\n", matrix)
    assert mistake in explanation


def test_the_checker_reads_code_spans_and_consoles(matrix: Matrix) -> None:
    assert len(mistakes("Use `invoke list --gird`, or `./inv plna`.", matrix)) == 2
    assert len(mistakes("| a |\n|---|\n| `invoke lits` |\n", matrix)) == 1
    assert len(mistakes("```console\n$ invoke lits\ninvoke said this itself --foo\n```\n", matrix)) == 1


def test_the_checker_accepts_placeholders_and_names(matrix: Matrix) -> None:
    text = "`invoke registry`, `invoke lock --base B`, `invoke COMMAND --help`, `invoke stage --to HOST:PORT`"
    assert mistakes(text, matrix) == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_stand_in_fenced_blocks_with_a_language(page: str) -> None:
    tokens = documents.parse_markdown(PAGES[page])
    assert [token.content for token in tokens if token.type == "code_block"] == []
    assert [token.content for token in tokens if token.type == "fence" and not token.info] == []


@pytest.mark.parametrize("page", PAGES)
def test_lines_outside_tables_are_short(page: str) -> None:
    lines = [line for line in PAGES[page].splitlines() if not line.startswith("|")]
    assert [line for line in lines if len(line) > WIDTH and page != docs.MATRIX] == []


def _reads(command: CommandLine) -> bool:
    own = command.is_own and not command.inline and command.page not in GROWING
    answering = command.arguments[-1] in ANSWERING and command.arguments[1] not in NETWORK
    return own and (command.arguments[1] in READING or answering)


def test_commands_that_only_read_succeed() -> None:
    lines = sorted({command.arguments[1:] for command in COMMANDS if _reads(command)})
    assert lines
    results = dict(zip(lines, run_commands(lines, {}), strict=True))
    assert {arguments: ended for arguments, ended in results.items() if ended.code} == {}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_resolves(page: str) -> None:
    for link in documents.links(PAGES[page]):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        file = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert file.is_file(), link
        assert not anchor or anchor in documents.anchors(file.read_text(encoding="utf-8")), link


def test_every_page_of_docs_is_reached_from_its_index() -> None:
    linked = {((ROOT / "docs") / link.partition("#")[0]).resolve() for link in documents.links(PAGES["docs/README.md"])}
    assert {str(path) for path in (ROOT / "docs").rglob("*.md") if path.name != "README.md"} <= set(map(str, linked))


def test_the_architecture_page_lists_every_room() -> None:
    text = PAGES["docs/explanation/architecture.md"]
    rooms = re.findall(r"^\| `([a-z]+)` \|", text, re.MULTILINE)
    assert set(rooms) == {path.parent.name for path in (ROOT / "armwright").glob("*/__init__.py")}
    drawn = re.findall(r"^    \w+(?:\[.*\])? --> (\w+)\b(?:$|\[\")", text.partition("flowchart TB")[2], re.MULTILINE)
    assert drawn == rooms[::-1]  # the diagram has the same order, top to bottom


@pytest.mark.parametrize("page", PAGES)
def test_every_image_that_is_named_exists(matrix: Matrix, page: str) -> None:
    tags = {combo.tag for combo in matrix.combos if combo.refusal is None}
    assert {f"{framework}:{tag}" for framework, tag in documents.image_names(PAGES[page])} - tags == set()


def test_generated_pages_are_up_to_date(matrix: Matrix) -> None:
    docs.run(matrix, Collection.from_module(tasks).tasks, check=True)


def _keys(kind: type[BaseModel]) -> set[str]:
    """Return the keys of a model and of the models in it, as they are written in a file."""
    schemas = [kind.model_json_schema(by_alias=True), *kind.model_json_schema(by_alias=True).get("$defs", {}).values()]
    return {key for schema in schemas for key in schema.get("properties", {})}


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("evidence", Evidence), ("recipes", FrameworkFile), ("recipes", FrameworkBackend), ("recipes", Target),
        ("recipes", Base),
    ],
)  # fmt: skip
def test_a_reference_page_describes_every_key(page: str, kind: type[BaseModel]) -> None:
    described = set(re.findall(r"`(\w+)`", PAGES[f"docs/reference/{page}.md"]))
    compiled = _keys(SourceBuild) | _keys(Interpreter)  # these are explained in the recipe that uses them
    assert _keys(kind) - compiled - described == set()


def test_readme_is_short_and_counts_the_matrix_right(matrix: Matrix) -> None:
    text = PAGES["README.md"]
    assert len(text.split()) <= LONGEST
    states = Counter(
        "refused" if combo.refusal is not None else "unverified" if combo.unverified is not None else "known to work"
        for combo in matrix.combos
    )
    counts = r"(\d+) of (\d+) combinations .*?\s(\d+)\s+are\s+refused.*?\s(\d+)\s+are\s+unverified"
    counted = re.search(counts, text, re.DOTALL)
    assert counted, "README no longer counts the matrix"
    expected = (states["known to work"], len(matrix.combos), states["refused"], states["unverified"])
    assert tuple(map(int, counted.groups())) == expected


def test_readme_names_every_target_and_version(matrix: Matrix) -> None:
    text = PAGES["README.md"]
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE)) == set(matrix.axes.targets)
    assert all(version in text for versions in matrix.axes.frameworks.values() for version in versions)


def test_the_version_is_the_same_everywhere() -> None:
    released = re.findall(r"^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$", PAGES["CHANGELOG.md"], re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert released[0] == project["version"] == armwright.__version__
