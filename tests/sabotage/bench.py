"""The bench: breaks a good image, and tries the result with the project's own code."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from threading import Lock
from typing import Any

from armwright.assembly import buildx, images, record
from armwright.audit import file_tree
from armwright.engine.client import Engine
from armwright.engine.containers import PLATFORM
from armwright.matrix import matrix
from armwright.matrix.matrix import Matrix
from armwright.plan.plan import COMPRESSION, Plan, make_plan
from armwright.proof import answers, check_image, check_leftovers, evidence, prove, smoke, verify
from armwright.proof.evidence import Check, Evidence
from armwright.proof.verify import EvidenceFile
from armwright.publish import stage
from armwright.publish.reference import Destination
from armwright.recipes.targets import Target
from armwright.system import turns
from armwright.system.errors import ArmwrightError, FailedError, InputError
from tests.sabotage import ledger
from tests.sabotage.changes import GoodImage
from tests.sabotage.ledger import Outcome, Row
from tests.sabotage.model import Checkpoint, Sabotage
from tests.sabotage.tampering import Tampering, Workplace, try_tampering

DATA = ("recipes", "dockerfiles", "scripts")
LEAST = ("--workload", "lenet", "--dtype", "fp32")  # the smallest proof, enough for what breaks every run
NOWHERE = Destination("127.0.0.1:9")  # the discard port: nothing listens there, and nothing may get that far


@dataclass(frozen=True)
class Renamed(Plan):
    """A plan whose image has another name, so that the good image keeps its own."""

    name: str = ""

    @property
    def reference(self) -> str:
        """The name of the broken image."""
        return self.name

    @property
    def tag(self) -> str:
        """The tag that it would get if it were proven."""
        return f"{self.name}-proven"


class Bench:
    """One good image, and the broken ones derived from it.

    Args:
        root: the project's root.
        folder: a folder for a copy of the project's data, and for build contexts.
        combo: the combo's id.
        proof: the proof of the good image, if it was made already.

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
        self.good = GoodImage(root, self.plan, self.plan.reference, image, site, self.proof)
        self.repository = f"armwright-sabotage-{uuid.uuid4().hex[:8]}"
        self._proof, kept = proof, evidence.answers_path(root, combo)
        self._numbers = answers.read_answers(kept) if proof and kept.exists() else {}
        record.write_record(self.project, self.plan, image.digest)
        self._proving, self._staging = Lock(), Lock()

    @property
    def target(self) -> Target:
        """The target of the good image."""
        return self.plan.combo.target

    def proof(self) -> dict[str, Any]:
        """Return the good image's complete proof as a document; it is made only once."""
        with self._proving:
            if self._proof is None:
                self._proof = self.prove()
        document: dict[str, Any] = self._proof.model_dump(by_alias=True)
        return document

    def prove(self, options: Sequence[str] = ()) -> Evidence:
        """Prove the good image.

        Raises:
            FailedError: a check failed.
        """
        ran, numbers = smoke.run_smoke(self.engine, self.plan.reference, self.good.image, self.target, options)
        tree = check_leftovers.require_no_leftovers(self.good.root, self.engine, self.plan, self.good.image)
        proof = ran.model_copy(update={"files": file_tree.hash_tree(tree)})
        if proof.failed or (not options and not proof.proves):
            prove.require_proven(proof)
        self._numbers = self._numbers or numbers
        return proof

    def attempt(self, name: str, sabotage: Sabotage | Tampering) -> Row:
        """Break, try and judge; a sabotage that cannot be tried is a bug too."""
        if isinstance(sabotage, Tampering):
            return try_tampering(name, sabotage, self._make_workplace())
        checkpoints: dict[Checkpoint, Callable[[Sabotage], Outcome]] = {
            "outside": self.compare, "leftovers": self.search, "proof": self.run_smoke, "settle": self.settle,
            "evidence": self.verify, "stage": self.stage,
        }  # fmt: skip
        try:
            outcome = checkpoints[sabotage.checkpoint](sabotage)
        except (ArmwrightError, AssertionError, OSError, LookupError, ValueError) as error:
            return ledger.make_untried_row(name, sabotage.check, f"{type(error).__name__}: {error}")
        return ledger.judge(name, sabotage.check, sabotage.pattern, outcome)

    def compare(self, sabotage: Sabotage) -> Outcome:
        """Compare a broken image with the plan."""
        with self.derive(sabotage) as name:
            return _make_outcome(self._check_image(name))

    def search(self, sabotage: Sabotage) -> Outcome:
        """Search a broken image for what a builder leaves."""
        with self.derive(sabotage) as name:
            image = images.find_image(self.engine, name)
            return _make_outcome(
                check_leftovers.check_leftovers(self.good.root, self.engine, self.plan, image, self.good.image.digest)
            )

    def run_smoke(self, sabotage: Sabotage) -> Outcome:
        """Run the smoke run of a broken image; if it gives no report, the check `report` fails."""
        target = self.target
        if sabotage.cpu:
            emulator = target.emulator.model_copy(update={"cpu": sabotage.cpu, "baseline": None})
            target = target.model_copy(update={"emulator": emulator})
        with self.derive(sabotage) as name:
            checks = self._check_image(name)
            try:
                proof, _ = smoke.run_smoke(self.engine, name, images.find_image(self.engine, name), target, LEAST)
            except (FailedError, InputError) as error:
                return _make_outcome([*checks, _make_failure("report", error)])
        return _make_outcome([*checks, *proof.report.checks])

    def settle(self, sabotage: Sabotage) -> Outcome:
        """Prove a broken image as the plan's: it must get neither evidence nor a tag."""
        with self.derive(sabotage) as name:
            parts = {part.name: getattr(self.plan, part.name) for part in fields(self.plan)}
            plan = Renamed(**parts, name=name)
            try:
                prove.prove_plan(self.project, self.engine, plan, LEAST)
            except FailedError as error:
                left = evidence.evidence_path(self.project, plan.combo.id).exists() or plan.tag in self.engine.names()
                return _make_outcome([] if left else [_make_failure("settle", error)])
        return _make_outcome([])

    def verify(self, sabotage: Sabotage) -> Outcome:
        """Verify an edited document."""
        file = self.folder / f"{uuid.uuid4().hex}.json"
        self._put_proof(file, sabotage)
        result = verify.verify_evidence(self.matrix, EvidenceFile(file.name, file), self.engine)
        failed: dict[str, str] = {}
        for problem in result.problems:
            failed[problem.part] = "; ".join(filter(None, (failed.get(problem.part, ""), problem.text)))
        return Outcome(failed)

    def stage(self, sabotage: Sabotage) -> Outcome:
        """Stage the good image with an edited document, to a registry that does not exist."""
        with self._staging:
            file = evidence.evidence_path(self.project, self.plan.combo.id)
            self._put_proof(file, sabotage)
            try:
                stage.stage_images(self.matrix, [self.plan.combo], NOWHERE)
            except ArmwrightError as error:
                return _make_outcome([_make_failure("stage", error)])
            finally:
                file.unlink()
        return _make_outcome([])

    def _make_workplace(self) -> Workplace:
        folder = self.folder / uuid.uuid4().hex
        folder.mkdir()
        return Workplace.make(self.matrix, folder)

    def _put_proof(self, file: Path, sabotage: Sabotage) -> None:
        """Write the edited proof, and its answers beside it."""
        assert sabotage.edit is not None
        text = sabotage.edit(self.proof())
        answers.write_answers(file.with_suffix(".answers.npz"), self._numbers)
        file.write_text(text, encoding="utf-8")

    def _check_image(self, name: str) -> list[Check]:
        image = images.find_image(self.engine, name)
        return check_image.check_image(self.engine, self.plan, image, self.good.image.digest, name)

    @contextmanager
    def derive(self, sabotage: Sabotage) -> Iterator[str]:
        """Build an image from the good one with other files and Dockerfile lines; no program in it runs."""
        name = f"{self.repository}:{uuid.uuid4().hex[:8]}"
        context = self.folder / name.partition(":")[2]
        (context / "files").mkdir(parents=True)
        for path, data in sabotage.files(self.good).items():
            file = context / "files" / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            file.chmod(0o755)
        (context / "Dockerfile").write_text(
            "\n".join([*self._first_lines(sabotage), *sabotage.lines, ""]), encoding="utf-8"
        )
        with turns.turn("sabotage"):
            epoch, compression = self.plan.lock.epoch, {**COMPRESSION, "compression-level": "1"}
            buildx.run_build(context, context / "log", name=name, epoch=epoch, compression=compression)
        shutil.rmtree(context)
        try:
            yield name
        finally:
            for tag in (name, f"{name}-proven"):
                self.engine.untag(tag)

    def _first_lines(self, sabotage: Sabotage) -> list[str]:
        good = f"FROM --platform={PLATFORM} {self.plan.reference}"
        if not sabotage.whole:
            return [good, *(["COPY files/ /"] if sabotage.files(self.good) else [])]
        layers, configuration = check_image.split_last_stage(self.plan.files["Dockerfile"].decode())
        copies = ["COPY --from=good / /", *["COPY files/ /"] * (len(layers) - 1)]
        return [f"{good} AS good", f"FROM --platform={PLATFORM} scratch", *copies, *configuration]


def _make_outcome(checks: Sequence[Check]) -> Outcome:
    failed = {check.name: check.found for check in checks if check.state == "fail"}
    return Outcome(failed, [check.name for check in checks if check.state == "pass"])


def _make_failure(name: str, error: ArmwrightError) -> Check:
    return Check(name=name, state="fail", expected="a report", found=error.what)
