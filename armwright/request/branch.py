"""Commits changes to a new branch for a pull request, without touching the work tree, the index or HEAD."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from armwright.bump.proposal import Change
from armwright.system import process
from armwright.system.errors import FailedError, InputError
from armwright.system.files import write_whole

PREFIX = "request/"
_NAME = re.compile(rf"{PREFIX}[a-z0-9]+([.-][a-z0-9]+)*(?<!\.lock)")
_ABSENT = "0" * 40  # as the old value of a reference: it must not exist yet
_FILE_MODE = "100644"


def commit_to_branch(root: Path, name: str, changes: Sequence[Change], message: str) -> str:
    """Commit changes to a new branch that starts at HEAD. A branch that already has exactly these changes is kept.

    Args:
        root: the project's root, in a git repository.
        name: the branch: request/ and a number or a combo's id.
        changes: the changes; nothing else of the work tree is committed.
        message: the commit message.

    Returns:
        the commit's id.

    Raises:
        InputError: the branch exists with other changes, HEAD does not have the files that the changes were made for,
            or git finds no repository or no committer.
        MachineError: git is not installed.
        FailedError: git failed.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is not a valid name for a request branch", hint=f"for example {PREFIX}12")
    process.require_program("git", "apt-get install git")
    with tempfile.TemporaryDirectory(prefix="armwright-branch-") as scratch:
        git = _Git(root, Path(scratch))
        head = git.find("HEAD^{commit}")
        if head is None:
            raise InputError(f"{root} is not in a git repository, or the repository has no commit", "git status")
        tip = git.find(f"refs/heads/{name}^{{commit}}")
        if tip is not None:
            parent = git.find(f"{tip}^")
            if parent is None or git.write_tree(parent, changes) != git.find(f"{tip}^{{tree}}"):
                raise InputError(f"the branch {name} already exists, with other changes", f"git branch -D {name}")
            return tip
        git.check_unchanged(head, changes)
        commit = git.commit(git.write_tree(head, changes), head, message)
        git.run("update-ref", "-m", f"armwright: {name}", f"refs/heads/{name}", commit, _ABSENT)
        return commit


@dataclass(frozen=True)
class _Git:
    """Git's plumbing commands, with a separate index.

    Attributes:
        root: the project's root.
        scratch: an empty folder.
    """

    root: Path
    scratch: Path

    def run(self, *arguments: str, check: bool = True) -> str:
        env = {"GIT_INDEX_FILE": str(self.scratch / "index"), "GIT_LITERAL_PATHSPECS": "1"}
        return process.capture(["git", "-C", str(self.root), *arguments], check=check, env=env).strip()

    def find(self, name: str) -> str | None:
        """Return the id of an object by its name, or None."""
        return self.run("rev-parse", "--verify", "--quiet", name, check=False) or None

    def write_tree(self, parent: str, changes: Sequence[Change]) -> str:
        """Write the tree of a commit with the changes applied."""
        modes = {change.path: (self._file(parent, change) or (_FILE_MODE, ""))[0] for change in changes}
        self.run("read-tree", parent)
        for change in changes:
            entry = f"{modes[change.path]},{self._blob(change.new, '-w')},{self._prefix}{change.path}"
            self.run("update-index", "--add", "--cacheinfo", entry)
        return self.run("write-tree")

    def check_unchanged(self, commit: str, changes: Sequence[Change]) -> None:
        """Check that a commit has the old files, so that no other edit of the work tree gets into the branch."""
        for change in changes:
            committed = self._file(commit, change)
            if (committed and committed[1]) != (None if change.old is None else self._blob(change.old)):
                raise InputError(
                    f"{change.path} differs from the last commit, and its other changes would get into the branch",
                    f"git diff -- {change.path}",
                    hint="commit or stash the changes first",
                )

    def commit(self, tree: str, parent: str, message: str) -> str:
        """Write a commit by the committer that git is configured with."""
        try:
            self.run("var", "GIT_COMMITTER_IDENT")
        except FailedError as error:
            raise InputError(
                "git has no name and address for the committer",
                'git config user.name "Your Name" && git config user.email you@example.com',
            ) from error
        return self.run("commit-tree", tree, "-p", parent, "-m", message)

    def _blob(self, text: str, *options: str) -> str:
        """Return the id of a file's content; with `-w`, store it."""
        write_whole(self.scratch / "file", text)
        return self.run("hash-object", "--no-filters", *options, "--", str(self.scratch / "file"))

    def _file(self, commit: str, change: Change) -> tuple[str, str] | None:
        """Return the mode and the content's id of a file in a commit, or None."""
        entry = self.run("ls-tree", "--full-tree", commit, "--", f"{self._prefix}{change.path}").split()
        return (entry[0], entry[2]) if entry else None

    @cached_property
    def _prefix(self) -> str:
        """The path of the project in its repository; empty if the project is at the top, which is the usual case."""
        return self.run("rev-parse", "--show-prefix")
