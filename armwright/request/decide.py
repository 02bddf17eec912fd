"""The answer to a request: the combination exists, can be built, needs a change of data, or is refused, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from armwright.bump.proposal import Proposal
from armwright.matrix import matrix_file
from armwright.matrix.matrix import Combo, Matrix
from armwright.matrix.rules import AxisPattern
from armwright.pipeline.documents import ComboState
from armwright.pipeline.inventory import Inventory
from armwright.plan.plan import Plan, make_plan
from armwright.recipes.frameworks import Framework
from armwright.recipes.targets import Target
from armwright.request import unpublished
from armwright.request.parse import Request
from armwright.request.unpublished import UnfitError
from armwright.system import yaml_file
from armwright.system.yaml_file import Mistakes

DecisionKind = Literal["exists", "buildable", "change", "refused"]
FindStaged = Callable[[Plan], str]  # the name under which a plan's image can be pulled; empty where it cannot


@dataclass(frozen=True)
class Decision:
    """What becomes of a request.

    Attributes:
        kind: what it comes to.
        request: what was asked for.
        target: the CPU: the one that was asked for, else the one that is right.
        version: the version that was asked for, else the newest that will do.
        backend: the same of the backend.
        combo: the combo; None where its version is not published.
        plan: what would be built; None where nothing can be.
        state: how far its image has come on this machine.
        image: the name under which it can be pulled; empty where it cannot.
        reason: why it is refused, or why it is unverified; empty otherwise.
        place: the file and line that say so; empty where the package index or the CPU does.
        nearest: where it is refused, the nearest combo that is known to work.
        proposal: the change of data that it needs.
        notes: what else should be known.
    """

    kind: DecisionKind
    request: Request
    target: Target
    version: str
    backend: str
    combo: Combo | None = None
    plan: Plan | None = None
    state: ComboState = "unknown"
    image: str = ""
    reason: str = ""
    place: str = ""
    nearest: Combo | None = None
    proposal: Proposal | None = None
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The combo's id, published or not."""
        return f"{self.request.framework}-{self.version}-{self.target.name}-{self.backend}"

    @property
    def dtypes(self) -> list[dict[str, str]]:
        """What the data types that were asked for, or all of them, come to; none where the version is not published."""
        told = self.combo.flavour.precisions(self.target, self.version) if self.combo else []
        return [one for one in told if one["name"] in self.request.dtypes or not self.request.dtypes]


def decide_request(matrix: Matrix, request: Request, here: Inventory, staged: FindStaged) -> Decision:
    """Decide what becomes of a request.

    Args:
        matrix: the loaded matrix.
        request: what is asked for.
        here: what this machine has of it.
        staged: tells the name under which a plan's image can be pulled.

    Raises:
        InputError: the data has a mistake, or cannot be extended by a program.
        MachineError: a version is not published, and the package index cannot be reached.
        FailedError: the package index's answer makes no sense.
    """
    asked = _Candidate.of(matrix, request)
    versions = matrix.versions(request.framework)
    known = not request.version or request.version in versions
    combo = _first(asked.combos([request.version] if request.version and known else versions))
    version, backend = (combo.version, combo.backend) if known else (request.version, asked.backends[0])
    shown = request.cpu
    if request.target and shown and (missing := shown.lacks(asked.target)):
        reason = f"on the CPU that was shown its images do not start: it lacks {', '.join(missing)}; {shown.reason}"
        near = _first(replace(asked, target=shown.target).combos(versions)) if shown.target else combo
        return asked.refused(version, backend, (reason, ""), near)
    if not known:
        return _change(asked, combo)
    if combo.refusal is not None:
        return asked.refused(version, backend, asked.said(version, backend, "refuse"), combo)
    one = make_plan(matrix, combo)
    image, state = staged(one), here.state(one)
    newest = matrix.by_id[f"{request.framework}-{versions[0]}-{asked.target.name}-{backend}"]
    passed = [f"{newest.id} is refused: {newest.refusal}"] if not request.version and newest.refusal else []
    reason, place = asked.said(version, backend, "unverified")
    return Decision(
        "exists" if image or state == "proven" else "buildable", request, asked.target, version, backend, combo=combo,
        plan=one, state=state, image=image, reason=reason, place=place, notes=(*asked.notes(), *passed),
    )  # fmt: skip


