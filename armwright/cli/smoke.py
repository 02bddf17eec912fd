"""The command `smoke`: prove images that are already built, completely or in part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from armwright.assembly import images
from armwright.engine.client import Engine
from armwright.matrix import selection
from armwright.matrix.matrix import Combo, Matrix
from armwright.matrix.selection import Selector
from armwright.pipeline.selected import parse_source, select_buildable, select_built
from armwright.plan.plan import Source, make_plan
from armwright.proof import evidence, foreign_image, prove, smoke, verify, wording
from armwright.proof.evidence import Evidence
from armwright.recipes.patterns import DTYPES
from armwright.system import console
from armwright.system.errors import FailedError, InputError, nearest

HELP = "invoke smoke --help"


@dataclass(frozen=True)
class ProofSubset:
    """The part of a proof to run: one workload, one data type; an empty field means all of them."""

    workload: str = ""
    dtype: str = ""

    @property
    def options(self) -> list[str]:
        """The options for the smoke run inside the image."""
        values = {"--workload": self.workload, "--dtype": self.dtype}
        return [argument for option, value in values.items() if value for argument in (option, value)]

    def check(self, combos: Sequence[Combo] = ()) -> None:
        """Check that the data type exists, and that each combo has the workload.

        Raises:
            InputError: one does not; the nearest valid name is given.
        """
        if self.dtype and self.dtype not in DTYPES:
            raise InputError(f"--dtype: unknown data type {self.dtype!r}: {nearest(self.dtype, DTYPES)}", HELP)
        for combo in combos:
            if self.workload and self.workload not in combo.workloads:
                near = nearest(self.workload, combo.workloads)
                raise InputError(f"{combo.framework.name} has no workload {self.workload!r}: {near}", HELP)


def run(  # noqa: PLR0913 - the command's options
    matrix: Matrix,
    chosen: Selector,
    image: str,
    base: str,
    *,
    workload: str,
    dtype: str,
    as_json: bool,
    verbose: bool = False,
) -> int:
    """Prove one image, or the built images of the selected combos.

    Args:
        matrix: the loaded matrix.
        chosen: the selected combos; must be empty when `image` is given.
        image: an image, by name or digest; empty to use the selected combos.
        base: the source of the images' base: "archive" or "registry".
        workload: run only this workload; empty for all.
        dtype: run only this data type; empty for all.
        as_json: print one JSON document on stdout.
        verbose: print the tables of all checks and kernels too.

    Returns:
        the exit code: 0 if no check failed, 1 otherwise.
    """
    subset = ProofSubset(workload, dtype)
    if image:
        return _prove_image(matrix, image, chosen, subset, as_json=as_json, verbose=verbose)
    combos = select_built(select_buildable(matrix, chosen))
    return _prove_combos(matrix, combos, subset, parse_source(base), as_json=as_json, verbose=verbose)


def _prove_image(  # noqa: PLR0913 - the command's options
    matrix: Matrix, reference: str, chosen: Selector, subset: ProofSubset, *, as_json: bool, verbose: bool = False
) -> int:
    """Run the smoke run of any image of Armwright; its combo need not be in this checkout. No evidence is written.

    Only for an image that was built in this checkout its report is a proof; the verdict says what it is otherwise.

    Returns:
        the exit code: 0 if no check failed, 1 otherwise.

    Raises:
        InputError: a selector was given too, the image does not exist, or Armwright did not build it.
        FailedError: the image is not what its labels say, or its report is not that of its numbers.
    """
    selection.require_no_selector(chosen, "smoke")
    subset.check()
    engine = Engine()
    image = images.find_image(engine, reference)
    own_word = foreign_image.explain_own_word(matrix, engine, reference, image)
    with console.progress(f"prove {reference}"):
        proof, numbers = smoke.run_smoke(engine, reference, image, images.read_target(matrix, image), subset.options)
    plan = foreign_image.find_plan(matrix, image)
    if plan:
        verify.require_own_numbers(proof, plan, numbers)
    if as_json:
        console.document(wording.make_proof_document(proof))
    else:
        wording.print_proof(proof, verbose=verbose)
    wording.print_verdict(proof, own_word)
    return 1 if proof.failed else 0


def _prove_combos(  # noqa: PLR0913 - the command's options
    matrix: Matrix,
    combos: Sequence[Combo],
    subset: ProofSubset,
    source: Source = "archive",
    *,
    as_json: bool,
    verbose: bool = False,
) -> int:
    """Prove the built images of combos; a complete proof becomes evidence and gives the image its public tag.

    Raises:
        InputError: one of them is not built, or lacks the workload; nothing was started.
    """
    subset.check(combos)
    engine = Engine()
    plans = [make_plan(matrix, combo, source) for combo in combos]
    images.require_built(engine, plans)
    engine.remove_abandoned()
    proofs: list[Evidence] = []
    for plan in plans:
        try:
            proof = prove.prove_plan(matrix.root, engine, plan, subset.options)
        except FailedError as error:
            console.error(error)
            continue
        proofs.append(proof)
        if not as_json and (verbose or len(plans) <= wording.FEW):
            file = evidence.evidence_path(matrix.root, proof.combo).relative_to(matrix.root) if proof.proves else ""
            wording.print_proof(proof, str(file), verbose=verbose)
    if as_json:
        console.document([wording.make_proof_document(proof) for proof in proofs])
    for proof in proofs:
        wording.print_verdict(proof)
    return 1 if len(proofs) < len(plans) or any(proof.failed for proof in proofs) else 0
