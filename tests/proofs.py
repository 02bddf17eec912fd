"""Synthetic proofs: evidence that fits a plan, and an engine that has only the plan's image."""

from __future__ import annotations

import functools
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from armwright.assembly import record
from armwright.audit import file_tree
from armwright.engine.client import Image
from armwright.plan.plan import Plan
from armwright.proof import answers, check_image, check_plan, evidence, image_tree
from armwright.proof.answers import Answers, Arrays, Graded
from armwright.proof.evidence import Evidence

DIGEST = f"sha256:{'1' * 64}"
SIZE = 130_000_000
MANIFEST = {"usr/bin/a": "file 0755 0:0 315619200 3 ab"}  # of no image
_packed: dict[str, bytes] = {}


def document(plan: Plan) -> dict[str, Any]:
    """Return evidence as a proof of a plan gives it: every check, run and kernel that the plan requires."""
    target, required = plan.combo.target, check_plan.read_requirements(plan)
    image = required.image
    runs = [_run(plan, key, numbers, required) for key, numbers in required.runs.items() if numbers is not None]
    names = [*required.checks, *(f"answers {run['workload']} {run['dtype']}" for run in runs)]
    names += [f"{run['metric']['name']} {run['workload']} {run['dtype']}" for run in runs]
    reasons = {f"kernels {rule['id']}": {"rule": rule["id"], "reason": rule["reason"]} for rule in required.rules}
    report = {
        "schema": 4,
        "combo": plan.combo.id,
        "passed": True,
        "cpu": {
            "title": target.title, "parts": [part.replace("*", "0xd0c") for part in target.parts[:1]],
            "features": list(target.floor), "vector_bytes": target.vector_bytes,
            "emulator": f"QEMU {target.emulator.cpu}", "cpus": 2,
        },
        "versions": {image["distribution"]: image["version"], **image["backend"]["versions"]},
        "checks": [
            {"name": name, "state": "pass", "expected": "it", "found": "it is", "rule": "", "reason": "",
             **reasons.get(name, {})}
            for name in names
        ],
        "runs": runs,
        "loaded": [_kernel(rule) for rule in required.rules if rule["source"] == "openblas"],
        "not_run": [
            {"workload": key[0], "dtype": key[1], "reason": "this CPU has none"}
            for key, numbers in required.runs.items() if numbers is None
        ],
        "peak_memory_bytes": 500_000_000,
        "seconds": 60.5,
    }  # fmt: skip
    return {
        "schema_version": 4, "combo": plan.combo.id, "image": DIGEST, "inputs": plan.inputs, "platform": "linux/arm64",
        "engine": "26.1.5", "files": file_tree.hash_tree(MANIFEST),
        "emulator": f"QEMU 10.0.2, {target.emulator.cpu}: {target.emulator.note}",
        "match": target.emulator.match, "compressed_bytes": SIZE, "unpacked_bytes": 3 * SIZE, "report": report,
        "baseline": None,
    }  # fmt: skip


def answer(plan: Plan) -> Answers:
    """Return the answers of that proof: in every run the expected ones."""
    required = check_plan.read_requirements(plan)
    return {" ".join(key): _expect(plan, *key)[0] for key, numbers in required.runs.items() if numbers is not None}


def put_parts(file: Path, plan: Plan) -> None:
    """Write what lies beside the evidence of that proof; packing answers takes a quarter of a second, so it is kept."""
    path = file.with_suffix(".answers.npz")
    image_tree.write_manifest(file.with_suffix(".files.json.gz"), MANIFEST)
    if plan.inputs not in _packed:
        answers.write_answers(path, {"": answer(plan)})
        _packed[plan.inputs] = path.read_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_packed[plan.inputs])


def keep(root: Path, plan: Plan, image: Image) -> Evidence:
    """Write the record, the answers and the evidence of an image that stands for a plan's, as a build does."""
    facts = {
        "image": image.digest, "platform": image.platform,
        "compressed_bytes": image.compressed, "unpacked_bytes": image.compressed,  # nothing unpacked it yet
    }  # fmt: skip
    proof = Evidence.model_validate({**document(plan), **facts})
    record.write_record(root, plan, image.digest)
    put_parts(evidence.evidence_path(root, plan.combo.id), plan)
    evidence.write_evidence(root, proof)
    return proof