def _change(asked: _Candidate, near: Combo) -> Decision:
    """Answer where the version is not published: what is said of all versions comes before the index is asked."""
    version = asked.request.version
    refusals = {one: asked.said(version, one, "refuse") for one in asked.backends}
    backend = next((one for one in refusals if not any(refusals[one])), asked.backends[0])
    if any(refusals[backend]):
        return asked.refused(version, backend, refusals[backend], near)
    try:
        proposal = unpublished.propose_unpublished(asked.matrix, asked.framework, version)
    except UnfitError as error:
        return asked.refused(version, backend, (str(error), ""), near)
    reason, place = asked.said(version, backend, "unverified")
    others = [one for one in asked.combos(asked.matrix.versions(asked.framework.name)) if one.backend == backend]
    doubts = [f"every published version is refused there: {others[0].refusal}"] if all(map(_refused, others)) else []
    return Decision(
        "change", asked.request, asked.target, version, backend, reason=reason, place=place, proposal=proposal,
        notes=(*asked.notes(), *doubts),
    )  # fmt: skip


def _refused(combo: Combo) -> bool:
    return combo.refusal is not None


@dataclass(frozen=True)
class _Candidate:
    """A request beside the matrix."""

    matrix: Matrix
    request: Request
    framework: Framework
    target: Target
    backends: Sequence[str]

    @classmethod
    def of(cls, matrix: Matrix, request: Request) -> _Candidate:
        named = matrix.recipes.targets.get(request.target)
        target = named or (request.cpu.target if request.cpu else None)
        assert target is not None  # noqa: S101 - for the type checker: a request without any is malformed
        backends = [request.backend] if request.backend else matrix.axes.backends
        return cls(matrix, request, matrix.recipes.frameworks[request.framework], target, backends)

    def combos(self, versions: Sequence[str]) -> list[Combo]:
        """Return the combos that would do, the best first."""
        return [
            self.matrix.by_id[f"{self.framework.name}-{version}-{self.target.name}-{backend}"]
            for version in versions
            for backend in self.backends
        ]

    def said(self, version: str, backend: str, verb: Literal["refuse", "unverified"]) -> tuple[str, str]:
        """Return what the data says of a combo, published or not, and where; nothing where it says nothing."""
        for index, rule in enumerate(self.matrix.rules):
            pattern: AxisPattern | None = getattr(rule, verb)
            if (
                pattern is not None
                and pattern.of_version(self.framework.name, version)
                and pattern.of_target(self.target.name)
                and pattern.of_backend(backend)
            ):
                return rule.because, self._place(matrix_file.FILE, ("rules", index))
        if verb == "refuse" and backend not in self.framework.backends:
            file = f"recipes/frameworks/{self.framework.name}.yaml"
            reason = f"{self.framework.title} has no recipe for the backend {backend}"
            return reason, self._place(file, ("backends",))
        return "", ""

    def refused(self, version: str, backend: str, said: tuple[str, str], near: Combo) -> Decision:
        """Refuse for a reason at a place; `near` is the nearest combo, whether it is known to work or not."""
        nearest = near if near.sound else self.matrix.instead(near)
        return Decision(
            "refused", self.request, self.target, version, backend, reason=said[0], place=said[1], nearest=nearest,
            notes=self.notes(),
        )  # fmt: skip

    def notes(self) -> tuple[str, ...]:
        """Say what the CPU that was shown has to do with a target that was asked for."""
        shown = self.request.cpu
        if shown is None or not self.request.target or shown.target is self.target or shown.lacks(self.target):
            return ()
        if shown.target is None:
            return (f"the CPU that was shown was not needed, and says nothing: {shown.reason}",)
        return (f"for the CPU that was shown {shown.target.name} is right: {shown.reason}",)

    def _place(self, file: str, location: yaml_file.Location) -> str:
        document = yaml_file.read_yaml(self.matrix.root / file, file, Mistakes())
        return f"{file}:{document.place(location, key=True)[0]}" if document else file


def _first(combos: Sequence[Combo]) -> Combo:
    """Return the first that is known to work, else the first that can exist, else the first."""
    possible = [combo for combo in combos if combo.refusal is None]
    return next((combo for combo in possible if combo.sound), (possible or combos)[0])
