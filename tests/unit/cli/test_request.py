"""The command `request`: where a request comes from, what is done, and where the answer goes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from armwright.bump.proposal import Change, Proposal
from armwright.cli import request
from armwright.cli.request import RequestArguments
from armwright.matrix.matrix import Combo, Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline import build_all, inventory
from armwright.pipeline.build_combo import ComboResult
from armwright.pipeline.documents import make_json_schema
from armwright.pipeline.inventory import Inventory
from armwright.plan.plan import make_plan
from armwright.proof import evidence
from armwright.publish import destination
from armwright.request import github_client, unpublished
from armwright.request.document import RequestDocument
from armwright.system import process
from armwright.system.errors import ArmwrightError, FailedError, InputError, MachineError
from tests import proofs
from tests.github_stub import BOT, REPOSITORY, TOKEN, GitHubStub, run_github
from tests.hostile.corpus import ID, body
from tests.request_helpers import read_tree
from tests.sabotage.shelf import Shelf, plan_image
from tests.support import Tree

N1 = Selector("pytorch", target="n1", backend="acl")
NEWER = Selector("pytorch", "2.12.0", "n1", "acl")
NEW_ID = "pytorch-2.12.0-n1-acl"


class CommandOutput(NamedTuple):
    """The exit code of a run, its JSON document, and its stderr."""

    code: int
    document: Any
    err: str


Run = Callable[..., CommandOutput]


@pytest.fixture
def run(tree: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command on a machine without engine and registry."""
    for name in (*github_client.TOKENS, "GITHUB_REPOSITORY", "GITHUB_API_URL", "GITHUB_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(inventory, "take_inventory", lambda matrix: Inventory(matrix, None))
    monkeypatch.setenv(destination.VARIABLE, "127.0.0.1:1")

    def ran(**options: Any) -> CommandOutput:  # noqa: ANN401 - the command's options
        code = request.run(tree.load(), RequestArguments(**options, as_json=True))
        out, err = capsys.readouterr()
        document = json.loads(out)
        assert RequestDocument.model_validate(document).model_dump() == document
        return CommandOutput(code, document, err)

    return ran


@pytest.fixture
def newer(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """A project; the package index has a newer version of its framework."""

    def propose(matrix: Matrix, *_: object) -> Proposal:
        def change(path: str, old: str, new: str) -> Change:
            text = (matrix.root / path).read_text()
            return Change(path, text, text.replace(old, new, 1))

        lock = (matrix.root / "recipes/locks/pytorch-2.10.0.txt").read_text()
        entry = '  "2.12.0": {provider: wheel, base: debian-13, requires: [torch==2.12.0, numpy]}\n  "2.10.0":'
        return Proposal(
            "2.12.0",
            (
                Change("recipes/locks/pytorch-2.12.0.txt", None, lock.replace("torch==2.10.0", "torch==2.12.0")),
                change("recipes/frameworks/pytorch/framework.yaml", '  "2.10.0":', entry),
                change("matrix.yaml", '["2.10.0"', '["2.12.0", "2.10.0"'),
            ),
        )

    monkeypatch.setattr(unpublished, "propose_unpublished", propose)
    return tree


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHubStub]:
    with run_github() as state:
        monkeypatch.setenv("GITHUB_API_URL", state.address)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        yield state


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> dict[str, ArmwrightError]:
    """Replace the build: it prints a table, and fails for the combos that are given an error."""
    errors: dict[str, ArmwrightError] = {}

    def build(matrix: Matrix, combos: Sequence[Combo], _: object) -> list[ComboResult]:
        print("a table")  # noqa: T201 - as the tables of a proof
        (combo,) = combos
        proof = evidence.Evidence.model_validate(proofs.document(make_plan(matrix, combo)))
        error = errors.get(combo.id)
        return [ComboResult(combo, "failed" if error else "proven", proof=proof, error=error)]

    monkeypatch.setattr(build_all, "build_combos", build)
    return errors


def git(root: Path, *arguments: str) -> str:
    return process.capture(["git", "-C", str(root), *arguments])


def commit_all(root: Path) -> None:
    """Make a git repository with everything committed."""
    git(root, "init", "--quiet", "--initial-branch=main")
    for name, value in (("user.name", "Somebody"), ("user.email", "somebody@example.invalid")):
        git(root, "config", name, value)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "first")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "say what you need with --file, --issue or --framework"),
        ({"file": "a.md", "issue": "12"}, "--file and --issue are different requests"),
        ({"file": "a.md", "chosen": N1}, "--file and --framework are different requests"),
        ({"file": "a.md", "chosen": Selector(target="n1")}, "--file has the whole request"),
        ({"issue": "12", "cpu": "cpu.txt"}, "--issue has the whole request"),
        ({"chosen": Selector(target="n1")}, "say what you need"),
        ({"chosen": N1, "answer": True}, "--answer needs --issue"),
        ({"chosen": N1, "registry": "https://x.example/"}, "it begins with https://; give the host without"),
        ({"file": "nothing.md"}, "cannot read"),
        ({"issue": "twelve"}, "--issue is not the number or address of an issue"),
        ({"chosen": Selector("pytorch", target="n9")}, "--target: not an allowed value: did you mean 'n"),
        ({"chosen": Selector("pytorch", target="n*")}, "--target: not an allowed value"),
    ],
)
def test_wrong_options_are_an_input_error(run: Run, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        run(**options)
    assert message in raised.value.what
    assert raised.value.next_step or raised.value.hint


def test_options_are_answered(run: Run, tree: Tree) -> None:
    before = read_tree(tree.root)
    code, document, _ = run(chosen=N1, write=True, branch=True)
    assert (code, document["kind"], document["label"]) == (0, "buildable", "request: buildable")
    assert (document["combo"]["id"], document["combo"]["state"]) == (ID, "unknown")
    assert (document["diff"], document["written"], document["commit"], document["comment"]) == ("", False, None, None)
    assert read_tree(tree.root) == before


def test_refusal_has_exit_code_2_and_builds_nothing(run: Run, built: dict[str, ArmwrightError]) -> None:
    code, document, err = run(chosen=Selector("pytorch", "2.10.0", "generic"), build=True)
    assert (code, document["kind"], document["combo"]["nearest"]) == (2, "refused", "pytorch-2.9.1-generic-acl")
    assert built == {}
    assert "a table" not in err


def test_cpu_in_a_file_decides(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "cpu.txt"
    file.write_text("Vendor ID: ARM\nModel name: Neoverse-V1\n")
    document = run(chosen=Selector("pytorch"), cpu=str(file)).document
    assert document["combo"]["id"] == "pytorch-2.10.0-v1-acl"
    assert document["combo"]["cpu"].startswith("this is Neoverse-V1 (0x41:0xd40); target v1")


def test_malformed_file_has_exit_code_2(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "request.md"
    file.write_text(body({"target": "n9"}))
    code, document, _ = run(file=str(file))
    assert (code, document["kind"], document["combo"]) == (2, "malformed", None)
    assert document["mistakes"][0].startswith("line 9, 'Target': not an allowed value")


def test_default_output_is_the_markdown(tree: Tree, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    markdown = run(chosen=N1).document["markdown"]
    assert request.run(tree.load(), RequestArguments(chosen=N1)) == 0
    assert capsys.readouterr().out == markdown


def test_image_in_the_registry_can_be_pulled(run: Run, tree: Tree) -> None:
    plan, shelf = make_plan(tree.load(), tree.load().by_id[ID]), Shelf()
    shelf.put_image(plan_image(plan), plan.reference.partition(":")[2], plan.tag.partition(":")[2])
    with shelf.serve() as address:
        document = run(chosen=N1, registry=address).document
        other = run(chosen=Selector("pytorch", target="v1"), registry=address).document
    assert (document["kind"], document["combo"]["image"]) == ("exists", f"{address}/staging/pytorch:2.10.0-n1-acl")
    assert f"docker pull {address}/staging/pytorch:2.10.0-n1-acl" in document["markdown"]
    assert "no build of it is recorded here" in document["markdown"]
    assert (other["kind"], other["combo"]["image"]) == ("buildable", "")


def test_another_image_under_the_name_is_not_offered(run: Run, tree: Tree) -> None:
    plan, shelf = make_plan(tree.load(), tree.load().by_id[ID]), Shelf()
    shelf.put_image({"os": "linux", "architecture": "arm64"}, plan.reference.partition(":")[2])
    with shelf.serve() as address:
        document = run(chosen=N1, registry=address).document
    assert (document["kind"], document["combo"]["image"]) == ("buildable", "")
    assert "is not the image of this plan" in document["markdown"]


def test_change_is_written_only_with_write(run: Run, newer: Tree) -> None:
    before = read_tree(newer.root)
    code, document, _ = run(chosen=NEWER)
    assert (code, document["kind"], document["combo"]["id"], document["written"]) == (0, "change", NEW_ID, False)
    assert '+    pytorch: ["2.12.0", "2.10.0"' in document["diff"]
    assert read_tree(newer.root) == before
    document = run(chosen=NEWER, write=True).document
    assert (document["kind"], document["written"]) == ("change", True)
    after = read_tree(newer.root)
    assert {path for path in after if after[path] != before.get(path)} == set(document["files"])
    assert run(chosen=NEWER).document["kind"] == "buildable"


def test_change_is_committed_beside_the_work_tree(run: Run, newer: Tree) -> None:
    commit_all(newer.root)
    document = run(chosen=NEWER, branch=True).document
    assert git(newer.root, "status", "--porcelain") == ""
    assert git(newer.root, "rev-parse", f"request/{NEW_ID}").strip() == document["commit"]
    assert set(git(newer.root, "diff", "--name-only", "main", document["commit"]).split()) == set(document["files"])
    assert git(newer.root, "log", "-1", "--format=%s", document["commit"]) == "Publish pytorch 2.12.0\n"


def test_unpublished_combo_is_not_built_without_write(run: Run, newer: Tree, built: dict[str, ArmwrightError]) -> None:
    before = read_tree(newer.root)
    with pytest.raises(InputError, match="is not in the matrix yet") as raised:
        run(chosen=NEWER, build=True)
    assert raised.value.next_step.endswith("--write --build")
    assert read_tree(newer.root) == before
    code, document, _ = run(chosen=NEWER, write=True, build=True)
    assert (code, document["kind"], document["written"]) == (0, "built", True)
    assert built == {}


def test_build_output_is_not_part_of_the_answer(run: Run, built: dict[str, ArmwrightError]) -> None:
    code, document, err = run(chosen=N1, build=True)
    assert (code, document["kind"]) == (0, "built")
    assert "checks hold on Arm Neoverse N1" in document["markdown"]
    assert "a table" in err
    built[ID] = FailedError("expected 3.7.1, found 3.5")
    code, document, _ = run(chosen=N1, build=True)
    assert (code, document["kind"], document["label"]) == (1, "failed", "request: failed")
    assert "expected 3.7.1, found 3.5" in document["markdown"]


def test_machine_error_gives_no_answer(run: Run, built: dict[str, ArmwrightError], server: GitHubStub) -> None:
    issue = server.open(12, body=body({}))
    built[ID] = MachineError("the disk is full")
    with pytest.raises(MachineError, match="the disk is full"):
        run(issue="12", build=True, answer=True)
    assert (issue.comments, issue.labels) == ([], [])


def test_issue_gets_one_comment_that_is_edited(run: Run, server: GitHubStub) -> None:
    issue = server.open(12, body=body({}).replace("\n", "\r\n"), labels=["request"])
    code, document, err = run(issue=f"https://github.com/{REPOSITORY}/issues/12", answer=True)
    assert (code, document["kind"], document["combo"]["id"]) == (0, "buildable", ID)
    assert [(comment.author, comment.body) for comment in issue.comments] == [(BOT, document["markdown"])]
    assert issue.labels == ["request", "request: buildable"]
    assert f"answered: {document['comment']}" in err
    issue.body = body({"target": "@everybody"})
    code, document, _ = run(issue="12", answer=True)
    assert (code, document["kind"]) == (2, "malformed")
    assert [comment.body for comment in issue.comments] == [document["markdown"]]
    assert issue.labels == ["request", "request: malformed"]


def test_branch_is_named_after_the_issue(run: Run, newer: Tree, server: GitHubStub) -> None:
    git(newer.root, "init", "--quiet")
    git(
        newer.root,
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@example.invalid",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "x",
    )
    server.open(12, body=body({"version": "2.12.0"}))
    with pytest.raises(InputError):  # the commit does not have the files that change
        run(issue="12", branch=True)
    git(newer.root, "add", "--all")
    for name, value in (("user.name", "Somebody"), ("user.email", "somebody@example.invalid")):
        git(newer.root, "config", name, value)
    git(newer.root, "commit", "--quiet", "--message", "first")
    document = run(issue="12", branch=True).document
    assert git(newer.root, "log", "-1", "--format=%B", "request/12").split("\n")[2] == "Requested in #12."
    assert "invoke request --issue 12 --write\n" in document["markdown"]


def test_issue_without_a_token_is_read_but_not_answered(
    run: Run, server: GitHubStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    server.open(12, body=body({}))
    assert run(issue="12").document["kind"] == "buildable"
    with pytest.raises(InputError, match="posting an answer needs a token"):
        run(issue="12", answer=True)


@pytest.mark.parametrize(("state", "options"), [({"state": "closed"}, {"answer": True}), ({"pull_request": True}, {})])
def test_closed_issue_or_pull_request_is_not_decided(
    run: Run, server: GitHubStub, state: dict[str, Any], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "take_inventory", lambda _: pytest.fail("the request was decided"))
    server.open(12, body=body({}), **state)
    with pytest.raises(InputError):
        run(issue="12", **options)


def test_schema_describes_every_field() -> None:
    made = make_json_schema(RequestDocument)
    known = {"Answered": made, **made["$defs"]}
    for schema in known.values():
        assert set(schema["required"]) == set(schema["properties"])
        assert all(entry.get("description") for entry in schema["properties"].values())


def test_command_line_reaches_the_command(tmp_path: Path) -> None:
    file = tmp_path / "request.md"
    file.write_text(body({}))
    arguments = ["request", "--file", str(file), "--registry", "127.0.0.1:1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "armwright.cli.program", *arguments],
        capture_output=True, text=True, check=False, timeout=60,
        env={"PATH": "/usr/bin:/bin", "DOCKER_HOST": "unix:///nonexistent", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["combo"]["id"] == ID
