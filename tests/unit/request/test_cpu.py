"""A pasted lscpu or /proc/cpuinfo, or a name, gives the right target with its reason."""

from __future__ import annotations

import naming
import pytest

from armwright.matrix.matrix import Matrix
from armwright.request import cpu, cpu_names
from armwright.request.cpu import SubmittedCpu
from tests.support import ROOT

KNOWN = cpu_names.load_cpu_names(ROOT)
ARMV8 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
# archspec/archspec-json#41 (Graviton2), archspec/archspec#159 (Grace), hrw/arm-socs-table#111 (AmpereOne),
# docker/for-mac#6512 (an M1's virtual machine), libxsmm/libxsmm#737 (A64FX)
N1 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs"
V2 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 sm3 "
    "sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb dcpodp sve2 sveaes svepmull svebitperm svesha3 "
    "svesm4 flagm2 frint svei8mm svebf16 i8mm bf16 dgh"
)
ONE = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 sm3 "
    "sm4 asimddp sha512 asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg dcpodp flagm2 frint i8mm bf16 rng bti ecv"
)
M1 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 "
    "asimddp sha512 asimdfhm dit uscat ilrcpc flagm sb paca pacg dcpodp flagm2 frint"
)
A64FX = "fp asimd evtstrm sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm fcma dcpop sve"


def cpuinfo(features: str, *parts: str) -> str:
    """Make the text of /proc/cpuinfo, with a processor for each part."""
    processors = [
        f"processor\t: {number}\nBogoMIPS\t: 50.00\nFeatures\t: {features}\nCPU implementer\t: {part[:4]}\n"
        f"CPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: {part[5:]}\nCPU revision\t: 1\n"
        for number, part in enumerate(parts)
    ]
    return "\n".join(processors)


def lscpu(features: str, vendor: str, *names: str) -> str:
    """Make the output of lscpu, with a block for each name."""
    head = f"Architecture:          aarch64\nCPU(s):                8\nVendor ID:             {vendor}\n"
    flags = f"Flags:                 {features}\n" if features else ""
    models = "".join(f"Model name:            {name}\nModel:                 1\n{flags}" for name in names)
    return head + (models or f"Model:                 0\n{flags}") + "Vulnerability Spectre v1: Mitigation\n"


def read(matrix: Matrix, text: str) -> SubmittedCpu:
    return cpu.parse_cpu(text, matrix, KNOWN)


def name(submitted: SubmittedCpu) -> str | None:
    return submitted.target.name if submitted.target else None


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (cpuinfo(N1, "0x41:0xd0c", "0x41:0xd0c"), "n1"),
        (lscpu(N1, "ARM", "Neoverse-N1"), "n1"),
        (lscpu("", "ARM", "Neoverse-N1"), "n1"),
        (cpuinfo(V2, "0x41:0xd4f"), "v2"),
        (lscpu(V2, "ARM", "Neoverse-N2"), "n2"),
        (lscpu(V2, "Microsoft", "Azure-Cobalt-100"), "n2"),
        (lscpu(A64FX, "FUJITSU", "A64FX"), "a64fx"),
        (lscpu(A64FX, "0x46"), "a64fx"),
        (lscpu(f"{ARMV8} atomics", "Cavium", "ThunderX2 99xx"), "thunderx2"),
        (cpuinfo(M1, "0x61:0x000"), "m1"),
        (cpuinfo(M1, "0x61:0x022", "0x61:0x023"), "m1"),
        (lscpu(M1, "Apple", "-"), "m1"),
    ],
)
def test_part_decides(matrix: Matrix, text: str, target: str) -> None:
    submitted = read(matrix, text)
    assert name(submitted) == target
    assert not submitted.approximate


