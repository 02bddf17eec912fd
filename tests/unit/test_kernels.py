"""Which kernels ran: the libraries' own words in every format, and the recipe's rules held against them."""

from __future__ import annotations

from collections import Counter

import kernels
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import Row, Rule

from armwright.matrix import Matrix

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
    "0.20": ("convolution", "gemm:jit"),
    "2.4": ("convolution", "gemm:acl"),
    "3.2": ("matmul", "gemm:acl"),
    "3.5": ("convolution", "indirect_gemm:acl"),
    "3.7": ("inner_product", "acl"),
}
NOISE = [
    "onednn_verbose,v1,info,oneDNN v3.7.1 (commit 8d263e693366ef8db40acc569cc7d8edf644556d)",
    "onednn_verbose,v1,info,cpu,runtime:OpenMP,nthr:2",
    "onednn_verbose,v1,info,cpu,isa:AArch64 SVE (256 bits)",
    "onednn_verbose,v1,info,gpu,runtime:none",
    "onednn_verbose,v1,primitive,info,template:operation,engine,primitive,implementation,prop_kind,exec_time",
    "onednn_verbose,v1,primitive,create:cache_miss,cpu,convolution,gemm:acl,forward_inference,src:f32,,,mb1,0.2",
    "onednn_verbose,primitive,create:dispatch,convolution,cpu,convolution,ref:any,undef,,,unsupported,x.cpp:1",
    "onednn_verbose,v1,primitive,exec,gpu,convolution,ocl:acl,forward,,,,mb1,0.1",
    "onednn_verbose,v1,graph,exec,cpu,100002,convolution_post_ops,acl,,,0.1",
    " onednn_verbose,exec,cpu,convolution,gemm:acl,forward",
    "print: onednn_verbose,exec,cpu,convolution,gemm:acl,forward",
    "mkldnn_verbose,info,Intel(R) MKL-DNN v0.20.3 (Git Hash N/A),Intel 64",
    "mkldnn_verbose,create,convolution,gemm:jit,forward_inference,fsrc:nchw,mb1_ic1oc6_ih28oh28kh5,0.1",
    "",
]


@pytest.mark.parametrize("version", TRACES)
def test_an_executed_primitive_is_read_in_every_format(version: str) -> None:
    assert kernels.executed(TRACES[version], "lenet") == Row("lenet", "onednn", *SEEN[version])


@pytest.mark.parametrize("line", NOISE)
def test_what_was_not_executed_on_the_cpu_does_not_count(line: str) -> None:
    assert kernels.executed(line, "lenet") is None


@pytest.mark.parametrize(
    "name", ["ref:any", "gemm:ref", "simple:any", "brgconv:sve_512", "jit_dw:sve_256", "x64:gemm:blas", "wino:acl"]
)
def test_the_implementation_is_kept_as_it_is_named(name: str) -> None:
    row = kernels.executed(f"onednn_verbose,v1,primitive,exec,cpu,convolution,{name},forward,,,,mb1,0.1", "")
    assert row == Row("", "onednn", "convolution", name)


@pytest.mark.parametrize(
    ("line", "core"),
    [("Core: neoversen1", "neoversen1"), ("  Core: A64FX \n", "a64fx"), ("Core: armv8sve", "armv8sve")],
)
def test_the_core_that_openblas_chose_is_read(line: str, core: str) -> None:
    assert kernels.core(line) == Row("", "openblas", "core", core)


@pytest.mark.parametrize("line", ["Core not found: Haswell", "Core:", "Core: a b", "the Core: a64fx", "core: a64fx"])
def test_other_words_are_not_openblas_s_core(line: str) -> None:
    assert kernels.core(line) is None


def test_a_trace_attributes_every_kernel_to_the_workload_that_was_announced_before_it() -> None:
    lines = [TRACES["3.7"], "M:lenet", TRACES["3.5"], "chatter", TRACES["3.5"], *NOISE, "M:resnet", TRACES["3.5"], "M:"]
    lines += [TRACES["2.4"]]
    assert kernels.trace(lines, "M:") == Counter(
        {
            Row("", "onednn", "inner_product", "acl"): 1,
            Row("lenet", "onednn", "convolution", "indirect_gemm:acl"): 2,
            Row("resnet", "onednn", "convolution", "indirect_gemm:acl"): 1,
            Row("", "onednn", "convolution", "gemm:acl"): 1,
        }
    )


def rule(*implementations: str, operation: str = "convolution", optional: bool = False, source: str = "onednn") -> Rule:
    return Rule(
        source=source, operation=operation, implementations=list(implementations), optional=optional, reason="a test"
    )


def ran(*rows: str) -> Counter[Row]:
    """Make rows from "source operation implementation"."""
    return Counter(Row("lenet", *row.split(" ")) for row in rows)


ACL = "onednn convolution indirect_gemm:acl"


def test_kernels_of_the_family_hold_and_are_counted() -> None:
    verdict = kernels.judge(rule("*:acl", "acl"), ran(ACL, ACL, "onednn convolution acl"))
    assert verdict == (True, "convolution by *:acl or acl", "convolution acl x1, convolution indirect_gemm:acl x2")


