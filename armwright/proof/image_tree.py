"""The manifest of an image: every path with its kind, mode, owner, time, size and sha256, as its build made it.

It is made from the image that a build has just recorded, before anything in it runs, and kept with the evidence. With
it, an image from anywhere is compared whole in seconds, without a record of its making. Combos of one version share
all but their own files: the shared part is read once, the own part for each.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

from armwright.audit import file_tree, leftovers
from armwright.audit.file_tree import Tree
from armwright.engine.client import Engine, Image
from armwright.plan.image_facts import HOME
from armwright.plan.plan import Plan
from armwright.proof.check_evidence import read_stored_evidence
from armwright.proof.evidence import Check
from armwright.system.errors import some
from armwright.system.files import write_whole

BYTE_CODE = "usr/local/lib/armwright"  # of Armwright's own files (dockerfiles/image.j2)
CONTEXT = "image/"  # the folder of a build context that is copied into the image as it is
NAMED = 5  # paths that a check names; the others are counted


def make_manifest(engine: Engine, plan: Plan, image: Image, shared: Tree) -> dict[str, str]:
    """Return the manifest of an image.

    Args:
        engine: the engine that has the image.
        plan: the image's plan.
        image: the image.
        shared: the tree of an image with the same layers below its own files; it may have own files of another combo.
    """
    own: dict[str, str] = {}
    for path, archive in engine.read(image.digest, [f"/{path}" for path in _list_own(plan)]).items():
        own |= file_tree.read_part(archive, path.strip("/").rpartition("/")[0])
    return {**drop_own(plan, shared), **own}


def drop_own(plan: Plan, tree: Tree) -> dict[str, str]:
    """Return a tree without Armwright's own files."""
    own = _list_own(plan)
    return {path: text for path, text in tree.items() if not any(f"{path}/".startswith(f"{name}/") for name in own)}


def _list_own(plan: Plan) -> list[str]:
    """Return Armwright's own folders, and its files elsewhere."""
    planned = (name.removeprefix(CONTEXT) for name in plan.files if name.startswith(CONTEXT))
    return [HOME, BYTE_CODE, *(name for name in planned if not name.startswith(f"{HOME}/"))]


def manifest_path(root: Path, combo: str) -> Path:
    """Return the path of a combo's manifest, beside its evidence."""
    return root / "build" / "evidence" / f"{combo}.files.json.gz"


def write_manifest(path: Path, tree: Tree) -> None:
    """Write a manifest or a part of one."""
    write_whole(path, gzip.compress(file_tree.to_text(tree).encode(), compresslevel=3, mtime=0))


def read_manifest(path: Path) -> dict[str, str] | None:
    """Read what `write_manifest` wrote; None if it is not there or is anything else."""
    try:
        document = json.loads(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, ValueError):
        return None
    if not isinstance(document, dict) or not all(isinstance(text, str) for text in document.values()):
        return None
    return document


def read_own_manifest(root: Path, plan: Plan) -> dict[str, str] | None:
    """Return the manifest under build/evidence of which valid evidence for a plan has the digest; None without one."""
    proof, manifest = read_stored_evidence(root, plan.combo.id), read_manifest(manifest_path(root, plan.combo.id))
    if proof is None or manifest is None or proof.inputs != plan.inputs:
        return None
    return manifest if proof.files == file_tree.hash_tree(manifest) else None


def compare_whole(root: Path, engine: Engine, image: Image, manifest: Mapping[str, str]) -> Check:
    """Compare every file of an image with a manifest; no program in the image runs.

    Raises:
        FailedError: the image cannot be read.
    """
    with engine.export(image.digest) as archive:
        entries = file_tree.list_entries(archive, leftovers.load_rules(root).engine)
        tree = {entry.path: file_tree.describe_entry(entry) for entry in entries}
    differences = file_tree.find_differences(manifest, tree)
    expected = f"the {len(manifest)} files of its manifest, unchanged"
    return Check(
        name="image tree",
        state="fail" if differences else "pass",
        expected=expected,
        found=some(differences, NAMED) or expected,
    )
