"""Writes a reply: the comment on an issue with what was understood, the result, and the next commands.

Every text that does not come from this file is in a code span or a code block: texts of the recipes, of the package
index and of containers. Of the request itself, only names from closed sets are in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from armwright.bump.proposal import Proposal
from armwright.matrix.matrix import Matrix
from armwright.pipeline.build_combo import ComboResult
from armwright.proof import wording
from armwright.proof.evidence import Evidence
from armwright.publish.destination import share_command
from armwright.request.decide import Decision
from armwright.request.document import RequestOutcome
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
MAX_REPLY = 60_000  # characters; GitHub's limit is 65,536
_MAX_ERROR = 8_000  # characters of the error of a failed build
_ADD_TARGET = "docs/how-to/add-a-target.md"
_CUT = "Some parts are too long for a comment; `invoke request --json` shows everything."
_HEADLINES = {
    "exists": "is available",
    "buildable": "can be built",
    "change": "needs a data change",
    "refused": "is refused",
    "built": "was built and proven",
    "failed": "could not be built and proven",
}


@dataclass(frozen=True)
class Reply:
    """A comment, and the outcome that it reports.

    Attributes:
        kind: the outcome of the request.
        markdown: the comment; it starts with `MARKER`.
    """

    kind: RequestOutcome
    markdown: str

    @property
    def label(self) -> str:
        """The label for the issue, one of `LABELS`."""
        return f"request: {self.kind}"


def make_malformed_reply(mistakes: Sequence[str]) -> Reply:
    """Write the reply to a request that cannot be understood."""
    mistakes_list = "\n".join(f"- {code(mistake)}" for mistake in mistakes)
    parts = ["### This request has mistakes", mistakes_list, "Edit the issue, and it is checked again."]
    return _join("malformed", parts)


def make_reply(decision: Decision, matrix: Matrix, again: str, result: ComboResult | None = None) -> Reply:
    """Write the reply to a request.

    Args:
        decision: the decision.
        matrix: the loaded matrix.
        again: the options that make the same request again.
        result: the result of the build, if there was one.
    """
    kind: RequestOutcome = decision.kind if result is None else "failed" if result.error else "built"
    parts = [
        f"### {code(decision.id)} {_HEADLINES[kind]}",
        *_reasons(decision),
        markdown_table(["", ""], _facts(decision, matrix), trusted=1),
        *_notes(decision),
        *_dtypes(decision),
        *(_build_result(result) if result else ()),
        *_next_commands(decision, kind, again),
        *(_diffs(decision.proposal) if decision.proposal else ()),
    ]
    return _join(kind, parts)


def _join(kind: RequestOutcome, parts: Sequence[str]) -> Reply:
    """Join the parts; leave out those that do not fit."""
    kept, room = [MARKER], MAX_REPLY - len(MARKER) - len(_CUT)
    for part in parts:
        if len(part) + 2 <= room:
            kept.append(part)
            room -= len(part) + 2
    cut = [_CUT] if len(kept) <= len(parts) else []
    return Reply(kind, "\n\n".join([*kept, *cut]) + "\n")


def _reasons(decision: Decision) -> Iterator[str]:
    if decision.reason:
        unverified = "" if decision.kind == "refused" else "It is unverified: it has never been seen working. "
        place = f" ({code(decision.place)})" if decision.place else ""
        yield f"{unverified}{code(decision.reason)}{place}"
    if decision.kind == "refused":
        yield (
            f"The nearest combination that is known to work: {code(decision.nearest.id)}."
            if decision.nearest
            else "No similar combination is known to work."
        )


def _facts(decision: Decision, matrix: Matrix) -> Iterator[tuple[str, str]]:
    """Yield how the request was understood, and the plan."""
    request, target = decision.request, decision.target
    yield "framework", matrix.recipes.frameworks[request.framework].title
    newest = ", the newest that fits" if not request.version and decision.kind != "refused" else ""
    yield "version", f"{decision.version}{newest}"
    chosen = f"{target.name}, {target.title}"
    yield "target", chosen if request.target or not request.cpu else f"{chosen}: {request.cpu.reason}"
    yield "backend", f"{decision.backend}, {matrix.recipes.backends[decision.backend].title}"
    if decision.plan:
        yield "base", f"{decision.plan.base.title}, Python {decision.plan.base.python}"
        yield "proven on", f"the CPU itself, or QEMU's {target.emulator.cpu}"
        yield "inputs", decision.plan.inputs


def _notes(decision: Decision) -> Iterator[str]:
    yield from (f"Note: {code(note)}" for note in decision.notes)
    if decision.request.cpu and decision.request.cpu.approximate:
        yield (
            "No target is made for this CPU. To add one, a person has to provide its features, compiler flags and "
            f"emulator model: see {code(_ADD_TARGET)}."
        )


def _dtypes(decision: Decision) -> Iterator[str]:
    if decision.dtypes:
        rows = [(row["name"], row["state"], row["note"]) for row in decision.dtypes]
        yield markdown_table(["data type", "support", ""], rows)


def _build_result(result: ComboResult) -> Iterator[str]:
    if result.error:
        yield code_block(result.error.what[:_MAX_ERROR], "text")
    if result.proof:
        yield from _proof(result.proof)
    if result.image:
        yield f"The image: {code(result.image.digest)}"


def _proof(proof: Evidence) -> Iterator[str]:
    """Yield the checks, the metrics of the workloads, and the kernels that ran."""
    report = proof.report
    yield f"The proof: {code(wording.describe_proof(proof))}"
    yield markdown_table(["check", "", "found"], [(check.name, check.state, check.found) for check in report.checks])
    metrics = [(run.workload, run.dtype, run.metric.name, f"{run.metric.value:.4f}") for run in report.runs]
    yield markdown_table(["workload", "data type", "metric", ""], metrics)
    operations: dict[str, dict[str, int]] = {}
    for kernel in (*(kernel for run in report.runs for kernel in run.kernels), *report.loaded):
        calls = operations.setdefault(kernel.operation, {})
        calls[kernel.implementation] = calls.get(kernel.implementation, 0) + kernel.calls
    kernels = [
        (operation, ", ".join(f"{name} x{count}" for name, count in calls.items()))
        for operation, calls in operations.items()
    ]
    yield folded("kernels", markdown_table(["operation", "computed by"], kernels))


def _next_commands(decision: Decision, kind: str, again: str) -> Iterator[str]:
    nearest = decision.nearest
    if kind == "exists":
        lines = [f"docker pull {decision.image}"] if decision.image else [f"./inv stage --combo {decision.id}"]
    elif kind == "change":
        lines = [f"invoke request {again} --write", f"./inv build --combo {decision.id}"]
    elif kind == "refused":
        lines = [f"./inv build --combo {nearest.id}"] if nearest else ["invoke list --all"]
    elif kind == "built":
        lines = [share_command(decision.id)]
    else:
        lines = [f"./inv build --combo {decision.id}"]
    yield f"Next:\n\n{code_block(chr(10).join(lines), 'sh')}"


def _diffs(proposal: Proposal) -> Iterator[str]:
    """Yield the diff of each file, the shortest first: the lock, a long list of hashes, is left out first."""
    yield (
        f"Version {code(proposal.version)} is not published yet. The package index has a wheel that fits, and its "
        "dependencies can be locked. Whether it works is not known until it is proven. The change:"
    )
    diffs = {change.path: "\n".join(change.diff()) for change in proposal.changes}
    for path in sorted(diffs, key=lambda path: len(diffs[path])):
        yield folded(path, code_block(diffs[path], "diff"))
