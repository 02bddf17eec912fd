"""Decides a request: the image exists, can be built, needs a data change, or is refused, and why."""

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
from armwright.publish.lookup import StagedName
from armwright.recipes.frameworks import Framework
from armwright.recipes.targets import Target
from armwright.request import unpublished
from armwright.request.parse import Request
from armwright.request.unpublished import UnpublishableError
from armwright.system import yaml_file
from armwright.system.yaml_file import Mistakes

DecisionKind = Literal["exists", "buildable", "change", "refused"]
FindStaged = Callable[[Plan], StagedName]
ReasonAndPlace = tuple[str, str]  # a reason and its file:line; both empty if there is none


@dataclass(frozen=True)
class Decision:
    """The decision about a request.

    Attributes:
        kind: the kind of decision.
        request: the request.
        target: the requested target, or the one chosen for the submitted CPU.
        version: the requested version, or the newest one that fits.
        backend: the requested backend, or the first one that fits.
        combo: the combo; None if its version is not published.
        plan: the plan of its image; None if nothing can be built yet.
        state: the combo's state on this machine.
        image: the name under which the image can be pulled; empty if it cannot.
        reason: why the request is refused, or the combo unverified; empty otherwise.
        place: the file:line with the reason, or the missing file; empty if the package index or the CPU is the reason.
        nearest: for a refused request, the nearest combo that is known to work.
        proposal: the data change that the request needs.
        notes: further information for the user.
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
        """How the requested data types run, or all of them; empty if the version is not published."""
        rows = self.combo.framework_backend.dtype_support(self.target, self.version) if self.combo else []
        return [row for row in rows if row["name"] in self.request.dtypes or not self.request.dtypes]


def decide_request(matrix: Matrix, request: Request, inventory: Inventory, find_staged: FindStaged) -> Decision:
    """Decide a request.

    Args:
        matrix: the loaded matrix.
        request: the request.
        inventory: the images and evidence on this machine.
        find_staged: looks up a plan's image in the registry.

    Raises:
        InputError: the data has a mistake, or a program cannot extend it.
        MachineError: the version is not published, and the package index cannot be reached.
        FailedError: the package index's answer is not valid.
    """
    resolved = _ResolvedRequest.of(matrix, request)
    versions = matrix.versions(request.framework)
    published = not request.version or request.version in versions
    combo = _best(resolved.combos([request.version] if request.version and published else versions))
    version, backend = (combo.version, combo.backend) if published else (request.version, resolved.backends[0])
    cpu = request.cpu
    if request.target and cpu and (missing := cpu.missing(resolved.target)):
        reason = f"its images do not start on the CPU you pasted, which has no {', '.join(missing)}; {cpu.reason}"
        near = _best(replace(resolved, target=cpu.target).combos(versions)) if cpu.target else combo
        return resolved.refuse(version, backend, (reason, ""), near)
    if not published:
        return _propose_change(resolved, combo)
    if combo.refusal is not None:
        return resolved.refuse(version, backend, resolved.find_rule(version, backend, "refuse"), combo)
    plan = make_plan(matrix, combo)
    staged, state = find_staged(plan), inventory.find_state(plan)
    newest = matrix.by_id[f"{request.framework}-{versions[0]}-{resolved.target.name}-{backend}"]
    skipped = [f"{newest.id} is refused: {newest.refusal}"] if not request.version and newest.refusal else []
    reason, place = resolved.find_rule(version, backend, "unverified")
    return Decision(
        "exists" if staged.name or state == "proven" else "buildable", request, resolved.target, version, backend,
        combo=combo, plan=plan, state=state, image=staged.name, reason=reason, place=place,
        notes=(*resolved.cpu_notes(), *skipped, *filter(None, [staged.note])),
    )  # fmt: skip


def _propose_change(resolved: _ResolvedRequest, near: Combo) -> Decision:
    """Decide a request for a version that is not published. The rules are checked before the package index."""
    version = resolved.request.version
    refusals = {backend: resolved.find_rule(version, backend, "refuse") for backend in resolved.backends}
    backend = next((name for name, refusal in refusals.items() if not any(refusal)), resolved.backends[0])
    if any(refusals[backend]):
        return resolved.refuse(version, backend, refusals[backend], near)
    try:
        proposal = unpublished.propose_unpublished(resolved.matrix, resolved.framework, version)
    except UnpublishableError as error:
        return resolved.refuse(version, backend, (str(error), ""), near)
    reason, place = resolved.find_rule(version, backend, "unverified")
    published = resolved.combos(resolved.matrix.versions(resolved.framework.name))
    refused = [combo.refusal for combo in published if combo.backend == backend]
    doubts = [f"all published versions of this combination are refused: {refused[0]}"] if all(refused) else []
    return Decision(
        "change", resolved.request, resolved.target, version, backend, reason=reason, place=place, proposal=proposal,
        notes=(*resolved.cpu_notes(), *doubts),
    )  # fmt: skip


@dataclass(frozen=True)
class _ResolvedRequest:
    """A request with the recipes that its names stand for, and the backends that it allows, best first."""

    matrix: Matrix
    request: Request
    framework: Framework
    target: Target
    backends: Sequence[str]

    @classmethod
    def of(cls, matrix: Matrix, request: Request) -> _ResolvedRequest:
        target = matrix.recipes.targets.get(request.target) or (request.cpu.target if request.cpu else None)
        assert target is not None  # noqa: S101 - for the type checker: a request without any is malformed
        backends = [request.backend] if request.backend else matrix.axes.backends
        return cls(matrix, request, matrix.recipes.frameworks[request.framework], target, backends)

    def combos(self, versions: Sequence[str]) -> list[Combo]:
        """Return the combos of these versions that the request allows, best first."""
        return [
            self.matrix.by_id[f"{self.framework.name}-{version}-{self.target.name}-{backend}"]
            for version in versions
            for backend in self.backends
        ]

    def find_rule(self, version: str, backend: str, verb: Literal["refuse", "unverified"]) -> ReasonAndPlace:
        """Find the rule, or the missing recipe, that refuses a combo or makes it unverified; published or not."""
        for index, rule in enumerate(self.matrix.rules):
            pattern: AxisPattern | None = getattr(rule, verb)
            if (
                pattern is not None
                and pattern.of_version(self.framework.name, version)
                and pattern.of_target(self.target.name)
                and pattern.of_backend(backend)
            ):
                return rule.because, self._rule_place(index)
        if verb == "refuse" and backend not in self.framework.backends:
            reason = f"{self.framework.title} has no recipe for the backend {backend}"
            return reason, f"recipes/frameworks/{self.framework.name}/{backend}.yaml"
        return "", ""

    def refuse(self, version: str, backend: str, why: ReasonAndPlace, near: Combo) -> Decision:
        """Refuse the request; `near` is the nearest combo, which may itself be refused or unverified."""
        nearest = near if near.is_known_to_work else self.matrix.nearest_working(near)
        return Decision(
            "refused", self.request, self.target, version, backend, reason=why[0], place=why[1], nearest=nearest,
            notes=self.cpu_notes(),
        )  # fmt: skip

    def cpu_notes(self) -> tuple[str, ...]:
        """Say what the submitted CPU means for the requested target."""
        cpu = self.request.cpu
        if cpu is None or not self.request.target or cpu.target is self.target or cpu.missing(self.target):
            return ()
        if cpu.target is None:
            return (f"the CPU you pasted was not used: {cpu.reason}",)
        return (f"for the CPU you pasted, {cpu.target.name} is the better target: {cpu.reason}",)

    def _rule_place(self, index: int) -> str:
        document = yaml_file.read_yaml(self.matrix.root / matrix_file.FILE, matrix_file.FILE, Mistakes())
        return f"{matrix_file.FILE}:{document.place(('rules', index), key=True)[0]}" if document else matrix_file.FILE


def _best(combos: Sequence[Combo]) -> Combo:
    """Return the first combo that is known to work, else the first that is not refused, else the first."""
    possible = [combo for combo in combos if combo.refusal is None]
    return next((combo for combo in possible if combo.is_known_to_work), (possible or combos)[0])
