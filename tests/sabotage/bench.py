"""The bench: breaks a good image, and tries what came of it at the project's own doors."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from threading import Lock
from typing import Any

from armwright.assembly import buildx, images
from armwright.engine.client import Engine
from armwright.engine.containers import PLATFORM
from armwright.matrix import matrix
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import COMPRESSION, Plan, make_plan
from armwright.proof import check_image, evidence, prove, smoke, verify
from armwright.proof.evidence import Check, Evidence
from armwright.proof.verify import EvidenceFile
from armwright.publish import stage
from armwright.recipes.targets import Target
from armwright.system import process
from armwright.system.errors import ArmwrightError, FailedError, InputError
from tests.sabotage import ledger
from tests.sabotage.changes import Good
from tests.sabotage.ledger import Outcome, Row
from tests.sabotage.model import Door, Sabotage

DATA = ("recipes", "dockerfiles", "scripts")
LEAST = ("--workload", "lenet", "--dtype", "fp32")  # the least that a proof can run, for what breaks every run
NOWHERE = "127.0.0.1:9"  # the port that discards: nothing listens there, and nothing must get that far


@dataclass(frozen=True)
class Renamed(Plan):
    """A plan whose image has another name: the good one keeps its own."""

    name: str = ""

    @property
    def reference(self) -> str:
        """The name of the image that is settled."""
        return self.name

    @property
    def tag(self) -> str:
        """The name it would get if it were proven."""
        return f"{self.name}-proven"


class Bench:
    """One good image, and what is made of it.

    Args:
        root: the project.
        folder: a folder for a copy of its data, and for contexts.
        combo: the combo's id.
        proof: the good image's, where it is known already.

    Raises:
        InputError: there is no such combo, or its image is not built.
    """

    def __init__(self, root: Path, folder: Path, combo: str, proof: Evidence | None = None) -> None:
        self.project, self.folder = folder / "project", folder
        for name in DATA:
            shutil.copytree(root / name, self.project / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(root / "matrix.yaml", self.project)
        self.matrix: Matrix = matrix.load_matrix(self.project)
        if combo not in self.matrix.by_id:
            raise InputError(f"there is no combo {combo!r}", "invoke list --all")
        self.engine = Engine()
        self.plan = make_plan(self.matrix, self.matrix.by_id[combo])
        image = self.engine.find(self.plan.reference)
        if image is None:
            raise InputError(f"{self.plan.reference} is not built", f"invoke build --combo {combo}")
        site = self.plan.base.archive.site
        self.good = Good(root, self.plan, self.plan.reference, image, site, self.proof)
        self.repository = f"armwright-sabotage-{uuid.uuid4().hex[:8]}"
        self._proof = proof
        self._proving, self._paper = Lock(), Lock()

    @property
    def target(self) -> Target:
        """The good image's own CPU."""
        return self.plan.combo.target

    def proof(self) -> dict[str, Any]:
        """Return the document of the good image's proof, which is made once, with all its workloads."""
        with self._proving:
            if self._proof is None:
                self._proof = self.prove()
        document: dict[str, Any] = self._proof.model_dump(by_alias=True)
        return document

    def prove(self, words: Sequence[str] = ()) -> Evidence:
        """Prove the good image.

        Raises:
            FailedError: it is not good.
        """
        proof = smoke.run_smoke(self.engine, self.plan.reference, self.good.image, self.target, words)
        if proof.failed or (not words and not proof.proves):
            prove.require_proven(proof)
        return proof

    def attempt(self, name: str, sabotage: Sabotage) -> Row:
        """Break, try, and judge; what could not be tried is a bug too."""
        doors: dict[Door, Callable[[Sabotage], Outcome]] = {
            "outside": self.outside, "proof": self.proven, "settle": self.settled, "evidence": self.verified,
            "stage": self.staged,
        }  # fmt: skip
        try:
            outcome = doors[sabotage.door](sabotage)
        except (ArmwrightError, AssertionError, OSError, LookupError, ValueError) as error:
            return ledger.broken(name, sabotage.check, f"{type(error).__name__}: {error}")
        return ledger.judge(name, sabotage.check, sabotage.words, outcome)

    def outside(self, sabotage: Sabotage) -> Outcome:
        """Compare a broken image with the plan."""
        with self.derived(sabotage) as name:
            return _outcome(self._compared(name))

    def proven(self, sabotage: Sabotage) -> Outcome:
        """Let a broken image prove itself; a refusal and a report that is none are the check `report`."""
        target = self.target
        if sabotage.cpu:
            emulator = target.emulator.model_copy(update={"cpu": sabotage.cpu, "smaller": None})
            target = target.model_copy(update={"emulator": emulator})
        with self.derived(sabotage) as name:
            checks = self._compared(name)
            try:
                proof = smoke.run_smoke(self.engine, name, images.find_image(self.engine, name), target, LEAST)
            except (FailedError, InputError) as error:
                return _outcome([*checks, _failure("report", error)])
        return _outcome([*checks, *proof.report.checks])

    def settled(self, sabotage: Sabotage) -> Outcome:
        """Settle a broken image as the plan's: it must get neither evidence nor a name."""
        with self.derived(sabotage) as name:
            parts = {part.name: getattr(self.plan, part.name) for part in fields(self.plan)}
            one = Renamed(**parts, name=name)
            try:
                prove.prove_plan(self.project, self.engine, one, LEAST)
            except FailedError as error:
                left = evidence.evidence_path(self.project, one.combo.id).exists() or one.tag in self.engine.names()
                return _outcome([] if left else [_failure("settle", error)])
        return _outcome([])

    def verified(self, sabotage: Sabotage) -> Outcome:
        """Verify a document that was edited."""
        file = self.folder / f"{uuid.uuid4().hex}.json"
        file.write_text(self._edited(sabotage), encoding="utf-8")
        result = verify.verify_evidence(self.matrix, EvidenceFile(file.name, file), self.engine)
        failed: dict[str, str] = {}
        for problem in result.problems:
            failed[problem.part] = "; ".join(filter(None, (failed.get(problem.part, ""), problem.words)))
        return Outcome(failed)

    def staged(self, sabotage: Sabotage) -> Outcome:
        """Stage the good image with a document that was edited, to a registry that is not there."""
        text = self._edited(sabotage)
        with self._paper:
            file = evidence.evidence_path(self.project, self.plan.combo.id)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            try:
                stage.stage_images(self.matrix, [self.plan.combo], NOWHERE)
            except ArmwrightError as error:
                return _outcome([_failure("stage", error)])
            finally:
                file.unlink()
        return _outcome([])

    def _edited(self, sabotage: Sabotage) -> str:
        assert sabotage.edit is not None
        return sabotage.edit(self.proof())

    def _compared(self, name: str) -> list[Check]:
        image = images.find_image(self.engine, name)
        return check_image.check_image(self.engine, self.plan, image, self.good.image.digest, name)

    @contextmanager
    def derived(self, sabotage: Sabotage) -> Iterator[str]:
        """Make an image from the good one: files over it, and lines of a Dockerfile; no program of it runs."""
        name = f"{self.repository}:{uuid.uuid4().hex[:8]}"
        context = self.folder / name.partition(":")[2]
        (context / "files").mkdir(parents=True)
        for path, data in sabotage.files(self.good).items():
            file = context / "files" / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            file.chmod(0o755)
        (context / "Dockerfile").write_text("\n".join([*self._begun(sabotage), *sabotage.lines, ""]), encoding="utf-8")
        with process.turn("sabotage"):
            epoch, compression = self.plan.lock.epoch, {**COMPRESSION, "compression-level": "1"}
            buildx.run_build(context, context / "log", name=name, epoch=epoch, compression=compression)
        shutil.rmtree(context)
        try:
            yield name
        finally:
            for one in (name, f"{name}-proven"):
                self.engine.untag(one)

    def _begun(self, sabotage: Sabotage) -> list[str]:
        good = f"FROM --platform={PLATFORM} {self.plan.reference}"
        if not sabotage.whole:
            return [good, *(["COPY files/ /"] if sabotage.files(self.good) else [])]
        layers, configuration = check_image.last_stage(self.plan.files["Dockerfile"].decode())
        copies = ["COPY --from=good / /", *["COPY files/ /"] * (len(layers) - 1)]
        return [f"{good} AS good", f"FROM --platform={PLATFORM} scratch", *copies, *configuration]


def _outcome(checks: Sequence[Check]) -> Outcome:
    failed = {check.name: check.found for check in checks if check.state == "fail"}
    return Outcome(failed, [check.name for check in checks if check.state == "pass"])


def _failure(name: str, refused: ArmwrightError) -> Check:
    return Check(name=name, state="fail", expected="a report", found=refused.what)
