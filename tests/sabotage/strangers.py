"""Tamperings with images by name, which were not built here, and with what they report."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from armwright.assembly import images
from armwright.proof import check_evidence, check_image, evidence, foreign_image, verify
from armwright.proof.evidence import Evidence
from armwright.system.errors import FailedError, InputError
from tests import proofs
from tests.sabotage import edits
from tests.sabotage.ledger import Outcome
from tests.sabotage.tampering import Tampering, Workplace, expect_true
from tests.support import Tree

OWN = "opt/armwright/smoke/smoke.py"
LABELS = "org.armwright."
Make = Callable[[Workplace], proofs.OneImage]


def labelled(**labels: str | None) -> Make:
    """Change labels of an image; None removes one."""

    def make(place: Workplace) -> proofs.OneImage:
        planned = check_image.read_planned_image(place.plan.files["Dockerfile"].decode()).labels
        changed = {**planned, **{f"{LABELS}{name}": value for name, value in labels.items()}}
        return proofs.OneImage(place.plan, labels={name: value for name, value in changed.items() if value is not None})

    return make


class Replaced(proofs.OneImage):
    """An image with an own file that is of another type."""

    kind: bytes

    def read(self, name: str, paths: Sequence[str]) -> dict[str, bytes]:
        archives = super().read(name, paths)
        buffer = io.BytesIO()
        with (
            tarfile.open(fileobj=io.BytesIO(archives["/opt/armwright"])) as old,
            tarfile.open(fileobj=buffer, mode="w") as new,
        ):
            for member in old:
                content = old.extractfile(member)
                if member.name.endswith("smoke/smoke.py"):
                    member.type, member.linkname, member.size = self.kind, "elsewhere", 0
                new.addfile(member, content)
        return {**archives, "/opt/armwright": buffer.getvalue()}


def typed(kind: bytes) -> Make:
    """Put a file of another type in place of an own file."""

    def make(place: Workplace) -> proofs.OneImage:
        image = Replaced(place.plan)
        image.kind = kind
        return image

    return make


def compared(make: Make) -> Callable[[Workplace], Outcome]:
    """Compare an image with its plan, as if its digest were the recorded one."""

    def attempt(place: Workplace) -> Outcome:
        engine: Any = make(place)
        checks = check_image.check_image(engine, place.plan, engine.image, proofs.DIGEST)
        return Outcome({check.name: check.found for check in checks if check.state == "fail"})

    return attempt


def by_name(make: Make) -> Callable[[Workplace], Outcome]:
    """Let `invoke smoke --image` judge an image, before anything in it runs."""

    def attempt(place: Workplace) -> Outcome:
        engine: Any = make(place)
        matrix = Tree(place.folder / "project").load()
        try:
            image = images.find_image(engine, place.plan.reference)
            images.read_target(matrix, image)
            found = foreign_image.explain_own_word(matrix, engine, place.plan.reference, image)
        except (FailedError, InputError) as error:
            return Outcome({"refused": error.what})
        return expect_true("own word", found, noticed=bool(found))

    return attempt


def reported(change: Callable[[dict[str, Any]], object]) -> Callable[[Workplace], Outcome]:
    """Let an image print a report that JSON cannot hold, and settle its proof as `invoke smoke` does."""

    def attempt(place: Workplace) -> Outcome:
        document = proofs.document(place.plan)
        assert _settle(place, document) is None
        change(document["report"])
        found = _settle(place, document)
        return expect_true("report", found or "", noticed=bool(found))

    return attempt


def _settle(place: Workplace, document: dict[str, Any]) -> str | None:
    """Read a report as it leaves the container; return why it proves nothing."""
    printed = edits.to_text(document["report"])
    try:
        report = evidence.parse_report(check_evidence.read_json(printed))
    except ValueError as error:
        return str(error)
    proof = Evidence.model_validate({**document, "report": report})
    try:
        verify.require_own_numbers(proof, place.plan, {"": proofs.answer(place.plan)})
    except FailedError as error:
        return error.what
    return verify.explain_rejection(proof, place.plan, proofs.DIGEST)


def _compared(check: str, pattern: str, make: Make) -> Tampering:
    return Tampering("stranger", check, pattern, compared(make))


def _named(check: str, pattern: str, make: Make) -> Tampering:
    return Tampering("stranger", check, pattern, by_name(make))


def _reported(pattern: str, change: Callable[[dict[str, Any]], object]) -> Tampering:
    return Tampering("report", "report", pattern, reported(change))


def own_files(place: Workplace) -> list[str]:
    return [name.removeprefix("image/") for name in place.plan.files if name.startswith("image/opt/")]


def without_own(place: Workplace) -> proofs.OneImage:
    """Add a layer that only removes an own file."""
    return proofs.OneImage(place.plan, {OWN: None}, layers=("a", "b", "c", "d"))


STRANGERS: Mapping[str, Tampering] = {
    "a layer that only deletes": _compared("image files", f"missing {OWN}", without_own),
    "fewer layers than planned": _compared(
        "image layers", "1 layers", lambda place: proofs.OneImage(place.plan, layers=("a",))
    ),
    "a link in place of an own file": _compared("image files", f"changed {OWN}", typed(tarfile.SYMTYPE)),
    "a second name in place of an own file": _compared("image files", f"changed {OWN}", typed(tarfile.LNKTYPE)),
    "a device in place of an own file": _compared("image files", f"changed {OWN}", typed(tarfile.CHRTYPE)),
    "an own folder that is empty": _compared(
        "image files", "missing",
        lambda place: proofs.OneImage(place.plan, dict.fromkeys(own_files(place))),
    ),
    "a byte-code file beside the entrypoint": _compared(
        "image files", "added", lambda place: proofs.OneImage(place.plan, {"opt/armwright/machine.pyc": b"any"})
    ),
    "an image by name without a record": _named(
        "own word", "was not built in this checkout", lambda place: proofs.OneImage(place.plan)
    ),
    "an image by name of inputs that no plan has": _named(
        "own word", "no plan with its inputs", labelled(inputs=f"sha256:{'3' * 64}")
    ),
    "an image by name of a combo that is not there": _named(
        "own word", "no plan with its inputs", labelled(combo="pytorch-9.9.9-n1-acl")
    ),
    "an image by name of a target outside of the recipes": _named(
        "refused", "has no recipe", labelled(target="../../recipes/targets/n1")
    ),
    "an image by name without the label of its inputs": _named(
        "refused", "was not built by Armwright", labelled(inputs=None)
    ),
    "an image by name with another target's label": _named("refused", "image labels", labelled(target="v1")),
    "an image by name with a changed smoke run": _named(
        "refused", "changed opt/armwright", lambda place: proofs.OneImage(place.plan, {OWN: b"print('proven')\n"})
    ),
    "an image by name with a variable of its own": _named(
        "refused", "GLIBC_TUNABLES", lambda place: proofs.OneImage(
            place.plan,
            configuration={"Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "GLIBC_TUNABLES=any"]},
        ),
    ),
    "a report with an error that is NaN": _reported(
        ".", lambda report: report["runs"][0].update(worst=float("nan"))
    ),
    "a report with a metric that is NaN": _reported(
        ".", lambda report: report["runs"][0]["metric"].update(value=float("nan"))
    ),
    "a report with an infinite metric": _reported(
        ".", lambda report: report["runs"][0]["metric"].update(value=float("inf"))
    ),
    "a report with a time that is NaN": _reported(".", lambda report: report.update(seconds=float("nan"))),
}  # fmt: skip
