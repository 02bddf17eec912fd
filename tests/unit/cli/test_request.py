"""The command `request`: where a request comes from, what is done about it, and where the answer goes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
from armwright.pipeline.documents import json_schema
from armwright.pipeline.inventory import Inventory
from armwright.plan import plan as plans
from armwright.proof import evidence
from armwright.publish import stage
from armwright.request import github_client, unpublished
from armwright.request.document import Answered
from armwright.system import process
from armwright.system.errors import ArmwrightError, FailedError, InputError, MachineError
from tests import proofs
from tests.asking import everything
from tests.hostile.corpus import ID, body
from tests.hub import BOT, REPOSITORY, TOKEN, GitHub, serving
from tests.support import Tree

N1 = Selector("pytorch", target="n1", backend="acl")
NEWER = Selector("pytorch", "2.12.0", "n1", "acl")
NEW_ID = "pytorch-2.12.0-n1-acl"


class Said(NamedTuple):
    """What a run came to: its exit code, its document, and what it said to people."""

    code: int
    document: Any
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(tree: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command where no engine answers, and no registry does."""
    for name in (*github_client.TOKENS, "GITHUB_REPOSITORY", "GITHUB_API_URL", "GITHUB_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(inventory, "take_inventory", lambda matrix: Inventory(matrix, None))
    monkeypatch.setattr(stage, "LOCAL", "127.0.0.1:1")

    def ran(**options: Any) -> Said:  # noqa: ANN401 - the command's options
        code = request.run(tree.load(), RequestArguments(**options, as_json=True))
        out, err = capsys.readouterr()
        document = json.loads(out)
        assert Answered.model_validate(document).model_dump() == document
        return Said(code, document, err)

    return ran


@pytest.fixture
def newer(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """A project for whose framework the package index has a newer version."""

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
                change("recipes/frameworks/pytorch.yaml", '  "2.10.0":', entry),
                change("matrix.yaml", '["2.10.0"', '["2.12.0", "2.10.0"'),
            ),
        )

    monkeypatch.setattr(unpublished, "propose_unpublished", propose)
    return tree


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    with serving() as state:
        monkeypatch.setenv("GITHUB_API_URL", state.address)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        yield state


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> dict[str, ArmwrightError]:
    """A machine that builds everything but what a test gives a problem; what it prints is no part of an answer."""
    problems: dict[str, ArmwrightError] = {}

    def build(matrix: Matrix, combos: Sequence[Combo], _: object) -> list[ComboResult]:
        print("a table")  # noqa: T201 - as a proof's tables are
        (combo,) = combos
        proof = evidence.Evidence.model_validate(proofs.document(plans.make_plan(matrix, combo)))
        problem = problems.get(combo.id)
        return [ComboResult(combo, "failed" if problem else "proven", proof=proof, problem=problem)]

    monkeypatch.setattr(build_all, "build_combos", build)
    return problems


def git(root: Path, *words: str) -> str:
    return process.capture(["git", "-C", str(root), *words])


