"""Reads the machine that a container runs on: the CPU, the number of usable CPUs, and whether it is emulated.

Every function reads below `root`, which is `/` except in tests. None raises because of a missing or unusual file:
a container may hide or rearrange any of them. This module imports little of the standard library, since it is loaded
before every program that the image starts.

Sources. Part numbers: Linux `arch/arm64/include/asm/cputype.h` and util-linux `sys-utils/lscpu-arm.c`; the hidden part
0x00:0x000 is docker/for-mac#6512. Feature names and their bits: Linux `arch/arm64/include/uapi/asm/hwcap.h`, which
`/proc/cpuinfo` prints in the order of the bits. Quotas: the kernel's `cgroup-v2` and `sched-bwc` documents.
"""

from __future__ import annotations

import math
import os
import platform
import re
import struct
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path("/")
ARCHITECTURE = "aarch64"

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

# Entries of the auxiliary vector (AT_HWCAP, AT_HWCAP2), and the names of their bits from bit 0 upwards.
_HWCAPS = {
    16: "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 "
    "sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg",
    26: "dcpodp sve2 sveaes svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm svef32mm svef64mm svebf16 i8mm "
    "bf16 dgh rng bti mte",
}

# A line of /proc/self/mountinfo: id, parent, device, root, mount point, options and tags, " - ", type, source, options.
_CGROUP_MOUNT = re.compile(
    r"^\S+ \S+ \S+ (?P<subtree>\S+) (?P<mount_point>\S+) .* - (?P<version>cgroup2?) \S+ (?P<options>\S+)$", re.MULTILINE
)

_PR_SVE_GET_VL = 51
_PR_SVE_VL_LEN_MASK = 0xFFFF


class Processor(NamedTuple):
    """The CPU as the kernel describes it.

    Attributes:
        features: the features that all processors share, named as in /proc/cpuinfo; the intersection, because the
            kernel may move a program between big and little cores.
        parts: the different "implementer:part" pairs, in the order of the processors; empty if hidden.
    """

    features: frozenset[str]
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """The product name of this CPU."""
        return " + ".join(PART_NAMES.get(part, f"CPU {part}") for part in self.parts) or "unknown part"


class Cpus(NamedTuple):
    """The number of CPUs that this container may use, and the reason for it."""

    number: int
    reason: str


class Emulation(NamedTuple):
    """Whether the CPU is emulated on another architecture.

    Attributes:
        emulated: None if unknown.
        name: the emulator's name; empty if there is none.
        model: the CPU that it was set to emulate; empty if unset.
    """

    emulated: bool | None
    name: str = ""
    model: str = ""


class Machine(NamedTuple):
    """All facts about the machine."""

    architecture: str
    processor: Processor
    vector_bytes: int | None
    cpus: Cpus
    emulation: Emulation


def read_machine(environ: Mapping[str, str], root: Path = ROOT) -> Machine:
    """Read all facts about the machine."""
    processor = read_processor(root)
    return Machine(
        platform.machine(), processor, vector_bytes(processor.features), usable_cpus(root), emulation(environ, root)
    )


