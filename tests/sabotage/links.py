"""Tamperings with links: what a link in build/ leads to is neither emptied nor written to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from armwright.assembly import record
from armwright.plan import render
from armwright.plan.plan import Plan
from armwright.proof import evidence
from armwright.proof.evidence import Evidence
from armwright.system.files import remove_unfinished, seal, write_whole
from tests import proofs
from tests.sabotage.ledger import Outcome
from tests.sabotage.tampering import Tampering, Workplace, expect_true

MINE = b"not to be touched"
FILES = {"Dockerfile": b"FROM scratch\n", "image/opt/armwright/page.py": b"page = 1\n"}


def written(
    plant: Callable[[Path, Path], object], act: Callable[[Path, Plan], object], written_to: str = ""
) -> Callable[[Workplace], Outcome]:
    """Plant a link to a victim in a checkout, and let the project write there.

    Args:
        plant: makes the link; gets the checkout and the victim, a folder with one file.
        act: what the project then does in the checkout.
        written_to: the path in the checkout that must then be a file or folder of its own; empty to leave that out.
    """

    def attempt(place: Workplace) -> Outcome:
        root, victim = place.folder / "checkout", place.folder / "victim"
        for folder in (root, victim):
            folder.mkdir()
        (victim / "mine").write_bytes(MINE)
        plant(root, victim)
        act(root, place.plan)
        whole = [path.name for path in victim.iterdir()] == ["mine"] and (victim / "mine").read_bytes() == MINE
        own = not written_to or ((root / written_to).exists() and not (root / written_to).is_symlink())
        return expect_true("link", "what the link leads to is as it was", noticed=whole and own)

    return attempt


def link_folder(name: str) -> Callable[[Path, Path], object]:
    """Put a link to the victim in place of a folder."""

    def plant(root: Path, victim: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(victim, target_is_directory=True)

    return plant


def link_file(name: str) -> Callable[[Path, Path], object]:
    """Put a link to the victim's file in place of a file."""

    def plant(root: Path, victim: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(victim / "mine")

    return plant


def link_hard(name: str) -> Callable[[Path, Path], object]:
    """Give the victim's file a second name, as a cached download has one in a context."""

    def plant(root: Path, victim: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(victim / "mine", root / name)

    return plant


def write_context(root: Path, _: Plan) -> None:
    render.write_context(root / "context", FILES)


def write_record(root: Path, plan: Plan) -> None:
    record.write_record(root, plan, proofs.DIGEST)


def write_evidence(root: Path, plan: Plan) -> None:
    evidence.write_evidence(root, Evidence.model_validate(proofs.document(plan)))


def write_seal(root: Path, _: Plan) -> None:
    (root / "root.tar").write_bytes(b"a tar")
    seal(root / "root.tar")


def write_record_named(root: Path, plan: Plan) -> None:
    """Write a record where each name that an earlier release used for half a file is a link."""
    path = root / "build" / "made" / f"{plan.combo.id}.json"
    path.parent.mkdir(parents=True)
    path.with_name(f"{path.name}.armwright-new").symlink_to(root.parent / "victim" / "mine")
    write_whole(path, "{}")


def _linked(attempt: Callable[[Workplace], Outcome]) -> Tampering:
    return Tampering("link", "link", "as it was", attempt)


def _link_of_combo(folder: str) -> Callable[[Workplace], Outcome]:
    """Put a link in place of a record or of evidence, whose name is the combo's."""
    acts: dict[str, Callable[[Path, Plan], object]] = {"made": write_record, "evidence": write_evidence}

    def attempt(place: Workplace) -> Outcome:
        name = f"build/{folder}/{place.plan.combo.id}.json"
        return written(link_file(name), acts[folder], name)(place)

    return attempt


def plant_nothing(_: Path, __: Path) -> None:
    pass


LINKS: Mapping[str, Tampering] = {
    "a link in place of a build context": _linked(written(link_folder("context"), write_context, "context")),
    "a link in place of a folder in a context": _linked(
        written(link_folder("context/image"), write_context, "context/image")
    ),
    "a link in place of a file in a context": _linked(
        written(link_file("context/Dockerfile"), write_context, "context/Dockerfile")
    ),
    "a file of a context that is a download too": _linked(written(link_hard("context/Dockerfile"), write_context)),
    "a link that nothing needs in a context": _linked(written(link_folder("context/wheels"), write_context)),
    "a link in place of a seal": _linked(written(link_file("root.tar.sha256"), write_seal, "root.tar.sha256")),
    "a link where half a file was written before": _linked(written(plant_nothing, write_record_named)),
    "a link with the name of an unfinished file": _linked(
        written(link_file("made/x.armwright-new"), lambda root, _: remove_unfinished(root))
    ),
    "a link in place of a record": _linked(_link_of_combo("made")),
    "a link in place of evidence": _linked(_link_of_combo("evidence")),
}
