"""`bump` prints verdicts, proposes a diff, and writes exactly that diff or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from armwright.bump import proposal, yaml_insert
from armwright.cli import bump
from armwright.fetch import index_pages, package_index, resolve
from armwright.fetch.index_pages import IndexFile
from armwright.fetch.package_index import PackageIndex, WheelMetadata
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


class FakeIndex(PackageIndex):
    """An index with the wheels of a test; each returns its own metadata."""

    wheels: tuple[Wheel, ...] = ()

    def files(self, distribution: str) -> list[IndexFile]:
        files = index_pages.parse_page(
            json.dumps(page(self.wheels)).encode(), "application/json", "https://a.example/", distribution
        )
        return files if distribution == "lamp" else []

    def metadata(self, file: IndexFile) -> WheelMetadata:
        (wheel,) = (wheel for wheel in self.wheels if wheel.file == file.name)
        return WheelMetadata(tuple(map(Requirement, wheel.requires)), wheel.requires_python)


Bump = Callable[..., Any]
Refusals = dict[str, ArmwrightError]


@pytest.fixture
def run(lamp: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bump:
    """Return a function that runs bump with some wheels; a fake resolver writes a short lock or refuses a version."""

    def bumped(*wheels: Wheel, refused: Refusals | None = None, framework: str = "lamp", **options: Any) -> Any:  # noqa: ANN401
        index = FakeIndex(())
        object.__setattr__(index, "wheels", wheels)
        monkeypatch.setattr(package_index, "find_package_index", lambda: index)

        def make(root: Path, recipe: Framework, version: str, base: Base) -> None:
            assert root != lamp.root
            assert base.name == "debian-13"
            if refused and version in refused:
                raise refused[version]
            names = [requirement.replace("wick", "wick==0.5") for requirement in recipe.versions[version].requires]
            locks.wheel_lock_path(root, recipe.name, version).write_text(
                "".join(f"{name} \\\n{HASH}\n" for name in names)
            )

        monkeypatch.setattr(resolve, "resolve_wheels", make)
        bump.run(lamp.load(), framework, as_json=True, **options)
        return json.loads(capsys.readouterr().out)

    return bumped


def read_all(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_newest_acceptable_version_is_proposed(run: Bump, lamp: Tree) -> None:
    before = read_all(lamp.root)
    result = run(
        Wheel("lamp", "0.9.0"), Wheel("lamp", "1.0.0"), Wheel("lamp", "1.1.0"), Wheel("lamp", "1.2.0"),
        Wheel("lamp", "1.10.0", requires=("triton",)), Wheel("lamp", "2.0.0rc1"),
    )  # fmt: skip
    fits = "a wheel for AArch64 and Python 3.13 with a hash, without CUDA"
    assert [(row["version"], row["verdict"], row["reason"]) for row in result["versions"]] == [
        ("2.0.0rc1", "refused", "a pre-release"),
        ("1.10.0", "refused", "a CUDA build: it requires triton"),
        ("1.2.0", "ok", f"{fits}; its lock resolves"),
        ("1.1.0", "ok", f"{fits}; not locked, because a newer one is proposed"),
    ]
    assert (result["framework"], result["distribution"], result["newest"]) == ("lamp", "lamp", "1.0.0")
    assert (result["base"], result["proposed"], result["written"]) == ("debian-13", "1.2.0", False)
    assert read_all(lamp.root) == before


def test_diff_has_the_lock_the_recipe_entry_and_the_version(run: Bump, lamp: Tree) -> None:
    result = run(Wheel("lamp", "1.2.0"))
    added = [line[1:] for line in result["diff"].splitlines() if line.startswith("+") and not line.startswith("+++")]
    removed = [line[1:] for line in result["diff"].splitlines() if line.startswith("-") and not line.startswith("---")]
    files = [line for line in result["diff"].splitlines() if line.startswith(("---", "+++"))]
    assert [line.split("\t")[0] for line in files] == [
        "--- /dev/null", "+++ b/recipes/locks/lamp-1.2.0.txt",
        "--- a/recipes/frameworks/lamp/framework.yaml", "+++ b/recipes/frameworks/lamp/framework.yaml",
        "--- a/matrix.yaml", "+++ b/matrix.yaml",
    ]  # fmt: skip
    listed = '    lamp: ["1.2.0", "1.0.0"] # as bright as it gets'
    assert added == ["lamp==1.2.0 \\", HASH, "wick==0.5 \\", HASH, *ENTRY.splitlines(), listed]
    assert removed == [LISTED.removesuffix("\n")]
    assert not locks.wheel_lock_path(lamp.root, "lamp", "1.2.0").exists()


def test_written_changes_equal_the_diff(run: Bump, lamp: Tree) -> None:
    before = read_all(lamp.root)
    shown = run(Wheel("lamp", "1.2.0"))
    result = run(Wheel("lamp", "1.2.0"), write=True)
    assert {**result, "written": False} == shown
    assert result["written"]
    after = read_all(lamp.root)
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
    assert release.libraries == {}  # its proof has not confirmed them yet
    assert lamp.load().versions("lamp") == ["1.2.0", "1.0.0"]


def test_written_version_is_published(run: Bump) -> None:
    run(Wheel("lamp", "1.2.0"), write=True)
    result = run(Wheel("lamp", "1.2.0"))
    assert (result["newest"], result["versions"], result["proposed"], result["diff"]) == ("1.2.0", [], None, "")


def test_block_list_gets_a_new_line(run: Bump, lamp: Tree) -> None:
    lamp.edit("matrix.yaml", LISTED, '    lamp: # bright\n      - "1.0.0" # the first\n')
    run(Wheel("lamp", "1.2.0"), write=True)
    assert (
        '    lamp: # bright\n      - "1.2.0"\n      - "1.0.0" # the first\n' in (lamp.root / "matrix.yaml").read_text()
    )


def test_alias_of_a_framework_is_accepted(run: Bump) -> None:
    assert run(Wheel("lamp", "1.2.0"), framework="Lantern")["framework"] == "lamp"


def test_unknown_framework_suggests_the_nearest(run: Bump) -> None:
    with pytest.raises(InputError, match="the framework 'lamb' is not known: did you mean 'lamp'") as refused:
        run(framework="lamb")
    assert refused.value.code == 2


def test_only_the_requested_version_is_checked(run: Bump) -> None:
    result = run(Wheel("lamp", "1.1.0"), Wheel("lamp", "1.2.0"), version="1.1.0")
    assert ([row["version"] for row in result["versions"]], result["proposed"]) == (["1.1.0"], "1.1.0")


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("1.0.0", "Lamp 1.0.0 is published; bump proposes newer ones only"),
        ("0.9.0", "Lamp 1.0.0 is published; bump proposes newer ones only"),
        ("newest", "--version 'newest' is not a version"),
        ("1.1.1", "the package index has no lamp 1.1.1: did you mean '1.1.0'"),
        ("1.3.0", "Lamp 1.3.0 is refused: a CUDA build: it requires triton"),
        ("1.4.0", "Lamp 1.4.0 is refused: its lock: triton is a CUDA distribution"),
    ],
)
def test_unacceptable_version_is_an_input_error(run: Bump, version: str, message: str) -> None:
    wheels = Wheel("lamp", "1.0.0"), Wheel("lamp", "1.1.0"), Wheel("lamp", "1.3.0", requires=("triton",))
    refused = {"1.4.0": InputError("the lock has mistakes:\n  triton is a CUDA distribution")}
    with pytest.raises(InputError) as error:
        run(*wheels, Wheel("lamp", "1.4.0"), refused=refused, version=version, write=True)
    assert message in error.value.what
    assert error.value.next_step


UNSOLVED = (
    "'uv pip compile' exited with 1:\n  | error: No solution found\n"
    "  |   cause: lamp needs wax, see https://a.example/wax"
)


def test_refused_lock_falls_back_to_the_next_older_version(run: Bump, lamp: Tree) -> None:
    wheels = [Wheel("lamp", version) for version in ("1.4.0", "1.3.0", "1.2.0")]
    cuda = InputError("the lock has mistakes:\n  recipes/locks/lamp-1.4.0.txt:7: triton is a CUDA distribution")
    result = run(*wheels, refused={"1.4.0": cuda, "1.3.0": FailedError(UNSOLVED)}, write=True)
    assert [(row["version"], row["reason"]) for row in result["versions"]][:2] == [
        ("1.4.0", "its lock: recipes/locks/lamp-1.4.0.txt:7: triton is a CUDA distribution"),
        ("1.3.0", "its lock: No solution found lamp needs wax, see (an address)"),
    ]
    assert result["proposed"] == "1.2.0"
    assert lamp.load().versions("lamp") == ["1.2.0", "1.0.0"]


def test_nothing_is_proposed_if_every_lock_is_refused(run: Bump, lamp: Tree) -> None:
    before = read_all(lamp.root)
    result = run(Wheel("lamp", "1.2.0"), refused={"1.2.0": FailedError("it did not finish")}, write=True)
    assert (result["proposed"], result["written"], result["diff"]) == (None, False, "")
    assert result["versions"][0]["reason"] == "its lock: it did not finish"
    assert read_all(lamp.root) == before


@pytest.mark.parametrize("message", ["cause: error sending request for url (x)", "HTTP status server error (503)"])
def test_unreachable_index_is_a_machine_error(run: Bump, message: str) -> None:
    failure = FailedError(f"'uv pip compile' exited with 2:\n  | {message} https://a.example/simple")
    with pytest.raises(MachineError, match="the resolver cannot reach the package index") as failed:
        run(Wheel("lamp", "1.2.0"), refused={"1.2.0": failure})
    assert "example" not in failed.value.what


def test_unpublished_version_in_the_recipe_is_refused(run: Bump, lamp: Tree) -> None:
    lamp.edit("recipes/frameworks/lamp/framework.yaml", "  # the first one\n", f"{ENTRY}  # the first one\n")
    result = run(Wheel("lamp", "1.2.0"), Wheel("lamp", "1.1.0"))
    assert result["versions"][0]["reason"] == "it is in the recipe, but not published"
    assert (result["newest"], result["proposed"]) == ("1.0.0", "1.1.0")


COMPAT = """\
  "9.x-compat":
    provider: wheel
    base: debian-13
    title: Lamp as it was
    upstream: "1.0.0"
    distribution: lamp-old
    requires: [lamp-old==1.0.0]
