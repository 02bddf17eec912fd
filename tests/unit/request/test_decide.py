"""The decision about a request: it exists, can be built, needs a data change, or is refused by a rule."""

from __future__ import annotations

import pytest

from armwright.bump.proposal import Change, Proposal
from armwright.matrix.matrix import Matrix
from armwright.pipeline.inventory import Inventory
from armwright.plan.plan import Plan, make_plan
from armwright.publish.lookup import StagedName
from armwright.recipes.frameworks import Framework
from armwright.request import unpublished
from armwright.request.decide import Decision, decide_request
from armwright.request.unpublished import UnpublishableError
from tests.request_helpers import decide, nothing_staged, parse_options
from tests.support import ROOT, SMALL, Tree

N1 = "Features : fp asimd atomics fphp asimdhp asimddp\nCPU implementer : 0x41\nCPU part : 0xd0c\n"
KUNPENG = N1.replace("0x41", "0x48").replace("0xd0c", "0xd01")
PROPOSAL = Proposal("2.12.0", (Change("matrix.yaml", "a\n", "b\n"),))


def decide_options(matrix: Matrix, **values: str) -> Decision:
    return decide(matrix, parse_options(matrix, **values))


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A package index that has every version; the list shows which ones were looked up."""
    looked_up: list[str] = []

    def propose(_: Matrix, framework: Framework, version: str) -> Proposal:
        looked_up.append(f"{framework.name} {version}")
        return PROPOSAL

    monkeypatch.setattr(unpublished, "propose_unpublished", propose)
    return looked_up


def line(place: str) -> str:
    file, _, number = place.partition(":")
    return (ROOT / file).read_text().splitlines()[int(number) - 1]


def test_published_combo_is_buildable(matrix: Matrix) -> None:
    decision = decide_options(matrix, framework="pytorch", version="2.10.0", target="n1", backend="acl")
    assert (decision.kind, decision.id) == ("buildable", "pytorch-2.10.0-n1-acl")
    assert (decision.state, decision.reason) == ("not built", "")
    assert decision.plan == make_plan(matrix, matrix.by_id[decision.id])


def test_default_is_newest_working_version_first_backend(matrix: Matrix) -> None:
    assert decide_options(matrix, framework="tensorflow", target="v1").id == "tensorflow-2.21.0-v1-acl"
    decision = decide_options(matrix, framework="pytorch", target="generic")
    assert decision.id == "pytorch-2.9.1-generic-acl"
    newest = matrix.by_id["pytorch-2.10.0-generic-acl"]
    assert decision.notes == (f"{newest.id} is refused: {newest.refusal}",)


def test_unverified_combo_is_the_last_choice(tree: Tree) -> None:
    rule = '  - unverified: {version: "==2.10.0", target: n1}\n    because: it has not been tested\n'
    tree.publish(SMALL + rule)
    assert decide_options(tree.load(), framework="pytorch", target="n1").id == "pytorch-2.9.1-n1-openblas"
    tree.publish(SMALL + rule.replace('version: "==2.10.0", ', ""))
    decision = decide_options(tree.load(), framework="pytorch", target="n1")
    assert (decision.id, decision.reason) == ("pytorch-2.10.0-n1-openblas", "it has not been tested")


def test_staged_image_exists(matrix: Matrix) -> None:
    def staged(plan: Plan) -> StagedName:
        return StagedName(f"registry.example/staging/{plan.tag}")

    decision = decide(matrix, parse_options(matrix, framework="pytorch", target="n1"), staged)
    assert (decision.kind, decision.image) == ("exists", "registry.example/staging/pytorch:2.10.0-n1-acl")


def test_proven_image_exists_and_built_one_does_not(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    request = parse_options(matrix, framework="pytorch", target="n1")
    for state, kind in (("proven", "exists"), ("built", "buildable"), ("unknown", "buildable")):
        monkeypatch.setattr(Inventory, "find_state", lambda _, __, state=state: state)
        decision = decide_request(matrix, request, Inventory(matrix, {}), nothing_staged)
        assert (decision.kind, decision.state, decision.image) == (kind, state, "")


def test_refusal_has_the_line_of_its_rule(matrix: Matrix) -> None:
    decision = decide_options(matrix, framework="pytorch", version="2.10.0", target="generic", backend="acl")
    assert decision.kind == "refused"
    assert decision.reason == matrix.by_id["pytorch-2.10.0-generic-acl"].refusal
    assert line(decision.place) == '  - refuse: {framework: pytorch, version: "==2.10.0", target: generic}'
    assert decision.nearest is not None
    assert decision.nearest.id == "pytorch-2.9.1-generic-acl"
    assert decision.plan is None


def test_backend_without_a_recipe_is_refused(tree: Tree) -> None:
    tree.publish(SMALL.replace("[openblas, acl]", "[openblas, eigen]"))
    decision = decide_options(tree.load(), framework="pytorch", target="n1", backend="eigen")
    assert (decision.kind, decision.reason) == ("refused", "PyTorch has no recipe for the backend eigen")
    assert decision.place == "recipes/frameworks/pytorch/eigen.yaml"
    assert decision.nearest is not None
    assert decision.nearest.backend == "openblas"


def test_unverified_combo_has_the_line_of_its_rule(matrix: Matrix) -> None:
    decision = decide_options(matrix, framework="tensorflow", version="1.15.5", target="n1", backend="eigen")
    assert decision.kind == "buildable"
    assert decision.reason == matrix.by_id["tensorflow-1.15.5-n1-eigen"].unverified
    assert line(decision.place) == '  - unverified: {framework: tensorflow, version: "==1.15.5"}'


def test_unpublished_version_is_a_change_of_data(matrix: Matrix, index: list[str]) -> None:
    decision = decide_options(matrix, framework="pytorch", version="2.12.0", target="n1")
    assert (decision.kind, decision.id, decision.proposal) == ("change", "pytorch-2.12.0-n1-acl", PROPOSAL)
    assert index == ["pytorch 2.12.0"]
    assert decision.notes == ()


def test_rules_are_checked_before_the_index(matrix: Matrix, index: list[str]) -> None:
    decision = decide_options(matrix, framework="pytorch", version="2.12.0", target="n1", backend="eigen")
    assert (decision.kind, decision.reason) == ("refused", matrix.by_id["pytorch-2.10.0-n1-eigen"].refusal)
    decision = decide_options(matrix, framework="tensorflow", version="1.14.0", target="n1", backend="acl")
    assert decision.reason == matrix.by_id["tensorflow-1.15.5-n1-acl"].refusal
    assert index == []


def test_new_version_is_doubted_if_all_others_are_refused(tree: Tree, index: list[str]) -> None:
    rule = '  - refuse: {target: v1, version: ["2.10.0", "2.9.1"]}\n    because: it has not been tested there\n'
    tree.publish(SMALL + rule)
    matrix = tree.load()
    decision = decide_options(matrix, framework="pytorch", version="2.12.0", target="v1")
    assert decision.notes == ("all published versions of this combination are refused: it has not been tested there",)
    assert decide_options(matrix, framework="pytorch", version="2.12.0", target="generic").notes == ()
    assert len(index) == 2


def test_unpublishable_version_is_refused(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UnpublishableError("a CUDA build: it requires triton")

    monkeypatch.setattr(unpublished, "propose_unpublished", refuse)
    decision = decide_options(matrix, framework="pytorch", version="2.12.0", target="n1")
    assert (decision.kind, decision.reason, decision.place) == ("refused", "a CUDA build: it requires triton", "")
    assert decision.id == "pytorch-2.12.0-n1-acl"
    assert decision.nearest is not None
    assert decision.nearest.id == "pytorch-2.10.0-n1-acl"


def test_cpu_decides_without_a_target(matrix: Matrix) -> None:
    assert decide_options(matrix, framework="pytorch", cpu=N1).id == "pytorch-2.10.0-n1-acl"
    decision = decide_options(matrix, framework="pytorch", cpu=KUNPENG)
    assert (decision.kind, decision.id) == ("buildable", "pytorch-2.10.0-n1-acl")
    assert decision.request.cpu is not None
    assert decision.request.cpu.approximate


def test_target_that_cannot_start_on_the_cpu_is_refused(matrix: Matrix, index: list[str]) -> None:
    for version in ("", "2.9.1", "2.12.0"):
        decision = decide_options(matrix, framework="pytorch", version=version, target="v1", cpu=N1)
        assert decision.kind == "refused"
        assert decision.reason.startswith(
            "its images do not start on the CPU you pasted, which has no sve, bf16, i8mm; this is Neoverse-N1"
        )
        assert decision.id == f"pytorch-{version or '2.10.0'}-v1-acl"
        assert decision.nearest is not None
        assert decision.nearest.id == "pytorch-2.10.0-n1-acl"
    assert index == []


def test_better_target_is_noted(matrix: Matrix) -> None:
    decision = decide_options(matrix, framework="tensorflow", target="generic", cpu=N1)
    assert decision.id == "tensorflow-2.21.0-generic-acl"
    assert decision.notes[0].startswith("for the CPU you pasted, n1 is the better target: this is Neoverse-N1")
    decision = decide_options(matrix, framework="tensorflow", target="n1", cpu="a grey box")
    assert decision.notes[0].startswith("the CPU you pasted was not used: not a known CPU name")
    assert decide_options(matrix, framework="tensorflow", target="n1", cpu=N1).notes == ()


def test_requested_data_types_are_listed(matrix: Matrix) -> None:
    request = parse_options(matrix, framework="pytorch", target="v1", dtypes="bf16, fp32")
    assert [row["name"] for row in decide(matrix, request).dtypes] == ["fp32", "bf16"]
    assert len(decide_options(matrix, framework="pytorch", target="v1").dtypes) == 5


def test_decisions_agree_with_the_matrix(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(matrix, matrix.by_id["pytorch-2.10.0-n1-acl"])
    monkeypatch.setattr("armwright.request.decide.make_plan", lambda *_: plan)  # no test reads it
    for combo in matrix.combos:
        decision = decide_options(
            matrix, framework=combo.framework.name, version=combo.version, target=combo.target.name,
            backend=combo.backend,
        )  # fmt: skip
        assert decision.id == combo.id
        assert (decision.kind == "refused") == (combo.refusal is not None)
        assert decision.reason == (combo.refusal or combo.unverified or "")
        assert decision.nearest is (matrix.nearest_working(combo) if combo.refusal else None)
