"""The answer to a request: there, to be built, a change of data, or refused by a rule that is named with its line."""

from __future__ import annotations

import pytest

from armwright.bump.proposal import Change, Proposal
from armwright.matrix.matrix import Matrix
from armwright.pipeline.inventory import Inventory
from armwright.plan.plan import Plan, make_plan
from armwright.recipes.frameworks import Framework
from armwright.request import decide as decisions
from armwright.request import unpublished
from armwright.request.decide import Decision
from armwright.request.unpublished import UnfitError
from tests.asking import asked, decide, nothing_staged
from tests.support import ROOT, SMALL, Tree

N1 = "Features : fp asimd atomics fphp asimdhp asimddp\nCPU implementer : 0x41\nCPU part : 0xd0c\n"
KUNPENG = N1.replace("0x41", "0x48").replace("0xd0c", "0xd01")
PROPOSAL = Proposal("2.12.0", (Change("matrix.yaml", "a\n", "b\n"),))


def of(matrix: Matrix, **values: str) -> Decision:
    return decide(matrix, asked(matrix, **values))


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The package index has every version; which ones were asked for is in the list."""
    wanted: list[str] = []

    def propose(_: Matrix, framework: Framework, version: str) -> Proposal:
        wanted.append(f"{framework.name} {version}")
        return PROPOSAL

    monkeypatch.setattr(unpublished, "propose_unpublished", propose)
    return wanted


def line(place: str) -> str:
    file, _, number = place.partition(":")
    return (ROOT / file).read_text().splitlines()[int(number) - 1]


def test_what_is_published_can_be_built_and_its_plan_is_that_of_the_matrix(matrix: Matrix) -> None:
    found = of(matrix, framework="pytorch", version="2.10.0", target="n1", backend="acl")
    assert (found.kind, found.id, found.state, found.reason) == ("buildable", "pytorch-2.10.0-n1-acl", "not built", "")
    assert found.plan == make_plan(matrix, matrix.by_id[found.id])


def test_what_is_left_open_is_the_newest_that_is_known_to_work_and_the_first_backend(matrix: Matrix) -> None:
    assert of(matrix, framework="tensorflow", target="v1").id == "tensorflow-2.21.0-v1-acl"
    found = of(matrix, framework="pytorch", target="generic")
    assert found.id == "pytorch-2.9.1-generic-acl"
    assert found.notes[0].startswith("pytorch-2.10.0-generic-acl is refused: its wheel dies")


def test_what_is_unverified_is_answered_only_where_nothing_is_known_to_work(tree: Tree) -> None:
    rule = '  - unverified: {version: "==2.10.0", target: n1}\n    because: nobody has seen it\n'
    tree.publish(SMALL + rule)
    assert of(tree.load(), framework="pytorch", target="n1").id == "pytorch-2.9.1-n1-openblas"
    tree.publish(SMALL + rule.replace('version: "==2.10.0", ', ""))
    found = of(tree.load(), framework="pytorch", target="n1")
    assert (found.id, found.reason) == ("pytorch-2.10.0-n1-openblas", "nobody has seen it")


def test_what_a_registry_has_is_there(matrix: Matrix) -> None:
    def staged(plan: Plan) -> str:
        return f"registry.example/staging/{plan.tag}"

    found = decide(matrix, asked(matrix, framework="pytorch", target="n1"), staged)
    assert (found.kind, found.image) == ("exists", "registry.example/staging/pytorch:2.10.0-n1-acl")


def test_what_is_proven_here_is_there_and_what_is_only_built_is_not(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = asked(matrix, framework="pytorch", target="n1")
    for state, kind in (("proven", "exists"), ("built", "buildable"), ("unknown", "buildable")):
        monkeypatch.setattr(Inventory, "state", lambda _, __, state=state: state)
        found = decisions.decide_request(matrix, wanted, Inventory(matrix, {}), nothing_staged)
        assert (found.kind, found.state, found.image) == (kind, state, "")


def test_what_a_rule_refuses_is_refused_with_the_rule_s_line_and_the_nearest(matrix: Matrix) -> None:
    found = of(matrix, framework="pytorch", version="2.10.0", target="generic", backend="acl")
    assert found.kind == "refused"
    assert found.reason.startswith("its wheel dies with an illegal instruction")
    assert line(found.place) == '  - refuse: {framework: pytorch, version: "==2.10.0", target: generic}'
    assert found.nearest is not None
    assert found.nearest.id == "pytorch-2.9.1-generic-acl"
    assert found.plan is None


def test_a_backend_without_a_recipe_is_refused_with_the_place_where_it_would_be(tree: Tree) -> None:
    tree.publish(SMALL.replace("[openblas, acl]", "[openblas, eigen]"))
    found = of(tree.load(), framework="pytorch", target="n1", backend="eigen")
    assert (found.kind, found.reason) == ("refused", "PyTorch has no recipe for the backend eigen")
    assert line(found.place) == "backends:"
    assert found.nearest is not None
    assert found.nearest.backend == "openblas"


def test_what_is_unverified_says_so_with_the_rule_s_line(matrix: Matrix) -> None:
    found = of(matrix, framework="tensorflow", version="1.15.5", target="n1", backend="eigen")
    assert found.kind == "buildable"
    assert found.reason.startswith("a native Arm builder compiles it")
    assert line(found.place) == '  - unverified: {framework: tensorflow, version: "==1.15.5"}'


def test_a_version_that_is_not_published_is_a_change_of_data(matrix: Matrix, index: list[str]) -> None:
    found = of(matrix, framework="pytorch", version="2.12.0", target="n1")
    assert (found.kind, found.id, found.proposal) == ("change", "pytorch-2.12.0-n1-acl", PROPOSAL)
    assert index == ["pytorch 2.12.0"]
    assert found.notes == ()


def test_rules_speak_before_the_index_is_asked(matrix: Matrix, index: list[str]) -> None:
    found = of(matrix, framework="pytorch", version="2.12.0", target="n1", backend="eigen")
    assert (found.kind, found.reason) == ("refused", "it has no kernels over Eigen; its own run over OpenBLAS")
    found = of(matrix, framework="tensorflow", version="1.14.0", target="n1", backend="acl")
    assert found.reason.startswith("1.15 is older than oneDNN's kernels")
    assert index == []


def test_where_every_published_version_is_refused_a_new_one_is_doubted(tree: Tree, index: list[str]) -> None:
    rule = '  - refuse: {target: v1, version: ["2.10.0", "2.9.1"]}\n    because: nobody looked at it there\n'
    tree.publish(SMALL + rule)
    matrix = tree.load()
    found = of(matrix, framework="pytorch", version="2.12.0", target="v1")
    assert found.notes == ("every published version is refused there: nobody looked at it there",)
    assert of(matrix, framework="pytorch", version="2.12.0", target="generic").notes == ()
    assert len(index) == 2


def test_a_version_that_cannot_be_published_is_refused_with_the_index_s_reason(
    matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unfit(*_: object) -> None:
        raise UnfitError("a CUDA build: it requires triton")

    monkeypatch.setattr(unpublished, "propose_unpublished", unfit)
    found = of(matrix, framework="pytorch", version="2.12.0", target="n1")
    assert (found.kind, found.reason, found.place) == ("refused", "a CUDA build: it requires triton", "")
    assert found.id == "pytorch-2.12.0-n1-acl"
    assert found.nearest is not None
    assert found.nearest.id == "pytorch-2.10.0-n1-acl"


def test_the_cpu_decides_where_no_target_is_chosen(matrix: Matrix) -> None:
    assert of(matrix, framework="pytorch", cpu=N1).id == "pytorch-2.10.0-n1-acl"
    found = of(matrix, framework="pytorch", cpu=KUNPENG)
    assert (found.kind, found.id) == ("buildable", "pytorch-2.10.0-n1-acl")
    assert found.request.cpu is not None
    assert found.request.cpu.unmade


def test_a_target_whose_images_would_not_start_on_the_cpu_that_was_shown_is_refused(
    matrix: Matrix, index: list[str]
) -> None:
    for version in ("", "2.9.1", "2.12.0"):
        found = of(matrix, framework="pytorch", version=version, target="v1", cpu=N1)
        assert found.kind == "refused"
        assert found.reason.startswith("on the CPU that was shown its images do not start: it lacks sve, bf16, i8mm; ")
        assert found.id == f"pytorch-{version or '2.10.0'}-v1-acl"
        assert found.nearest is not None
        assert found.nearest.id == "pytorch-2.10.0-n1-acl"
    assert index == []


def test_a_target_that_runs_and_is_not_the_best_is_told(matrix: Matrix) -> None:
    found = of(matrix, framework="tensorflow", target="generic", cpu=N1)
    assert found.id == "tensorflow-2.21.0-generic-acl"
    assert found.notes[0].startswith("for the CPU that was shown n1 is right: it is Neoverse-N1")
    found = of(matrix, framework="tensorflow", target="n1", cpu="a grey box")
    assert found.notes[0].startswith("the CPU that was shown was not needed, and says nothing: ")
    assert of(matrix, framework="tensorflow", target="n1", cpu=N1).notes == ()


def test_the_data_types_are_those_that_were_asked_for(matrix: Matrix) -> None:
    wanted = asked(matrix, framework="pytorch", target="v1", dtypes="bf16, fp32")
    assert [one["name"] for one in decide(matrix, wanted).dtypes] == ["fp32", "bf16"]
    assert len(of(matrix, framework="pytorch", target="v1").dtypes) == 5


def test_every_published_combo_gets_the_answer_that_the_matrix_gives(matrix: Matrix) -> None:
    for combo in matrix.combos:
        found = of(
            matrix, framework=combo.framework.name, version=combo.version, target=combo.target.name,
            backend=combo.backend,
        )  # fmt: skip
        assert found.id == combo.id
        assert (found.kind == "refused") == (combo.refusal is not None)
        assert found.reason == (combo.refusal or combo.unverified or "")
        assert found.nearest is (matrix.instead(combo) if combo.refusal else None)