def keep(root: Path) -> None:
    """Commit everything in a repository of its own."""
    git(root, "init", "--quiet", "--initial-branch=main")
    for name, value in (("user.name", "Somebody"), ("user.email", "somebody@example.invalid")):
        git(root, "config", name, value)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "first")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "nothing is asked for"),
        ({"file": "a.md", "issue": "12"}, "--file and --issue are several requests"),
        ({"file": "a.md", "chosen": N1}, "--file and --framework are several requests"),
        ({"file": "a.md", "chosen": Selector(target="n1")}, "--file holds the whole request"),
        ({"issue": "12", "cpu": "cpu.txt"}, "--issue holds the whole request"),
        ({"chosen": Selector(target="n1")}, "nothing is asked for"),
        ({"chosen": N1, "answer": True}, "--answer writes into an issue"),
        ({"chosen": N1, "registry": "https://x.example/"}, "is not the host and port of a registry"),
        ({"file": "nothing.md"}, "cannot be read"),
        ({"issue": "twelve"}, "--issue is no issue's number or address"),
        ({"chosen": Selector("pytorch", target="n9")}, "--target: it is none of the values: did you mean 'n"),
        ({"chosen": Selector("pytorch", target="n*")}, "--target: it is none of the values"),
    ],
)
def test_wrong_options_are_wrong_input_and_nothing_is_started(run: Run, options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as wrong:
        run(**options)
    assert told in wrong.value.what
    assert wrong.value.next_step


def test_options_are_answered(run: Run, tree: Tree) -> None:
    before = everything(tree.root)
    code, said, _ = run(chosen=N1, write=True, branch=True)
    assert (code, said["kind"], said["label"]) == (0, "buildable", "request: buildable")
    assert (said["combo"]["id"], said["combo"]["state"]) == (ID, "unknown")
    assert (said["diff"], said["written"], said["commit"], said["comment"]) == ("", False, None, None)
    assert everything(tree.root) == before


def test_a_refusal_is_exit_code_2_and_builds_nothing(run: Run, built: dict[str, ArmwrightError]) -> None:
    code, said, err = run(chosen=Selector("pytorch", "2.10.0", "generic"), build=True)
    assert (code, said["kind"], said["combo"]["nearest"]) == (2, "refused", "pytorch-2.9.1-generic-acl")
    assert built == {}
    assert "a table" not in err


def test_a_cpu_in_a_file_decides(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "cpu.txt"
    file.write_text("Vendor ID: ARM\nModel name: Neoverse-V1\n")
    said = run(chosen=Selector("pytorch"), cpu=str(file)).document
    assert said["combo"]["id"] == "pytorch-2.10.0-v1-acl"
    assert said["combo"]["cpu"].startswith("it is Neoverse-V1 (0x41:0xd40), for which v1")


def test_a_file_that_cannot_be_understood_is_answered_with_exit_code_2(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "request.md"
    file.write_text(body({"target": "n9"}))
    code, said, _ = run(file=str(file))
    assert (code, said["kind"], said["combo"]) == (2, "malformed", None)
    assert said["mistakes"][0].startswith("line 9, 'Target': it is none of the values")


def test_without_json_the_answer_is_markdown_and_nothing_else(
    tree: Tree, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    markdown = run(chosen=N1).document["markdown"]
    assert request.run(tree.load(), RequestArguments(chosen=N1)) == 0
    assert capsys.readouterr().out == markdown


def test_a_registry_that_has_the_image_has_it_ready_to_pull(run: Run, tree: Tree) -> None:
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(200 if "n1-acl" in self.path else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as registry:
        threading.Thread(target=registry.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{registry.server_port}"
        said = run(chosen=N1, registry=address).document
        other = run(chosen=Selector("pytorch", target="v1"), registry=address).document
        registry.shutdown()
    reference = plans.make_plan(tree.load(), tree.load().by_id[ID]).reference
    assert asked[0] == f"/v2/staging/pytorch/manifests/{reference.partition(':')[2]}"
    assert (said["kind"], said["combo"]["image"]) == ("exists", f"{address}/staging/pytorch:2.10.0-n1-acl")
    assert f"docker pull {address}/staging/pytorch:2.10.0-n1-acl" in said["markdown"]
    assert (other["kind"], other["combo"]["image"]) == ("buildable", "")


def test_a_change_is_shown_and_written_only_when_asked_for(run: Run, newer: Tree) -> None:
    before = everything(newer.root)
    code, said, _ = run(chosen=NEWER)
    assert (code, said["kind"], said["combo"]["id"], said["written"]) == (0, "change", NEW_ID, False)
    assert '+    pytorch: ["2.12.0", "2.10.0"' in said["diff"]
    assert everything(newer.root) == before
    said = run(chosen=NEWER, write=True).document
    assert (said["kind"], said["written"]) == ("change", True)
    after = everything(newer.root)
    assert {path for path in after if after[path] != before.get(path)} == set(said["files"])
    assert run(chosen=NEWER).document["kind"] == "buildable"


def test_a_change_is_committed_on_a_branch_and_the_work_tree_stays(run: Run, newer: Tree) -> None:
    keep(newer.root)
    said = run(chosen=NEWER, branch=True).document
    assert git(newer.root, "status", "--porcelain") == ""
    assert git(newer.root, "rev-parse", f"request/{NEW_ID}").strip() == said["commit"]
    assert set(git(newer.root, "diff", "--name-only", "main", said["commit"]).split()) == set(said["files"])
    assert git(newer.root, "log", "-1", "--format=%s", said["commit"]) == "Publish pytorch 2.12.0\n"


def test_what_is_not_in_the_matrix_is_not_built_before_it_is_written(
    run: Run, newer: Tree, built: dict[str, ArmwrightError]
) -> None:
    before = everything(newer.root)
    with pytest.raises(InputError, match="is not in the matrix yet") as wrong:
        run(chosen=NEWER, build=True)
    assert wrong.value.next_step.endswith("--write --build")
    assert everything(newer.root) == before
    code, said, _ = run(chosen=NEWER, write=True, build=True)
    assert (code, said["kind"], said["written"]) == (0, "built", True)
    assert built == {}


def test_a_build_is_told_with_its_proof_and_its_tables_are_no_part_of_the_answer(
    run: Run, built: dict[str, ArmwrightError]
) -> None:
    code, said, err = run(chosen=N1, build=True)
    assert (code, said["kind"]) == (0, "built")
    assert "checks hold on Arm Neoverse N1" in said["markdown"]
    assert "a table" in err
    built[ID] = FailedError("expected 3.7.1, found 3.5")
    code, said, _ = run(chosen=N1, build=True)
    assert (code, said["kind"], said["label"]) == (1, "failed", "request: failed")
    assert "expected 3.7.1, found 3.5" in said["markdown"]


def test_a_machine_that_cannot_build_says_nothing_about_the_combo(
    run: Run, built: dict[str, ArmwrightError], server: GitHub
) -> None:
    ticket = server.open(12, body=body({}))
    built[ID] = MachineError("the disk is full")
    with pytest.raises(MachineError, match="the disk is full"):
        run(issue="12", build=True, answer=True)
    assert (ticket.comments, ticket.labels) == ([], [])


def test_an_issue_is_read_and_answered_once_whatever_becomes_of_it(run: Run, server: GitHub) -> None:
    ticket = server.open(12, body=body({}).replace("\n", "\r\n"), labels=["request"])
    code, said, err = run(issue=f"https://github.com/{REPOSITORY}/issues/12", answer=True)
    assert (code, said["kind"], said["combo"]["id"]) == (0, "buildable", ID)
    assert [(one.author, one.body) for one in ticket.comments] == [(BOT, said["markdown"])]
    assert ticket.labels == ["request", "request: buildable"]
    assert f"answered: {said['comment']}" in err
    ticket.body = body({"target": "@everybody"})
    code, said, _ = run(issue="12", answer=True)
    assert (code, said["kind"]) == (2, "malformed")
    assert [one.body for one in ticket.comments] == [said["markdown"]]
    assert ticket.labels == ["request", "request: malformed"]


def test_an_issue_names_the_branch_of_its_change(run: Run, newer: Tree, server: GitHub) -> None:
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
    with pytest.raises(InputError):  # what changes is not in that commit
        run(issue="12", branch=True)
    git(newer.root, "add", "--all")
    for name, value in (("user.name", "Somebody"), ("user.email", "somebody@example.invalid")):
        git(newer.root, "config", name, value)
    git(newer.root, "commit", "--quiet", "--message", "first")
    said = run(issue="12", branch=True).document
    assert git(newer.root, "log", "-1", "--format=%B", "request/12").split("\n")[2] == "Asked for in #12."
    assert "invoke request --issue 12 --write\n" in said["markdown"]


def test_an_issue_is_read_without_a_token_and_not_answered(
    run: Run, server: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    server.open(12, body=body({}))
    assert run(issue="12").document["kind"] == "buildable"
    with pytest.raises(InputError, match="an answer needs a token"):
        run(issue="12", answer=True)


@pytest.mark.parametrize(("state", "options"), [({"state": "closed"}, {"answer": True}), ({"pull_request": True}, {})])
def test_what_nobody_waits_for_is_not_even_decided(
    run: Run, server: GitHub, state: dict[str, Any], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "take_inventory", lambda _: pytest.fail("it was decided"))
    server.open(12, body=body({}), **state)
    with pytest.raises(InputError):
        run(issue="12", **options)


def test_the_schema_describes_every_field_of_the_document() -> None:
    made = json_schema(Answered)
    known = {"Answered": made, **made["$defs"]}
    for one in known.values():
        assert set(one["required"]) == set(one["properties"])
        assert all(entry.get("description") for entry in one["properties"].values())


def test_the_words_of_the_command_line_reach_the_command(tmp_path: Path) -> None:
    file = tmp_path / "request.md"
    file.write_text(body({}))
    words = ["request", "--file", str(file), "--registry", "127.0.0.1:1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "invoke", *words], capture_output=True, text=True, check=False, timeout=60,
        env={"PATH": "/usr/bin:/bin", "DOCKER_HOST": "unix:///nonexistent", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["combo"]["id"] == ID
