"""The answers of a proof as plain numbers: unpacked strictly, kept beside the evidence, and judged again outside.

An image grades its answers itself, and a changed image can grade them as it likes. Here the numbers that it computed
are compared with the expected ones once more, with the tolerances of the checkout's manifests. This repeats
on purpose what scripts/smoke/worker.py does inside an image.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, TypeAdapter, ValidationError

from armwright.plan.image_facts import HOME
from armwright.plan.plan import Plan
from armwright.proof.check_evidence import Problem, list_reports
from armwright.proof.evidence import Evidence, Run
from armwright.system.files import write_whole
from armwright.system.strict_model import StrictModel

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
Answers = dict[str, Arrays]  # by "<workload> <dtype>"
SMOKE = f"image/{HOME}/smoke"
MOST = 10_000_000  # numbers in an array; the largest workload has 20,000
CLOSE = 1e-6  # relative difference between a value computed here and inside: other NumPy, other order of summation


class InvalidAnswersError(Exception):
    """Answers are not what the smoke run prints; the message says where."""


class _Packed(StrictModel):
    dtype: Literal["<f4", "<f8", "<i4", "<i8"]
    shape: list[Annotated[int, Field(ge=0, le=MOST)]]
    data: str


class Graded(NamedTuple):
    """What the numbers of a run are worth: see `Run` in evidence.py."""

    largest_error: float
    worst: float
    metric: float


_DOCUMENT = TypeAdapter(dict[str, dict[str, _Packed]])


def unpack(document: object) -> Answers:
    """Unpack the `numbers` of a report.

    Raises:
        InvalidAnswersError: they are anything else than arrays of numbers.
    """
    try:
        packed = _DOCUMENT.validate_python(document)
    except ValidationError as error:
        raise InvalidAnswersError(f"its numbers are not arrays: {error.errors(include_url=False)[0]['msg']}") from error
    return {
        run: {name: _unpack_array(f"{run} {name}", array) for name, array in arrays.items()}
        for run, arrays in packed.items()
    }


def _unpack_array(where: str, packed: _Packed) -> Array:
    try:
        data = base64.b64decode(packed.data, validate=True)
        return np.frombuffer(data, dtype=packed.dtype).reshape(packed.shape)
    except (binascii.Error, ValueError) as error:
        raise InvalidAnswersError(f"{where}: not {packed.shape} numbers of the type {packed.dtype}") from error


def hash_answers(arrays: Arrays) -> str:
    """Return the sha256 of a run's answers, as the smoke run computes it (scripts/smoke/answers.py)."""
    total = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        total.update(f"{name} {array.dtype.str} {list(array.shape)}\n".encode())
        total.update(array.tobytes())
    return f"sha256:{total.hexdigest()}"


def write_answers(path: Path, reports: Mapping[str, Answers]) -> None:
    """Write the answers of a proof.

    Args:
        path: the file, beside the evidence (`evidence.answers_path`).
        reports: the answers of each report: "" for the target's CPU, "baseline" for the baseline CPU.
    """
    arrays = {
        f"{report}/{run}/{name}": array
        for report, answers in reports.items()
        for run, numbers in answers.items()
        for name, array in numbers.items()
    }
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    write_whole(path, file.getvalue())


def read_answers(path: Path) -> dict[str, Answers]:
    """Read what `write_answers` wrote.

    Raises:
        InvalidAnswersError: the file is not there, or is anything else.
    """
    reports: dict[str, dict[str, dict[str, Array]]] = {}
    try:
        data = io.BytesIO(path.read_bytes())
        with np.load(data, allow_pickle=False) as archive:
            for key, array in archive.items():
                report, run, name = key.split("/")
                reports.setdefault(report, {}).setdefault(run, {})[name] = array
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, AttributeError) as error:
        raise InvalidAnswersError(f"{path.name} cannot be read: {error}") from error
    return {report: dict(answers) for report, answers in reports.items()}


