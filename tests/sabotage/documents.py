"""Sabotages of evidence: documents edited manually."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.sabotage import edits
from tests.sabotage.model import Sabotage


def edited(check: str, pattern: str, edit: Callable[[dict[str, Any]], str]) -> Sabotage:
    return Sabotage("evidence", check, pattern, edit=edit)


DOCUMENTS: Mapping[str, Sabotage] = {
    "evidence: proven despite a failed check": edited("verdict", "its checks disagree", edits.failed),
    "evidence: a reference kernel, and every check passes": edited(
        "kernels", "does not allow .* by gemm:ref", edits.reference_kernel
    ),
    "evidence: no kernel of the backend": edited("kernels", "no kernel of rule .* ran", edits.without_kernels),
    "evidence: wrong answers called right": edited("answers", "times the tolerance", edits.wrong_answers),
    "evidence: a metric below its minimum": edited("metric", "the minimum is", edits.low_metric),
    "evidence: the minimum lowered with the metric": edited("metric", "the manifest says", edits.lowered),
    "evidence: the id of a kernel rule left out": edited("rules", "the rule is none", edits.without_rule),
    "evidence: another reason for a kernel rule": edited("rules", "in the plan it is", edits.other_reason),
    "evidence: a check left out": edited("checks", "missing", edits.without_check),
    "evidence: a run left out": edited("runs", "missing", edits.without_run),
    "evidence: a run declared as not run": edited("runs", "says otherwise", edits.excused),
    "evidence: not run, without a reason": edited("not run", "without a reason", edits.without_reason),
    "evidence: another version": edited("versions", "expected", edits.other_version),
    "evidence: another CPU": edited("cpu", "the CPU part is", edits.other_cpu),
    "evidence: an emulated CPU declared as real": edited("emulator", "the match is 'real'", edits.real),
    "evidence: no run on the baseline CPU": edited("emulator", "no run on the baseline CPU", edits.superset),
    "evidence: another image": edited("image", "the evidence is for sha256:", edits.other_image),
    "evidence: an invalid digest": edited("digests", "is not a sha256 digest", edits.no_digest),
    "evidence: other inputs": edited("inputs", "changed since", edits.other_inputs),
    "evidence: another combo": edited("inputs", "changed since", edits.other_combo),
    "evidence: a smaller image": edited("image", "bytes", edits.smaller_image),
    "evidence: an extra field": edited("schema", "checked_by", edits.extra_field),
    "evidence: a number that is NaN": edited("schema", "NaN", edits.not_a_number),
    "evidence: a repeated key": edited("schema", "more than once", edits.repeated_key),
    "evidence: a truncated file": edited("schema", "not a JSON document", edits.truncated),
    "staged: evidence of another image": Sabotage(
        "stage", "stage", "for another image", edit=edits.other_image
    ),
    "staged: evidence of a failed proof": Sabotage("stage", "stage", "failed", edit=edits.failed),
    "staged: a kernel table edited manually": Sabotage("stage", "stage", "does not allow", edit=edits.reference_kernel),
}  # fmt: skip