@pytest.mark.parametrize(
    ("text", "target", "called", "limit"),
    [
        (cpuinfo(ONE, "0xc0:0xac4"), "n1", "Ampere-1a (0xc0:0xac4)", "v1 images do not: they need sve"),
        (
            lscpu(N1, "HiSilicon", "Kunpeng-920"),
            "n1",
            "Kunpeng-920 (0x48:0xd01)",
            "v1 images do not: they need sve, bf16, i8mm",
        ),
        (cpuinfo(V2, "0x41:0xd84"), "n2", "Neoverse-V3 (0x41:0xd84)", ""),
        (
            cpuinfo(ARMV8, "0x41:0xd08"),
            "generic",
            "Cortex-A72 (0x41:0xd08)",
            "thunderx2 images do not: they need atomics",
        ),
        (cpuinfo(N1, "0x99:0x123"), "n1", "a CPU (0x99:0x123)", ""),
    ],
)
def test_unknown_part_gets_the_largest_floor_it_meets(
    matrix: Matrix, text: str, target: str, called: str, limit: str
) -> None:
    submitted = read(matrix, text)
    assert (name(submitted), submitted.approximate) == (target, True)
    assert f"no target is made for {called}" in submitted.reason
    assert limit in submitted.reason


def test_part_with_missing_features_gets_a_target_that_runs(matrix: Matrix) -> None:
    submitted = read(matrix, cpuinfo(N1, "0x41:0xd4f"))
    assert name(submitted) == "n1"
    assert "target v2 is made for it, but this machine shows no sve, sve2, bf16, i8mm" in submitted.reason


def test_different_cores_count_with_their_common_features(matrix: Matrix) -> None:
    submitted = read(matrix, cpuinfo(f"{ARMV8} atomics", "0x41:0xd05") + "\n" + cpuinfo(V2, "0x41:0xd4f"))
    assert name(submitted) == "thunderx2"
    assert "several kinds of cores (Cortex-A55 (0x41:0xd05), Neoverse-V2 (0x41:0xd4f))" in submitted.reason
    assert name(read(matrix, lscpu(ONE, "ARM", "Cortex-A510", "Cortex-A710", "Cortex-X3"))) == "n1"


@pytest.mark.parametrize("text", [cpuinfo(M1, "0x00:0x000"), lscpu(M1, "0x00")])
def test_features_decide_for_a_hidden_cpu(matrix: Matrix, text: str) -> None:
    submitted = read(matrix, text)
    assert name(submitted) == "m1"
    assert "a hypervisor hides the model of this CPU" in submitted.reason
    assert name(read(matrix, cpuinfo(V2, "0x00:0x000"))) == "n2"


def test_wrapped_feature_lines_are_joined(matrix: Matrix) -> None:
    broken = lscpu(V2.replace(" sha512 ", "\n                       sha512 "), "ARM", "Neoverse-V2")
    assert name(read(matrix, broken)) == "v2"


def test_labels_in_another_language_are_read(matrix: Matrix) -> None:
    german = f"Architektur:  aarch64\nAnbieterkennung: ARM\nModellname: Neoverse-V1\nMarkierungen: {V2}\n"
    assert name(read(matrix, german)) == "v1"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("Architecture: x86_64\nVendor ID: GenuineIntel\n", "an x86-64 machine"),
        ("vendor_id\t: AuthenticAMD\nflags\t\t: fpu vme sse sse2 ht\n", "an x86 machine"),
        ("Architecture: armv7l\n", "a 32-bit Arm system"),
        ("Vendor ID: ARM\nModel name: Cortex-A15\nFlags: swp half thumb neon vfpv4\n", "a 32-bit Arm system"),
        ("Architecture: riscv64\n", "a RISC-V machine"),
    ],
)
def test_other_architecture_is_reported(matrix: Matrix, text: str, what: str) -> None:
    submitted = read(matrix, text)
    assert submitted.target is None
    assert f"this is the output of {what}" in submitted.reason


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("graviton3", "v1"), ("AWS Graviton 3", "v1"), ("Graviton3E", "v1"), ("altra", "n1"), ("Neoverse-N1", "n1"),
        ("Ampere Altra Max Q80-30", "n1"), ("n1", "n1"), ("M2", "m1"), ("Apple M1 Pro", "m1"), ("NVIDIA Grace", "v2"),
        ("A64FX", "a64fx"), ("Marvell ThunderX2", "thunderx2"), ("arm64", "generic"), ("arm64, Graviton4", "v2"),
        ("Kunpeng 920", "generic"), ("Raspberry Pi 5 (Cortex-A76)", "generic"), ("Ampere\u00ae Altra\u00ae", "n1"),
        ("AWS Graviton3 \u2013 64 c\u0153urs", "v1"), ("\u6211\u4eec\u7528Graviton3\u670d\u52a1\u5668", "v1"),
        ("Graviton3!", "v1"),
    ],
)  # fmt: skip
def test_name_decides(matrix: Matrix, text: str, target: str) -> None:
    assert name(read(matrix, text)) == target


