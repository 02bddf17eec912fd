"""The command `request`: what somebody asks for, in an issue, a file or options, becomes an answer with its reasons."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from armwright.matrix import matrix as matrices
from armwright.matrix.matrix import Matrix
from armwright.matrix.selection import AXES, Selector
from armwright.pipeline import build_all, documents, inventory
from armwright.pipeline.build_combo import BuildOptions as How
from armwright.pipeline.build_combo import ComboResult
from armwright.proof import evidence
from armwright.publish import stage
from armwright.publish.lookup import find_staged
from armwright.request import branch, document, fields, github_issues, parse, reply, submission
from armwright.request import decide as answers
from armwright.request.decide import Decision
from armwright.request.document import Answered
from armwright.request.fields import Field
from armwright.request.github_issues import Hub, Issue
from armwright.request.reply import Reply
from armwright.request.submission import FieldValue, FieldValues, MalformedError
from armwright.system import console
from armwright.system.errors import InputError, MachineError

_HELP = "invoke request --help"


@dataclass(frozen=True)
class RequestArguments:
    """What the command was told.

    Attributes:
        file: the request as a file; empty where it is none.
        issue: the issue's number or address; empty where it is none.
        repository: owner/name, where the issue is; empty: found out.
        chosen: the request as options, one name for an axis.
        cpu: a file with what the CPU's own program printed.
        registry: host and port of the registry that may have the image; empty: the local one.
        write: make the change of data.
        build: build and prove it.
        answer: write the answer into the issue.
        branch: commit the change on a branch of its own.
        as_json: one JSON document instead of Markdown.
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


def run(matrix: Matrix, options: RequestArguments, *, as_schema: bool = False) -> int:
    """Read a request, decide, do what the options say, and answer.

    Args:
        matrix: the loaded matrix.
        options: see there.
        as_schema: print the JSON Schema of the answer and nothing else.

    Returns:
        the exit code: 0; 1 when a build or a proof failed; 2 when the request is refused or cannot be understood.

    Raises:
        InputError: the options are wrong, or what they ask for cannot be understood.
        MachineError: the network, the engine or the machine fails.
        FailedError: what GitHub or the package index says makes no sense.
    """
    if as_schema:
        console.document(documents.json_schema(Answered))
        return 0
    asked = _RequestRun.of(matrix, options)
    try:
        wanted = parse.parse_request(matrix, asked.form, asked.values())
    except MalformedError as error:
        if asked.by_options:
            raise
        asked.tell(reply.malformed(error.mistakes), mistakes=list(error.mistakes))
        return error.code
    found = answers.decide_request(
        matrix, wanted, inventory.take_inventory(matrix), lambda one: find_staged(options.registry or stage.LOCAL, one)
    )
    done = _changed(asked, found)
    result = _built(matrix.root, found) if options.build and found.kind != "refused" else None
    asked.tell(reply.of(found, matrix, asked.again(found), result), combo=document.wanted(found), **done)
    if result and result.problem:
        return result.problem.code
    return InputError.code if found.kind == "refused" else 0


