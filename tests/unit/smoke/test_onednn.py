"""oneDNN's trace in all formats: lines written by the library, invented lines and truncated lines."""

from __future__ import annotations

from pathlib import Path

import onednn
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onednn import UNREADABLE, Event

TRACES = sorted((Path(__file__).parent / "traces").glob("onednn-*.txt"))
CONVOLUTION = (
    "onednn_verbose,v1,primitive,exec,cpu,convolution,indirect_gemm:acl,forward_training,src:f32:a:blocked:acdb::f0 "
    "wei:bf16:ap:blocked:AcdB4a4b::f0 bia:f32:a:blocked:a::f0 dst:f32:a:blocked:acdb::f0,attr-scratchpad:user "
    "attr-fpmath:bf16,alg:convolution_direct,mb8_ic3oc16_ih32oh30kh3sh1dh0ph0_iw32ow30kw3sw1dw0pw0,488.931"
)


@pytest.mark.parametrize("file", TRACES, ids=lambda file: file.stem)
def test_what_the_library_wrote_is_read(file: Path) -> None:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    written, expected = lines[::2], lines[1::2]
    assert len(written) > 10
    for line, wanted in zip(written, expected, strict=True):
        fields = onednn.read(line) or onednn.info(line) or ("nothing",)
        assert "= " + " | ".join(fields).rstrip() == wanted


def test_there_is_a_trace_of_every_generation_of_the_format() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in TRACES)
    for beginning in (
        "mkldnn_verbose,exec",
        "dnnl_verbose,exec",
        "onednn_verbose,exec",
        "onednn_verbose,primitive,exec",
    ):
        assert f"\n{beginning}," in text
    assert "\nonednn_verbose,v1,primitive,exec," in text


@pytest.mark.parametrize(
    ("prop", "shape", "operation"),
    [
        ("backward_data", "mb64_ic16oc8_ih8oh4kh4sh2dh0ph1", "deconvolution"),  # TensorFlow's transposed convolution
        ("forward_training", "mb64_ic16oc8_ih8oh4kh4sh2dh0ph1", "convolution"),
        ("forward_training", "g16mb8_ic16oc16_ih30oh30kh3sh1dh0ph1", "depthwise"),
        ("forward_training", "mb2_g16ic16oc32_ih16oh14kh3sh1dh0ph0", "depthwise"),
        ("forward_training", "g4mb8_ic16oc16_ih30oh30kh3sh1dh0ph1", "convolution"),  # groups of four channels
        ("forward_training", "g1mb8_ic1oc16_ih30oh30kh3sh1dh0ph1", "convolution"),
    ],
)
def test_depthwise_and_transposed_convolutions_are_named(prop: str, shape: str, operation: str) -> None:
    before, after = CONVOLUTION.split("forward_training")
    event = onednn.read(f"{before}{prop}{after.replace('mb8_ic3oc16_ih32oh30kh3sh1dh0ph0', shape)}")
    assert event is not None
    assert (event.operation, event.implementation) == (operation, "indirect_gemm:acl")


NAME = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
WORD = st.from_regex(r"[a-z0-9_:+*.]{1,30}", fullmatch=True)
TYPE = st.sampled_from(
    ["f32", "bf16", "f16", "s8", "u8", "s32", "f64", "f8_e5m2", "f8_e4m3", "f4_e2m1", "e8m0", "s4", "boolean"]
)
EVENTS = st.builds(
    lambda operation, implementation, types, shape, attributes: Event(
        operation, implementation, types[0] if types[0] == types[1] else ":".join(types), shape, " ".join(attributes)
    ),
    NAME,
    WORD,
    st.tuples(TYPE, TYPE),
    WORD,
    st.lists(WORD.map("attr-".__add__).filter(lambda word: "scratchpad" not in word), max_size=3),
)
ROLES = st.sampled_from(
    [("src", "wei"), ("src_layer", "wei_layer"), ("src", "dst"), ("data", "dst"), ("src_a", "src_b")]
)
STAMP = st.one_of(st.just(""), st.floats(0, 2e12).map("{:f},".format))
MILLISECONDS = st.floats(0, 1e7).map("{:g}".format)


