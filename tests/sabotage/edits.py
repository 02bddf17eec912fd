"""What hands may do to evidence: each edit takes a good document and returns the text of a bad one."""

from __future__ import annotations

import json
from typing import Any

Document = dict[str, Any]
OTHER = "sha256:" + "0" * 64


def tolerant(manifest: Document) -> None:
    """Tolerate everything, in a manifest."""
    for tolerance in manifest["dtypes"].values():
        tolerance["absolute"] = 1000.0


def without_reorder(image: Document) -> None:
    """Take the rule about copies between layouts away, from image.json."""
    rules = image["smoke"]["kernels"]
    rules[:] = [rule for rule in rules if rule["operation"] != "reorder"]


def text(document: Document) -> str:
    """Return a document as evidence is written."""
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def failed(document: Document) -> str:
    document["report"]["checks"][0]["state"] = "fail"
    return text(document)


def reference_kernel(document: Document) -> str:
    """Let a reference kernel stand where the recipe has a fast one; every check says pass."""
    kernels = [one for run in document["report"]["runs"] for one in run["kernels"]]
    chosen = next((one for one in kernels if one["operation"] == "convolution"), kernels[0])
    chosen["implementation"] = "gemm:ref"
    return text(document)


def without_kernels(document: Document) -> str:
    for run in document["report"]["runs"]:
        run["kernels"] = []
    return text(document)


def wrong_answers(document: Document) -> str:
    document["report"]["runs"][0]["worst"] = 5.0
    return text(document)


def low_metric(document: Document) -> str:
    document["report"]["runs"][0]["metric"]["value"] = 0.1
    return text(document)


def lowered(document: Document) -> str:
    document["report"]["runs"][0]["metric"].update(value=0.1, minimum=0.05)
    return text(document)


def without_check(document: Document) -> str:
    checks = document["report"]["checks"]
    checks[:] = [one for one in checks if one["name"] != "files"]
    return text(document)


def without_run(document: Document) -> str:
    """Leave a run out, and its checks."""
    report = document["report"]
    gone = report["runs"].pop()
    name = f"{gone['workload']} {gone['dtype']}"
    report["checks"] = [one for one in report["checks"] if not one["name"].endswith(name)]
    return text(document)


def excused(document: Document) -> str:
    """Leave a run out, and say that it is not run."""
    gone = document["report"]["runs"][-1]
    reason = {"workload": gone["workload"], "dtype": gone["dtype"], "reason": "nobody asked for it"}
    document["report"]["not_run"].append(reason)
    return without_run(document)


def without_reason(document: Document) -> str:
    left_out = document["report"]["not_run"]
    left_out[:] = left_out or [{"workload": "lenet", "dtype": "int4"}]
    left_out[0]["reason"] = " "
    return text(document)


def other_version(document: Document) -> str:
    versions = document["report"]["versions"]
    versions[min(versions)] = "0.0.1"
    return text(document)


def other_cpu(document: Document) -> str:
    document["report"]["cpu"]["parts"] = ["0x00:0x000"]
    return text(document)


def real(document: Document) -> str:
    document["match"] = "real"
    return text(document)


def superset(document: Document) -> str:
    """Let the CPU have more features than the target, without the run that then is needed."""
    document.update(match="superset", smaller=None)
    return text(document)


def other_image(document: Document) -> str:
    document["image"] = OTHER
    return text(document)


def no_digest(document: Document) -> str:
    document["image"] = "sha256:latest"
    return text(document)


def other_inputs(document: Document) -> str:
    document["inputs"] = OTHER
    return text(document)


def other_combo(document: Document) -> str:
    """Let everything be of the same image for another backend or target."""
    other = "pytorch-2.9.1-n1-acl" if document["combo"] != "pytorch-2.9.1-n1-acl" else "pytorch-2.9.1-v1-acl"
    document["combo"] = document["report"]["combo"] = other
    return text(document)


def smaller_image(document: Document) -> str:
    document["compressed_bytes"] //= 2
    return text(document)


def field_more(document: Document) -> str:
    document["checked_by"] = "me"
    return text(document)


def not_a_number(document: Document) -> str:
    document["report"]["runs"][0]["worst"] = float("nan")
    return text(document)


def twice(document: Document) -> str:
    return text(document).replace('"combo":', '"combo": "pytorch",\n "combo":', 1)


def half(document: Document) -> str:
    whole = text(document)
    return whole[: len(whole) // 2]
