"""Where a request comes from: an issue, a file, or options of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from armwright.matrix.selection import AXES, Selector
from armwright.request import branch, submission
from armwright.request.decide import Decision
from armwright.request.fields import Field
from armwright.request.github_issues import Issue
from armwright.request.submission import FieldValue, FieldValues


@dataclass(frozen=True)
class RequestSource:
    """The source of a request: the issue if there is one, else the file, else the options.

    Attributes:
        issue: the issue; None if the request is not in one.
        file: the path of a request file; may be empty.
        chosen: the request as options, one name per axis.
        cpu: with options, the path of a file with the output of `lscpu` or `cat /proc/cpuinfo`; may be empty.
    """

    issue: Issue | None
    file: str
    chosen: Selector
    cpu: str

    @property
    def is_options(self) -> bool:
        """Whether the request was typed as options, so that its text is not untrusted input."""
        return bool(self.chosen.framework)

    def read_values(self, form: Sequence[Field]) -> FieldValues:
        """Read the texts of the fields.

        Raises:
            InputError: a file cannot be read.
            MalformedError: the text is too long, or is not a filled-in form.
        """
        if self.issue:
            return submission.read_issue_body(form, self.issue.body)
        if self.file:
            return submission.read_request_file(form, Path(self.file))
        cpu = submission.read_text(Path(self.cpu)) if self.cpu else ""
        texts = {**{axis: getattr(self.chosen, axis) for axis in AXES}, "cpu": cpu}
        return {key: FieldValue(text, f"--{key}") for key, text in texts.items()}

    def repeat_options(self, decision: Decision) -> str:
        """Return the options of `invoke request` that make the same request again."""
        if self.issue:
            return f"--issue {self.issue.number}"
        names = (decision.request.framework, decision.version, decision.target.name, decision.backend)
        return " ".join(f"--{axis} {name}" for axis, name in zip(AXES, names, strict=True))

    def branch_name(self, decision: Decision) -> str:
        """Return the name of the branch for the request's data change."""
        return f"{branch.PREFIX}{self.issue.number if self.issue else decision.id}"

    def commit_message(self, decision: Decision) -> str:
        """Return the message for the commit with the request's data change."""
        requested = f"\n\nRequested in #{self.issue.number}." if self.issue else ""
        return f"Publish {decision.request.framework} {decision.version}{requested}\n"