def old(event: Event, roles: tuple[str, str]) -> str:
    """Write two tensors like oneDNN up to 3.5, with the attribute of the temporary memory."""
    source, other = types_of(event)
    return f"{roles[0]}_{source}::blocked:acdb::f0 {roles[1]}_{other}:a:blocked:Acdb4a::f0"


def new(event: Event, roles: tuple[str, str]) -> str:
    source, other = types_of(event)
    return f"{roles[0]}:{source}::blocked:acdb::f0 bia:undef::undef::: {roles[1]}:{other}:ap:blocked:Acdb4a::f0"


def types_of(event: Event) -> tuple[str, str]:
    source, _, other = event.types.partition(":")
    return source, other or source


@given(EVENTS, ROLES, STAMP, MILLISECONDS)
def test_what_each_version_writes_is_read_back(event: Event, roles: tuple[str, str], stamp: str, time: str) -> None:
    operation, implementation, types, shape, attributes = event
    with_attributes = f"attr-scratchpad:user {attributes} "
    later = f"cpu,{operation},{implementation},undef,{{}},{with_attributes},alg:any axis:1,{shape},{time}"
    source, other = types_of(event)
    reorder = f"{operation},{implementation},undef,in:{source}_nchw out:{other}_nChw16c,num:1,{shape},{time}"
    layer = f"{operation},{implementation},forward_inference,fsrc:nchw fwei:oihw fbia:x fdst:nchw,,{shape},{time}"
    first = f"cpu,{operation},{implementation},undef,{old(event, roles)},num:1,{shape},{time}"
    bare = event._replace(attributes="")
    assert onednn.read(f"mkldnn_verbose,exec,{reorder}") == bare
    assert onednn.read(f"mkldnn_verbose,exec,{layer}") == bare._replace(types="")
    assert onednn.read(f"mkldnn_verbose,exec,{first}") == bare
    for beginning in ("dnnl_verbose", "onednn_verbose"):
        assert onednn.read(f"{beginning},{stamp}exec,{later.format(old(event, roles))}\n") == event
    assert onednn.read(f"onednn_verbose,{stamp}primitive,exec,{later.format(old(event, roles))}") == event
    assert onednn.read(f"onednn_verbose,v1,{stamp}primitive,exec,{later.format(new(event, roles))}") == event
    assert types in {source, f"{source}:{other}"}


@pytest.mark.parametrize("file", TRACES, ids=lambda file: file.stem)
def test_a_line_that_is_cut_off_is_never_read_as_another_kernel(file: Path) -> None:
    for line in file.read_text(encoding="utf-8").splitlines():
        event = onednn.read(line)
        if event is None:
            continue
        for end in range(len(line)):
            cut = onednn.read(line[:end])
            if ",exec," not in line[:end]:
                assert cut is None
            elif cut != event:
                assert cut is not None
                assert cut.implementation == UNREADABLE
                assert cut.shape == line[:end].rstrip()[: onednn.SHOWN]


@pytest.mark.parametrize(
    ("change", "operation"),
    [
        (("v1,", "v2,"), "convolution"),
        (("cpu,", ""), "unknown"),
        (("cpu,", "npu,"), "convolution"),
        (("convolution,", ""), "unknown"),
        (("convolution,", "Convolution!,"), "unknown"),
        ((",488.931", ""), "convolution"),
        (("488.931", "4,889"), "convolution"),
        (("488.931", "soon"), "convolution"),
        ((CONVOLUTION[CONVOLUTION.index("src:") : CONVOLUTION.index(",attr-")], "#"), "convolution"),
    ],
)
def test_unreadable_primitive_is_kept(change: tuple[str, str], operation: str) -> None:
    line = CONVOLUTION.replace(*change)
    assert line != CONVOLUTION
    event = onednn.read(line)
    assert event == Event(operation, UNREADABLE, "", line[: onednn.SHOWN], "")


def test_a_shuffle_of_the_first_format_names_its_type() -> None:
    line = "mkldnn_verbose,exec,shuffle,ref:any,forward_training,dt:f32 fmt:nchw,axis:1 group_size:4,1x16x8x8,0.1"
    assert onednn.read(line) == Event("shuffle", "ref:any", "f32", "1x16x8x8", "")


