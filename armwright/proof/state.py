"""The state of a plan on this machine: proven, built, or not built."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from armwright.plan.plan import Plan
from armwright.proof import verify


def plan_state(root: Path, plan: Plan, names: dict[str, str]) -> Literal["proven", "built", "not built"]:
    """Say how far a plan has come: its evidence is valid for the image in the store, the image is there, or neither.

    Args:
        root: the project's root.
        plan: the plan.
        names: every name in the engine's store with its digest.
    """
    digest = names.get(plan.reference)
    if digest is None:
        return "not built"
    return "built" if verify.evidence_doubt(root, plan, digest) else "proven"