def find_wrong_answers(proof: Evidence, plan: Plan, reports: Mapping[str, Answers]) -> Iterator[Problem]:
    """Judge the answers of a proof again; yield what is wrong, or differs from what the image said.

    Args:
        proof: the proof.
        plan: its plan, with the manifests and the expected answers.
        reports: the answers of each report.
    """
    for (prefix, report), name in zip(list_reports(proof), ("", "baseline"), strict=False):
        answers = reports.get(name, {})
        for run in report.runs:
            where = f"{prefix}{run.workload} {run.dtype}"
            numbers = answers.get(f"{run.workload} {run.dtype}")
            if numbers is None:
                yield Problem("answers", f"{where}: the numbers are missing")
            elif hash_answers(numbers) != run.answers:
                yield Problem("answers", f"{where}: the numbers are not those of the report")
            else:
                yield from _judge(where, run, plan, numbers)


def _judge(where: str, run: Run, plan: Plan, numbers: Arrays) -> Iterator[Problem]:
    try:
        graded = grade(plan.files, run.workload, run.dtype, numbers)
    except (KeyError, ValueError, IndexError) as error:
        yield Problem("answers", f"{where}: {error}")
        return
    if run.samples not in {len(array) for array in numbers.values()}:
        yield Problem("answers", f"{where}: the report says {run.samples} samples, which are not those of its numbers")
    if graded.worst > 1:
        yield Problem("answers", f"{where}: an error is {graded.worst:.3g} times the tolerance")
    if graded.metric < run.metric.minimum:
        yield Problem("metric", f"{where}: {run.metric.name} of the numbers is {graded.metric:g}")
    reported = Graded(run.largest_error, run.worst, run.metric.value)
    for field, computed, claimed in zip(Graded._fields, graded, reported, strict=True):
        if not math.isclose(computed, claimed, rel_tol=CLOSE, abs_tol=1e-12):
            text = f"{where}: the report says {field.replace('_', ' ')} {claimed:g}, its numbers give {computed:g}"
            yield Problem("answers", text)


def grade(files: Mapping[str, bytes], workload: str, dtype: str, numbers: Arrays) -> Graded:
    """Compare the numbers of a run with the expected ones.

    Args:
        files: the plan's files, with the manifest, the expected answers and the score of the workload.
        workload: the workload.
        dtype: the data type.
        numbers: the answers by name.

    Returns:
        the largest absolute error, the largest as a multiple of the tolerance, and the metric. A wrong integer and
        numbers that are not finite give the largest number there is.

    Raises:
        KeyError: an answer, or the data type in the manifest, is missing.
        ValueError: an answer has another shape than expected.
    """
    own = json.loads(files[f"{SMOKE}/{workload}/manifest.json"])
    folder = f"{SMOKE}/{own.get('shares', workload)}"
    tolerance = json.loads(files[f"{folder}/manifest.json"])["dtypes"][dtype]
    limit = tolerance.get("samples")
    expected = _load(files[f"{folder}/expected.npz"], limit)
    largest = worst = 0.0
    for name, reference in expected.items():
        answer = numbers[name]
        if answer.shape != reference.shape:
            raise ValueError(f"{name} has the shape {answer.shape}, expected {reference.shape}")
        error, multiple = _measure(answer, reference, tolerance)
        largest, worst = max(largest, error), max(worst, multiple)
    workload_module = _load_workload(files[f"{folder}/workload.py"])
    metric = float(workload_module.score(numbers, _load(files[f"{folder}/inputs.npz"], limit)))
    return Graded(largest, worst, metric)


def _measure(answer: Array, reference: Array, tolerance: Mapping[str, float]) -> tuple[float, float]:
    """Return the largest error of an array, absolute and as a multiple of the tolerance."""
    huge = float(np.finfo(np.float64).max)
    difference = np.abs(answer.astype(np.float64) - reference)
    if reference.dtype.kind in "iub":
        return 0.0, huge if difference.any() else 0.0
    allowed = tolerance["absolute"] + tolerance["relative"] * np.abs(reference)
    with np.errstate(divide="ignore", invalid="ignore"):
        multiples = np.where(difference == 0, 0.0, difference / allowed)
    return (
        float(np.nan_to_num(difference, nan=huge, posinf=huge).max()),
        float(np.nan_to_num(multiples, nan=huge, posinf=huge).max()),
    )


def _load(data: bytes, limit: int | None) -> Arrays:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: array if limit is None else array[:limit] for name, array in archive.items()}


def _load_workload(source: bytes) -> Any:  # noqa: ANN401 - a module
    """Run a workload's module, which is the project's own: only its `score` is used."""
    module = ModuleType("workload")
    exec(compile(source, "workload.py", "exec"), module.__dict__)  # noqa: S102 - the plan's own file
    return module