def test_two_lines_in_one_are_not_read_as_one() -> None:
    event = onednn.read(CONVOLUTION[:80] + CONVOLUTION)
    assert event is not None
    assert event.implementation == UNREADABLE


def test_a_primitive_without_an_implementation_has_none() -> None:
    event = onednn.read(CONVOLUTION.replace("indirect_gemm:acl", ""))
    assert event is not None
    assert (event.operation, event.implementation, event.types) == ("convolution", "unnamed", "f32:bf16")


def test_text_of_another_writer_before_an_entry_is_skipped() -> None:
    assert onednn.read("step 1 of 3 ... " + CONVOLUTION) == onednn.read(CONVOLUTION)
    assert onednn.read("onednn_verbose,v1,info,cpu" + CONVOLUTION) == onednn.read(CONVOLUTION)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Core: neoversen1",
        "onednn_verbose,v1,primitive,create:cache_miss,cpu,matmul,gemm:acl,undef,src:f32::blocked:ab::f0,,,8x8,0.1",
        "onednn_verbose,v1,primitive,exec:external,CpuGemmAssemblyWrapperKernel/sve_ffhybrid_fp16_mla_6x4VL,0.006",
        "onednn_verbose,primitive,exec:check,primitive,unused primitive execution argument (4113),src/common/x.cpp:74",
        "onednn_verbose,v1,graph,exec,cpu,100002,matmul_post_ops,matmul,,in0_f32,fpm:strict,larger_partition,dnnl,0.4",
        "onednn_verbose,v1,cpu,acl,unsupported: Only Ab4a/Ab8a destination formats supported",
        CONVOLUTION[10:],
    ],
)
def test_other_lines_are_no_executed_primitives(line: str) -> None:
    assert onednn.read(line) is None
    assert onednn.info(line) is None


@pytest.mark.parametrize(
    ("line", "fact"),
    [
        ("mkldnn_verbose,info,Intel(R) MKL-DNN v0.20.6 (Git Hash N/A),Any Architecture", ("version", "0.20.6")),
        ("dnnl_verbose,info,DNNL v1.1.0 (commit 6afab8e)", ("version", "1.1.0")),
        ("dnnl_verbose,info,Detected ISA is Intel AVX2", ("isa", "Intel AVX2")),
        ("onednn_verbose,info,cpu,runtime:OpenMP,nthr:192\n", ("runtime", "OpenMP,nthr:192")),
    ],
)
def test_the_header_is_read(line: str, fact: tuple[str, str]) -> None:
    assert onednn.info(line) == fact


PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            ["onednn_verbose,", "mkldnn_verbose,", "v1,", "primitive,", "exec,", "cpu,", "info,", "1.5,", ","]
        ),
        st.sampled_from(
            ["convolution,", "src:f32:", "src_f32::blocked:ab:f0 ", "oneDNN v3", "cpu,isa:", "cpu,runtime:"]
        ),
        st.text(max_size=8),
    ),
    max_size=30,
).map("".join)


@given(st.one_of(st.text(), PIECES))
def test_no_text_makes_it_raise(text: str) -> None:
    event = onednn.read(text)
    assert event is None or (event.operation and event.implementation)
    fact = onednn.info(text)
    assert fact is None or fact[0] in {"version", "isa", "runtime"}


@pytest.mark.parametrize(
    "line",
    [
        "onednn_verbose," * 100_000,
        "onednn_verbose," + "1" * 1_000_000,
        "onednn_verbose,v" + "1" * 1_000_000,
        "onednn_verbose," + "1." * 500_000 + ",exec,",
        "onednn_verbose,info,cpu,isa:" + " " * 1_000_000,
        CONVOLUTION.replace("src:", "src" * 300_000 + ":"),
        CONVOLUTION.replace("src:", "src: " * 200_000),
        CONVOLUTION.replace(",alg:", "," * 1_000_000 + "alg:"),
    ],
    ids=["beginnings", "digits", "version", "stamp", "spaces", "name", "tensors", "columns"],
)
def test_a_line_of_a_megabyte_is_read_in_one_pass(line: str) -> None:
    event = onednn.read(line)  # a search that starts over at every character would not come back
    assert event is None or len(event.shape) <= onednn.SHOWN
    onednn.info(line)
