"""Pushes proven images, and only those, to a registry: immutable names first, the names users pull last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from armwright.engine.client import Engine, PushError
from armwright.matrix.matrix import Combo, Matrix
from armwright.plan.plan import Plan, Source, make_plan
from armwright.proof import check_evidence, evidence, verify
from armwright.proof.verify import Verification
from armwright.publish import arrival, destination, given_name, refusals
from armwright.publish.reference import Destination
from armwright.publish.refusals import RefusedError, UnusableError
from armwright.publish.registry_client import RegistryClient
from armwright.system import console
from armwright.system.errors import ArmwrightError, FailedError, MachineError


@dataclass(frozen=True)
class StagedImage:
    """A staged image: its combo, its digest, and the name to pull."""

    combo: Combo
    digest: str
    name: str


@dataclass(frozen=True)
class StagingOptions:
    """How to stage.

    Attributes:
        source: where the images' base came from.
        move: also move the names that users pull; without it, only immutable names are pushed.
        again: the command that does the same again, for messages.
    """

    source: Source = "archive"
    move: bool = True
    again: str = "invoke stage"


@dataclass(frozen=True)
class _Shipment:
    """An image on its way: its plan, its digest, its repository in the registry."""

    plan: Plan
    digest: str
    repository: str

    @property
    def immutable(self) -> str:
        return self.plan.reference.partition(":")[2]

    @property
    def moving(self) -> str:
        return self.plan.tag.partition(":")[2]


def stage_images(
    matrix: Matrix, combos: Sequence[Combo], to: Destination, options: StagingOptions | None = None
) -> list[StagedImage]:
    """Push proven images.

    Each image is first pushed under its immutable name (tag and inputs). Then the registry's manifest is compared with
    the proven digest, and each blob's presence and size with the manifest. The names that users pull move only after
    all images have arrived: a set is never half published. What a killed run of this checkout left is removed first.

    Args:
        matrix: the loaded matrix.
        combos: the combos to stage.
        to: where they go.
        options: how; None for the defaults.

    Raises:
        UnusableError: the registry cannot be reached, or docker has no login for it; nothing is pushed.
        FailedError: an image is not proven, an immutable name is another image's, or the registry refuses (nothing is
            pushed); or the registry failed later (the message says what it has).
    """
    options = options or StagingOptions()
    engine = Engine()
    plans = [make_plan(matrix, combo, options.source) for combo in combos]
    with given_name.staging_turn(matrix.root, engine):
        engine.remove_abandoned()
        digests = _require_proven(matrix, plans, engine)
        shipments = [
            _Shipment(plan, digests[plan.combo.id], to.repository(plan.combo.framework.name)) for plan in plans
        ]
        images = "1 image" if len(plans) == 1 else f"{len(plans)} images"
        with console.progress(f"stage {images} to {to}") as progress:
            try:
                client = RegistryClient(to.host, plain=engine.allows_plain_http(to.host))
                _Staging(matrix.root, engine, client, to, progress).run(shipments, move=options.move)
            except (UnusableError, RefusedError) as error:
                raise _with_own_advice(matrix, to, options, error) from error
    names = {plan.combo.id: plan.tag if options.move else plan.reference for plan in plans}
    return [StagedImage(item.plan.combo, item.digest, to.name(names[item.plan.combo.id])) for item in shipments]


@dataclass
class _Staging:
    """One run at one registry."""

    root: Path
    engine: Engine
    client: RegistryClient
    to: Destination
    progress: console.Progress

    def run(self, shipments: Sequence[_Shipment], *, move: bool) -> None:
        """Push what is not there, check all of it, and then move the names."""
        present = self._find_present(shipments)
        names = {
            item.plan.combo.id: self.client.find_digest(item.repository, item.moving) if move else item.digest
            for item in shipments
        }
        changed = [
            item for item in shipments if not present[item.plan.combo.id] or names[item.plan.combo.id] != item.digest
        ]
        for repository in sorted({item.repository for item in changed}):
            self.client.require_push(repository)
        seen: set[tuple[str, str]] = set()
        for item in shipments:
            whole = present[item.plan.combo.id] and not arrival.find_missing_blobs(
                self.client, item.repository, item.digest, seen
            )
            if not whole:
                self._push(item)
                arrival.require_arrival(self.client, item.repository, item.immutable, item.digest, seen)
        if move:
            self._move(shipments)

    def _find_present(self, shipments: Sequence[_Shipment]) -> Mapping[str, bool]:
        """Return which immutable names exist; raise FailedError if one of them is another image's."""
        present: dict[str, bool] = {}
        problems = []
        for item in shipments:
            found = self.client.find_digest(item.repository, item.immutable)
            present[item.plan.combo.id] = found == item.digest
            if found not in {None, item.digest}:
                name = self.to.name(item.plan.reference)
                problems.append(f"\n  {name} is {found} there, and {item.digest} here")
        if problems:
            what = f"immutable names never move, so nothing was pushed:{''.join(problems)}"
            advice = "the same inputs gave two images: build them again where they differ, and report it"
            first = next(item for item in shipments if not present[item.plan.combo.id])
            raise FailedError(what, f"docker pull {self.to.name(first.plan.reference)}", hint=advice)
        return present

    def _push(self, item: _Shipment) -> None:
        """Let the engine push an image under its immutable name, by its digest whatever its names are by now."""
        name = self.to.name(item.plan.reference)
        login = self.client.login
        with given_name.give_name(self.root, self.engine, item.digest, name):
            try:
                self.engine.push(
                    name,
                    login.for_engine() if login else {},
                    lambda status: self.progress.update(f"{item.plan.tag}: {status}"),
                )
            except PushError as error:
                attempt = self.client.attempt(item.repository, refusals.ENGINE)
                raise refusals.explain_push_text(attempt, error.text) from error

    def _move(self, shipments: Sequence[_Shipment]) -> None:
        moved: list[str] = []
        for item in shipments:
            try:
                if arrival.move_name(self.client, item.repository, item.moving, item.digest):
                    moved.append(item.plan.tag)
            except ArmwrightError:
                if moved:
                    console.say(f"moved before the failure: {', '.join(moved)}", console.DOUBTFUL)
                raise


