"""More sabotages of evidence: numbers, keys and runs that no proof writes."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping

from tests.sabotage import edits
from tests.sabotage.edits import Document
from tests.sabotage.model import Sabotage

CORES = ("pytorch-*-n1-*", "pytorch-*-v1-*", "pytorch-*-a64fx-*")  # targets for which OpenBLAS has kernels of its own
Change = Callable[[Document], object]


def forged(check: str, pattern: str, change: Change, combos: tuple[str, ...] = ("*",)) -> Sabotage:
    """Change a document."""

    def edit(document: Document) -> str:
        change(document)
        return edits.to_text(document)

    return Sabotage("evidence", check, pattern, edit=edit, combos=combos)


def rewritten(pattern: str, old: str, new: str) -> Sabotage:
    """Replace what a regular expression matches first in the text of a document."""

    def edit(document: Document) -> str:
        text, number = re.subn(old, new, edits.to_text(document), count=1, flags=re.DOTALL)
        assert number == 1, f"nothing matches {old!r}"
        return text

    return Sabotage("evidence", "schema", pattern, edit=edit)


def first_run(**values: object) -> Change:
    """Set fields of the first run."""
    return lambda document: document["report"]["runs"][0].update(values)


def add_run(document: Document) -> None:
    """Add a run, with its checks, that the plan does not have."""
    report = document["report"]
    added = {**copy.deepcopy(report["runs"][0]), "workload": "trivial"}
    report["runs"].append(added)
    for name in ("answers", added["metric"]["name"]):
        report["checks"].append({**report["checks"][0], "name": f"{name} trivial {added['dtype']}"})


def repeat_check(document: Document) -> None:
    """Add a check that failed a second time, as one that passed."""
    checks = document["report"]["checks"]
    checks.append(copy.deepcopy(checks[-1]))


def repeat_run(document: Document) -> None:
    document["report"]["runs"].append(copy.deepcopy(document["report"]["runs"][0]))


def skip_check(document: Document) -> None:
    document["report"]["checks"][-1]["state"] = "not run"


def stop_kernel(document: Document) -> None:
    kernels = [kernel for run in document["report"]["runs"] for kernel in run["kernels"]]
    kernels[0]["calls"] = 0


def take_baseline(document: Document) -> None:
    document["baseline"] = copy.deepcopy(document["report"])


def halve_errors(document: Document) -> None:
    """Write other errors than the answers have: half of them, or some where there are none."""
    run = document["report"]["runs"][0]
    run.update(worst=run["worst"] / 2 or 0.25, largest_error=run["largest_error"] / 2 or 1e-6)


def shorten(document: Document) -> None:
    """Unpack the image to less than it is compressed."""
    document["unpacked_bytes"] = document["compressed_bytes"] // 2


def other_emulator(document: Document) -> None:
    document["emulator"] = "QEMU 10.0.2, max: any"


N1 = ("*-n1-*",)
FORGERIES: Mapping[str, Sabotage] = {
    "evidence: a negative error": forged("answers", "worst answer is -0.25", first_run(worst=-0.25)),
    "evidence: a run of less than no time": forged("sizes", "a time is negative", first_run(seconds=-1.0)),
    "evidence: no memory": forged(
        "sizes", "peak memory", lambda document: document["report"].update(peak_memory_bytes=0)
    ),
    "evidence: answers to nothing": forged("runs", "has no samples", first_run(samples=0)),
    "evidence: a kernel that never ran": forged("kernels", "a kernel has no calls", stop_kernel),
    "evidence: an integer of 5,000 digits": rewritten(
        "Exceeds the limit", r'"peak_memory_bytes": \d+', '"peak_memory_bytes": ' + "9" * 5000
    ),
    "evidence: a number that overflows": rewritten("too large for a number", r'"worst": [^,\s]+', '"worst": 1e999'),
    "evidence: less than any number": rewritten("-Infinity", r'"worst": [^,\s]+', '"worst": -Infinity'),
    "evidence: a state given twice in one check": rewritten(
        "'state' appears more than once", '"state": "pass"', '"state": "fail", "state": "pass"'
    ),
    "evidence: a number as text": rewritten(r"runs\.0\.worst", r'"worst": ([^,\s]+)', r'"worst": "\1"'),
    "evidence: true in place of a number": forged("schema", r"runs\.0\.samples", first_run(samples=True)),
    "evidence: nothing in place of a report": forged("schema", "report", lambda document: document.update(report=None)),
    "evidence: an older schema": forged("schema", "schema_version", lambda document: document.update(schema_version=2)),
    "evidence: a second document behind it": rewritten("Extra data", r"\}\n$", "}\n{}\n"),
    "evidence: a byte order mark": rewritten("BOM", r"^\{", "\ufeff{"),
    "evidence: another combo's report inside": forged(
        "combo", "contains a report for", lambda document: document["report"].update(combo="pytorch-2.9.1-n1-acl")
    ),
    "evidence: another platform": forged(
        "image", "linux/amd64", lambda document: document.update(platform="linux/amd64")
    ),
    "evidence: one run twice": forged("runs", "more than once", repeat_run),
    "evidence: one check twice": forged("checks", "more than once", repeat_check),
    "evidence: a run that the plan does not have": forged("runs", "is not in the plan", add_run),
    "evidence: a check that was not run": forged("verdict", "disagree", skip_check),
    "evidence: a metric of another name": forged(
        "metric", "recall", lambda document: document["report"]["runs"][0]["metric"].update(name="recall")
    ),
    "evidence: a CPU without features": forged(
        "cpu", "the CPU lacks", lambda document: document["report"]["cpu"].update(features=[])
    ),
    "evidence: a run on a CPU of the emulator's own": forged(
        "cpu", "it ran on QEMU max", lambda document: document["report"]["cpu"].update(emulator="QEMU max"), N1
    ),
    "evidence: a baseline run where none belongs": forged("emulator", "a run on the baseline CPU", take_baseline, N1),
    "evidence: another core of OpenBLAS": forged(
        "kernels", "by sandybridge",
        lambda document: document["report"]["loaded"][0].update(implementation="sandybridge"), CORES,
    ),
    "evidence: no core of OpenBLAS": forged(
        "kernels", "library loading: no kernel", lambda document: document["report"].update(loaded=[]), CORES
    ),
    "evidence: more right answers than answers": forged(
        "answers", "metric 7", lambda document: document["report"]["runs"][0]["metric"].update(value=7.0)
    ),
    "evidence: one sample of many": forged("answers", ".", first_run(samples=1)),
    "evidence: smaller errors than the answers have": forged("answers", "the report says", halve_errors),
    "evidence: another emulator than the report's": forged("emulator", ".", other_emulator, N1),
    "evidence: less than no CPUs": forged("cpu", ".", lambda document: document["report"]["cpu"].update(cpus=-2)),
    "evidence: unpacked to less than it is compressed": forged("sizes", ".", shorten),
    "staged: evidence with a key twice": Sabotage(
        "stage", "stage", "no valid evidence", edit=edits.repeated_key
    ),
    "staged: evidence of a smaller image": Sabotage("stage", "stage", "bytes", edit=edits.smaller_image),
    "staged: evidence of an older schema": Sabotage(
        "stage", "stage", "no valid evidence",
        edit=lambda document: edits.to_text({**document, "schema_version": 2}),
    ),
}  # fmt: skip
