"""An image by name: how far it was compared from outside, and so what its own report is worth.

A report is printed by the image. It counts as a proof only of an image that was built in this checkout, because every
byte of that is known. Another image may be compared with the plan that its labels name, as far as a plan reaches.
"""

from __future__ import annotations

from armwright.assembly.record import read_record
from armwright.engine.client import Engine, Image
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import Plan, make_plan
from armwright.proof import check_image, image_tree
from armwright.system.errors import FailedError

DIGEST = "image digest"


def explain_own_word(matrix: Matrix, engine: Engine, reference: str, image: Image) -> str:
    """Compare an image with the plan that its labels name; no program in it runs.

    Args:
        matrix: the loaded matrix.
        engine: the engine that has the image.
        reference: its name.
        image: the engine's facts about it.

    Returns:
        why its report is only its own word; empty if it was built in this checkout, or has every file of the manifest
        that came with valid evidence.

    Raises:
        FailedError: it says that it is an image of a plan, and differs from that plan.
    """
    plan = find_plan(matrix, image)
    if plan is None:
        return "this checkout has no plan with its inputs, so nothing was compared from outside"
    recorded = read_record(matrix.root, plan)
    checks = check_image.check_image(engine, plan, image, recorded, reference)
    failed = [check for check in checks if check.state == "fail" and (recorded or check.name != DIGEST)]
    if failed:
        what = "".join(f"\n  {check.failure}" for check in failed)
        raise FailedError(
            f"{reference} is not what its labels say; it was not started:{what}", f"docker image inspect {reference}"
        )
    manifest = None if recorded else image_tree.read_own_manifest(matrix.root, plan)
    if manifest is not None:
        whole = image_tree.compare_whole(matrix.root, engine, image, manifest)
        if whole.state == "fail":
            what = f"{reference} is not what its labels say; it was not started:\n  {whole.failure}"
            raise FailedError(what, f"docker image inspect {reference}")
    if recorded or manifest is not None:
        return ""
    return "it was not built in this checkout; its base and packages were not compared"


def find_plan(matrix: Matrix, image: Image) -> Plan | None:
    """Return the plan with the inputs that an image's labels name; None if this checkout has none."""
    combo = matrix.by_id.get(image.labels["org.armwright.combo"])
    if combo is None or combo.refusal:
        return None
    plans = (make_plan(matrix, combo, source) for source in matrix.base(combo).sources)
    return next((plan for plan in plans if plan.inputs == image.labels["org.armwright.inputs"]), None)
