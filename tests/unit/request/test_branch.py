"""A branch for a pull request, made by a real git; everything else in the repository stays unchanged."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from armwright.bump.proposal import Change
from armwright.request import branch
from armwright.system import process
from armwright.system.errors import FailedError, InputError

NAME = "request/12"
MATRIX = "axes:\n  targets: [n1]  # a comment\n"
GROWN = "axes:\n  targets: [n1, v1]  # a comment\n"
LOCK = "torch==2.11.0\n"
CHANGES = (Change("recipes/locks/torch.txt", None, LOCK), Change("matrix.yaml", MATRIX, GROWN))


class Repository:
    """A small project under git."""

    def __init__(self, top: Path, within: str = "") -> None:
        self.top = top
        self.root = top / within

    def fill(self) -> None:
        """Make the repository with one commit."""
        self.root.mkdir(parents=True)
        self.git("init", "--quiet", "--template=", "--initial-branch=main", str(self.top))
        with (self.top / ".git" / "config").open("a") as config:
            config.write("[user]\nname = Ada\nemail = ada@example.com\n")
        (self.root / "matrix.yaml").write_text(MATRIX)
        (self.root / "inv").write_text("#!/bin/sh\n")
        (self.root / "inv").chmod(0o755)
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "first")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            [process.require_program("git"), *arguments], cwd=self.root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def state(self) -> tuple[str, ...]:
        """Everything that a user of the repository sees, except the branch."""
        files = sorted(
            f"{path}: {path.read_bytes()!r}"
            for path in self.top.rglob("*")
            if path.is_file() and ".git" not in path.parts
        )
        return (
            self.git("status", "--porcelain=v2", "--branch"),
            self.git("diff"),
            self.git("diff", "--cached"),
            *files,
        )

    def changed(self, name: str = NAME) -> str:
        return self.git("diff-tree", "-r", "--name-status", "--no-commit-id", name)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that each test gets a copy of."""
    repository = Repository(tmp_path_factory.mktemp("git") / "project")
    repository.fill()
    return repository.top


@pytest.fixture
def project(filled: Path, tmp_path: Path) -> Repository:
    shutil.copytree(filled, tmp_path / "project")
    return Repository(tmp_path / "project")


def test_branch_has_one_commit_with_the_changed_files(project: Repository) -> None:
    made = branch.commit_to_branch(project.root, NAME, CHANGES, "Publish 2.11.0\n\nRequested in #12.")
    assert made == project.git("rev-parse", NAME)
    assert project.git("rev-parse", f"{NAME}^") == project.git("rev-parse", "main")
    assert project.changed() == "M\tmatrix.yaml\nA\trecipes/locks/torch.txt"
    assert project.git("show", f"{NAME}:matrix.yaml") + "\n" == GROWN
    assert (
        project.git("log", "-1", "--format=%an <%ae>|%B", NAME)
        == "Ada <ada@example.com>|Publish 2.11.0\n\nRequested in #12."
    )