def _require_proven(matrix: Matrix, plans: Sequence[Plan], engine: Engine) -> dict[str, str]:
    """Return the digest of each image by combo; raise FailedError if one of them is not proven."""
    digests: dict[str, str] = {}
    problems: list[str] = []
    for plan in plans:
        image = engine.find(plan.reference)
        if image is None:
            problems.append(f"{plan.combo.id}: not built")
            continue
        rejection = _explain_rejection(matrix, plan, image.digest, engine)
        if rejection:
            problems.append(f"{plan.combo.id}: {rejection}")
        digests[plan.combo.id] = image.digest
    if problems:
        first = problems[0].split(":")[0]
        raise FailedError(
            "not proven, so nothing was pushed:\n  " + "\n  ".join(problems), f"invoke build --combo {first}"
        )
    return digests


def _explain_rejection(matrix: Matrix, plan: Plan, digest: str, engine: Engine) -> str:
    """Return why the stored evidence does not prove an image, by all that `evidence verify` compares; else empty."""
    rejection = verify.explain_stored_rejection(matrix.root, plan, digest)
    proof = check_evidence.read_stored_evidence(matrix.root, plan.combo.id)
    if rejection or proof is None:
        return rejection or "there is no valid evidence"
    result = Verification(plan.combo.id)
    verify.compare_answers(proof, plan, evidence.answers_path(matrix.root, plan.combo.id), result)
    verify.compare_image(matrix.root, proof, plan, engine, result)
    return "; ".join(problem.text for problem in result.problems)


def _with_own_advice(
    matrix: Matrix, to: Destination, options: StagingOptions, error: UnusableError | RefusedError
) -> ArmwrightError:
    """Replace an error's next command where this command knows a better one."""
    if error.cause == "unreachable" and destination.is_local(matrix.root, to):
        return MachineError(f"the local registry does not run on {to.host}", "invoke registry start")
    if error.cause == "immutable":
        return FailedError(error.what, f"{options.again} --no-move", hint=error.hint)
    if error.cause == "rate" and error.next_step.startswith("sleep "):
        return FailedError(error.what, f"{error.next_step} && {options.again}")
    return error