@pytest.mark.parametrize("stranger", ["ref:any", "gemm:ref", "jit:sve_512", "acl:ref", "ACL", "indirect_gemm:acl2"])
def test_one_stranger_among_right_kernels_breaks_the_rule_and_is_named_alone(stranger: str) -> None:
    verdict = kernels.judge(rule("*:acl", "acl"), ran(ACL, ACL, f"onednn convolution {stranger}"))
    assert not verdict.holds
    assert verdict.found == f"convolution {stranger} x1"


def test_a_stranger_breaks_an_optional_rule_too() -> None:
    assert not kernels.judge(rule("*:acl", optional=True), ran("onednn convolution gemm:ref")).holds


def test_nothing_ran_breaks_a_rule_unless_it_is_optional() -> None:
    others = ran("onednn reorder jit:uni", "profiler convolution indirect_gemm:acl")
    verdict = kernels.judge(rule("*:acl"), others)
    assert verdict == (False, "convolution by *:acl", "no convolution was seen: the backend is off")
    assert kernels.judge(rule("*:acl", optional=True), others) == (True, "convolution by *:acl", "none ran")


def test_no_implementation_at_all_means_it_must_not_run() -> None:
    off = rule(operation="*")
    assert kernels.judge(off, ran("profiler convolution aten::_slow_conv2d_forward")).holds
    verdict = kernels.judge(off, ran("onednn reorder jit:uni", ACL))
    assert not verdict.holds
    assert verdict.expected == "no onednn kernel"
    assert verdict.found == "convolution indirect_gemm:acl x1, reorder jit:uni x1"


def test_a_rule_speaks_only_of_its_own_source_and_operation() -> None:
    rows = ran(ACL, "onednn eltwise ref:any", "openblas core armv8", "profiler convolution aten::_slow_conv2d_forward")
    assert kernels.judge(rule("*:acl"), rows).holds
    assert not kernels.judge(rule("neoversen1", source="openblas", operation="core"), rows).holds
    assert not kernels.judge(rule("aten::mkldnn_convolution", source="profiler"), rows).holds


def test_the_project_s_rules_refuse_a_onednn_of_reference_kernels_only(matrix: Matrix) -> None:
    reference = ran("onednn convolution gemm:ref", "onednn matmul ref:any", "onednn inner_product gemm:ref")
    for combo in matrix.combos:
        if combo.sound:
            rules = combo.flavour.rules(combo.target, combo.version)
            verdicts = [kernels.judge(Rule(**one.model_dump()), reference) for one in rules if one.source == "onednn"]
            assert verdicts
            assert not any(verdict.holds for verdict in verdicts), combo.id


@pytest.mark.parametrize(
    ("target", "kernel", "holds"),
    [
        ("n1", "indirect_gemm:acl", True),
        ("n1", "brgconv:sve_512", False),
        ("v1", "indirect_gemm:acl", True),
        ("a64fx", "brgconv:sve_512", True),
        ("a64fx", "indirect_gemm:acl", False),
        ("generic", "gemm:acl", True),
        ("generic", "brgconv:sve_256", True),
    ],
)
def test_the_convolution_that_was_seen_on_each_cpu_is_the_one_its_rule_wants(
    matrix: Matrix, target: str, kernel: str, *, holds: bool
) -> None:
    rules = matrix.recipes.frameworks["pytorch"].backends["acl"].rules(matrix.recipes.targets[target], "2.10.0")
    wanted = next(one for one in rules if (one.source, one.operation) == ("onednn", "convolution"))
    assert kernels.judge(Rule(**wanted.model_dump()), ran(f"onednn convolution {kernel}")).holds is holds


def test_an_older_version_s_convolution_on_a_cpu_is_its_own(matrix: Matrix) -> None:
    rules = matrix.by_id["pytorch-2.5.1-a64fx-acl"].flavour.rules(matrix.recipes.targets["a64fx"], "2.5.1")
    wanted = next(one for one in rules if (one.source, one.operation) == ("onednn", "convolution"))
    for kernel, holds in (("jit:sve_512", True), ("brgconv:sve_512", False), ("gemm:ref", False)):
        assert kernels.judge(Rule(**wanted.model_dump()), ran(f"onednn convolution {kernel}")).holds is holds


def test_in_every_combo_one_rule_speaks_of_an_operation(matrix: Matrix) -> None:
    for combo in matrix.combos:
        if combo.refusal is None:
            rules = [(one.source, one.operation) for one in combo.flavour.rules(combo.target, combo.version)]
            assert len(rules) == len(set(rules)), combo.id


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
@settings(max_examples=150, deadline=None)
def test_no_line_makes_reading_fail_and_only_the_library_s_own_lines_count(lines: list[str]) -> None:
    rows = kernels.trace(lines, "M:")
    for line in lines:
        kernels.core(line)
    assert rows.total() <= sum(line.startswith(("onednn_verbose,", "dnnl_verbose,")) for line in lines)
    assert kernels.judge(rule("*", operation="*"), rows).holds is bool(rows)
