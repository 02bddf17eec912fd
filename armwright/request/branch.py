"""A branch for a pull request: one commit on a new branch, made without touching the work tree, the index or HEAD."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from armwright.bump.proposal import Change
from armwright.system import process
from armwright.system.errors import FailedError, InputError
from armwright.system.files import write_whole

PREFIX = "request/"
_NAME = re.compile(rf"{PREFIX}[a-z0-9]+([.-][a-z0-9]+)*(?<!\.lock)")
_NOTHING = "0" * 40  # as the old value of a branch: it must not be there yet
_FILE = "100644"


def commit(root: Path, name: str, changes: Sequence[Change], message: str) -> str:
    """Commit changes on a new branch that starts at HEAD; a branch that holds just them already is left as it is.

    Args:
        root: the project's root, in a repository of git.
        name: the branch: request/ and a number or a combo's id.
        changes: what changes; nothing else does, whatever the work tree holds.
        message: the commit's.

    Returns:
        the commit's id.

    Raises:
        InputError: the branch is there with something else, HEAD has other files than the changes were made for, or
            git does not know where the project is or who commits.
        MachineError: git is not installed.
        FailedError: git failed.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name for a branch of ours", f"e.g. {PREFIX}12")
    process.require("git", "apt-get install git")
    with tempfile.TemporaryDirectory(prefix="armwright-branch-") as scratch:
        git = _Git(root, Path(scratch))
        head = git.id("HEAD^{commit}")
        if head is None:
            raise InputError(f"{root} is in no repository of git, or in one without a commit", "git clone")
        tip = git.id(f"refs/heads/{name}^{{commit}}")
        if tip is not None:
            parent = git.id(f"{tip}^")
            if parent is None or git.tree(parent, changes) != git.id(f"{tip}^{{tree}}"):
                raise InputError(f"the branch {name} is there already, with something else", f"git branch -D {name}")
            return tip
        git.check_unchanged(head, changes)
        made = git.commit(git.tree(head, changes), head, message)
        git.run("update-ref", "-m", f"armwright: {name}", f"refs/heads/{name}", made, _NOTHING)
        return made


@dataclass(frozen=True)
class _Git:
    """Git's plumbing in a repository, with an index of our own.

    Attributes:
        root: the project's root.
        scratch: an empty folder.
    """

    root: Path
    scratch: Path

    def run(self, *words: str, check: bool = True) -> str:
        own = {"GIT_INDEX_FILE": str(self.scratch / "index"), "GIT_LITERAL_PATHSPECS": "1"}
        return process.capture(["git", "-C", str(self.root), *words], check=check, env=own).strip()

    def id(self, name: str) -> str | None:
        """Return the id of what a name stands for, or None."""
        return self.run("rev-parse", "--verify", "--quiet", name, check=False) or None

    def tree(self, parent: str, changes: Sequence[Change]) -> str:
        """Write the tree that a commit's becomes with the changes."""
        modes = {one.path: (self._file(parent, one) or (_FILE, ""))[0] for one in changes}
        self.run("read-tree", parent)
        for one in changes:
            place = f"{modes[one.path]},{self._blob(one.new, '-w')},{self._prefix}{one.path}"
            self.run("update-index", "--add", "--cacheinfo", place)
        return self.run("write-tree")

    def check_unchanged(self, commit: str, changes: Sequence[Change]) -> None:
        """Make sure that the changes are made to what a commit holds, and carry nothing else of the work tree along."""
        for one in changes:
            found = self._file(commit, one)
            if (found and found[1]) != (None if one.old is None else self._blob(one.old)):
                raise InputError(
                    f"{one.path} is not as the last commit has it, and would get into the branch",
                    "git stash, or commit",
                )

    def commit(self, tree: str, parent: str, message: str) -> str:
        """Write a commit, in the name of who git's configuration says."""
        try:
            self.run("var", "GIT_COMMITTER_IDENT")
        except FailedError as error:
            raise InputError(
                "git does not know who commits", "git config user.name NAME; git config user.email ADDRESS"
            ) from error
        return self.run("commit-tree", tree, "-p", parent, "-m", message)

    def _blob(self, text: str, *words: str) -> str:
        """Return the id of a file's content; `-w` stores it."""
        write_whole(self.scratch / "file", text)
        return self.run("hash-object", "--no-filters", *words, "--", str(self.scratch / "file"))

    def _file(self, commit: str, change: Change) -> tuple[str, str] | None:
        """Return the mode and the content's id of a file in a commit, or None."""
        found = self.run("ls-tree", "--full-tree", commit, "--", f"{self._prefix}{change.path}").split()
        return (found[0], found[2]) if found else None

    @property
    def _prefix(self) -> str:
        """Where the project is in the repository: nearly always at its top, which is the empty text."""
        return self.run("rev-parse", "--show-prefix")