"""


def test_named_version_is_not_a_model(run: Bump, lamp: Tree) -> None:
    lamp.edit("recipes/frameworks/lamp/framework.yaml", "  # the first one\n", f"{COMPAT}  # the first one\n")
    lamp.edit("matrix.yaml", 'lamp: ["1.0.0"]', 'lamp: ["9.x-compat", "1.0.0"]')
    result = run(Wheel("lamp", "1.2.0"), write=True)
    assert (result["distribution"], result["newest"], result["proposed"]) == ("lamp", "1.0.0", "1.2.0")
    assert lamp.load().axes.frameworks["lamp"] == ["1.2.0", "9.x-compat", "1.0.0"]


def test_distribution_is_that_of_the_newest_version(run: Bump, lamp: Tree) -> None:
    lamp.edit("recipes/frameworks/lamp/framework.yaml", "\ndistribution: lamp\n", "\ndistribution: lamp-gpu\n")
    lamp.edit(
        "recipes/frameworks/lamp/framework.yaml", "base: debian-13\n", "base: debian-13\n    distribution: lamp\n"
    )
    result = run(Wheel("lamp", "1.2.0"), write=True)
    assert result["distribution"] == "lamp"
    assert lamp.load().recipes.frameworks["lamp"].versions["1.2.0"].distribution == "lamp"


@pytest.mark.parametrize("requirement", ["lamp>=1.0.0", "lamp==1.0.1", "lamp", "lamp=1.0.0", "lamp-oil==1.0.0"])
def test_version_without_a_pin_is_not_a_model(run: Bump, lamp: Tree, requirement: str) -> None:
    lamp.edit("recipes/frameworks/lamp/framework.yaml", "lamp==1.0.0", requirement)
    with pytest.raises(InputError, match="no version of Lamp is a wheel from the index"):
        run(Wheel("lamp", "1.2.0"))


def test_unsupported_file_is_an_error_not_a_refusal(run: Bump, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise InputError("this program cannot extend it", hint="add the version manually")

    monkeypatch.setattr(yaml_insert, "insert_item", refuse)
    with pytest.raises(InputError, match="this program cannot extend it"):
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
def test_file_that_changed_in_the_meantime_is_kept(lamp: Tree, proposed: proposal.Proposal, file: str) -> None:
    with (lamp.root / file).open("a") as stream:
        stream.write("# more\n")
    before = read_all(lamp.root)
    with pytest.raises(InputError, match=f"{file} changed in the meantime; nothing was written"):
        proposed.write(lamp.root)
    assert read_all(lamp.root) == before


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failed_write_restores_all_files(
    lamp: Tree, proposed: proposal.Proposal, monkeypatch: pytest.MonkeyPatch, number: int, failure: BaseException
) -> None:
    before = read_all(lamp.root)
    calls = iter(range(1, 100))

    def fail_once(path: Path, text: str) -> None:
        if next(calls) == number:
            raise failure
        write_whole(path, text)

    monkeypatch.setattr("armwright.bump.proposal.write_whole", fail_once)
    with pytest.raises(type(failure)):
        proposed.write(lamp.root)
    assert read_all(lamp.root) == before


def test_mistake_after_writing_restores_all_files(lamp: Tree, proposed: proposal.Proposal) -> None:
    lamp.edit("recipes/bases/debian-13.yaml", "title: Debian 13", "titel: Debian 13")  # an edit in the meantime
    before = read_all(lamp.root)
    with pytest.raises(InputError, match="unknown key 'titel'"):
        proposed.write(lamp.root)
    assert read_all(lamp.root) == before


@pytest.mark.parametrize("old", ["a\nb", "a\nb\n", None])
def test_diff_marks_a_missing_final_line_feed(old: str | None) -> None:
    lines = list(proposal.Change("x", old, "a\nc\x0c\u2028d").diff())
    assert lines.count("\\ No newline at end of file") == (2 if old == "a\nb" else 1)
    assert lines[-2:] == ["+c\x0c\u2028d", "\\ No newline at end of file"]