def _expect(plan: Plan, workload: str, dtype: str) -> tuple[Arrays, Graded]:
    """Return the expected answers of a run, and what they are worth."""
    files, own = plan.files, json.loads(plan.files[f"{answers.SMOKE}/{workload}/manifest.json"])
    folder = f"{answers.SMOKE}/{own.get('shares', workload)}"
    names = ("manifest.json", "expected.npz", "inputs.npz", "workload.py")
    return _load_expected(workload, dtype, tuple(files[f"{folder}/{name}"] for name in names))


@functools.cache
def _load_expected(workload: str, dtype: str, files: tuple[bytes, ...]) -> tuple[Arrays, Graded]:
    manifest, expected, inputs, code = files
    limit = json.loads(manifest)["dtypes"][dtype].get("samples")
    with np.load(io.BytesIO(expected)) as archive:
        numbers = {name: np.ascontiguousarray(array[:limit]) for name, array in archive.items()}
    folder = f"{answers.SMOKE}/{workload}"
    names = ("manifest.json", "expected.npz", "inputs.npz", "workload.py")
    planned = {f"{folder}/{name}": data for name, data in zip(names, (manifest, expected, inputs, code), strict=True)}
    return numbers, answers.grade(planned, workload, dtype, numbers)


def _run(
    plan: Plan, key: tuple[str, str], numbers: Mapping[str, Any], required: check_plan.Requirements
) -> dict[str, Any]:
    rules = [rule for rule in required.rules if rule["source"] != "openblas"]
    kernels = [
        _kernel(rule)
        for rule in rules
        if rule["implementations"]
        and not rule["optional"]
        and rule["operation"] in numbers["operations"]
        and key[1] in (rule["dtypes"] or [key[1]])
    ]
    expected, graded = _expect(plan, *key)
    return {
        "workload": key[0], "dtype": key[1], "samples": len(next(iter(expected.values()))), "seconds": 1.5,
        "largest_error": graded.largest_error, "worst": graded.worst, "answers": answers.hash_answers(expected),
        "metric": {"name": numbers["name"], "value": graded.metric, "minimum": numbers["minimum"]}, "kernels": kernels,
    }  # fmt: skip


def _kernel(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "source": rule["source"], "operation": rule["operation"], "calls": 2, "shape": "1x1",
        "implementation": rule["implementations"][0].replace("*", "x"), "types": rule["types"].replace("*", ""),
    }  # fmt: skip


class OneImage:
    """An engine that has the image of one plan, as the build makes it.

    Args:
        plan: the plan.
        changes: files to replace in the image; None removes one.
        facts: other facts of the engine about the image that differ.
    """

    def __init__(self, plan: Plan, changes: Mapping[str, bytes | None] | None = None, **facts: Any) -> None:  # noqa: ANN401 - fields of an image
        self.plan = plan
        built = {name.removeprefix("image/"): data for name, data in plan.files.items() if name.startswith("image/")}
        self.files = {name: data for name, data in {**built, **(changes or {})}.items() if data is not None}
        planned = check_image.read_planned_image(plan.files["Dockerfile"].decode())
        configuration = {
            "User": planned.user, "Env": [f"{name}={value}" for name, value in planned.environment.items()],
            "Entrypoint": planned.entrypoint, "Cmd": planned.command, "WorkingDir": "/", "Volumes": None,
            "Hostname": "", **facts.pop("configuration", {}),
        }  # fmt: skip
        fields = {
            "digest": DIGEST, "labels": planned.labels, "compressed": SIZE, "unpacked": 3 * SIZE,
            "platform": "linux/arm64", "layers": ("a", "b", "c"), "configuration": configuration,
        }  # fmt: skip
        self.image = Image(**{**fields, **facts})

    def find(self, reference: str) -> Image | None:
        return self.image if reference == self.plan.reference else None

    def read(self, _: str, paths: Sequence[str]) -> dict[str, bytes]:
        """Return a tar for each existing path, as the engine does."""
        archives = {}
        for path in paths:
            parent, inside = path.strip("/").rpartition("/")[0], path.strip("/")
            names = [name for name in self.files if name == inside or name.startswith(f"{inside}/")]
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w") as archive:
                for name in names:
                    entry = tarfile.TarInfo(name.removeprefix(f"{parent}/"))
                    entry.size = len(self.files[name])
                    archive.addfile(entry, io.BytesIO(self.files[name]))
            if names:
                archives[path] = buffer.getvalue()
        return archives