@pytest.mark.parametrize("text", ["n1-standard-4", "m2.large", "graviton2 or graviton3", "?", "grace " * 100, "x:y"])
def test_unclear_name_gets_no_target_and_a_hint(matrix: Matrix, text: str) -> None:
    submitted = read(matrix, text)
    assert submitted.target is None
    assert "lscpu" in submitted.reason


@pytest.mark.parametrize(
    "text",
    [
        "Cavium ThunderX (CN8890), not ThunderX2", "not Neoverse N1 but Cortex-A72", "isn't V1", "kein Neoverse N1",
        "not this: Neoverse-N1", "we replaced it:\nModel name: Neoverse-N1", "not\nVendor ID: Apple",
    ],
)  # fmt: skip
def test_negation_is_not_a_name(matrix: Matrix, text: str) -> None:
    submitted = read(matrix, text)
    assert submitted.target is None
    assert "the text says what the CPU is not" in submitted.reason


@pytest.mark.parametrize(
    "text", ["Neoverse N1\u0660", "Model name: Neoverse-N1\u0660", "CPU: ~~Neoverse-N1~~", "n1\u0251"]
)
def test_name_with_other_characters_is_not_that_name(matrix: Matrix, text: str) -> None:
    assert read(matrix, text).target is None


def test_negation_beside_features_does_not_matter(matrix: Matrix) -> None:
    text = lscpu(N1, "ARM", "Neoverse-N1") + "Vulnerability Meltdown: Not affected\nthis is no secret\n"
    assert name(read(matrix, text)) == "n1"


def test_cpu_below_every_floor_has_no_target(matrix: Matrix) -> None:
    targets = {**matrix.recipes.targets}
    del targets["generic"]
    axes = matrix.axes.model_copy(update={"targets": [name for name in matrix.axes.targets if name != "generic"]})
    without = Matrix(matrix.root, matrix.recipes.model_copy(update={"targets": targets}), axes, matrix.rules)
    submitted = cpu.parse_cpu(cpuinfo(ARMV8, "0x41:0xd08"), without, KNOWN)
    assert submitted.target is None
    assert "it meets the floor of no target" in submitted.reason
    assert cpu.parse_cpu("Kunpeng 920", without, KNOWN).target is None


def test_thousands_of_parts_give_a_short_reason(matrix: Matrix) -> None:
    submitted = read(matrix, cpuinfo(N1, *(f"0x41:0x{number:03x}" for number in range(2_000))))
    assert name(submitted) == "n1"
    assert len(submitted.reason) < 1_000
    assert "and 1992 more" in submitted.reason


def test_every_part_of_a_target_leads_to_it(matrix: Matrix) -> None:
    for target in matrix.recipes.targets.values():
        for part in target.parts:
            if "*" not in part:
                assert name(read(matrix, cpuinfo(" ".join(target.floor), part))) == target.name


def test_every_part_named_in_an_image_has_a_name_here() -> None:
    here = {part for part in naming.PART_NAMES if not part.startswith("0x00")}
    assert here <= set(KNOWN.parts)
    assert {part[:4] for part in KNOWN.parts} <= set(KNOWN.implementers)
