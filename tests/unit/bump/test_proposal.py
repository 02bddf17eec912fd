"""`bump` says what was found, proposes a diff, and writes exactly that diff or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from armwright.bump import proposal, yaml_insert
from armwright.cli import bump
from armwright.fetch import index_pages, resolve
from armwright.fetch import package_index as indexes
from armwright.fetch.index_pages import IndexFile
from armwright.fetch.package_index import PackageIndex
from armwright.fetch.package_index import WheelMetadata
from armwright.plan import locks
from armwright.recipes.bases import Base
from armwright.recipes.frameworks import Framework
from armwright.system.errors import ArmwrightError, FailedError, InputError, MachineError
from armwright.system.files import write_whole
from tests.support import Tree
from tests.wheelhouse import RECIPE, Wheel, add_lamp, page

HASH = f"    --hash=sha256:{'0a' * 32}"
LISTED = '    lamp: ["1.0.0"] # as bright as it gets\n'
ENTRY = """\
  "1.2.0":
    provider: wheel
    base: debian-13
    requires: [lamp==1.2.0, wick]
    environment: [{name: LAMP_OIL, value: '10', reason: it burns brighter}]
"""


@pytest.fixture
def lamp(tree: Tree) -> Tree:
    add_lamp(tree)
    return tree


class Told(PackageIndex):
    """An index with wheels that a test wants, each saying of itself what it says."""

    wheels: tuple[Wheel, ...] = ()

    def files(self, distribution: str) -> list[IndexFile]:
        found = index_pages.parse_page(
            json.dumps(page(self.wheels)).encode(), "application/json", "https://a.example/", distribution
        )
        return [one for one in found if distribution == "lamp"]

    def metadata(self, file: IndexFile) -> WheelMetadata:
        (wheel,) = (one for one in self.wheels if one.file == file.name)
        return WheelMetadata(tuple(map(Requirement, wheel.requires)), wheel.requires_python)


Bump = Callable[..., Any]
Refusals = dict[str, ArmwrightError]


@pytest.fixture
def run(lamp: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bump:
    """Bump the lamp among wheels; the resolver only writes down the framework, or refuses a version."""

    def bumped(*wheels: Wheel, refused: Refusals | None = None, word: str = "lamp", **options: Any) -> Any:  # noqa: ANN401
        index = Told(())
        object.__setattr__(index, "wheels", wheels)
        monkeypatch.setattr(indexes, "find_package_index", lambda: index)

        def make(root: Path, framework: Framework, version: str, base: Base) -> None:
            assert root != lamp.root
            assert base.name == "debian-13"
            if refused and version in refused:
                raise refused[version]
            names = [one.replace("wick", "wick==0.5") for one in framework.versions[version].requires]
            locks.wheel_lock_path(root, framework.name, version).write_text(
                "".join(f"{one} \\\n{HASH}\n" for one in names)
            )

        monkeypatch.setattr(resolve, "resolve_wheels", make)
        bump.run(lamp.load(), word, as_json=True, **options)
        return json.loads(capsys.readouterr().out)

    return bumped


def everything(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_what_is_newer_is_judged_and_the_newest_that_is_good_is_proposed(run: Bump, lamp: Tree) -> None:
    before = everything(lamp.root)
    said = run(
        Wheel("lamp", "0.9.0"), Wheel("lamp", "1.0.0"), Wheel("lamp", "1.1.0"), Wheel("lamp", "1.2.0"),
        Wheel("lamp", "1.10.0", requires=("triton",)), Wheel("lamp", "2.0.0rc1"),
    )  # fmt: skip
    fits = "a wheel for AArch64 and Python 3.13 with a hash, without CUDA"
    assert [(one["version"], one["verdict"], one["reason"]) for one in said["versions"]] == [
        ("2.0.0rc1", "refused", "a pre-release"),
        ("1.10.0", "refused", "a CUDA build: it requires triton"),
        ("1.2.0", "ok", f"{fits}; its lock resolves"),
        ("1.1.0", "ok", f"{fits}; not locked, because a newer one is proposed"),
    ]
    assert (said["framework"], said["distribution"], said["newest"]) == ("lamp", "lamp", "1.0.0")
    assert (said["base"], said["proposed"], said["written"]) == ("debian-13", "1.2.0", False)
    assert everything(lamp.root) == before


def test_the_diff_holds_the_lock_the_recipe_s_entry_and_the_axis_value(run: Bump, lamp: Tree) -> None:
    said = run(Wheel("lamp", "1.2.0"))
    added = [line[1:] for line in said["diff"].splitlines() if line.startswith("+") and not line.startswith("+++")]
    removed = [line[1:] for line in said["diff"].splitlines() if line.startswith("-") and not line.startswith("---")]
    files = [line for line in said["diff"].splitlines() if line.startswith(("---", "+++"))]
    assert [one.split("\t")[0] for one in files] == [
        "--- /dev/null", "+++ b/recipes/locks/lamp-1.2.0.txt",
        "--- a/recipes/frameworks/lamp/framework.yaml", "+++ b/recipes/frameworks/lamp/framework.yaml",
        "--- a/matrix.yaml", "+++ b/matrix.yaml",
    ]  # fmt: skip
    listed = '    lamp: ["1.2.0", "1.0.0"] # as bright as it gets'
    assert added == ["lamp==1.2.0 \\", HASH, "wick==0.5 \\", HASH, *ENTRY.splitlines(), listed]
    assert removed == [LISTED.removesuffix("\n")]
    assert not locks.wheel_lock_path(lamp.root, "lamp", "1.2.0").exists()


def test_writing_makes_exactly_the_changes_of_the_diff_and_keeps_every_comment(run: Bump, lamp: Tree) -> None:
    before = everything(lamp.root)
    shown = run(Wheel("lamp", "1.2.0"))
    said = run(Wheel("lamp", "1.2.0"), write=True)
    assert {**said, "written": False} == shown
    assert said["written"]
    after = everything(lamp.root)
    expected = {
        **before,
        "recipes/frameworks/lamp/framework.yaml": RECIPE.replace(
            "  # the first one", f"{ENTRY}  # the first one"
        ).encode(),
        "matrix.yaml": before["matrix.yaml"].replace(b'lamp: ["1.0.0"]', b'lamp: ["1.2.0", "1.0.0"]'),
        "recipes/locks/lamp-1.2.0.txt": f"lamp==1.2.0 \\\n{HASH}\nwick==0.5 \\\n{HASH}\n".encode(),
    }
    assert after == expected
    release = lamp.load().recipes.frameworks["lamp"].versions["1.2.0"]
    assert release.libraries == {}  # only its proof can tell
    assert lamp.load().versions("lamp") == ["1.2.0", "1.0.0"]


def test_what_was_written_is_published_and_not_found_again(run: Bump) -> None:
    run(Wheel("lamp", "1.2.0"), write=True)
    said = run(Wheel("lamp", "1.2.0"))
    assert (said["newest"], said["versions"], said["proposed"], said["diff"]) == ("1.2.0", [], None, "")


def test_a_list_in_lines_is_extended_by_a_line(run: Bump, lamp: Tree) -> None:
    lamp.edit("matrix.yaml", LISTED, '    lamp: # bright\n      - "1.0.0" # the first\n')
    run(Wheel("lamp", "1.2.0"), write=True)
    assert (
        '    lamp: # bright\n      - "1.2.0"\n      - "1.0.0" # the first\n' in (lamp.root / "matrix.yaml").read_text()
    )


def test_the_command_s_other_name_for_a_framework_does(run: Bump) -> None:
    assert run(Wheel("lamp", "1.2.0"), word="Lantern")["framework"] == "lamp"


def test_an_unknown_framework_is_told_with_the_nearest(run: Bump) -> None:
    with pytest.raises(InputError, match="the framework 'lamb' is not known: did you mean 'lamp'") as refused:
        run(word="lamb")
    assert refused.value.code == 2


def test_a_version_that_is_asked_for_is_the_only_one_judged(run: Bump) -> None:
    said = run(Wheel("lamp", "1.1.0"), Wheel("lamp", "1.2.0"), version="1.1.0")
    assert ([one["version"] for one in said["versions"]], said["proposed"]) == (["1.1.0"], "1.1.0")


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.0.0", "Lamp 1.0.0 is published; bump looks for newer ones"),
        ("0.9.0", "Lamp 1.0.0 is published; bump looks for newer ones"),
        ("newest", "--version 'newest' is not a version"),
        ("1.1.1", "the package index has no lamp 1.1.1: did you mean '1.1.0'"),
        ("1.3.0", "Lamp 1.3.0 is refused: a CUDA build: it requires triton"),
        ("1.4.0", "Lamp 1.4.0 is refused: its lock: triton is a CUDA distribution"),
    ],
)
def test_a_version_that_cannot_be_published_is_wrong_input_and_says_why(run: Bump, version: str, words: str) -> None:
    wheels = Wheel("lamp", "1.0.0"), Wheel("lamp", "1.1.0"), Wheel("lamp", "1.3.0", requires=("triton",))
    refused = {"1.4.0": InputError("the lock has mistakes:\n  triton is a CUDA distribution")}
    with pytest.raises(InputError) as wrong:
        run(*wheels, Wheel("lamp", "1.4.0"), refused=refused, version=version, write=True)
    assert words in wrong.value.what
    assert wrong.value.next_step


UNSOLVED = (
    "'uv pip compile' exited with 1:\n  | error: No solution found\n"
    "  |   cause: lamp needs wax, see https://a.example/wax"
)


def test_a_version_whose_lock_is_refused_is_refused_and_the_next_older_one_is_tried(run: Bump, lamp: Tree) -> None:
    wheels = [Wheel("lamp", version) for version in ("1.4.0", "1.3.0", "1.2.0")]
    cuda = InputError(
        "the lock has mistakes:\n  recipes/locks/lamp-1.4.0.txt:7: triton is a CUDA distribution", "do it"
    )
    said = run(*wheels, refused={"1.4.0": cuda, "1.3.0": FailedError(UNSOLVED)}, write=True)
    assert [(one["version"], one["reason"]) for one in said["versions"]][:2] == [
        ("1.4.0", "its lock: recipes/locks/lamp-1.4.0.txt:7: triton is a CUDA distribution"),
        ("1.3.0", "its lock: No solution found lamp needs wax, see (an address)"),
    ]
    assert said["proposed"] == "1.2.0"
    assert lamp.load().versions("lamp") == ["1.2.0", "1.0.0"]


def test_where_every_lock_is_refused_nothing_is_proposed(run: Bump, lamp: Tree) -> None:
    before = everything(lamp.root)
    said = run(Wheel("lamp", "1.2.0"), refused={"1.2.0": FailedError("it did not finish")}, write=True)
    assert (said["proposed"], said["written"], said["diff"]) == (None, False, "")
    assert said["versions"][0]["reason"] == "its lock: it did not finish"
    assert everything(lamp.root) == before


@pytest.mark.parametrize("words", ["cause: error sending request for url (x)", "HTTP status server error (503)"])
def test_an_index_that_the_resolver_cannot_reach_refuses_no_version(run: Bump, words: str) -> None:
    failure = FailedError(f"'uv pip compile' exited with 2:\n  | {words} https://a.example/simple")
    with pytest.raises(MachineError, match="the resolver cannot reach the package index") as failed:
        run(Wheel("lamp", "1.2.0"), refused={"1.2.0": failure})
    assert "example" not in failed.value.what


def test_a_version_that_is_in_the_recipe_and_not_published_is_told(run: Bump, lamp: Tree) -> None:
    lamp.edit("recipes/frameworks/lamp/framework.yaml", "  # the first one\n", f"{ENTRY}  # the first one\n")
    said = run(Wheel("lamp", "1.2.0"), Wheel("lamp", "1.1.0"))
    assert said["versions"][0]["reason"] == "it is in the recipe, but not published"
    assert (said["newest"], said["proposed"]) == ("1.0.0", "1.1.0")


COMPAT = """\
  "9.x-compat":
    provider: wheel
    base: debian-13
    title: Lamp as it was
    upstream: "1.0.0"
    distribution: lamp-old
    requires: [lamp-old==1.0.0]
