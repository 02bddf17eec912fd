"""Tamperings with the answers that are kept beside evidence: every number is judged again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from armwright.proof import answers, verify
from armwright.proof.verify import EvidenceFile
from tests import proofs
from tests.sabotage import edits
from tests.sabotage.ledger import Outcome
from tests.sabotage.tampering import Tampering, Workplace

RUN, OTHER = "lenet fp32", "tinyvgg fp32"
Arrays = dict[str, npt.NDArray[Any]]
Change = Callable[[dict[str, Arrays]], object]


def kept(change: Change, *, signed: bool = False) -> Callable[[Workplace], Outcome]:
    """Change the answers beside evidence, and verify it.

    Args:
        change: gets the answers by run.
        signed: write the digests of the changed answers into the evidence too.
    """

    def attempt(place: Workplace) -> Outcome:
        found = {run: dict(arrays) for run, arrays in proofs.answer(place.plan).items()}
        document, file = proofs.document(place.plan), place.folder / "proof.json"
        assert "answers" not in _verify(place, file, document, found).failed
        change(found)
        if signed:
            for run in document["report"]["runs"]:
                run["answers"] = answers.hash_answers(found[f"{run['workload']} {run['dtype']}"])
        return _verify(place, file, document, found)

    return attempt


def damaged(change: Callable[[Path], object]) -> Callable[[Workplace], Outcome]:
    """Damage the file of the answers, and verify the evidence."""

    def attempt(place: Workplace) -> Outcome:
        file = place.folder / "proof.json"
        found = {run: dict(arrays) for run, arrays in proofs.answer(place.plan).items()}
        assert "answers" not in _verify(place, file, proofs.document(place.plan), found).failed
        change(file.with_suffix(".answers.npz"))
        return _outcome(place, file)

    return attempt


def _verify(place: Workplace, file: Path, document: dict[str, Any], found: Mapping[str, Arrays]) -> Outcome:
    file.write_text(edits.to_text(document))
    answers.write_answers(file.with_suffix(".answers.npz"), {"": dict(found)})
    return _outcome(place, file)


def _outcome(place: Workplace, file: Path) -> Outcome:
    engine: Any = proofs.OneImage(place.plan)
    result = verify.verify_evidence(place.matrix, EvidenceFile(file.name, file), engine)
    return Outcome({problem.part: problem.text for problem in reversed(result.problems)})


def first(found: dict[str, Arrays]) -> str:
    """Return the name of the first array of the run."""
    return next(iter(found[RUN]))


def add(amount: float) -> Change:
    """Add to one number."""

    def change(found: dict[str, Arrays]) -> None:
        array = found[RUN][first(found)].copy()
        array.flat[7] += np.asarray(amount, array.dtype)
        found[RUN][first(found)] = array

    return change


def widen(found: dict[str, Arrays]) -> None:
    """Write the same numbers in another type."""
    array = found[RUN][first(found)]
    found[RUN][first(found)] = array.astype(np.float32 if array.dtype == np.float64 else np.float64)


def shorten(found: dict[str, Arrays]) -> None:
    """Leave out the last sample."""
    found[RUN] = {name: array[:-1] for name, array in found[RUN].items()}


def rename(found: dict[str, Arrays]) -> None:
    found[RUN]["other"] = found[RUN].pop(first(found))


def swap(found: dict[str, Arrays]) -> None:
    """Give two runs each other's answers."""
    found[RUN], found[OTHER] = found[OTHER], found[RUN]


def pickle(path: Path) -> None:
    """Write objects in place of numbers, which run code when they are read."""
    np.savez(path, **{f"/{RUN}/logits": np.array([{}], dtype=object)})  # type: ignore[arg-type]


def _kept(pattern: str, change: Change, *, signed: bool = False) -> Tampering:
    return Tampering("report", "answers", pattern, kept(change, signed=signed))


def _damaged(change: Callable[[Path], object]) -> Tampering:
    return Tampering("report", "answers", "cannot be read", damaged(change))


OTHERS = "not those of the report"
NUMBERS: Mapping[str, Tampering] = {
    "answers: one number changed": _kept(OTHERS, add(1.0)),
    "answers: one number changed by less than the tolerance": _kept(OTHERS, add(1e-6)),
    "answers: the same numbers in another type": _kept(OTHERS, widen),
    "answers: those of another run": _kept(OTHERS, swap),
    "answers: another name": _kept(OTHERS, rename),
    "answers: a run left out": _kept("the numbers are missing", lambda found: found.pop(RUN)),
    "answers: one number changed, and their digest": _kept("times the tolerance", add(1.0), signed=True),
    "answers: a number that is NaN, and their digest": _kept("times the tolerance", add(float("nan")), signed=True),
    "answers: an infinite number, and their digest": _kept("times the tolerance", add(float("inf")), signed=True),
    "answers: a sample left out, and their digest": _kept("the shape", shorten, signed=True),
    "answers: another name, and their digest": _kept(RUN, rename, signed=True),
    "answers: those of another run, and their digest": _kept("logits|shape", swap, signed=True),
    "answers: a file that is cut off": _damaged(lambda path: path.write_bytes(path.read_bytes()[:1000])),
    "answers: an empty file": _damaged(lambda path: path.write_bytes(b"")),
    "answers: objects in place of numbers": _damaged(pickle),
    "answers: text in place of numbers": _damaged(lambda path: path.write_text(json.dumps({}))),
}