@dataclass(frozen=True)
class _RequestRun:
    """Where a request comes from, and where its answer goes."""

    options: RequestArguments
    form: Sequence[Field]
    root: Path
    hub: Hub | None = None
    issue: Issue | None = None

    @classmethod
    def of(cls, matrix: Matrix, options: RequestArguments) -> _RequestRun:
        """Check the options, and read the issue where it is one."""
        ways = {"--file": options.file, "--issue": options.issue, "--framework": options.chosen.framework}
        given = [way for way, word in ways.items() if word]
        if len(given) != 1:
            what = f"{' and '.join(given)} are several requests" if given else "nothing is asked for"
            raise InputError(f"{what}; a request is one of {', '.join(ways)}", _HELP)
        if "--framework" not in given and (options.chosen != Selector() or options.cpu):
            raise InputError(f"{given[0]} holds the whole request, and no other option is a part of it", _HELP)
        if options.answer and not options.issue:
            raise InputError("--answer writes into an issue, and --issue does not say into which", _HELP)
        if options.registry:
            stage.check_registry(options.registry, "--registry")
        asked = cls(options, fields.new_combination(matrix), matrix.root)
        if not options.issue:
            return asked
        named, number = github_issues.number(options.issue)
        hub = Hub(github_issues.repository(matrix.root, options.repository or named or ""))
        issue = hub.issue(number)
        if options.answer or issue.pull_request:
            issue.check_answerable()
        return replace(asked, hub=hub, issue=issue)

    @property
    def by_options(self) -> bool:
        """It is in options, and not somebody else's text."""
        return bool(self.options.chosen.framework)

    def values(self) -> FieldValues:
        """Return what was written into the fields.

        Raises:
            MalformedError: it is not made of them.
        """
        if self.issue:
            return submission.of_body(self.form, self.issue.body)
        if self.options.file:
            return submission.of_file(self.form, Path(self.options.file))
        pasted = submission.content(Path(self.options.cpu)) if self.options.cpu else ""
        given = {**{axis: getattr(self.options.chosen, axis) for axis in AXES}, "cpu": pasted}
        return {key: FieldValue(text, f"--{key}") for key, text in given.items()}

    def again(self, found: Decision) -> str:
        """Return the options that ask the same again."""
        if self.issue:
            return f"--issue {self.issue.number}"
        named = zip(AXES, (found.request.framework, found.version, found.target.name, found.backend), strict=True)
        return " ".join(f"--{axis} {name}" for axis, name in named)

    def tell(self, said: Reply, **known: Any) -> None:  # noqa: ANN401 - the document's fields
        """Answer: into the issue where that was asked for, and on standard output."""
        comment = None
        if self.options.answer and self.hub and self.issue:
            comment = self.hub.answer(self.issue.number, said.markdown, said.label)
            console.say(f"answered: {comment}")
        if self.options.as_json:
            one = Answered(kind=said.kind, label=said.label, comment=comment, markdown=said.markdown, **known)
            console.document(one.model_dump())
        else:
            console.result(said.markdown.rstrip("\n"))


def _changed(asked: _RequestRun, found: Decision) -> dict[str, Any]:
    """Make the change of data and the branch, as far as both were asked for and there is one."""
    options, proposal = asked.options, found.proposal
    if proposal is None:
        if options.write or options.branch:
            console.say("the data stays as it is: there is nothing to write")
        return {}
    if options.build and not options.write:
        raise InputError(f"{found.id} is not in the matrix yet", f"invoke request {asked.again(found)} --write --build")
    done: dict[str, Any] = {"diff": proposal.diff, "files": [change.path for change in proposal.changes]}
    if options.branch:
        name = f"{branch.PREFIX}{asked.issue.number if asked.issue else found.id}"
        why = f"\n\nAsked for in #{asked.issue.number}." if asked.issue else ""
        message = f"Publish {found.request.framework} {found.version}{why}\n"
        done["commit"] = branch.commit(asked.root, name, proposal.changes, message)
        console.say(f"branch {name}: {done['commit']}")
    if options.write:
        proposal.write(asked.root)
        done["written"] = True
        console.say(f"written: {', '.join(done['files'])}")
    return done


def _built(root: Path, found: Decision) -> ComboResult:
    """Build and prove the combo; what is printed meanwhile is no part of the answer.

    Raises:
        MachineError: the machine cannot do it, which says nothing about the combo.
    """
    loaded = matrices.load_matrix(root)
    with contextlib.redirect_stdout(sys.stderr):
        (result,) = build_all.build_combos(loaded, [loaded.by_id[found.id]], How())
    if isinstance(result.problem, MachineError):
        raise result.problem
    result.proof = result.proof or evidence.read_lenient(root, found.id)
    return result