"""


def test_what_a_version_was_named_by_us_for_is_no_model_for_a_newer_one(run: Bump, lamp: Tree) -> None:
    lamp.edit("recipes/frameworks/lamp/framework.yaml", "  # the first one\n", f"{COMPAT}  # the first one\n")
    lamp.edit("matrix.yaml", 'lamp: ["1.0.0"]', 'lamp: ["9.x-compat", "1.0.0"]')
    said = run(Wheel("lamp", "1.2.0"), write=True)
    assert (said["distribution"], said["newest"], said["proposed"]) == ("lamp", "1.0.0", "1.2.0")
    assert lamp.load().axes.frameworks["lamp"] == ["1.2.0", "9.x-compat", "1.0.0"]


def test_the_distribution_is_that_of_the_newest_version(run: Bump, lamp: Tree) -> None:
    lamp.edit("recipes/frameworks/lamp/framework.yaml", "\ndistribution: lamp\n", "\ndistribution: lamp-gpu\n")
    lamp.edit(
        "recipes/frameworks/lamp/framework.yaml", "base: debian-13\n", "base: debian-13\n    distribution: lamp\n"
    )
    said = run(Wheel("lamp", "1.2.0"), write=True)
    assert said["distribution"] == "lamp"
    assert lamp.load().recipes.frameworks["lamp"].versions["1.2.0"].distribution == "lamp"


@pytest.mark.parametrize("requirement", ["lamp>=1.0.0", "lamp==1.0.1", "lamp", "lamp=1.0.0", "lamp-oil==1.0.0"])
def test_a_version_that_does_not_come_from_the_index_is_no_model(run: Bump, lamp: Tree, requirement: str) -> None:
    lamp.edit("recipes/frameworks/lamp/framework.yaml", "lamp==1.0.0", requirement)
    with pytest.raises(InputError, match="no version of Lamp is a wheel from the index"):
        run(Wheel("lamp", "1.2.0"))


def test_a_file_that_a_program_cannot_extend_refuses_no_version(run: Bump, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*_: object) -> str:
        raise InputError("a program cannot extend it", "add the version by hand")

    monkeypatch.setattr(yaml_insert, "insert_item", no)
    with pytest.raises(InputError, match="a program cannot extend it"):
        run(Wheel("lamp", "1.2.0"), Wheel("lamp", "1.1.0"))


@pytest.fixture
def proposed(run: Bump, lamp: Tree) -> proposal.Proposal:
    run(Wheel("lamp", "1.2.0"))
    matrix = lamp.load()
    framework = matrix.recipes.frameworks["lamp"]
    return proposal.propose_version(matrix, framework, "1.0.0", "1.2.0", matrix.recipes.bases["debian-13"])


@pytest.mark.parametrize(
    "file", ["matrix.yaml", "recipes/frameworks/lamp/framework.yaml", "recipes/locks/lamp-1.2.0.txt"]
)
def test_a_file_that_was_changed_meanwhile_is_not_overwritten(
    lamp: Tree, proposed: proposal.Proposal, file: str
) -> None:
    with (lamp.root / file).open("a") as grown:
        grown.write("# more\n")
    before = everything(lamp.root)
    with pytest.raises(InputError, match=f"{file} changed in the meantime; nothing was written"):
        proposed.write(lamp.root)
    assert everything(lamp.root) == before


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_when_a_file_cannot_be_written_none_is(
    lamp: Tree, proposed: proposal.Proposal, monkeypatch: pytest.MonkeyPatch, number: int, failure: BaseException
) -> None:
    before = everything(lamp.root)
    calls = iter(range(1, 100))

    def sometimes(path: Path, text: str) -> None:
        if next(calls) == number:
            raise failure
        write_whole(path, text)

    monkeypatch.setattr("armwright.bump.proposal.write_whole", sometimes)
    with pytest.raises(type(failure)):
        proposed.write(lamp.root)
    assert everything(lamp.root) == before


def test_when_what_was_written_has_a_mistake_nothing_stays_written(lamp: Tree, proposed: proposal.Proposal) -> None:
    lamp.edit("recipes/bases/debian-13.yaml", "title: Debian 13", "titel: Debian 13")  # somebody else, meanwhile
    before = everything(lamp.root)
    with pytest.raises(InputError, match="unknown key 'titel'"):
        proposed.write(lamp.root)
    assert everything(lamp.root) == before


@pytest.mark.parametrize("old", ["a\nb", "a\nb\n", None])
def test_a_diff_says_where_a_file_ends_without_a_line_feed(old: str | None) -> None:
    shown = list(proposal.Change("x", old, "a\nc\x0c\u2028d").diff())
    assert shown.count("\\ No newline at end of file") == (2 if old == "a\nb" else 1)
    assert shown[-2:] == ["+c\x0c\u2028d", "\\ No newline at end of file"]
