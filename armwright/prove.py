"""The command `smoke`: images that exist are proven again, whole or in part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from armwright import selection, smoke, verdict
from armwright.doors import console
from armwright.doors.errors import FailedError, InputError, nearest
from armwright.engine import Engine
from armwright.evidence import Evidence
from armwright.facts.patterns import DTYPES
from armwright.matrix import Combo, Matrix
from armwright.plan import Source, plan
from armwright.selection import Selector


@dataclass(frozen=True)
class Part:
    """What of a proof is run: one workload, one data type; what is left out means all."""

    workload: str = ""
    dtype: str = ""

    @property
    def words(self) -> list[str]:
        """The options of the smoke run."""
        asked = {"--workload": self.workload, "--dtype": self.dtype}
        return [word for option, value in asked.items() if value for word in (option, value)]

    def check(self, combos: Sequence[Combo] = ()) -> None:
        """Refuse what no image has, or not every one of the combos.

        Raises:
            InputError: with the nearest right word.
        """
        if self.dtype and self.dtype not in DTYPES:
            near = nearest(self.dtype, DTYPES)
            raise InputError(f"--dtype {self.dtype!r} is no data type: {near}", "invoke smoke --help")
        for combo in combos:
            if self.workload and self.workload not in combo.workloads:
                near = nearest(self.workload, combo.workloads)
                what = f"{combo.framework.name} has no workload {self.workload!r}: {near}"
                raise InputError(what, "invoke smoke --help")


def of_image(matrix: Matrix, reference: str, chosen: Selector, part: Part, *, as_json: bool) -> int:
    """Prove any image of ours, without its build tree; nothing is written.

    Returns:
        the exit code: 0 proven, 1 not.

    Raises:
        InputError: a selector was given too, or the image is not there or not ours.
    """
    selection.alone(chosen, "smoke")
    part.check()
    engine = Engine()
    image = smoke.find(engine, reference)
    with console.progress(f"prove {reference}"):
        proof = smoke.prove(engine, reference, image, smoke.target_of(matrix, image), part.words)
    if as_json:
        console.document(verdict.document(proof))
    else:
        verdict.show(proof)
        verdict.conclusion(proof)
    return 1 if proof.failed else 0


def of_combos(matrix: Matrix, combos: Sequence[Combo], part: Part, source: Source = "archive", *, as_json: bool) -> int:
    """Prove built images of combos; a whole proof becomes evidence and gives the image its name.

    Raises:
        InputError: one of them is not built, or has no such part; nothing was started.
    """
    part.check(combos)
    engine = Engine()
    plans = [plan(matrix, combo, source) for combo in combos]
    smoke.built(engine, plans)
    proofs: list[Evidence] = []
    for one in plans:
        try:
            proof = smoke.settle(matrix.root, engine, one, part.words)
        except FailedError as problem:
            console.error(problem)
            continue
        proofs.append(proof)
        if not as_json and len(plans) <= verdict.FEW:
            verdict.show(proof)
    if as_json:
        console.document([verdict.document(proof) for proof in proofs])
    for proof in proofs:
        verdict.conclusion(proof)
    return 1 if len(proofs) < len(plans) or any(proof.failed for proof in proofs) else 0
