"""Sabotages of evidence: documents that hands edited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.sabotage import edits
from tests.sabotage.model import Sabotage


def edited(check: str, words: str, edit: Callable[[dict[str, Any]], str]) -> Sabotage:
    return Sabotage("evidence", check, words, edit=edit)


DOCUMENTS: Mapping[str, Sabotage] = {
    "evidence: proven over a failed check": edited("verdict", "say otherwise", edits.failed),
    "evidence: a failed kernel check made to pass": edited("kernels", "ref", edits.reference_kernel),
    "evidence: no kernel of the backend": edited("kernels", "no kernel of rule .* ran", edits.without_kernels),
    "evidence: wrong answers called right": edited("answers", "of what is tolerated", edits.wrong_answers),
    "evidence: a metric below its least": edited("metric", "at least", edits.low_metric),
    "evidence: the least lowered with the metric": edited("metric", "the manifest says", edits.lowered),
    "evidence: a check left out": edited("checks", "missing", edits.without_check),
    "evidence: a run left out": edited("runs", "missing", edits.without_run),
    "evidence: a run declared not to be run": edited("runs", "says otherwise", edits.excused),
    "evidence: not run for no reason": edited("not run", "without a reason", edits.without_reason),
    "evidence: another version": edited("versions", "expected", edits.other_version),
    "evidence: another CPU": edited("cpu", "meant is", edits.other_cpu),
    "evidence: a real CPU": edited("emulator", "the match is 'real'", edits.real),
    "evidence: a larger CPU only": edited("emulator", "superset", edits.superset),
    "evidence: of another digest": edited("image", "it is of sha256:", edits.other_image),
    "evidence: a digest that is none": edited("digests", "no sha256", edits.no_digest),
    "evidence: of other inputs": edited("inputs", "changed since", edits.other_inputs),
    "evidence: of another combo": edited("inputs", "changed since", edits.other_combo),
    "evidence: a smaller image": edited("image", "bytes", edits.smaller_image),
    "evidence: a field more": edited("schema", "checked_by", edits.field_more),
    "evidence: a number that is none": edited("schema", "NaN", edits.not_a_number),
    "evidence: a key twice": edited("schema", "more than once", edits.twice),
    "evidence: half of it": edited("schema", "no JSON document", edits.half),
    "staged: evidence of another digest": Sabotage(
        "stage", "stage", "of another image", edit=edits.other_image
    ),
    "staged: evidence of a failed proof": Sabotage("stage", "stage", "failed", edit=edits.failed),
    "staged: a kernel table edited by hand": Sabotage("stage", "stage", "kernel", edit=edits.reference_kernel),
}  # fmt: skip
