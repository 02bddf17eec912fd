"""The command `request`: answers a request for an image that is in an issue, a file, or options."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armwright.matrix.matrix import Matrix, load_matrix
from armwright.matrix.selection import Selector
from armwright.pipeline import build_all, documents, inventory
from armwright.pipeline.build_combo import BuildOptions, ComboResult
from armwright.proof import check_evidence
from armwright.publish import lookup
from armwright.publish.destination import choose_destination
from armwright.publish.reference import parse_destination
from armwright.request import branch, document, fields, github_issues, parse, reply
from armwright.request.decide import Decision, decide_request
from armwright.request.document import RequestDocument
from armwright.request.github_issues import GitHubIssues
from armwright.request.reply import Reply
from armwright.request.source import RequestSource
from armwright.request.submission import MalformedError
from armwright.system import console
from armwright.system.errors import InputError, MachineError

_HELP = "invoke request --help"


@dataclass(frozen=True)
class RequestArguments:
    """The options of the command.

    Attributes:
        file: the path of a request file; may be empty.
        issue: the issue's number or address; may be empty.
        repository: owner/name of the issue's repository; empty to find it out.
        chosen: the request as options, one name per axis.
        cpu: the path of a file with the output of `lscpu` or `cat /proc/cpuinfo`; may be empty.
        registry: REGISTRY[/PATH…] to search; empty for ARMWRIGHT_REGISTRY, else the local one.
        write: make the data change.
        build: build and prove the combo.
        answer: post the answer to the issue.
        branch: commit the data change to a new branch.
        as_json: print one JSON document instead of Markdown.
    """

    file: str = ""
    issue: str = ""
    repository: str = ""
    chosen: Selector = field(default_factory=Selector)
    cpu: str = ""
    registry: str = ""
    write: bool = False
    build: bool = False
    answer: bool = False
    branch: bool = False
    as_json: bool = False

    def check(self) -> None:
        """Check that the options fit together.

        Raises:
            InputError: they do not.
        """
        sources = {"--file": self.file, "--issue": self.issue, "--framework": self.chosen.framework}
        given = [option for option, value in sources.items() if value]
        if not given:
            raise InputError("say what you need with --file, --issue or --framework", _HELP)
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)} are different requests: use one of them", _HELP)
        if "--framework" not in given and (self.chosen != Selector() or self.cpu):
            raise InputError(
                f"{given[0]} has the whole request; it cannot be combined with options such as --target or --cpu", _HELP
            )
        if self.answer and not self.issue:
            raise InputError("--answer needs --issue: it posts the answer to that issue", _HELP)
        if self.registry:
            parse_destination(self.registry, "--registry")


def run(matrix: Matrix, arguments: RequestArguments, *, as_schema: bool = False) -> int:
    """Read a request, decide it, do what the options say, and answer.

    Args:
        matrix: the loaded matrix.
        arguments: the options.
        as_schema: print the JSON Schema of the answer and nothing else.

    Returns:
        the exit code: 0; 1 if a build or a proof failed; 2 if the request is refused or has mistakes.

    Raises:
        InputError: the options are wrong, or the request in them has mistakes.
        MachineError: the network, the engine or the machine fails.
        FailedError: an answer of GitHub or the package index is not valid.
    """
    if as_schema:
        console.document(documents.make_json_schema(RequestDocument))
        return 0
    arguments.check()
    session = _Session.open(matrix, arguments)
    form = fields.make_fields(matrix)
    try:
        request = parse.parse_request(matrix, form, session.source.read_values(form))
    except MalformedError as error:
        if session.source.is_options:
            raise
        session.answer(reply.make_malformed_reply(error.mistakes), mistakes=list(error.mistakes))
        return error.code
    to = choose_destination(matrix.root, arguments.registry, "--registry")
    decision = decide_request(
        matrix, request, inventory.take_inventory(matrix), lambda plan: lookup.find_staged(matrix.root, to, plan)
    )
    changed = _apply_change(session, decision)
    result = _build(matrix.root, decision) if arguments.build and decision.kind != "refused" else None
    answer = reply.make_reply(decision, matrix, session.source.repeat_options(decision), result)
    session.answer(answer, combo=document.describe_combo(decision), **changed)
    if result and result.error:
        return result.error.code
    return InputError.code if decision.kind == "refused" else 0


@dataclass(frozen=True)
class _Session:
    """One run of the command: its options, the source of the request, and the issues to answer in."""

    arguments: RequestArguments
    root: Path
    source: RequestSource
    issues: GitHubIssues | None = None

    @classmethod
    def open(cls, matrix: Matrix, arguments: RequestArguments) -> _Session:
        """Find the source, and read the issue if the request is in one."""
        issues = issue = None
        if arguments.issue:
            named, number = github_issues.parse_issue_reference(arguments.issue)
            issues = GitHubIssues(github_issues.find_repository(matrix.root, arguments.repository or named or ""))
            issue = issues.read(number)
            if arguments.answer or issue.pull_request:
                issue.check_answerable()
        source = RequestSource(issue, arguments.file, arguments.chosen, arguments.cpu)
        return cls(arguments, matrix.root, source, issues)

    def answer(self, answer: Reply, **found: Any) -> None:  # noqa: ANN401 - the document's fields
        """Post the answer to the issue if that was requested, and print it."""
        comment = None
        if self.arguments.answer and self.issues and self.source.issue:
            comment = self.issues.answer(self.source.issue.number, answer.markdown, answer.label)
            console.say(f"answered: {comment}")
        if self.arguments.as_json:
            row = RequestDocument(
                kind=answer.kind, label=answer.label, comment=comment, markdown=answer.markdown, **found
            )
            console.document(row.model_dump())
        else:
            console.result(answer.markdown.rstrip("\n"))


def _apply_change(session: _Session, decision: Decision) -> dict[str, Any]:
    """Write or commit the data change that the request needs, if that was requested; return what was done."""
    arguments, proposal = session.arguments, decision.proposal
    if proposal is None:
        if arguments.write or arguments.branch:
            console.say("nothing to write: the request needs no data change")
        return {}
    if arguments.build and not arguments.write:
        again = session.source.repeat_options(decision)
        raise InputError(f"{decision.id} is not in the matrix yet", f"invoke request {again} --write --build")
    done: dict[str, Any] = {"diff": proposal.diff, "files": [change.path for change in proposal.changes]}
    if arguments.branch:
        name, message = session.source.branch_name(decision), session.source.commit_message(decision)
        done["commit"] = branch.commit_to_branch(session.root, name, proposal.changes, message)
        console.say(f"branch {name}: {done['commit']}")
    if arguments.write:
        proposal.write(session.root)
        done["written"] = True
        console.say(f"written: {', '.join(done['files'])}")
    return done


def _build(root: Path, decision: Decision) -> ComboResult:
    """Build and prove the combo. Its output goes to stderr, so that stdout has only the answer.

    Raises:
        MachineError: the machine cannot build it, which says nothing about the combo.
    """
    matrix = load_matrix(root)
    with contextlib.redirect_stdout(sys.stderr):
        (result,) = build_all.build_combos(matrix, [matrix.by_id[decision.id]], BuildOptions())
    if isinstance(result.error, MachineError):
        raise result.error
    result.proof = result.proof or check_evidence.read_stored_evidence(root, decision.id)
    return result
