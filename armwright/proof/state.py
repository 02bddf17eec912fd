"""The state of a plan on this machine: proven, built, or not built."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from armwright.assembly import record
from armwright.plan.plan import Plan
from armwright.proof import verify


def find_plan_state(root: Path, plan: Plan, names: dict[str, str]) -> Literal["proven", "built", "not built"]:
    """Return whether a plan's image was built in this checkout, and whether valid evidence proves it.

    Args:
        root: the project's root.
        plan: the plan.
        names: every name in the engine's store, with its digest.
    """
    digest = names.get(plan.reference)
    if digest is None or digest != record.read_record(root, plan):
        return "not built"
    return "built" if verify.explain_stored_rejection(root, plan, digest) else "proven"
