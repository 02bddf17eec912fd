"""The command `smoke`: images that exist are proven again, whole or in part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from armwright.assembly import images
from armwright.engine.client import Engine
from armwright.matrix import selection
from armwright.matrix.matrix import Combo, Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline.selected import buildable_combos, built_combos, parse_source
from armwright.plan.plan import Source, make_plan
from armwright.proof import prove, smoke, wording
from armwright.proof.evidence import Evidence
from armwright.recipes.patterns import DTYPES
from armwright.system import console
from armwright.system.errors import FailedError, InputError, nearest


@dataclass(frozen=True)
class ProofSubset:
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


def run(  # noqa: PLR0913 - the command's options
    matrix: Matrix, chosen: Selector, image: str, base: str, *, workload: str, dtype: str, as_json: bool
) -> int:
    """Prove one image, or the built images of the selected combos.

    Args:
        matrix: the loaded matrix.
        chosen: the selected combos; must be empty when `image` is given.
        image: an image, by name or digest; empty for the selected combos.
        base: where the images' base came from: "archive" or "registry".
        workload: run only this workload; empty for all.
        dtype: run only this data type; empty for all.
        as_json: print one JSON document on stdout.

    Returns:
        the exit code: 0 proven, 1 not.
    """
    part = ProofSubset(workload, dtype)
    if image:
        return _prove_image(matrix, image, chosen, part, as_json=as_json)
    combos = built_combos(buildable_combos(matrix, chosen))
    return _prove_combos(matrix, combos, part, parse_source(base), as_json=as_json)


def _prove_image(matrix: Matrix, reference: str, chosen: Selector, part: ProofSubset, *, as_json: bool) -> int:
    """Prove any image of ours, without its build tree; nothing is written.

    Returns:
        the exit code: 0 proven, 1 not.

    Raises:
        InputError: a selector was given too, or the image is not there or not ours.
    """
    selection.require_no_selector(chosen, "smoke")
    part.check()
    engine = Engine()
    image = images.find_image(engine, reference)
    with console.progress(f"prove {reference}"):
        proof = smoke.run_smoke(engine, reference, image, images.image_target(matrix, image), part.words)
    if as_json:
        console.document(wording.proof_document(proof))
    else:
        wording.print_proof(proof)
        wording.print_conclusion(proof)
    return 1 if proof.failed else 0


def _prove_combos(
    matrix: Matrix, combos: Sequence[Combo], part: ProofSubset, source: Source = "archive", *, as_json: bool
) -> int:
    """Prove built images of combos; a whole proof becomes evidence and gives the image its name.

    Raises:
        InputError: one of them is not built, or has no such part; nothing was started.
    """
    part.check(combos)
    engine = Engine()
    plans = [make_plan(matrix, combo, source) for combo in combos]
    images.require_built(engine, plans)
    proofs: list[Evidence] = []
    for one in plans:
        try:
            proof = prove.prove_plan(matrix.root, engine, one, part.words)
        except FailedError as problem:
            console.error(problem)
            continue
        proofs.append(proof)
        if not as_json and len(plans) <= wording.FEW:
            wording.print_proof(proof)
    if as_json:
        console.document([wording.proof_document(proof) for proof in proofs])
    for proof in proofs:
        wording.print_conclusion(proof)
    return 1 if len(proofs) < len(plans) or any(proof.failed for proof in proofs) else 0