def read_processor(root: Path = ROOT) -> Processor:
    """Read /proc/cpuinfo; if it lists no Arm features, read them from the auxiliary vector.

    Emulators older than 2023 (QEMU 7.2, Debian 12) show the host's cpuinfo; their auxiliary vector is the guest's.
    """
    features: list[frozenset[str]] = []
    parts: list[str] = []
    implementer = ""
    for line in _text(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        name = key.strip()
        if name == "Features":
            features.append(frozenset(value.split()))
        elif name == "CPU implementer":
            implementer = value.strip().lower()
        elif name == "CPU part":
            parts.append(f"{implementer}:{value.strip().lower()}")
    common = frozenset.intersection(*features) if features else _auxiliary_features(root)
    return Processor(common, tuple(dict.fromkeys(parts)))


def vector_bytes(features: frozenset[str]) -> int | None:
    """Return the length of this process's SVE vectors; None without SVE or if the kernel does not report it."""
    if "sve" not in features:
        return None
    try:
        import ctypes  # noqa: PLC0415  (most CPUs never need it)

        answer = int(ctypes.CDLL(None).prctl(_PR_SVE_GET_VL, 0, 0, 0, 0))
    except (ImportError, OSError, AttributeError, MemoryError):  # a cut-down Python, a hardened kernel
        return None
    return answer & _PR_SVE_VL_LEN_MASK if answer > 0 else None


def usable_cpus(root: Path = ROOT) -> Cpus:
    """Count the CPUs this process may use: its affinity mask, or its cgroup's quota where that is tighter.

    A cpuset narrows the mask. Python enlarges its own copy of the mask until the kernel's fits (posixmodule.c), so
    that machines of more than 1024 CPUs, where C's `cpu_set_t` ends, are counted too.
    """
    present = os.cpu_count() or 1
    try:
        allowed = len(os.sched_getaffinity(0))
    except OSError:  # a sandbox may forbid the call
        allowed = present
    quota = min(_cpu_quotas(root), default=math.inf)
    if quota < allowed:
        number = max(1, math.ceil(quota))
        rounded = "" if number == quota else ", rounded up"
        return Cpus(number, f"cgroup quota {_cpus(quota)}{rounded}; the machine has {present}")
    if allowed < present:
        return Cpus(allowed, f"{_cpus(allowed)} in the affinity mask; the machine has {present}")
    return Cpus(allowed, "the only CPU of the machine" if allowed == 1 else f"all {_cpus(allowed)} of the machine")


def emulation(environ: Mapping[str, str], root: Path = ROOT) -> Emulation:
    """Detect an emulated CPU: /sys always shows the host's CPU, even under an emulator."""
    host = _text(root / "sys/devices/system/cpu/modalias")
    if not host.startswith("cpu:type:"):
        return Emulation(emulated=None)
    if host.startswith("cpu:type:x86") and platform.machine() == ARCHITECTURE:
        return Emulation(emulated=True, name="QEMU", model=environ.get("QEMU_CPU", ""))
    return Emulation(emulated=False)


def describe_feature(feature: str) -> str:
    """Return a feature with its meaning: "asimddp (dot product)"."""
    meaning = FEATURE_MEANINGS.get(feature)
    return f"{feature} ({meaning})" if meaning else feature


def _auxiliary_features(root: Path) -> frozenset[str]:
    if platform.machine() != ARCHITECTURE:  # the bits have another meaning there
        return frozenset()
    try:
        vector = dict(struct.iter_unpack("=QQ", (root / "proc/self/auxv").read_bytes()))
    except (OSError, struct.error):
        return frozenset()
    return frozenset(
        name
        for entry, names in _HWCAPS.items()
        for bit, name in enumerate(names.split())
        if vector.get(entry, 0) >> bit & 1
    )


def _cpu_quotas(root: Path) -> Iterator[float]:
    """Yield every CPU quota of this process, in CPUs, from cgroup v1 and v2."""
    own = _own_cgroups(root)
    for version, subtree, mount_point in _cpu_cgroup_mounts(root):
        for folder in _cgroup_levels(root / mount_point.lstrip("/"), subtree, own.get(version, "/")):
            quota = _quota_v2(folder) if version == "cgroup2" else _quota_v1(folder)
            if quota is not None:
                yield quota


def _own_cgroups(root: Path) -> dict[str, str]:
    """Return this process's path in the v2 tree and in the v1 tree of the cpu controller."""
    own: dict[str, str] = {}
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            own["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            own["cgroup"] = path
    return own


def _cpu_cgroup_mounts(root: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (version, the part of the tree that is mounted, where) of every mount that can hold CPU quotas."""
    for mount in _CGROUP_MOUNT.finditer(_text(root / "proc/self/mountinfo")):
        if mount["version"] == "cgroup2" or "cpu" in mount["options"].split(","):
            yield mount["version"], mount["subtree"], mount["mount_point"]


def _cgroup_levels(mount_point: Path, subtree: str, own: str) -> Iterator[Path]:
    """Yield the folders from the mount point down to the process's own.

    A container usually sees its own cgroup as the mount point, while /proc/self/cgroup may give the path on the host;
    folders outside the mounted part of the tree are not visible.
    """
    folder = mount_point
    yield folder
    parts, mounted = PurePosixPath(own).parts, PurePosixPath(subtree).parts
    if parts[: len(mounted)] == mounted and ".." not in parts:
        for part in parts[len(mounted) :]:
            folder /= part
            yield folder


def _quota_v2(folder: Path) -> float | None:
    quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
    return _ratio(quota, period)


def _quota_v1(folder: Path) -> float | None:
    return _ratio(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    """Divide quota by period; None for "max", for -1 and for invalid values."""
    try:
        ratio = int(quota) / int(period)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return ratio if ratio > 0 else None


def _cpus(number: float) -> str:
    return f"{number:g} CPU" if number == 1 else f"{number:g} CPUs"


def _text(path: Path) -> str:
    """Read a small file; return an empty text if it is missing, unreadable or not a valid path."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return ""
