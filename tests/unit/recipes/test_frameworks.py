"""A framework over a backend on a target: support of its data types, and the kernel rules that apply."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from armwright.matrix.matrix import Matrix
from armwright.recipes.frameworks import PLAIN, FrameworkBackend
from armwright.recipes.kernels import DtypeSupport, KernelEntry, KernelRule, KernelRules, Override
from armwright.recipes.patterns import DTYPES
from armwright.recipes.targets import Target

REASON = "a test wants it"
FAST_MATH = {"name": "MODE", "value": "BF16", "feature": "bf16", "reason": REASON}


@pytest.fixture(scope="module")
def n1(matrix: Matrix) -> Target:
    """Return a target without bf16."""
    return matrix.recipes.targets["n1"]


@pytest.fixture(scope="module")
def v1(matrix: Matrix) -> Target:
    """Return a target with bf16."""
    return matrix.recipes.targets["v1"]


def rule(*implementations: str, operation: str = "convolution", **fields: Any) -> KernelRule:  # noqa: ANN401 - YAML
    """Return a rule; its id is its first implementation where none is given."""
    known = {
        "id": implementations[0] if implementations else "none", "source": "onednn", "operation": operation,
        "implementations": [*implementations], "reason": REASON,
    }  # fmt: skip
    return KernelRule.model_validate({**known, **fields})


def grouped(*rules: KernelRule) -> KernelRules:
    """Write rules below their sources and operations, as a file does."""
    kernels: KernelRules = {}
    for single in rules:
        entry = KernelEntry.model_validate(single.model_dump(exclude={"source", "operation"}))
        kernels.setdefault(single.source, {}).setdefault(single.operation, []).append(entry)
    return kernels


def framework_backend(*rules: KernelRule, overrides: tuple[Override, ...] = (), **fields: Any) -> FrameworkBackend:  # noqa: ANN401 - YAML
    return FrameworkBackend(kernels=grouped(*rules or [rule("acl")]), overrides=[*overrides], **fields)


def in_force(backend: FrameworkBackend, target: Target, version: str = "2.0.0") -> list[list[str]]:
    return [kernel_rule.implementations for kernel_rule in backend.kernel_rules(target, version)]


# --- data types


def test_only_v1_has_bf16(n1: Target, v1: Target) -> None:
    assert ("bf16" in n1.floor, "bf16" in v1.floor) == (False, True)


@pytest.mark.parametrize(
    ("fields", "on_n1", "on_v1"),
    [
        ({}, ("slow", "a note"), ("slow", "a note")),
        ({"fast": []}, ("fast", "a note"), ("fast", "a note")),
        ({"fast": ["bf16"]}, ("slow", "a note"), ("fast", "a note")),
        ({"fast": ["bf16"], "otherwise": "none here"}, ("slow", "none here"), ("fast", "a note")),
        ({"needs": ["bf16"]}, ("not run", "a note"), ("slow", "a note")),
        ({"needs": ["bf16"], "otherwise": "none here"}, ("not run", "none here"), ("slow", "a note")),
        (
            {"needs": ["bf16"], "fast": ["bf16"], "otherwise": "none here"},
            ("not run", "none here"),
            ("fast", "a note"),
        ),
        ({"needs": ["bf16"], "fast": ["bf16", "sve2"]}, ("not run", "a note"), ("slow", "a note")),
        ({"runs": False, "fast": []}, ("not run", "a note"), ("not run", "a note")),
    ],
)
def test_state_of_a_data_type_depends_on_cpu_features(
    n1: Target, v1: Target, fields: dict[str, Any], on_n1: tuple[str, str], on_v1: tuple[str, str]
) -> None:
    support = DtypeSupport.model_validate({"note": "a note", **fields})
    assert (support.on_floor(n1.floor), support.on_floor(v1.floor)) == (on_n1, on_v1)


def test_data_types_without_an_entry_are_not_run(v1: Target) -> None:
    support = {row["name"]: row for row in framework_backend().dtype_support(v1, "2.0.0")}
    assert tuple(support) == DTYPES
    assert support["fp32"]["state"] == "fast"
    assert {row["state"] for name, row in support.items() if name != "fp32"} == {"not run"}
    assert "not examined" in support["int8"]["note"]
    known = framework_backend(
        dtypes={"fp32": DtypeSupport(note="a note"), "int8": DtypeSupport(fast=[], note="a note")}
    )
    assert states(known, v1) == ["slow", "not run", "not run", "fast", "not run"]


def states(backend: FrameworkBackend, target: Target, version: str = "2.0.0") -> list[str]:
    return [row["state"] for row in backend.dtype_support(target, version)]


def test_override_replaces_a_data_type_for_its_images(n1: Target, v1: Target) -> None:
    override = Override(targets=["n1"], versions=["2.0.0"], dtypes={"bf16": DtypeSupport(note="a note")})
    backend = framework_backend(
        dtypes={"fp32": PLAIN, "bf16": DtypeSupport(fast=[], note="a note")}, overrides=(override,)
    )
    assert states(backend, n1) == ["fast", "slow", "not run", "not run", "not run"]
    assert states(backend, v1)[:2] == states(backend, n1, "2.1.0")[:2] == ["fast", "fast"]
    assert in_force(backend, n1) == [["acl"]]


def test_fast_math_needs_its_variable() -> None:
    runs, never = DtypeSupport(note="a note"), DtypeSupport(runs=False, note="a note")
    with pytest.raises(ValidationError, match="does not name the variable"):
        framework_backend(dtypes={"bf16-fast-math": runs})
    with pytest.raises(ValidationError, match="does not name the variable"):
        framework_backend(overrides=(Override(dtypes={"bf16-fast-math": runs}),))
    assert framework_backend(dtypes={"bf16-fast-math": never})
    assert framework_backend(dtypes={"bf16-fast-math": runs}, fast_math=FAST_MATH)


# --- kernel rules


def test_rule_applies_by_needed_and_lacking_features(n1: Target, v1: Target) -> None:
    backend = framework_backend(
        rule("always"),
        rule("with", needs=["bf16"]),
        rule("without", lacks=["bf16"]),
        rule("both", needs=["asimd", "bf16"]),
        rule("one-of", lacks=["asimd", "bf16"]),
        rule("neither", needs=["bf16"], lacks=["asimd"]),
    )
    assert in_force(backend, v1) == [["always"], ["with"], ["both"]]
    assert in_force(backend, n1) == [["always"], ["without"], ["one-of"]]


def test_override_replaces_only_the_rule_with_its_id(n1: Target) -> None:
    rules = [
        rule("all"),
        rule("fp32", dtypes=["fp32"]),
        rule("matmul", operation="matmul"),
        rule("profiler", source="profiler"),
    ]
    for replaced in rules:
        new = rule("new", id=replaced.id, source=replaced.source, operation=replaced.operation, dtypes=["int8"])
        backend = framework_backend(*rules, overrides=(Override(kernels=grouped(new)),))
        expected = ["new" if kept is replaced else kept.implementations[0] for kept in rules]
        assert in_force(backend, n1) == [[name] for name in expected]


@pytest.mark.parametrize(
    ("condition", "replaced"),
    [
        ({}, True),
        ({"targets": ["n1"]}, True),
        ({"targets": ["v1"]}, False),
        ({"versions": ["2.0.0", "2.1.0"]}, True),
        ({"versions": ["2.1.0"]}, False),
        ({"targets": ["n1"], "versions": ["2.0.0"]}, True),
        ({"targets": ["n1"], "versions": ["2.1.0"]}, False),
        ({"targets": ["v1"], "versions": ["2.0.0"]}, False),
    ],
)
def test_override_applies_to_its_targets_and_versions(n1: Target, condition: dict[str, Any], *, replaced: bool) -> None:
    override = Override(kernels=grouped(rule("new", id="old")), **condition)
    assert in_force(framework_backend(rule("old"), overrides=(override,)), n1) == [["new"] if replaced else ["old"]]


def test_override_with_needs_keeps_the_rule_elsewhere(n1: Target, v1: Target) -> None:
    backend = framework_backend(
        rule("old"), overrides=(Override(kernels=grouped(rule("new", id="old", needs=["bf16"]))),)
    )
    assert (in_force(backend, n1), in_force(backend, v1)) == ([["old"]], [["new"]])


def test_openblas_cores_of_the_target_are_inserted(n1: Target) -> None:
    core = rule("{cores}", "armv8", id="core", source="openblas", operation="core")
    assert n1.openblas_cores
    assert in_force(framework_backend(core), n1) == [[*n1.openblas_cores, "armv8"]]
    alone = core.model_copy(update={"implementations": ["{cores}"]})
    replaced = framework_backend(core, overrides=(Override(kernels=grouped(alone)),))
    assert in_force(replaced, n1) == [n1.openblas_cores]


def test_rule_for_several_operations_cannot_require_one() -> None:
    assert rule(operation="*")
    assert rule("acl", operation="*pool*", optional=True)
    with pytest.raises(ValidationError, match="cannot require one of them"):
        rule("acl", operation="*pool*")


def test_overrides_of_the_project_replace_general_rules(matrix: Matrix) -> None:
    backend = matrix.recipes.frameworks["pytorch"].backends["acl"]

    def implementations(target: str, source: str, operation: str) -> list[list[str]]:
        rules = backend.kernel_rules(matrix.recipes.targets[target], "2.10.0")
        in_fp32 = [rule for rule in rules if "fp32" in (rule.dtypes or ["fp32"])]
        return [rule.implementations for rule in in_fp32 if (rule.source, rule.operation) == (source, operation)]

    assert implementations("a64fx", "onednn", "convolution") == [["brgconv*:sve_512"]]
    assert implementations("n1", "onednn", "convolution") == [["*:acl", "acl"]]
    assert implementations("n1", "openblas", "core") == [["neoversen1"]]
    assert implementations("a64fx", "openblas", "core") == [["a64fx", "armv8sve"]]
