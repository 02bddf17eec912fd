"""The command `smoke`: images that exist are proven again, whole or in part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from armwright.engine.client import Engine
from armwright.matrix import selection
from armwright.matrix.matrix import Combo, Matrix
from armwright.matrix.selection import Selector
from armwright.plan.plan import Source, plan
from armwright.proof import prove, wording
from armwright.proof.evidence import Evidence
from armwright.recipes.patterns import DTYPES
from armwright.system import console
from armwright.system.errors import FailedError, InputError, nearest


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
    image = prove.find(engine, reference)
    with console.progress(f"prove {reference}"):
        proof = prove.prove(engine, reference, image, prove.target_of(matrix, image), part.words)
    if as_json:
        console.document(wording.document(proof))
    else:
        wording.show(proof)
        wording.conclusion(proof)
    return 1 if proof.failed else 0


def of_combos(matrix: Matrix, combos: Sequence[Combo], part: Part, source: Source = "archive", *, as_json: bool) -> int:
    """Prove built images of combos; a whole proof becomes evidence and gives the image its name.

    Raises:
        InputError: one of them is not built, or has no such part; nothing was started.
    """
    part.check(combos)
    engine = Engine()
    plans = [plan(matrix, combo, source) for combo in combos]
    prove.built(engine, plans)
    proofs: list[Evidence] = []
    for one in plans:
        try:
            proof = prove.settle(matrix.root, engine, one, part.words)
        except FailedError as problem:
            console.error(problem)
            continue
        proofs.append(proof)
        if not as_json and len(plans) <= wording.FEW:
            wording.show(proof)
    if as_json:
        console.document([wording.document(proof) for proof in proofs])
    for proof in proofs:
        wording.conclusion(proof)
    return 1 if len(proofs) < len(plans) or any(proof.failed for proof in proofs) else 0
