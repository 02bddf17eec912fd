"""The answers of a proof, judged outside the image: what is unpacked, rejected, and differs from the report."""

from __future__ import annotations

import base64
import json
import runpy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from armwright.matrix.matrix import load_matrix
from armwright.plan.plan import Plan, make_plan
from armwright.proof import answers, verify
from armwright.proof.answers import Answers, InvalidAnswersError
from armwright.proof.evidence import Evidence
from armwright.system.errors import FailedError
from tests import proofs
from tests.support import ROOT

INSIDE = runpy.run_path(str(ROOT / "scripts/smoke/answers.py"))  # as in an image
COMBO = "pytorch-2.10.0-n1-acl"
LENET, DECODER = "lenet fp32", "decoder fp32"
CLAIMS = ["says largest error 0", "says worst 0", "says metric"]
Change = Callable[[dict[str, Any]], None]


@cache
def planned() -> Plan:
    matrix = load_matrix(ROOT)
    return make_plan(matrix, matrix.by_id[COMBO])


def judge(run: str, change: Change, *, reported: bool = True) -> list[str]:
    """Change the numbers of a run, and their digest in the report if it is reported; return what is wrong."""
    document, kept = proofs.document(planned()), proofs.answer(planned())
    numbers = {name: array.copy() for name, array in kept[run].items()}
    change(numbers)
    kept[run] = numbers
    if reported:
        (entry,) = [entry for entry in document["report"]["runs"] if f"{entry['workload']} {entry['dtype']}" == run]
        entry["answers"] = answers.hash_answers(numbers)
    return wrong(document, kept)


def wrong(document: dict[str, Any], kept: Answers) -> list[str]:
    proof = Evidence.model_validate(document)
    return [problem.text for problem in answers.find_wrong_answers(proof, planned(), {"": kept})]


def set_number(name: str, value: float) -> Change:
    return lambda numbers: numbers[name].flat.__setitem__(3, value)


def test_the_answers_of_a_good_proof_hold() -> None:
    assert wrong(proofs.document(planned()), proofs.answer(planned())) == []


@pytest.mark.parametrize(
    ("run", "change", "expected"),
    [
        (LENET, set_number("logits", 99.0), ["an error is", "says largest error 0", "says worst 0", "says metric"]),
        (
            LENET,
            set_number("logits", float("nan")),
            ["an error is", "says largest error 0", "says worst 0", "says metric"],
        ),
        (DECODER, set_number("tokens", 1), ["an error is", "tokens of the numbers is", *CLAIMS[1:]]),
        (LENET, lambda numbers: numbers["logits"].__imul__(1.00001), ["says largest error 0", "says worst 0"]),
        (LENET, lambda numbers: numbers.pop("logits"), ["'logits'"]),
        (LENET, lambda numbers: numbers.update(logits=numbers["logits"][:9]), [r"has the shape (9, 10)"]),
    ],
    ids=["wrong", "NaN", "integer", "within the tolerance", "absent", "fewer"],
)
def test_numbers_that_are_not_the_reports_are_found(run: str, change: Change, expected: list[str]) -> None:
    found = judge(run, change)
    assert len(found) == len(expected), found
    assert all(part in text and run in text for part, text in zip(expected, found, strict=True)), found


def test_other_numbers_than_those_of_the_digest_are_found() -> None:
    assert judge(LENET, set_number("logits", 99.0), reported=False) == [
        "lenet fp32: the numbers are not those of the report"
    ]


def test_a_run_without_numbers_is_found() -> None:
    kept = {name: numbers for name, numbers in proofs.answer(planned()).items() if name != LENET}
    assert wrong(proofs.document(planned()), kept) == ["lenet fp32: the numbers are missing"]


def test_a_report_with_all_checks_passed_is_not_enough() -> None:
    document = proofs.document(planned())
    document["report"]["runs"][0]["largest_error"] = 0.5
    proof, numbers = Evidence.model_validate(document), {"": proofs.answer(planned())}
    with pytest.raises(FailedError, match="the report is not that of its numbers: lenet fp32") as refused:
        verify.require_own_numbers(proof, planned(), numbers)
    assert refused.value.next_step.endswith(f"invoke build --combo {COMBO}")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "int64", "int8", "bool"])
def test_what_the_image_packs_is_unpacked(dtype: str) -> None:
    array = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    packed = INSIDE["pack"]({"b": array, "a": array[::-1].T, "c": 1}, ["b", "a"])
    (run,) = answers.unpack(json.loads(json.dumps({"tiny fp32": packed}))).values()
    assert run["b"].tolist() == array.tolist()
    assert run["a"].tolist() == array[::-1].T.tolist()
    assert answers.hash_answers(run) == INSIDE["digest"](packed)


PACKED = {"dtype": "<f4", "shape": [2], "data": base64.b64encode(bytes(8)).decode()}


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"lenet fp32": [1.0]},
        *[
            {"lenet fp32": {"logits": {**PACKED, **change}}}
            for change in (
                {"dtype": "|O"},
                {"shape": [3]},
                {"shape": [-1]},
                {"shape": [10**12]},
                {"data": "!"},
                {"data": 1},
                {"more": 1},
            )
        ],
    ],
)
def test_anything_but_arrays_of_numbers_is_rejected(document: object) -> None:
    with pytest.raises(InvalidAnswersError):
        answers.unpack(document)


def test_written_answers_are_read_again(tmp_path: Path) -> None:
    file = tmp_path / "proof.answers.npz"
    answers.write_answers(file, {"": proofs.answer(planned()), "baseline": proofs.answer(planned())})
    read = answers.read_answers(file)
    assert list(read) == ["", "baseline"]
    assert {run: answers.hash_answers(numbers) for run, numbers in read[""].items()} == {
        run: answers.hash_answers(numbers) for run, numbers in proofs.answer(planned()).items()
    }


def test_a_file_with_objects_or_half_a_file_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "proof.answers.npz"
    np.savez(file, **{"/lenet fp32/logits": np.array([{}], dtype=object)})  # type: ignore[arg-type]
    with pytest.raises(InvalidAnswersError, match=r"proof\.answers\.npz cannot be read"):
        answers.read_answers(file)
    answers.write_answers(file, {"": proofs.answer(planned())})
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InvalidAnswersError, match=r"proof\.answers\.npz cannot be read"):
        answers.read_answers(file)
    with pytest.raises(InvalidAnswersError, match="cannot be read"):
        answers.read_answers(tmp_path / "absent")
