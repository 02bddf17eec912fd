"""An answer as a comment on an issue: what was understood, what it comes to, and what comes next.

What is not a word of this file stands in a code span or a code block: most of it is our own data, some is the package
index's or a container's. Nothing of a request is there but words of closed sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from armwright.bump.proposal import Proposal
from armwright.matrix.matrix import Matrix
from armwright.pipeline.build_combo import ComboResult
from armwright.proof import wording
from armwright.proof.evidence import Evidence
from armwright.request.decide import Decision
from armwright.request.document import Becomes
from armwright.request.markdown import code, code_block, folded, markdown_table

MARKER = "<!-- armwright: answer -->"
LABELS: tuple[str, ...] = (
    "request: exists",
    "request: buildable",
    "request: change",
    "request: refused",
    "request: built",
    "request: failed",
    "request: malformed",
)
LONGEST = 60_000  # characters; GitHub takes 65,536
_CUT = "What is too long for a comment is left out; `invoke request --json` shows it."
_LONGEST_CAUSE = 8_000  # characters of what went wrong
_SAID = {
    "exists": "is there",
    "buildable": "can be built",
    "change": "needs a change of the data",
    "refused": "is refused",
    "built": "was built and proven",
    "failed": "was tried and failed",
}


@dataclass(frozen=True)
class Reply:
    """A comment and the label that goes with it.

    Attributes:
        kind: what became of the request.
        markdown: the comment; it begins with `MARKER`.
    """

    kind: Becomes
    markdown: str

    @property
    def label(self) -> str:
        """The label, one of `LABELS`."""
        return f"request: {self.kind}"


def malformed(mistakes: Sequence[str]) -> Reply:
    """Say what cannot be understood."""
    listed = "\n".join(f"- {code(one)}" for one in mistakes)
    return _reply("malformed", ["### This request cannot be understood", listed, "Edit it, and it is read again."])


def of(answer: Decision, matrix: Matrix, again: str, result: ComboResult | None = None) -> Reply:
    """Say what became of a request.

    Args:
        answer: the answer.
        matrix: the loaded matrix.
        again: the words of the command that read the request.
        result: what became of it, where it was built.
    """
    kind: Becomes = answer.kind if result is None else "failed" if result.problem else "built"
    parts = [
        f"### {code(answer.id)} {_SAID[kind]}",
        *_reasons(answer),
        markdown_table(["", ""], _facts(answer, matrix), own=1),
    ]
    parts += _notes(answer)
    parts += _dtypes(answer)
    parts += _outcome(result) if result else []
    parts += _next(answer, kind, again)
    parts += _diffs(answer.proposal) if answer.proposal else []
    return _reply(kind, parts)


def _reply(kind: Becomes, parts: Sequence[str]) -> Reply:
    """Join parts, each of which stands for itself; leave out what there is no room for."""
    said, room = [MARKER], LONGEST - len(MARKER) - len(_CUT)
    for part in parts:
        if len(part) + 2 <= room:
            said.append(part)
            room -= len(part) + 2
    cut = [_CUT] if len(said) <= len(parts) else []
    return Reply(kind, "\n\n".join([*said, *cut]) + "\n")


def _reasons(answer: Decision) -> Iterator[str]:
    if answer.reason:
        state = "" if answer.kind == "refused" else "It is unverified: written completely, and never seen working. "
        where = f" ({code(answer.place)})" if answer.place else ""
        yield f"{state}{code(answer.reason)}{where}"
    if answer.kind == "refused":
        yield (
            f"The nearest that is known to work: {code(answer.nearest.id)}."
            if answer.nearest
            else "Nothing near it is known to work."
        )


def _facts(answer: Decision, matrix: Matrix) -> Iterator[tuple[str, str]]:
    """Yield what was understood, and the plan."""
    request, target = answer.request, answer.target
    yield "framework", matrix.recipes.frameworks[request.framework].title
    newest = ": the newest that will do" if not request.version and answer.kind != "refused" else ""
    yield "version", f"{answer.version}{newest}"
    chosen = f"{target.name}, {target.title}"
    yield "target", chosen if request.target or not request.cpu else f"{chosen}: {request.cpu.reason}"
    yield "backend", f"{answer.backend}, {matrix.recipes.backends[answer.backend].title}"
    if answer.plan:
        yield "base", f"{answer.plan.base.title}, Python {answer.plan.base.python}"
        yield "proven on", f"the CPU itself, or QEMU's {target.emulator.cpu}"
        yield "inputs", answer.plan.inputs


def _notes(answer: Decision) -> Iterator[str]:
    yield from (f"Note: {code(note)}" for note in answer.notes)
    if answer.request.cpu and answer.request.cpu.unmade:
        yield (
            "No target is made for this CPU. A person can add one, and no program: its features, its compiler's words "
            "and what proves it are facts that somebody has to know; CONTRIBUTING.md says which, in the section "
            "“A target”."
        )


def _dtypes(answer: Decision) -> Iterator[str]:
    if answer.dtypes:
        yield markdown_table(
            ["data type", "there", ""], [(one["name"], one["state"], one["note"]) for one in answer.dtypes]
        )


def _outcome(result: ComboResult) -> Iterator[str]:
    if result.problem:
        yield code_block(result.problem.what[:_LONGEST_CAUSE], "text")
    if result.proof:
        yield from _proof(result.proof)
    if result.image:
        yield f"The image: {code(result.image.digest)}"


def _proof(proof: Evidence) -> Iterator[str]:
    """Yield what was checked, what the answers are worth, and what computed them."""
    report = proof.report
    yield f"The proof: {code(wording.proof_line(proof))}"
    yield markdown_table(["check", "", "found"], [(one.name, one.state, one.found) for one in report.checks])
    runs = [(run.workload, run.dtype, run.metric.name, f"{run.metric.value:.4f}") for run in report.runs]
    yield markdown_table(["workload", "data type", "metric", ""], runs)
    kernels: dict[str, dict[str, int]] = {}
    for one in (*(kernel for run in report.runs for kernel in run.kernels), *report.loaded):
        calls = kernels.setdefault(one.operation, {})
        calls[one.implementation] = calls.get(one.implementation, 0) + one.calls
    said = [(name, ", ".join(f"{by} x{count}" for by, count in calls.items())) for name, calls in kernels.items()]
    yield folded("kernels", markdown_table(["operation", "computed by"], said))


def _next(answer: Decision, kind: str, again: str) -> Iterator[str]:
    """Yield the next commands."""
    near = answer.nearest
    if kind == "exists":
        lines = [f"docker pull {answer.image}"] if answer.image else [f"./inv stage --combo {answer.id}"]
    elif kind == "change":
        lines = [f"invoke request {again} --write", f"./inv build --combo {answer.id}"]
    elif kind == "refused":
        lines = [f"./inv build --combo {near.id}"] if near else ["invoke list --all"]
    elif kind == "built":
        lines = [f"./inv registry start && ./inv stage --combo {answer.id}"]
    else:
        lines = [f"./inv build --combo {answer.id}"]
    yield f"Next:\n\n{code_block(chr(10).join(lines), 'sh')}"


def _diffs(proposal: Proposal) -> Iterator[str]:
    """Yield the diff of each file, the shortest first: what has no room in the end is the lock, a list of hashes."""
    yield (
        f"Version {code(proposal.version)} is not published. The package index has a wheel of it that fits, and its "
        "lock is good; nothing else is known of it until it is proven. The change:"
    )
    diffs = {change.path: "\n".join(change.diff()) for change in proposal.changes}
    for path in sorted(diffs, key=lambda path: len(diffs[path])):
        yield folded(path, code_block(diffs[path], "diff"))
