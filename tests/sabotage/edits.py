"""Manual edits of evidence: each takes a good document and returns the text of a bad one."""

from __future__ import annotations

import json
from typing import Any

Document = dict[str, Any]
OTHER = "sha256:" + "0" * 64


def tolerant(manifest: Document) -> None:
    """Widen every tolerance in a manifest."""
    for tolerance in manifest["dtypes"].values():
        tolerance["absolute"] = 1000.0


def without_reorder(image: Document) -> None:
    """Remove the rules about copies between memory layouts from image.json."""
    rules = image["smoke"]["kernels"]
    rules[:] = [rule for rule in rules if rule["operation"] != "reorder"]


def to_text(document: Document) -> str:
    """Return a document as evidence is written."""
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def failed(document: Document) -> str:
    document["report"]["checks"][0]["state"] = "fail"
    return to_text(document)


def reference_kernel(document: Document) -> str:
    """Put a reference kernel where the recipe requires a fast one; every check still passes."""
    kernels = [kernel for run in document["report"]["runs"] for kernel in run["kernels"]]
    replaced = next((kernel for kernel in kernels if kernel["operation"] == "convolution"), kernels[0])
    replaced["implementation"] = "gemm:ref"
    return to_text(document)


def without_kernels(document: Document) -> str:
    for run in document["report"]["runs"]:
        run["kernels"] = []
    return to_text(document)


def _first_rule(document: Document) -> Document:
    checks: list[Document] = document["report"]["checks"]
    return next(check for check in checks if check["rule"])


def without_rule(document: Document) -> str:
    _first_rule(document)["rule"] = ""
    return to_text(document)


def other_reason(document: Document) -> str:
    _first_rule(document)["reason"] = "any kernel is good enough here"
    return to_text(document)


def wrong_answers(document: Document) -> str:
    document["report"]["runs"][0]["worst"] = 5.0
    return to_text(document)


def low_metric(document: Document) -> str:
    document["report"]["runs"][0]["metric"]["value"] = 0.1
    return to_text(document)


def lowered(document: Document) -> str:
    document["report"]["runs"][0]["metric"].update(value=0.1, minimum=0.05)
    return to_text(document)


def without_check(document: Document) -> str:
    checks = document["report"]["checks"]
    checks[:] = [check for check in checks if check["name"] != "files"]
    return to_text(document)


def without_run(document: Document) -> str:
    """Leave out a run and its checks."""
    report = document["report"]
    removed = report["runs"].pop()
    name = f"{removed['workload']} {removed['dtype']}"
    report["checks"] = [check for check in report["checks"] if not check["name"].endswith(name)]
    return to_text(document)


def excused(document: Document) -> str:
    """Leave out a run, and declare it as not run."""
    removed = document["report"]["runs"][-1]
    skipped = {"workload": removed["workload"], "dtype": removed["dtype"], "reason": "it was not requested"}
    document["report"]["not_run"].append(skipped)
    return without_run(document)


def without_reason(document: Document) -> str:
    not_run = document["report"]["not_run"]
    not_run[:] = not_run or [{"workload": "lenet", "dtype": "int4"}]
    not_run[0]["reason"] = " "
    return to_text(document)


def other_version(document: Document) -> str:
    versions = document["report"]["versions"]
    versions[min(versions)] = "0.0.1"
    return to_text(document)


def other_cpu(document: Document) -> str:
    document["report"]["cpu"]["parts"] = ["0x00:0x000"]
    return to_text(document)


def real(document: Document) -> str:
    document["match"] = "real"
    return to_text(document)


def superset(document: Document) -> str:
    """Let the CPU have more features than the target, without the run on the baseline CPU that this requires."""
    document.update(match="superset", baseline=None)
    return to_text(document)


def other_image(document: Document) -> str:
    document["image"] = OTHER
    return to_text(document)


def no_digest(document: Document) -> str:
    document["image"] = "sha256:latest"
    return to_text(document)


def other_inputs(document: Document) -> str:
    document["inputs"] = OTHER
    return to_text(document)


def other_combo(document: Document) -> str:
    """Name another combo in every place."""
    other = "pytorch-2.9.1-n1-acl" if document["combo"] != "pytorch-2.9.1-n1-acl" else "pytorch-2.9.1-v1-acl"
    document["combo"] = document["report"]["combo"] = other
    return to_text(document)


def smaller_image(document: Document) -> str:
    document["compressed_bytes"] //= 2
    return to_text(document)


def extra_field(document: Document) -> str:
    document["checked_by"] = "me"
    return to_text(document)


def not_a_number(document: Document) -> str:
    document["report"]["runs"][0]["worst"] = float("nan")
    return to_text(document)


def repeated_key(document: Document) -> str:
    return to_text(document).replace('"combo":', '"combo": "pytorch",\n "combo":', 1)


def truncated(document: Document) -> str:
    whole = to_text(document)
    return whole[: len(whole) // 2]
