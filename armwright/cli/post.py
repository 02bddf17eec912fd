"""The command `post`: posts a reply that another process wrote, after checking it."""

from __future__ import annotations

from pathlib import Path

from armwright.request import github_issues
from armwright.request.check_reply import read_reply
from armwright.request.github_issues import GitHubIssues
from armwright.system import console


def run(root: Path, file: str, issue: str, repo: str = "") -> None:
    """Post the reply in a file that `invoke request --json` wrote, and print the comment's address.

    Args:
        root: the project's root.
        file: the file.
        issue: the issue's number or address.
        repo: owner/name; empty for the repository that the issue, the environment or git names.

    Raises:
        InputError: an option is wrong, or the issue must not be answered.
        MachineError: GitHub cannot be reached, or does not let this account write.
        FailedError: the file is not a reply of this program; nothing was posted.
    """
    named, number = github_issues.parse_issue_reference(issue)
    document = read_reply(Path(file))
    issues = GitHubIssues(github_issues.find_repository(root, repo or named or ""))
    console.result(issues.answer(number, document.markdown, document.label))
