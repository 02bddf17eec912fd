"""Records which image digest the build of a plan produced on this machine."""

from __future__ import annotations

import json
from pathlib import Path

from armwright.plan.plan import Plan
from armwright.system.files import write_whole


def write_record(root: Path, plan: Plan, digest: str) -> None:
    """Write the digest that a plan's build has just produced."""
    document = {"digest": digest, "inputs": plan.inputs}
    write_whole(_record_path(root, plan), json.dumps(document, indent=1, sort_keys=True) + "\n")


def read_record(root: Path, plan: Plan) -> str | None:
    """Return the digest that the last build of exactly this plan produced; None if it was not built here."""
    try:
        document = json.loads(_record_path(root, plan).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    fits = isinstance(document, dict) and document.get("inputs") == plan.inputs
    digest = document.get("digest") if fits else None
    return digest if isinstance(digest, str) else None


def _record_path(root: Path, plan: Plan) -> Path:
    return root / "build" / "made" / f"{plan.combo.id}.json"