def test_work_tree_index_and_head_stay_unchanged(project: Repository) -> None:
    (project.root / "notes.txt").write_text("mine\n")
    (project.root / "inv").write_text("#!/bin/sh\n# changed\n")
    (project.root / "staged.txt").write_text("staged\n")
    project.git("add", "staged.txt")
    (project.root / ".git" / "hooks").mkdir()
    (project.root / ".git" / "hooks" / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (project.root / ".git" / "hooks" / "pre-commit").chmod(0o755)
    before = project.state()
    branch.commit_to_branch(project.root, NAME, CHANGES, "x")
    assert project.state() == before
    assert project.changed() == "M\tmatrix.yaml\nA\trecipes/locks/torch.txt"


def test_written_changes_give_the_same_branch(project: Repository) -> None:
    (project.root / "matrix.yaml").write_text(GROWN)
    branch.commit_to_branch(project.root, NAME, CHANGES, "x")
    assert project.git("show", f"{NAME}:matrix.yaml") + "\n" == GROWN


def test_same_changes_keep_the_branch(project: Repository) -> None:
    made = branch.commit_to_branch(project.root, NAME, CHANGES, "x")
    assert branch.commit_to_branch(project.root, NAME, CHANGES, "x") == made
    (project.root / "other").write_text("")
    project.git("add", "other")
    project.git("commit", "--quiet", "--message", "second")
    assert branch.commit_to_branch(project.root, NAME, CHANGES, "another message") == made


def test_branch_with_other_changes_is_kept(project: Repository) -> None:
    made = branch.commit_to_branch(project.root, NAME, CHANGES, "x")
    other = (Change("matrix.yaml", MATRIX, f"{GROWN}# more\n"),)
    with pytest.raises(InputError, match="the branch request/12 already exists, with other changes") as refused:
        branch.commit_to_branch(project.root, NAME, other, "x")
    assert "git branch -D request/12" in refused.value.next_step
    with pytest.raises(InputError, match="already exists"):
        branch.commit_to_branch(project.root, NAME, CHANGES[:1], "x")
    project.git("branch", "request/13")
    with pytest.raises(InputError, match="already exists"):
        branch.commit_to_branch(project.root, "request/13", CHANGES, "x")
    assert project.git("rev-parse", NAME) == made


@pytest.mark.parametrize(
    "change",
    [
        Change("matrix.yaml", f"{MATRIX}# an uncommitted edit\n", GROWN),
        Change("matrix.yaml", None, GROWN),
        Change("recipes/new.yaml", "it is not there", "x"),
    ],
)
def test_uncommitted_edit_is_refused(project: Repository, change: Change) -> None:
    with pytest.raises(InputError, match="differs from the last commit"):
        branch.commit_to_branch(project.root, NAME, (change,), "x")
    assert project.git("branch", "--list", NAME) == ""


def test_modes_and_bytes_are_kept(project: Repository) -> None:
    project.git("config", "core.autocrlf", "true")
    changes = (Change("inv", "#!/bin/sh\n", "#!/bin/sh\r\nexit\n"), Change("n\u00f6w [*].txt", None, "\u00e9"))
    branch.commit_to_branch(project.root, NAME, changes, "x")
    assert project.git("ls-tree", NAME, "inv").startswith("100755 ")
    raw = subprocess.run(
        [process.require_program("git"), "show", f"{NAME}:inv"], cwd=project.root, check=True, capture_output=True
    )
    assert raw.stdout == b"#!/bin/sh\r\nexit\n"
    assert project.git("show", f"{NAME}:n\u00f6w [*].txt") == "\u00e9"


def test_project_in_a_subfolder_stays_there(tmp_path: Path) -> None:
    project = Repository(tmp_path / "large", "tools/armwright")
    project.fill()
    branch.commit_to_branch(project.root, NAME, CHANGES, "x")
    assert project.changed() == "M\ttools/armwright/matrix.yaml\nA\ttools/armwright/recipes/locks/torch.txt"


@pytest.mark.parametrize(
    "name",
    ["main", "request/", "request/../main", "request/a..b", "request/-x", "request/a.lock", "request/a b", "request/A",
     "request/a\n", "request/a/b", "--force", "request/a~1", "request/a@{0}", "request/\u0661"],
)  # fmt: skip
def test_invalid_branch_name_is_refused(project: Repository, name: str) -> None:
    with pytest.raises(InputError, match="is not a valid name for a request branch"):
        branch.commit_to_branch(project.root, name, CHANGES, "x")


def test_combo_id_is_a_branch_name(project: Repository) -> None:
    assert branch.commit_to_branch(project.root, "request/tensorflow-1.x-compat-n1-acl", CHANGES, "x")


def test_path_outside_the_repository_fails(project: Repository) -> None:
    for path in ("../outside", ".git/config", "/etc/passwd"):
        with pytest.raises(FailedError):
            branch.commit_to_branch(project.root, NAME, (Change(path, None, "x"),), "x")
    assert project.git("branch", "--list", NAME) == ""


def test_missing_repository_or_committer_is_explained(
    project: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "bare").mkdir()
    with pytest.raises(InputError, match="is not in a git repository, or the repository has no commit"):
        branch.commit_to_branch(tmp_path / "bare", NAME, CHANGES, "x")
    for key in ("user.name", "user.email"):
        project.git("config", "--unset", key)
    project.git("config", "user.useConfigOnly", "true")
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    for name in ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="git has no name and address for the committer") as refused:
        branch.commit_to_branch(project.root, NAME, CHANGES, "x")
    assert "git config user.name" in refused.value.next_step


def test_branch_made_meanwhile_is_not_overwritten(project: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    made = branch._Git.commit

    def slowly(git: branch._Git, *given: str) -> str:
        project.git("branch", NAME)
        return made(git, *given)

    monkeypatch.setattr(branch._Git, "commit", slowly)
    with pytest.raises(FailedError):
        branch.commit_to_branch(project.root, NAME, CHANGES, "x")
    assert project.git("rev-parse", NAME) == project.git("rev-parse", "main")
