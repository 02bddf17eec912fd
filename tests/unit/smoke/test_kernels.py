"""The kernels that ran: the libraries' output is counted for each run and compared with the recipe's rules."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import combinations

import kernels
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import Row, Rule, Table

from armwright.matrix.matrix import Combo, Matrix
from armwright.recipes.kernels import KernelRule

# One executed primitive as each generation of oneDNN writes it.
TRACES = {
    "0.20": "mkldnn_verbose,exec,convolution,gemm:jit,forward_inference,fsrc:nchw fwei:oihw fbia:x fdst:nchw,"
    "alg:convolution_direct,mb8_ic1oc6_ih28oh28kh5sh1dh0ph2_iw28ow28kw5sw1dw0pw2,0.52",
    "2.4": "dnnl_verbose,exec,cpu,convolution,gemm:acl,forward_inference,src_f32::blocked:acdb:f0 "
    "wei_f32::blocked:cdba:f0 bia_f32::blocked:a:f0 dst_f32::blocked:acdb:f0,,alg:convolution_direct,"
    "mb8_ic3oc16_ih32oh32kh3sh1dh0ph1_iw32ow32kw3sw1dw0pw1,3.21",
    "3.2": "onednn_verbose,exec,cpu,matmul,gemm:acl,undef,src_f32::blocked:ab:f0 wei_f32::blocked:ab:f0 "
    "dst_f32::blocked:ab:f0,attr-scratchpad:user ,,128x256:256x128,0.88",
    "3.5": "onednn_verbose,primitive,exec,cpu,convolution,indirect_gemm:acl,forward_training,src_f32::blocked:acdb::f0 "
    "wei_f32::blocked:cdba::f0 bia_undef::undef::: dst_f32::blocked:acdb::f0,attr-scratchpad:user,"
    "alg:convolution_direct,mb8_ic3oc16_ih64oh62kh3sh1dh0ph0_iw64ow62kw3sw1dw0pw0,1.04",
    "3.7": "onednn_verbose,v1,primitive,exec,cpu,inner_product,acl,forward_inference,src:f32::blocked:ab::f0 "
    "wei:f32::blocked:AB8b4a::f0 bia:f32::blocked:a::f0 dst:f32::blocked:ab::f0,attr-scratchpad:user,,mb16ic400,0.03",
}
SEEN = {
    "0.20": ("convolution", "gemm:jit", ""),
    "2.4": ("convolution", "gemm:acl", "f32"),
    "3.2": ("matmul", "gemm:acl", "f32"),
    "3.5": ("convolution", "indirect_gemm:acl", "f32"),
    "3.7": ("inner_product", "acl", "f32"),
}
NOISE = [
    "onednn_verbose,v1,info,oneDNN v3.7.1 (commit 8d263e693366ef8db40acc569cc7d8edf644556d)",
    "onednn_verbose,v1,info,cpu,runtime:OpenMP,nthr:2",
    "onednn_verbose,v1,primitive,info,template:operation,engine,primitive,implementation,prop_kind,exec_time",
    "onednn_verbose,v1,primitive,create:cache_miss,cpu,convolution,gemm:acl,forward_inference,src:f32,,,mb1,0.2",
    "onednn_verbose,primitive,create:dispatch,convolution,cpu,convolution,ref:any,undef,,,unsupported,x.cpp:1",
    "onednn_verbose,v1,graph,exec,cpu,100002,convolution_post_ops,acl,,,0.1",
    "mkldnn_verbose,info,Intel(R) MKL-DNN v0.20.3 (Git Hash N/A),Intel 64",
    "mkldnn_verbose,create,convolution,gemm:jit,forward_inference,fsrc:nchw,mb1_ic1oc6_ih28oh28kh5,0.1",
    "Core: neoversen1",
    "",
]
M = "M:"


# --- what the libraries print


@pytest.mark.parametrize("version", TRACES)
def test_primitive_is_counted_for_its_run_in_every_format(version: str) -> None:
    operation, implementation, types = SEEN[version]
    table = kernels.read([f"{M}lenet fp32", TRACES[version]], M)
    row = Row("lenet", "fp32", "onednn", operation, implementation, types)
    assert table.calls == {row: 1}
    assert table.shapes[row] in TRACES[version].split(",")[-2]


@pytest.mark.parametrize("line", NOISE)
def test_what_was_not_executed_does_not_count(line: str) -> None:
    assert not kernels.read([f"{M}lenet fp32", line], M).calls


def test_truncated_line_is_an_unreadable_kernel() -> None:
    (row,) = kernels.read([f"{M}lenet fp32", TRACES["3.7"][:60]], M).calls
    assert (row.operation, row.implementation) == ("inner_product", "unreadable")


def test_the_arithmetic_that_was_allowed_is_part_of_the_types() -> None:
    line = TRACES["3.7"].replace("attr-scratchpad:user", "attr-scratchpad:user attr-fpmath:bf16")
    assert {row.types for row in kernels.read([line, TRACES["3.7"]], M).calls} == {"f32", "f32 as bf16"}


@pytest.mark.parametrize(
    ("line", "core"),
    [("Core: neoversen1", "neoversen1"), ("  Core: A64FX \n", "a64fx"), ("Core: armv8sve", "armv8sve")],
)
def test_the_core_that_openblas_chose_is_read(line: str, core: str) -> None:
    assert kernels.core(line) == core


@pytest.mark.parametrize("line", ["Core not found: Haswell", "Core:", "Core: a b", "the Core: a64fx", "core: a64fx"])
def test_other_lines_are_not_openblas_s_core(line: str) -> None:
    assert kernels.core(line) == ""


def test_each_kernel_belongs_to_the_run_announced_before_it() -> None:
    lines = [TRACES["3.7"], f"{M}lenet fp32", TRACES["3.5"], "chatter", TRACES["3.5"], *NOISE, f"{M}lenet bf16"]
    lines += [TRACES["3.5"], M, TRACES["2.4"]]
    by_acl = ("onednn", "convolution", "indirect_gemm:acl", "f32")
    assert kernels.read(lines, M).calls == {
        Row("", "", "onednn", "inner_product", "acl", "f32"): 1,
        Row("lenet", "fp32", *by_acl): 2,
        Row("lenet", "bf16", *by_acl): 1,
        Row("", "", "onednn", "convolution", "gemm:acl", "f32"): 1,
    }


# --- the table


def test_table_counts_keeps_the_first_shape_and_merges() -> None:
    row, other = Row("lenet", "fp32", "onednn", "convolution", "acl", "f32"), Row("", "", "openblas", "core", "a64fx")
    table, second = Table(), Table()
    table.add(row, shape="mb1")
    table.add(row, 2, shape="mb2")
    second.add(row, 4, shape="mb3")
    second.add(other)
    table.update(second)
    fields = {"source": "onednn", "operation": "convolution", "implementation": "acl", "types": "f32"}
    assert table.of("lenet", "fp32") == [{**fields, "calls": 7, "shape": "mb1"}]
    assert [(row["implementation"], row["calls"]) for row in table.of("", "")] == [("a64fx", 1)]
    assert table.of("lenet", "bf16") == []


# --- a rule


def rule(
    *implementations: str,
    operation: str = "convolution",
    source: str = "onednn",
    types: str = "*",
    dtypes: list[str] | None = None,
    optional: bool = False,
) -> Rule:
    return Rule(
        id="a-rule", source=source, operation=operation, implementations=list(implementations),
        types=types, dtypes=dtypes, optional=optional, reason="a test",
    )  # fmt: skip


def ran(*rows: str, dtype: str = "fp32", shape: str = "") -> Table:
    """Make a table from "source operation implementation types", of one run."""
    table = Table()
    for row in rows:
        table.add(Row("lenet", dtype, *row.split(" ")), shape=shape)
    return table


ACL = "onednn convolution indirect_gemm:acl f32"
LENET = {("lenet", "fp32"): ["convolution", "inner_product"]}


def test_kernels_of_the_family_hold_and_are_counted() -> None:
    verdict = kernels.judge(rule("*:acl", "acl"), ran(ACL, ACL, "onednn convolution acl"), LENET)
    assert verdict == (True, "convolution by *:acl or acl", "convolution acl x1, convolution indirect_gemm:acl x2")


@pytest.mark.parametrize(
    "stranger", ["ref:any", "gemm:ref", "jit:sve_512", "acl:ref", "ACL", "indirect_gemm:acl2", "unreadable", "unnamed"]
)
def test_only_the_unexpected_kernel_is_named(stranger: str) -> None:
    verdict = kernels.judge(rule("*:acl", "acl"), ran(ACL, ACL, f"onednn convolution {stranger}"), LENET)
    assert (verdict.holds, verdict.found) == (False, f"convolution by {stranger} in lenet fp32")


def test_a_stranger_is_named_with_its_types_and_its_problem() -> None:
    verdict = kernels.judge(rule("*:acl"), ran("onednn convolution gemm:ref f32", dtype="bf16", shape="mb8_ic1"), {})
    assert verdict.found == "convolution by gemm:ref (f32, mb8_ic1) in lenet bf16"


def test_of_many_strangers_some_are_named_and_the_others_counted() -> None:
    verdict = kernels.judge(rule("*:acl"), ran(*(f"onednn convolution ref:{letter}" for letter in "abcde")), LENET)
    assert verdict.found.count("ref:") == 3
    assert verdict.found.endswith(" and 2 more")


def test_an_unexpected_kernel_breaks_an_optional_rule_too() -> None:
    assert not kernels.judge(rule("*:acl", optional=True), ran("onednn convolution gemm:ref"), LENET).holds


def test_nothing_ran_breaks_a_rule_unless_it_is_optional() -> None:
    others = ran("onednn reorder jit:uni", "profiler convolution indirect_gemm:acl")
    verdict = kernels.judge(rule("*:acl"), others, LENET)
    assert verdict == (
        False, "convolution by *:acl", "no convolution ran in lenet fp32: the backend is off",
    )  # fmt: skip
    assert kernels.judge(rule("*:acl", optional=True), others, LENET) == (True, "convolution by *:acl", "none ran")


def test_runs_with_the_operation_must_show_a_kernel() -> None:
    operations = {
        ("lenet", "fp32"): ["convolution"],
        ("lstm", "fp32"): ["matmul"],
        ("vgg", "fp32"): ["convolution"],
        ("lenet", "bf16"): ["convolution"],
    }
    verdict = kernels.judge(rule("*:acl"), ran(ACL), operations)
    assert verdict.found == "no convolution ran in vgg fp32, lenet bf16: the backend is off"
    verdict = kernels.judge(rule("*:acl", dtypes=["fp32"]), ran(ACL), operations)
    assert verdict.found == "no convolution ran in vgg fp32: the backend is off"
    assert kernels.judge(rule("*:acl"), ran(ACL), LENET).holds
    assert kernels.judge(rule("*:acl", dtypes=["int8"]), ran(ACL), operations).holds


def test_openblas_names_its_core_once_when_it_is_loaded() -> None:
    core = rule("neoversen1", source="openblas", operation="core", dtypes=["fp32"])
    loaded = Table()
    verdict = kernels.judge(core, loaded, {})
    assert (verdict.holds, verdict.found) == (False, "no core ran in library loading: the backend is off")
    loaded.add(Row("", "", "openblas", "core", "neoversen1"))
    assert kernels.judge(core, loaded, LENET).holds
    loaded.add(Row("", "", "openblas", "core", "armv8"))
    assert kernels.judge(core, loaded, LENET).found == "core by armv8"


def test_no_implementation_at_all_means_it_must_not_run() -> None:
    off = rule(operation="*")
    assert kernels.judge(off, ran("profiler convolution aten::_slow_conv2d_forward"), LENET).holds
    verdict = kernels.judge(off, ran("onednn reorder jit:uni", ACL), LENET)
    assert (verdict.holds, verdict.expected) == (False, "no onednn kernel")
    assert verdict.found == (
        "convolution by indirect_gemm:acl (f32) in lenet fp32; reorder by jit:uni in lenet fp32"
    )  # fmt: skip


def test_rule_covers_its_source_and_operation_only() -> None:
    rows = ran(ACL, "onednn eltwise ref:any", "openblas core armv8", "profiler convolution aten::_slow_conv2d_forward")
    assert kernels.judge(rule("*:acl"), rows, LENET).holds
    assert not kernels.judge(rule("neoversen1", source="openblas", operation="core"), rows, LENET).holds
    assert not kernels.judge(rule("aten::mkldnn_convolution", source="profiler"), rows, LENET).holds
    assert not kernels.judge(rule("*:acl", operation="elt*", optional=True), rows, LENET).holds


def test_rule_covers_its_data_types_and_library_loading() -> None:
    off = rule(operation="*", dtypes=["bf16", "fp16"])
    assert kernels.judge(off, ran(ACL), LENET).holds
    assert not kernels.judge(off, ran(ACL, dtype="bf16"), LENET).holds
    loaded = Table()
    loaded.add(Row("", "", "onednn", "reorder", "jit:uni"))
    assert not kernels.judge(off, loaded, LENET).holds


@pytest.mark.parametrize(
    ("pattern", "types", "holds"),
    [
        ("f32", "f32", True),
        ("f32", "bf16", False),
        ("f32", "f32 as bf16", False),
        ("f32 as bf16", "f32 as bf16", True),
        ("f32 as bf16", "f32", False),
        ("u8:s8", "u8:s8", True),
        ("*:s8", "u8:s8", True),
        ("*:s8", "s8", False),
        ("f32", "", False),
        ("*", "", True),
    ],
)
def test_the_right_implementation_on_other_types_is_a_stranger(
    pattern: str,
    types: str,
    holds: bool,  # noqa: FBT001 - the outcome itself
) -> None:
    table = Table()
    table.add(Row("lenet", "fp32", "onednn", "convolution", "acl", types))
    verdict = kernels.judge(rule("acl", types=pattern), table, LENET)
    assert verdict.holds is holds
    assert verdict.expected == "convolution by acl" + (f" on {pattern}" if pattern != "*" else "")


# --- kernels without a rule


def test_kernel_without_a_rule_fails_with_its_shape_and_run() -> None:
    rules = [rule("*:acl"), rule("*", operation="matmul", dtypes=["fp32"], optional=True)]
    assert kernels.without_rule(rules, ran(ACL, "onednn matmul ref:any")) == (
        True, "a rule in the recipe for every kernel that ran", "all kernels have a rule",
    )  # fmt: skip
    for row, dtype in (("onednn softmax acl f32", "fp32"), ("onednn matmul acl f32", "bf16")):
        verdict = kernels.without_rule(rules, ran(row, dtype=dtype, shape="mb8x10"))
        operation = row.split()[1]
        assert (verdict.holds, verdict.found) == (False, f"{operation} by acl (f32, mb8x10) in lenet {dtype}")
    many = kernels.without_rule(rules, ran(*(f"onednn softmax acl{number}" for number in range(5))))
    assert many.found.endswith("; softmax by acl2 in lenet fp32 and 2 more")
    assert not kernels.without_rule([], ran("profiler convolution Conv2D")).holds


# --- the project's rules


def rules_of(combo: Combo) -> list[KernelRule]:
    return combo.framework_backend.kernel_rules(combo.target, combo.version)


def accepts(rules: list[KernelRule], dtype: str, kernel: str) -> bool:
    """Return whether the rules allow a kernel in a run of a data type, "operation implementation types" of oneDNN."""
    operation, implementation, types = kernel.split(" ", 2)
    table = Table()
    table.add(Row("lenet", dtype, "onednn", operation, implementation, types))
    entries = [
        Rule(id=rule.id, source=rule.source, operation=rule.operation, implementations=rule.implementations,
             types=rule.types, dtypes=[*rule.dtypes] if rule.dtypes else None, optional=rule.optional,
             reason=rule.reason)
        for rule in rules
    ]  # fmt: skip
    others = [rule for rule in entries if rule["source"] == "onednn"]
    return kernels.without_rule(entries, table).holds and all(kernels.judge(rule, table, {}).holds for rule in others)


def runs(combo: Combo, *states: str) -> Iterator[str]:
    """Yield the data types that a combo runs, or those of some states."""
    supports = combo.framework_backend.dtype_support(combo.target, combo.version)
    return (support["name"] for support in supports if support["state"] in (states or {"fast", "slow"}))


REFERENCE = ("convolution gemm:ref", "convolution ref:any", "matmul ref:any", "inner_product gemm:ref")


def test_fast_data_types_reject_reference_kernels(matrix: Matrix) -> None:
    checked = 0
    for combo in (combo for combo in matrix.combos if combo.is_known_to_work):
        for dtype in runs(combo, "fast"):
            for kernel in (*REFERENCE, "convolution unreadable", "matmul unnamed"):
                for types in ("f32", "bf16"):
                    assert not accepts(rules_of(combo), dtype, f"{kernel} {types}"), (combo.id, dtype, kernel)
                    checked += 1
    assert checked > 100


@pytest.mark.parametrize(
    ("combo", "dtype", "kernel", "right"),
    [
        ("pytorch-2.10.0-n1-acl", "fp32", "convolution indirect_gemm:acl f32", True),
        ("pytorch-2.10.0-n1-acl", "fp32", "convolution brgconv:sve_512 f32", False),
        ("pytorch-2.10.0-n1-acl", "fp32", "convolution indirect_gemm:acl f32 as bf16", False),
        ("pytorch-2.10.0-n1-acl", "bf16", "convolution indirect_gemm:acl bf16", False),
        ("pytorch-2.10.0-v1-acl", "fp32", "convolution indirect_gemm:acl f32", True),
        ("pytorch-2.10.0-v1-acl", "bf16", "convolution indirect_gemm:acl bf16", True),
        ("pytorch-2.10.0-v1-acl", "bf16", "convolution indirect_gemm:acl f32", False),
        ("pytorch-2.10.0-v1-acl", "bf16-fast-math", "convolution indirect_gemm:acl f32 as bf16", True),
        ("pytorch-2.10.0-v1-acl", "bf16-fast-math", "convolution indirect_gemm:acl f32", False),
        ("pytorch-2.10.0-v1-acl", "fp16", "convolution indirect_gemm:acl f16", False),
        ("pytorch-2.10.0-a64fx-acl", "fp32", "convolution brgconv:sve_512 f32", True),
        ("pytorch-2.10.0-a64fx-acl", "fp32", "convolution indirect_gemm:acl f32", False),
        ("pytorch-2.9.1-generic-acl", "fp32", "convolution gemm:acl f32", True),
        ("pytorch-2.9.1-generic-acl", "fp32", "convolution brgconv:sve_256 f32", True),
        ("pytorch-2.5.1-a64fx-acl", "fp32", "convolution jit:sve_512 f32", True),
        ("pytorch-2.5.1-a64fx-acl", "fp32", "convolution brgconv:sve_512 f32", False),
        ("pytorch-2.5.1-a64fx-acl", "fp32", "convolution jit_1x1:sve_512 f32", True),
        ("tensorflow-2.15.1-a64fx-acl", "fp32", "convolution jit_1x1:sve_512 f32", True),
        ("tensorflow-2.15.1-a64fx-acl", "fp32", "convolution jit:sve_512 f32", False),
        ("tensorflow-2.21.0-a64fx-acl", "fp32", "depthwise brdgmm_dw:sve_512 f32", True),
        ("pytorch-2.10.0-n1-openblas", "fp32", "convolution indirect_gemm:acl f32", False),
        ("tensorflow-2.21.0-v1-acl", "fp32", "convolution indirect_gemm:acl f32", True),
        ("tensorflow-2.21.0-v1-acl", "bf16", "convolution indirect_gemm:acl bf16", False),
        ("tensorflow-2.21.0-v1-eigen", "fp32", "convolution indirect_gemm:acl f32", False),
    ],
)
def test_rules_accept_only_the_kernel_of_the_cpu_and_data_type(
    matrix: Matrix, combo: str, dtype: str, kernel: str, *, right: bool
) -> None:
    assert accepts(rules_of(matrix.by_id[combo]), dtype, kernel) is right


def test_in_no_combo_two_rules_contradict_each_other(matrix: Matrix) -> None:
    for combo in matrix.combos:
        if combo.refusal is None:
            for first, second in combinations(rules_of(combo), 2):
                same = first.source == second.source and (
                    fnmatchcase(first.operation, second.operation) or fnmatchcase(second.operation, first.operation)
                )
                if same and set(first.dtypes or runs(combo)) & set(second.dtypes or runs(combo)):
                    refused = [rule for rule in (first, second) if not rule.implementations]
                    assert len(refused) == 1, f"{combo.id}: {first.id} and {second.id}"
                    assert (first if second in refused else second).optional, f"{combo.id}: {first.id} and {second.id}"


# --- any lines at all

PIECES = st.sampled_from(
    [
        "onednn_verbose,",
        "dnnl_verbose,",
        "v1,",
        "primitive,",
        "exec,",
        "cpu,",
        "convolution,",
        "acl,",
        ",",
        " ",
        "Core: ",
    ]
)
LINES = st.lists(st.one_of(st.text(), st.lists(PIECES, max_size=9).map("".join)), max_size=8)


@given(LINES)
@settings(max_examples=150)
def test_any_line_can_be_read_and_only_library_lines_count(lines: list[str]) -> None:
    table = kernels.read(lines, M)
    for line in lines:
        kernels.core(line)
    assert table.calls.total() <= sum("onednn_verbose," in line or "dnnl_verbose," in line for line in lines)
    assert kernels.judge(rule("*", operation="*", optional=True), table, {}).holds
    assert kernels.judge(rule(operation="*"), table, {}).holds is not bool(table.calls)
    assert kernels.without_rule([], table).holds is not bool(table.calls)
