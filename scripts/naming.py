"""Names of CPUs and of their features for messages. A program that starts without a message does not load this module.

Sources. Part numbers: Linux `arch/arm64/include/asm/cputype.h` and util-linux `sys-utils/lscpu-arm.c`; the hidden part
0x00:0x000 is docker/for-mac#6512.
"""

PART_NAMES = {
    "0x00:0x000": "Arm CPU hidden by its hypervisor",
    "0x41:0xd03": "Arm Cortex-A53",
    "0x41:0xd05": "Arm Cortex-A55",
    "0x41:0xd07": "Arm Cortex-A57",
    "0x41:0xd08": "Arm Cortex-A72",
    "0x41:0xd0b": "Arm Cortex-A76",
    "0x41:0xd0c": "Arm Neoverse N1",
    "0x41:0xd40": "Arm Neoverse V1",
    "0x41:0xd49": "Arm Neoverse N2",
    "0x41:0xd4f": "Arm Neoverse V2",
    "0x41:0xd84": "Arm Neoverse V3",
    "0x41:0xd8e": "Arm Neoverse N3",
    "0x42:0x516": "Broadcom Vulcan (ThunderX2)",
    "0x43:0x0af": "Cavium ThunderX2",
    "0x46:0x001": "Fujitsu A64FX",
    "0x48:0xd01": "HiSilicon Kunpeng 920",
    "0x61:0x022": "Apple M1 (efficiency cores)",
    "0x61:0x023": "Apple M1 (performance cores)",
    "0x61:0x024": "Apple M1 Pro (efficiency cores)",
    "0x61:0x025": "Apple M1 Pro (performance cores)",
    "0x61:0x028": "Apple M1 Max (efficiency cores)",
    "0x61:0x029": "Apple M1 Max (performance cores)",
    "0x61:0x032": "Apple M2 (efficiency cores)",
    "0x61:0x033": "Apple M2 (performance cores)",
    "0x61:0x034": "Apple M2 Pro (efficiency cores)",
    "0x61:0x035": "Apple M2 Pro (performance cores)",
    "0x61:0x038": "Apple M2 Max (efficiency cores)",
    "0x61:0x039": "Apple M2 Max (performance cores)",
    "0x6d:0xd49": "Microsoft Azure Cobalt 100",
    "0xc0:0xac3": "Ampere AmpereOne",
    "0xc0:0xac4": "Ampere AmpereOne A",
}

FEATURE_MEANINGS = {
    "fp": "floating point",
    "asimd": "NEON vectors",
    "atomics": "large-system atomics",
    "fphp": "half-precision scalars",
    "asimdhp": "half-precision vectors",
    "asimdrdm": "rounding multiply-add",
    "asimddp": "dot product",
    "asimdfhm": "half-precision multiply-add",
    "fcma": "complex arithmetic",
    "jscvt": "JavaScript conversion",
    "lrcpc": "acquire loads",
    "crc32": "checksums",
    "aes": "AES encryption",
    "i8mm": "8-bit matrix multiply",
    "bf16": "bfloat16",
    "sve": "scalable vectors",
    "sve2": "scalable vectors 2",
    "svei8mm": "8-bit matrix multiply in SVE",
    "svebf16": "bfloat16 in SVE",
}


def describe_feature(feature: str) -> str:
    """Return a feature with its meaning: "asimddp (dot product)"."""
    meaning = FEATURE_MEANINGS.get(feature)
    return f"{feature} ({meaning})" if meaning else feature
